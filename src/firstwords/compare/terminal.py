"""A comparison as text for the terminal."""

import shutil
import textwrap
from typing import Any

from firstwords.common.terminal import align_columns
from firstwords.runs.differences import Difference
from firstwords.runs.render import render_differences, render_runs

MAX_WIDTH = 100  # longer lines are hard to read
PLOT_LEVELS = "▁▂▃▄▅▆▇█"
PLOT_WIDTH = 48
JsonObject = dict[str, Any]


def render_comparison(document: JsonObject) -> str:
    """Return the comparison as text: verdicts first, then the tables behind them."""
    names = [run["name"] for run in document["runs"]]
    sections = [
        ("Verdict", _render_verdicts(document)),
        ("Runs", render_runs(document["runs"])),
        ("Differences", _render_differences(names, document)),
        *((benchmark_title(one), _render_benchmark(names, one)) for one in document["benchmarks"]),
        ("Bits per byte of the same text", _render_bits(names, document["bits_per_byte"])),
        ("Bits per byte while training", _render_curves(document["curves"])),
        ("Questions that only one answered correctly", _render_examples(names, document)),
        ("The same prompts", _render_answers(names, document["answers"])),
    ]
    return "\n\n".join(f"{title}\n\n{text}" for title, text in sections if text)


def benchmark_title(benchmark: JsonObject) -> str:
    """Return the title of a benchmark as a heading."""
    return _first_upper(str(benchmark["title"]))


def _wrap(text: str, indent: str = "") -> str:
    width = min(shutil.get_terminal_size().columns, MAX_WIDTH)
    lines = textwrap.wrap(text, width, subsequent_indent=indent, break_on_hyphens=False)
    return "\n".join(lines)


def _render_verdicts(document: JsonObject) -> str:
    verdicts = (sentence for one in document["verdicts"] for sentence in one["sentences"])
    notes = (f"Note: {note}" for note in document["notes"])
    return "\n".join(_wrap(f"- {line}", "  ") for line in (*verdicts, *notes))


def _render_differences(names: list[str], document: JsonObject) -> str:
    return render_differences(names, [Difference(**one) for one in document["differences"]])


def _render_benchmark(names: list[str], benchmark: JsonObject) -> str:
    rows = benchmark_table(names, benchmark, "all")
    pairs = benchmark["pairs"]
    reasons = [_wrap(f"{_first_upper(p['reason'])}.") for p in pairs if p and "reason" in p]
    clear = "* clear: for parts, after a correction for their number" if benchmark["parts"] else ""
    return "\n".join(line for line in (align_columns(rows), clear, *reasons) if line)


def benchmark_table(names: list[str], benchmark: JsonObject, total: str) -> list[list[str]]:
    """Return the header, a row for each part of a benchmark, and a row titled `total` for all of
    it: the scores of the runs, and their paired differences to the first one."""
    header = ["", *names, *(f"{name} - {names[0]}" for name in names[1:])]
    return [header] + [
        [part["title"], *map(format_share, part["scores"]), *map(format_points, part["pairs"])]
        for part in [*benchmark["parts"], {**benchmark, "title": total}]
    ]


def _first_upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def format_share(score: JsonObject | None) -> str:
    """Format the share of right answers with its interval."""
    if score is None:
        return "-"
    low, high = score["ci95"]
    return f"{score['score']:.1%} ({low:.0%} to {high:.0%})"


def format_points(pair: JsonObject | None) -> str:
    """Format a paired difference in points; a clear one has a star."""
    if pair is None or "reason" in pair:
        return "-"
    mark = " *" if pair["clear"] else ""
    return f"{100 * pair['difference']:+.1f} ± {100 * pair['half_width']:.1f}{mark}"


def _render_bits(names: list[str], bits: JsonObject) -> str:
    if "reason" in bits:
        return _wrap(f"{_first_upper(bits['reason'])}.")
    rows = [["", "bits per byte", f"difference to {names[0]}"]]
    for name, score, pair in zip(names, bits["scores"], [None, *bits["pairs"]], strict=True):
        rows.append([name, f"{score:.3f}", format_bits_difference(pair)])
    text = _wrap(f"{bits['documents']:,} documents, {bits['text']}; lower is better.")
    return f"{align_columns(rows)}\n{text}"


def format_bits_difference(pair: JsonObject | None) -> str:
    """Format a paired difference of bits per byte; a clear one has a star."""
    if pair is None:
        return ""
    return f"{pair['difference']:+.3f} ± {pair['half_width']:.3f}{' *' if pair['clear'] else ''}"


def _render_curves(curves: list[JsonObject]) -> str:
    """Draw the curves of all runs on the same scales."""
    points = [point for curve in curves for point in curve["bits_per_byte"]]
    if not points:
        return ""
    last = max(x for x, _ in points)
    low, high = min(y for _, y in points), max(y for _, y in points)
    rows = [
        [curve["run"], _draw(curve["bits_per_byte"], last, low, high), _last(curve)]
        for curve in curves
    ]
    return f"{align_columns(rows)}\nover {last:.1f} million tokens, from {low:.2f} to {high:.2f}"


def _draw(points: list[list[float]], last: float, low: float, high: float) -> str:
    cells = [" "] * PLOT_WIDTH
    for (x, y), (next_x, _) in zip(
        points, [*points[1:], points[-1]] if points else [], strict=True
    ):
        level = round((y - low) / ((high - low) or 1) * (len(PLOT_LEVELS) - 1))
        first, end = (int(at / (last or 1) * (PLOT_WIDTH - 1)) for at in (x, next_x))
        cells[first : end + 1] = [PLOT_LEVELS[level]] * (end + 1 - first)
    return "".join(cells)


def _last(curve: JsonObject) -> str:
    return f"{curve['bits_per_byte'][-1][1]:.3f}" if curve["bits_per_byte"] else "-"


def _render_examples(names: list[str], document: JsonObject) -> str:
    exam = next((one for one in document["benchmarks"] if one["name"] == "exam"), None)
    blocks = []
    for name, examples in zip(names[1:], exam["examples"] if exam else [], strict=bool(exam)):
        for example in examples:
            marks = ["right" if correct else "wrong" for correct in example["correct"]]
            answers = [
                f"{of} ({mark}): {text}"
                for of, mark, text in zip((names[0], name), marks, example["answers"], strict=True)
            ]
            blocks.append(_block(example["prompt"], answers))
    return "\n\n".join(blocks)


def _render_answers(names: list[str], answers: list[JsonObject]) -> str:
    return "\n\n".join(
        _block(
            one["prompt"],
            [
                f"{name}: {text or '(empty)'}"
                for name, text in zip(names, one["answers"], strict=True)
            ],
        )
        for one in answers
    )


def _block(prompt: str, answers: list[str]) -> str:
    lines = [_wrap(f"> {prompt}", "  "), *(_wrap(f"  {text}", "    ") for text in answers)]
    return "\n".join(lines)
