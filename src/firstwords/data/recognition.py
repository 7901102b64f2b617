"""Say what a source is: the formats of its files, what they hold and how much."""

import itertools
from collections import Counter
from pathlib import Path
from typing import Any, Literal, NamedTuple

from firstwords.common.errors import UserError
from firstwords.common.units import format_size
from firstwords.data import chat_exports, records
from firstwords.data.file_types import PROSE, file_format
from firstwords.data.formats import read_conversations, read_text, uncompressed_bytes
from firstwords.data.records import InvalidRecord
from firstwords.data.rows import Row, read_rows

MAX_COUNTED_BYTES = 64e6  # of a source are read to count what is in it; the rest is estimated
MAX_TRIED_RECORDS = 20  # that are not valid, before the first that is
MAX_LISTED_FILES = 8
NAMES = {
    "text": "plain text",
    "markdown": "Markdown",
    "html": "HTML page",
    "epub": "EPUB book",
    "pdf": "PDF",
    "jsonl": "JSON lines",
    "json": "JSON array",
    "csv": "table",
    "parquet": "Parquet",
}
What = Literal["text", "conversations", "chat"]


class FileSummary(NamedTuple):
    """What a file is."""

    path: Path
    format: str
    layout: str  # how its records hold the data; empty for prose
    holds: What
    columns: tuple[str, ...]  # fields of its first record
    people: dict[str, int]  # messages of each person in a chat's export
    bytes: int  # uncompressed


class Totals(NamedTuple):
    """What a source has in all, estimated if it is large."""

    records: int
    invalid: int
    roles: dict[str, int]
    is_estimate: bool


def summarize_file(path: Path) -> FileSummary:
    """Recognise a file by its name and its first records. Raises UserError if it cannot be read."""
    found = file_format(path)
    if app := chat_exports.find_app(path):
        people = chat_exports.people(chat_exports.read_chats(path))
        name = f"{app} export" + (" in a zip archive" if found == "zip" else "")
        size = uncompressed_bytes(path, "messages")
        return FileSummary(path, name, "", "chat", (), people, size)
    name = NAMES[str(found)]
    if found in PROSE:
        return FileSummary(path, name, "", "text", (), {}, uncompressed_bytes(path, "text"))
    record = _first_record(path)
    layout = records.layout(record)
    holds: What = "text" if layout == records.TEXT_LAYOUT else "conversations"
    columns = tuple(map(str, record))[: records.MAX_LISTED_FIELDS]
    size = uncompressed_bytes(path, "text" if holds == "text" else "messages")
    return FileSummary(path, name, layout, holds, columns, {}, size)


def _first_record(path: Path) -> dict[str, Any]:
    """Return the first record that holds something. Raises UserError if there is none."""
    try:
        rows = list(itertools.islice(read_rows(path, "messages", None), MAX_TRIED_RECORDS))
    except UserError:
        rows = list(itertools.islice(read_rows(path, "text", None), MAX_TRIED_RECORDS))
    for row in rows:
        if isinstance(row.value, dict) and records.layout(row.value):
            return row.value
    if not rows:
        raise UserError(f"{path} is empty", "add documents or conversations")
    value = rows[0].value
    problem = value if isinstance(value, InvalidRecord) else records.unknown(value)
    raise UserError(f"{rows[0].place()} {problem}", problem.hint)


def holds(summaries: list[FileSummary], source: str) -> What:
    """Return what a source holds. Raises UserError if it holds text and conversations."""
    found = sorted({summary.holds for summary in summaries})
    if len(found) > 1:
        examples = {s.holds: s.path.name for s in reversed(summaries)}
        listed = " and ".join(f"{what} ({examples[what]})" for what in found)
        raise UserError(
            f"{source} holds {listed}", "put each into a directory of its own, or name one file"
        )
    return summaries[0].holds


def count_records(summaries: list[FileSummary]) -> Totals:
    """Count documents, or conversations and the roles in them."""
    roles: Counter[str] = Counter()
    n_valid = n_invalid = 0
    counted = 0.0
    total = sum(summary.bytes for summary in summaries)

    def on_problem(row: Row, problem: InvalidRecord) -> None:
        nonlocal n_invalid
        n_invalid += 1

    for summary in summaries:
        read = read_text if summary.holds == "text" else read_conversations
        progress = 0.0
        for record in read(summary.path, None, on_problem):
            n_valid += 1
            progress = record.progress
            if summary.holds == "conversations":
                roles.update(message["role"] for message in record.value)
            if counted + progress * summary.bytes > MAX_COUNTED_BYTES:
                break
        else:
            progress = 1.0
        counted += progress * summary.bytes
        if counted > MAX_COUNTED_BYTES:
            break
    is_estimate = counted < total
    factor = total / counted if is_estimate and counted else 1
    scaled = {role: round(n * factor) for role, n in roles.items()}
    return Totals(round(n_valid * factor), round(n_invalid * factor), scaled, is_estimate)


def to_json(summaries: list[FileSummary], totals: Totals | None) -> dict[str, Any]:
    """Return what was recognised as one JSON object."""
    files = [
        {
            "path": str(s.path),
            "format": s.format,
            "layout": s.layout or None,
            "columns": list(s.columns),
            "people": s.people,
            "bytes": s.bytes,
        }
        for s in summaries
    ]
    what = summaries[0].holds
    found: dict[str, Any] = {"holds": what, "bytes": sum(s.bytes for s in summaries)}
    if totals:
        counted = "documents" if what == "text" else "conversations"
        found |= {counted: totals.records, "invalid": totals.invalid, "roles": totals.roles}
        found["is_estimate"] = totals.is_estimate
    return {**found, "files": files}


def render(summaries: list[FileSummary], totals: Totals | None) -> str:
    """Return what was recognised in words."""
    lines = [_file_line(s) for s in summaries[:MAX_LISTED_FILES]]
    if len(summaries) > MAX_LISTED_FILES:
        lines.append(f"and {len(summaries) - MAX_LISTED_FILES:,} more files")
    if totals:
        lines.append(_totals_line(summaries, totals))
    for summary in summaries:
        if summary.people:
            people = (f"{name} ({n:,} messages)" for name, n in summary.people.items())
            lines.append(f"people: {', '.join(itertools.islice(people, chat_exports.MAX_NAMED))}")
            lines.append(str(chat_exports.no_conversations(summary.path).hint))
    return "\n".join(lines)


def _file_line(summary: FileSummary) -> str:
    parts = [summary.format, summary.layout, format_size(summary.bytes)]
    if summary.columns:
        parts.insert(2, f"fields {', '.join(summary.columns)}")
    return f"{summary.path.name}: {'; '.join(part for part in parts if part)}"


def _totals_line(summaries: list[FileSummary], totals: Totals) -> str:
    what = "documents" if summaries[0].holds == "text" else "conversations"
    about = "about " if totals.is_estimate else ""
    line = f"{about}{totals.records:,} {what}"
    if totals.roles:
        counts = ", ".join(f"{n:,} {role}" for role, n in totals.roles.items())
        line += f" with {sum(totals.roles.values()):,} messages ({counts})"
    if totals.invalid:
        line += f"; {totals.invalid:,} are not valid (see firstwords data check)"
    return line
