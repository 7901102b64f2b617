"""Render a trace as a Markdown document."""

import re

from firstwords.common.markdown import quote
from firstwords.common.markdown import table as markdown_table
from firstwords.inspect.trace import tables
from firstwords.inspect.trace.entries import TraceEntry, TracePart
from firstwords.inspect.trace.tables import TextTable
from firstwords.inspect.trace.trace_step import Trace

ALL_ROWS = 1 << 30
PLAIN = re.compile(r"[\w .,%/+-]*")


def render_markdown(trace: Trace, layer: int) -> str:
    """Return a trace as Markdown; of the blocks only number `layer` in full."""
    sections = [f"# {tables.heading(trace)}", quote(tables.input_text(trace))]
    reasons = tables.reasons_to_print(trace.parts, layer)
    for part in trace.parts:
        if tables.is_in_full(part, layer):
            sections += _render_part(part, reasons)
        else:
            sections.append(tables.one_line_summary(part))
        if part.name == "row":
            sections += _render_table(tables.row_table(trace, ALL_ROWS))
        if part.name == "backward":
            sections += _render_table(tables.gradient_table(trace, layer))
    sections += _render_table(tables.update_table(trace, layer))
    sections += _render_table(tables.probability_table(trace, ALL_ROWS))
    sections += _render_table(tables.flops_table(trace))
    return "\n\n".join(sections) + "\n"


def _render_part(part: TracePart, reasons: dict[int, str]) -> list[str]:
    sections = [f"## {part.title}", part.summary]
    for entry in part.entries:
        sections += _render_entry(entry, reasons.get(id(entry), ""))
    return sections


def _render_entry(entry: TraceEntry, why: str) -> list[str]:
    shape = f": {entry.shape_in_words}" if entry.shape_in_words else ""
    code = "\n".join(tables.code_lines(entry))
    result = tables.format_result(entry)
    facts = [f"- in `{tables.format_location(entry)}`"]
    if entry.operations:
        flops = f"; {tables.format_flops(entry.flops)}" if entry.flops else ""
        facts.append(f"- operations: `{tables.format_operations(entry)}`{flops}")
    if result:
        facts.append(f"- result: `{result}`")
    return [
        f"### {entry.title}{shape}",
        *([why] if why else []),
        f"```python\n{code}\n```",
        "\n".join(facts),
    ]


def _render_table(table: TextTable) -> list[str]:
    rows = [[_literal(cell) for cell in row] for row in table.rows]
    return [f"### {table.title}", table.summary, markdown_table(table.header, rows)]


def _literal(text: str) -> str:
    """Quote a cell as code unless it is plain, so that no text is read as Markdown."""
    if PLAIN.fullmatch(text):
        return text
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence} {text} {fence}"
