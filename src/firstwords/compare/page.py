"""A comparison as one self-contained HTML page, in the style of the report."""

import html
from collections.abc import Callable
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from firstwords.common.markdown import paragraphs, quote, table
from firstwords.common.units import format_duration, format_size
from firstwords.compare.terminal import benchmark_table, benchmark_title, format_bits_difference
from firstwords.report.html_page import render_markdown, render_section
from firstwords.report.html_page import render_page as render_sections
from firstwords.report.plots import render_svg
from firstwords.runs.differences import Difference
from firstwords.runs.render import (
    format_bits,
    format_date,
    format_exam,
    format_sources,
    format_state,
    format_values,
)

COLORS = ("#3b82c4", "#d0761b", "#2f9e6e", "#a855b5", "#c2415d", "#8a8f98")
JsonObject = dict[str, Any]


def render_page(document: JsonObject) -> str:
    """Return the page."""
    names = [run["name"] for run in document["runs"]]
    title = f"Firstwords comparison: {' and '.join(names)}"
    sections = [
        ("Runs", _render_runs(document["runs"]), ()),
        ("Differences", _render_differences(names, document["differences"]), ()),
        ("Curves", "", _render_curves(document["curves"])),
        *(
            (benchmark_title(one), _render_benchmark(names, one), ())
            for one in document["benchmarks"]
        ),
        ("Bits per byte", _render_bits(names, document["bits_per_byte"]), ()),
        ("Questions that only one answered correctly", _render_examples(names, document), ()),
        ("The same prompts", _render_answers(names, document["answers"]), ()),
        ("Methods", _bullets(document["methods"].values()), ()),
    ]
    rendered = [
        (name, render_section(name, render_markdown(text), plots))
        for name, text, plots in sections
        if text or plots
    ]
    verdicts = render_markdown(_render_verdicts(document))
    return render_sections(title, f"<h1>{html.escape(title)}</h1>\n{verdicts}", rendered)


def _bullets(lines: Any) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _render_verdicts(document: JsonObject) -> str:
    lines = [f"**{line}**" for one in document["verdicts"] for line in one["sentences"][:1]]
    rest = [line for one in document["verdicts"] for line in one["sentences"][1:]]
    return paragraphs(*lines, _bullets([*rest, *document["notes"]]))


def _render_runs(runs: list[JsonObject]) -> str:
    rows = [
        ["state", *map(format_state, runs)],
        ["created", *(format_date(run["created"]) for run in runs)],
        ["parameters", *(f"{run['parameters']:,}" for run in runs)],
        ["trained on", *(f"{run['tokens']:,} tokens" for run in runs)],
        ["time", *(format_duration(run["seconds"]) for run in runs)],
        ["exam", *(format_exam(run["exam"]) for run in runs)],
        ["bits per byte", *(format_bits(run["bits_per_byte"]) for run in runs)],
        ["data", *map(format_sources, runs)],
        ["disk", *(format_size(run["disk_bytes"]) for run in runs)],
    ]
    return table(["", *(run["name"] for run in runs)], rows)


def _render_differences(names: list[str], differences: list[JsonObject]) -> str:
    found = [Difference(**one) for one in differences]
    rows = [[one.section, one.name, *format_values(one)] for one in found]
    if not rows:
        return "Recipe, data, machine and version are the same."
    return table(["", "", *names], rows)


def _render_curves(curves: list[JsonObject]) -> tuple[tuple[str, str], ...]:
    """Return the captions and SVGs of the curves of all runs over each other."""
    return (
        (
            "Bits per byte on a sample of held-out text while training. Lower is better.",
            render_svg(lambda figure: _draw(figure, curves, "bits per byte", _draw_bits)),
        ),
        (
            "Training loss. Stages have different targets, so a jump between them says nothing.",
            render_svg(lambda figure: _draw(figure, curves, "nats per target", _draw_loss)),
        ),
    )


DrawCurve = Callable[[Axes, JsonObject, str], None]


def _draw(figure: Figure, curves: list[JsonObject], label: str, draw: DrawCurve) -> None:
    axes = figure.subplots()
    for number, curve in enumerate(curves):
        draw(axes, curve, COLORS[number % len(COLORS)])
    axes.set(xlabel="million training tokens", ylabel=label, yscale="log")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.yaxis.set_minor_formatter(lambda value, _: f"{value:g}" if _is_labelled(value) else "")
    axes.legend()


def _is_labelled(value: float) -> bool:
    """Return whether a value of the logarithmic axis begins with 2 or 5: more labels would overlap
    where the curves take up a whole decade."""
    return f"{value:e}"[0] in "25"


def _draw_bits(axes: Axes, curve: JsonObject, color: str) -> None:
    points = curve["bits_per_byte"]
    xs, ys = [x for x, _ in points], [y for _, y in points]
    axes.plot(xs, ys, color=color, marker="o", ms=4, label=curve["run"])


def _draw_loss(axes: Axes, curve: JsonObject, color: str) -> None:
    axes.plot([], [], color=color, label=curve["run"])
    for points in curve["loss"].values():
        axes.plot([x for x, _ in points], [y for _, y in points], color=color, lw=1.2)


def _render_benchmark(names: list[str], benchmark: JsonObject) -> str:
    header, *rows = benchmark_table(names, benchmark, "**all**")
    reasons = [
        f"Not compared item by item: {pair['reason']}."
        for pair in benchmark["pairs"]
        if "reason" in pair
    ]
    explained = "Differences are in points; a star marks a clear one, in parts after a correction "
    return paragraphs(f"{explained}for their number.", table(header, rows), *reasons)


def _render_bits(names: list[str], bits: JsonObject) -> str:
    if "reason" in bits:
        return f"Not compared: {bits['reason']}."
    rows = [
        [name, f"{score:.3f}", format_bits_difference(pair)]
        for name, score, pair in zip(names, bits["scores"], [None, *bits["pairs"]], strict=True)
    ]
    measured = (
        f"Measured on the same {bits['documents']:,} documents ({format_size(bits['bytes'])}), "
        f"{bits['text']}. Lower is better."
    )
    return paragraphs(measured, table(["", "bits per byte", f"difference to {names[0]}"], rows))


def _render_examples(names: list[str], document: JsonObject) -> str:
    exam = next((one for one in document["benchmarks"] if one["name"] == "exam"), None)
    blocks = []
    for name, examples in zip(names[1:], exam["examples"] if exam else [], strict=bool(exam)):
        for example in examples:
            marks = ["right" if correct else "wrong" for correct in example["correct"]]
            titles = [f"{of} ({mark})" for of, mark in zip((names[0], name), marks, strict=True)]
            blocks.append(_block(titles, example["prompt"], example["answers"]))
    return paragraphs(*blocks)


def _render_answers(names: list[str], answers: list[JsonObject]) -> str:
    return paragraphs(*(_block(names, one["prompt"], one["answers"]) for one in answers))


def _block(titles: list[str], prompt: str, answers: list[str]) -> str:
    """Return a prompt and its answers as literal text."""
    lines = [
        f"{title}: {answer or '(empty)'}" for title, answer in zip(titles, answers, strict=True)
    ]
    return quote("\n".join([f"> {prompt}", *lines]))
