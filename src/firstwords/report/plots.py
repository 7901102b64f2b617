"""The curves, as SVG that takes its colour from the page: readable in light, dark and print."""

import io
import re
from collections.abc import Callable

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from firstwords import album
from firstwords.recipe import STAGES, Stage
from firstwords.report.curves import Curves
from firstwords.report.results import TITLES, Evaluations
from firstwords.run import Run

INK = "#010203"  # stands for the page's own colour of text
COLOURS: dict[Stage, str] = {"base": "#3b82c4", "mid": "#d0761b", "sft": "#2f9e6e"}
STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "firstwords",  # the same plot, the same bytes
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
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
        INK,
    ),
}
Draw = Callable[[Figure], None]


def plots(run: Run, evaluations: Evaluations) -> dict[str, tuple[str, str]]:
    """By name: what is to be seen, and the SVG."""
    curves = Curves(run)
    drawn: dict[str, tuple[str, Draw]] = {
        "loss": (
            "Loss of the training batches, in nats per target. The stages have different targets: "
            "a jump between them is a change of task, not a loss of skill.",
            lambda figure: _losses(figure, curves),
        ),
        "bits": (
            "Bits per byte of held-out text, at each page of the growth album; the bar is the 95 % "
            "interval. Lower is better, and it can be compared between models.",
            lambda figure: _bits(figure, curves, evaluations),
        ),
        "norms": (
            "How large the steps were. The learning rate as a share of its peak; the norm of the "
            "gradients; how much a step changed the weights, as a share of their norm.",
            lambda figure: _norms(figure, curves),
        ),
        "speed": (
            "Tokens learned from in a second, and how the time was spent.",
            lambda figure: _speed(figure, curves),
        ),
    }
    return {name: (words, svg(draw)) for name, (words, draw) in drawn.items()}


def svg(draw: Draw) -> str:
    with rc_context(STYLE):  # type: ignore[arg-type]
        figure = Figure(figsize=(8, 3.6), layout="constrained")
        figure.patch.set_alpha(0)
        draw(figure)
        for axes in figure.axes:
            axes.patch.set_alpha(0)
        file = io.StringIO()
        figure.savefig(file, format="svg", metadata={"Date": None})
    text = re.sub(r"<metadata>.*?</metadata>", "", file.getvalue(), flags=re.DOTALL)
    return text[text.index("<svg") :].replace(INK, "currentColor")


def _losses(figure: Figure, curves: Curves) -> None:
    axes = figure.subplots()
    for stage in STAGES:
        axes.plot(*curves.line(stage, lambda s: s["loss"]), color=COLOURS[stage], lw=1.2)
    _stages(axes, curves)
    axes.set(ylabel="nats per target", yscale="log")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.yaxis.set_minor_formatter(lambda value, _: f"{value:g}" if value < 10 else "")


def _bits(figure: Figure, curves: Curves, evaluations: Evaluations) -> None:
    axes = figure.subplots()
    for stage in STAGES:
        found = [p for p in album.pages(curves.run) if p["stage"] == stage]
        if not found:
            continue
        steps = np.array([page["step"] for page in found], dtype=float)
        bits = np.array([page["bits_per_byte"]["score"] for page in found])
        low, high = np.array([page["bits_per_byte"]["ci95"] for page in found]).T
        axes.errorbar(
            curves.millions(stage, steps),
            bits,
            yerr=(bits - low, high - bits),
            color=COLOURS[stage],
            marker="o",
            ms=4,
            capsize=2,
        )
    _stages(axes, curves)
    axes.set(ylabel="bits per byte", yscale="log")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.yaxis.set_minor_formatter(lambda value, _: f"{value:g}")


def _norms(figure: Figure, curves: Curves) -> None:
    figure.set_size_inches(8, 5.4)
    kinds: tuple[tuple[str, str, bool], ...] = (
        ("lr", "learning rate", False),
        ("gradient", "gradient", True),
        ("update", "update", True),
    )
    for axes, (key, title, log) in zip(figure.subplots(3, sharex=True), kinds, strict=True):
        for stage in STAGES:
            xs, values = curves.line(stage, lambda step, key=key: step.get(key))  # type: ignore[misc]
            axes.plot(xs, values, color=COLOURS[stage], lw=1.2)
        axes.set(ylabel=title, yscale="log" if log else "linear")
    _stages(axes, curves, legend=False)


def _speed(figure: Figure, curves: Curves) -> None:
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    for stage in STAGES:
        tokens = curves.run.recipe.stage(stage).batch_tokens
        xs, seconds = curves.line(stage, lambda step: step["seconds"])
        left.plot(xs, tokens / seconds / 1e3, color=COLOURS[stage], lw=1.2)
    left.set_ylim(bottom=0)
    left.set_ylabel("thousand tokens a second")
    _stages(left, curves, legend=False)
    timings = curves.run.timings()
    names, seconds = list(timings), [timing["seconds"] for timing in timings.values()]
    colours = [COLOURS.get(name, "#8a8f98") for name in names]  # type: ignore[call-overload]
    bars = right.barh(names, np.array(seconds) / 60, color=colours)
    right.bar_label(bars, [f"{s / sum(seconds):.0%}" for s in seconds], padding=3)
    right.invert_yaxis()
    right.set_xlabel("minutes")
    right.margins(x=0.15)


def _stages(axes: Axes, curves: Curves, legend: bool = True) -> None:
    axes.set_xlabel("million tokens read")
    for stage in STAGES[1:]:
        axes.axvline(curves.starts[stage] / 1e6, color=INK, alpha=0.3, lw=0.8)
    if legend:
        for stage in STAGES:
            axes.plot([], [], color=COLOURS[stage], label=TITLES[stage])
        axes.legend()


def exam_plot(evaluations: Evaluations) -> str:
    """Shares of right answers in each part of the exam, with intervals and chance lines."""
    taken = {s: e["tasks"]["exam"] for s, e in evaluations.items() if "exam" in e["tasks"]}
    categories = taken["sft"]["categories"]

    def draw(figure: Figure) -> None:
        figure.set_size_inches(8, 0.42 * len(categories) + 1)
        axes = figure.subplots()
        for offset, stage in enumerate(STAGES):
            for row, name in enumerate(categories):
                score = taken[stage]["categories"].get(name)
                if score is None:
                    continue
                low, high = score["ci95"]
                y = row + (offset - 1) * 0.22
                axes.plot([low, high], [y, y], color=COLOURS[stage], lw=1.5)
                axes.plot(score["score"], y, "o", color=COLOURS[stage], ms=4)
        chances = [category["chance"] for category in categories.values()]
        axes.plot(chances, range(len(chances)), "|", color=INK, ms=16, label="always the same")
        for stage in STAGES:
            axes.plot([], [], "o", color=COLOURS[stage], label=TITLES[stage])
        axes.set_yticks(range(len(categories)), [c["title"] for c in categories.values()])
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
        axes.set_xlim(-0.02, 1.02)
        axes.invert_yaxis()
        axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=4)

    return svg(draw)
