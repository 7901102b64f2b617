"""The plots, as SVG in the text color of the page: readable in light and dark mode and print."""

import io
import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator

from firstwords.recipe import REQUIRED_STAGES, Stage
from firstwords.report.sections.evaluation import STAGE_TITLES, Evaluations
from firstwords.runs.curves import Curves
from firstwords.runs.run import Run

TEXT_COLOR = "#010203"  # replaced with the page's text color
STAGE_COLORS: dict[Stage, str] = {
    "pretrain": "#3b82c4",
    "midtrain": "#d0761b",
    "sft": "#2f9e6e",
    "rl": "#8a5cc2",
}
STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "firstwords",  # the same plot has the same bytes
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,  # grid lines behind bars
    "grid.alpha": 0.2,
    "legend.frameon": False,
    **dict.fromkeys(
        (
            "text.color",
            "axes.edgecolor",
            "axes.labelcolor",
            "xtick.color",
            "ytick.color",
            "grid.color",
            "axes.titlecolor",
        ),
        TEXT_COLOR,
    ),
}
SMOOTHED_PARTS = 20  # of a curve
MIN_TICKS = 3  # of a logarithmic axis
DrawPlot = Callable[[Figure], None]


def render_curves(run: Run, evaluations: Evaluations) -> dict[str, tuple[str, str]]:
    """Return the caption and SVG of each plot of the run's course, by name."""
    curves = Curves(run)
    plots: dict[str, tuple[str, DrawPlot]] = {
        "loss": (
            "Training loss in nats per target: each group of steps (thin), and smoothed. "
            "The stages have different targets, so a jump between them does not mean that the "
            "model got worse.",
            lambda figure: _draw_losses(figure, curves),
        ),
        "bits": (
            "Bits per byte on a sample of held-out text during training, with 95 % confidence "
            "intervals. Lower is better, and models can be compared by it.",
            lambda figure: _draw_bits_per_byte(figure, curves),
        ),
        "norms": (
            "Learning rate relative to its peak, norm of the gradients, and norm of the weight "
            "updates relative to the norm of the weights.",
            lambda figure: _draw_norms(figure, curves),
        ),
        "speed": (
            "Training tokens per second, and the share of time spent in each phase.",
            lambda figure: _draw_speed(figure, curves),
        ),
    }
    if any("reward" in step for step in curves.metrics.get("rl", [])):
        plots["rl"] = (
            "Mean reward of the model's own answers, the share of groups whose answers have "
            "different rewards, and the divergence from the finetuned model; smoothed.",
            lambda figure: _draw_rollouts(figure, curves),
        )
    return {name: (caption, render_svg(draw)) for name, (caption, draw) in plots.items()}


def render_small_curve(run: Run) -> tuple[str, str]:
    """Return the caption and SVG of the curve on the report's first screen."""
    caption = "Bits per byte of held-out text while it trained. Lower is better; guessing needs 8."
    curves = Curves(run)
    return caption, render_svg(lambda figure: _draw_small_curve(figure, curves))


def render_svg(draw: DrawPlot) -> str:
    """Draw a plot and return its SVG, without inline styles: the page's policy forbids them."""
    with rc_context(STYLE):  # type: ignore[arg-type]
        figure = Figure(figsize=(7.2, 3.2), layout="constrained")
        figure.patch.set_alpha(0)
        draw(figure)
        for axes in figure.axes:
            axes.patch.set_alpha(0)
        file = io.StringIO()
        figure.savefig(file, format="svg", metadata={"Date": None})
    text = re.sub(r"<(metadata|style)\b.*?</\1>", "", file.getvalue(), flags=re.DOTALL)
    text = re.sub(r' style="([^"]*)"', _style_attributes, text)
    return text[text.index("<svg") :].replace(TEXT_COLOR, "currentColor")


def _style_attributes(style: re.Match[str]) -> str:
    """Return the declarations of an inline style as attributes of SVG."""
    declarations = [part.split(":", 1) for part in style[1].split(";") if ":" in part]
    return "".join(f' {name.strip()}="{value.strip()}"' for name, value in declarations)


def _draw_losses(figure: Figure, curves: Curves) -> None:
    axes = figure.subplots()
    for stage in REQUIRED_STAGES:  # that of rl is no cross-entropy
        xs, losses = curves.line(stage, lambda step: step["loss"])
        axes.plot(xs, losses, color=STAGE_COLORS[stage], lw=0.8, alpha=0.35)
        axes.plot(xs, _smooth(losses), color=STAGE_COLORS[stage], lw=1.8)
    _mark_stages(axes, curves)
    axes.set(ylabel="nats per target", yscale="log")
    _set_log_ticks(axes)


def _smooth(values: Any) -> Any:
    """Return the moving average over a twentieth of a curve."""
    if len(values) < 2 * SMOOTHED_PARTS:
        return values
    window = np.ones(len(values) // SMOOTHED_PARTS)
    return np.convolve(values, window, "same") / np.convolve(np.ones(len(values)), window, "same")


def _set_log_ticks(axes: Axes) -> None:
    """Label a logarithmic y axis with round values that are far enough apart to read."""
    low, high = axes.get_ylim()
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for digits in ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 5, 7)):
        values = [digit * 10.0**power for power in powers for digit in digits]
        ticks = [value for value in values if low <= value <= high]
        if len(ticks) >= MIN_TICKS:
            break
    else:
        ticks = [v for v in MaxNLocator(5).tick_values(low, high) if low <= v <= high]
    axes.yaxis.set_major_locator(FixedLocator(ticks))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.3g}")


