"""A trace as a Markdown document."""

import re

from firstwords.report.markdown import quote
from firstwords.report.markdown import table as markdown_table
from firstwords.trace import tables
from firstwords.trace.entries import Entry, Part
from firstwords.trace.tables import Table
from firstwords.trace.walk import Trace

ALL = 1 << 30  # rows of a table
PLAIN = re.compile(r"[\w .,%/+-]*")


def render(trace: Trace, layer: int) -> str:
    sections = [f"# {tables.heading(trace)}", quote(tables.opening(trace))]
    whys = tables.whys(trace.parts, layer)
    for part in trace.parts:
        sections += _part(part, whys) if tables.in_full(part, layer) else [tables.in_a_line(part)]
        if part.name == "row":
            sections += _table(tables.row_table(trace, ALL))
        if part.name == "backward":
            sections += _table(tables.gradient_table(trace, layer))
    sections += _table(tables.update_table(trace, layer))
    sections += _table(tables.outcome_table(trace, ALL))
    sections += _table(tables.flops_table(trace))
    return "\n\n".join(sections) + "\n"


def _part(part: Part, whys: dict[int, str]) -> list[str]:
    sections = [f"## {part.title}", part.words]
    for entry in part.entries:
        sections += _entry(entry, whys.get(id(entry), ""))
    return sections


def _entry(entry: Entry, why: str) -> list[str]:
    shape = f": {entry.shape_in_words}" if entry.shape_in_words else ""
    code = "\n".join(tables.code(entry))
    facts = [f"- in `{tables.where(entry)}`"]
    if entry.operations:
        cost = f"; {tables.cost(entry.flops)}" if entry.flops else ""
        facts.append(f"- operations: `{tables.operations(entry)}`{cost}")
    facts.append(f"- gives: `{tables.outcome(entry)}`" if tables.outcome(entry) else "")
    return [
        f"### {entry.title}{shape}",
        *([why] if why else []),
        f"```python\n{code}\n```",
        "\n".join(filter(None, facts)),
    ]


def _table(table: Table) -> list[str]:
    rows = [[_cell(cell) for cell in row] for row in table.rows]
    return [f"### {table.title}", table.words, markdown_table(table.header, rows)]


def _cell(text: str) -> str:
    """Literally: what a text holds is never read as Markdown."""
    if PLAIN.fullmatch(text):
        return text
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence} {text} {fence}"
