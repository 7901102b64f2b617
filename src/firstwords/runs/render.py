"""Summaries and differences of runs as text for a terminal."""

from datetime import datetime
from typing import Any

from firstwords.common.terminal import align_columns
from firstwords.common.units import format_duration, format_size
from firstwords.runs.differences import Difference

HEADER = ["run", "state", "created", "parameters", "time", "exam", "bits/byte", "disk", "data"]
Summary = dict[str, Any]


def render_runs(summaries: list[Summary]) -> str:
    """Return a table of runs, and the sum of their sizes on the disk."""
    total = format_size(sum(summary["disk_bytes"] for summary in summaries))
    table = align_columns([HEADER, *map(_row, summaries)])
    runs = "1 run" if len(summaries) == 1 else f"{len(summaries)} runs"
    return f"{table}\n\n{runs}, {total} on disk"


def _row(summary: Summary) -> list[str]:
    start = [summary["name"], format_state(summary), format_date(summary["created"])]
    disk = format_size(summary["disk_bytes"])
    if summary["state"] == "broken":
        return [*start, "", "", "", "", disk, ""]
    return [
        *start,
        f"{summary['parameters'] / 1e6:.2f}M",
        format_duration(summary["seconds"]),
        format_exam(summary["exam"]),
        format_bits(summary["bits_per_byte"]),
        disk,
        format_sources(summary),
    ]


def render_run(summary: Summary) -> str:
    """Return everything that is known of a run, one line each."""
    rows = [
        ["name", summary["name"]],
        ["state", format_state(summary)],
        ["created", format_date(summary["created"])],
        ["disk", format_size(summary["disk_bytes"])],
    ]
    if summary["state"] == "broken":
        return align_columns([*rows, ["problem", summary["problem"]]])
    rows += [
        ["text", summary["data"]],
        ["conversations", summary["chat_data"]],
        ["starts from", summary["origin"]],
        ["personality", summary["personality"] or ""],
        ["parameters", f"{summary['parameters']:,}"],
        ["context", f"{summary['context']:,} tokens"],
        ["trained on", f"{summary['tokens']:,} tokens"],
        ["time", _format_time(summary)],
        ["seed", str(summary["seed"])],
        ["exam", format_exam(summary["exam"], interval=True)],
        ["bits per byte", format_bits(summary["bits_per_byte"], interval=True)],
        ["machine", summary["machine"]],
        ["version", summary["firstwords"]],
    ]
    return align_columns([row for row in rows if row[1]])


def _format_time(summary: Summary) -> str:
    budget = format_duration(summary["budget_seconds"])
    return f"{format_duration(summary['seconds'])} (budget {budget})"


def render_differences(names: list[str], differences: list[Difference]) -> str:
    """Return a table of what differs between runs, or a sentence that nothing does."""
    if not differences:
        return "no difference in recipe, data, machine and version"
    rows = [[d.section, d.name, *format_values(d)] for d in differences]
    return align_columns([["", "", *names], *rows])


def format_values(difference: Difference) -> list[str]:
    """Format the values of a difference."""
    if difference.name == "time":
        return [format_duration(seconds) for seconds in difference.values]
    if difference.name == "memory_bytes":
        return [format_size(size) if size else "-" for size in difference.values]
    return [_format_value(value) for value in difference.values]


def _format_value(value: Any) -> str:
    """Format a value of a manifest; a list of names is joined, and a missing one is a dash."""
    if value is None or value == []:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return f"{value:,}" if isinstance(value, int) else str(value)


def format_state(summary: Summary) -> str:
    """Format the state of a run, with its progress and stage while it is unfinished."""
    state = str(summary["state"])
    if state not in ("training", "stopped"):
        return state
    stage = f", {summary['stage']}" if summary["stage"] else ""
    return f"{state} {summary['progress']:.0%}{stage}"


def format_date(created: str) -> str:
    """Format a time in ISO 8601 as date and time of this machine's time zone."""
    try:
        return datetime.fromisoformat(created).astimezone().strftime("%Y-%m-%d %H:%M")
    except ValueError:
        return created


def format_exam(score: dict[str, Any] | None, interval: bool = False) -> str:
    """Format a score of the exam in percent; empty without one."""
    if score is None:
        return ""
    low, high = score["ci95"]
    rest = f" ({low:.1%} to {high:.1%}), {score['n']:,} questions" if interval else ""
    return f"{score['score']:.1%}{rest}"


def format_bits(score: dict[str, Any] | None, interval: bool = False) -> str:
    """Format bits per byte; empty without a score."""
    if score is None:
        return ""
    low, high = score["ci95"]
    rest = f" ({low:.3f} to {high:.3f}), {score['n']:,} documents" if interval else ""
    return f"{score['score']:.3f}{rest}"


def format_sources(summary: Summary) -> str:
    """Format the sources of text and conversations, once if they are the same."""
    return " + ".join(dict.fromkeys((summary["data"], summary["chat_data"])))