def _draw_small_curve(figure: Figure, curves: Curves) -> None:
    figure.set_size_inches(4.6, 2.6)
    _draw_bits_per_byte(figure, curves)


def _draw_bits_per_byte(figure: Figure, curves: Curves) -> None:
    axes = figure.subplots()
    for stage in curves.run.recipe.stages:
        samples = [sample for sample in curves.run.samples() if sample["stage"] == stage]
        if not samples:
            continue
        steps = np.array([sample["step"] for sample in samples], dtype=float)
        bits = np.array([sample["bits_per_byte"]["score"] for sample in samples])
        low, high = np.array([sample["bits_per_byte"]["ci95"] for sample in samples]).T
        axes.errorbar(
            curves.million_tokens(stage, steps),
            bits,
            yerr=(bits - low, high - bits),
            color=STAGE_COLORS[stage],
            marker="o",
            ms=4,
            capsize=2,
        )
    _mark_stages(axes, curves)
    axes.set(ylabel="bits per byte", yscale="log")
    _set_log_ticks(axes)


def _draw_norms(figure: Figure, curves: Curves) -> None:
    figure.set_size_inches(7.2, 4.8)
    metrics: tuple[tuple[str, str, bool], ...] = (
        ("lr", "learning rate", False),
        ("grad_norm", "gradient norm", True),
        ("update_norm", "update norm", True),
    )
    for axes, (key, title, log) in zip(figure.subplots(3, sharex=True), metrics, strict=True):
        for stage in curves.run.recipe.stages:
            xs, values = curves.line(stage, lambda step, key=key: step.get(key))  # type: ignore[misc]
            axes.plot(xs, values, color=STAGE_COLORS[stage], lw=1.2)
        axes.set(ylabel=title, yscale="log" if log else "linear")
        if log:
            _set_log_ticks(axes)
    _mark_stages(axes, curves, legend=False)


def _draw_rollouts(figure: Figure, curves: Curves) -> None:
    left, right = figure.subplots(1, 2)
    for axes, name, title, color in (
        (left, "reward", "reward", STAGE_COLORS["rl"]),
        (left, "mixed_groups", "mixed groups", STAGE_COLORS["pretrain"]),
        (right, "divergence", "nats per token", STAGE_COLORS["rl"]),
    ):
        _, values = curves.line("rl", lambda step, name=name: step.get(name))  # type: ignore[misc]
        axes.plot(_smooth(values), color=color, lw=1.8, label=title)
        axes.set_xlabel("step")
    left.legend()
    right.set_ylabel("divergence in nats per token")


def _draw_speed(figure: Figure, curves: Curves) -> None:
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    for stage in curves.run.recipe.stages:
        tokens = curves.run.recipe.stage(stage).batch_tokens
        xs, seconds = curves.line(stage, lambda step: step["seconds"])
        left.plot(xs, tokens / seconds / 1e3, color=STAGE_COLORS[stage], lw=1.2)
    left.set_ylim(bottom=0)
    left.set_ylabel("thousand tokens/s")
    _mark_stages(left, curves, legend=False)
    phases = curves.run.phase_seconds()
    total = sum(phases.values())
    colors = [STAGE_COLORS.get(name, "#8a8f98") for name in phases]  # type: ignore[call-overload]
    bars = right.barh(list(phases), np.array(list(phases.values())) / 60, color=colors)
    right.bar_label(bars, [f"{seconds / total:.0%}" for seconds in phases.values()], padding=3)
    right.invert_yaxis()
    right.set_xlabel("minutes")
    right.margins(x=0.15)


def _mark_stages(axes: Axes, curves: Curves, legend: bool = True) -> None:
    """Label the axis of tokens and draw a line where each stage starts."""
    axes.set_xlabel("million training tokens")
    for stage in curves.run.recipe.stages[1:]:
        axes.axvline(curves.first_tokens[stage] / 1e6, color=TEXT_COLOR, alpha=0.5, lw=0.8, ls="--")
    if legend:
        for stage in curves.run.recipe.stages:
            axes.plot([], [], color=STAGE_COLORS[stage], label=STAGE_TITLES[stage])
        axes.legend()


def render_exam_plot(evaluations: Evaluations) -> tuple[str, str]:
    """Return the caption and SVG of the accuracy in each category of the exam."""
    exams = {s: e["tasks"]["exam"] for s, e in evaluations.items() if "exam" in e["tasks"]}
    categories = list(exams.values())[-1]["categories"]

    def draw(figure: Figure) -> None:
        figure.set_size_inches(7.2, 0.3 * len(categories) + 0.8)
        axes = figure.subplots()
        for offset, stage in enumerate(exams):
            for row, name in enumerate(categories):
                score = exams[stage]["categories"].get(name)
                if score is None:
                    continue
                low, high = score["ci95"]
                y = row + (offset - (len(exams) - 1) / 2) * 0.22
                axes.plot([low, high], [y, y], color=STAGE_COLORS[stage], lw=1.5)
                axes.plot(score["score"], y, "o", color=STAGE_COLORS[stage], ms=4)
        chances = [category["chance"] for category in categories.values()]
        axes.plot(
            chances, range(len(chances)), "|", color=TEXT_COLOR, ms=16, label="best constant answer"
        )
        for stage in exams:
            axes.plot([], [], "o", color=STAGE_COLORS[stage], label=STAGE_TITLES[stage])
        axes.set_yticks(range(len(categories)), [c["title"] for c in categories.values()])
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
        axes.set_xlim(-0.02, 1.02)
        axes.invert_yaxis()
        axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=4)

    caption = (
        "Share of right answers in each part of the exam, with 95 % confidence intervals; the bars "
        "mark the best constant answer."
    )
    return caption, render_svg(draw)
