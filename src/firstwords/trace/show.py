"""A trace in the terminal."""

import sys

from rich.console import Console
from rich.padding import Padding
from rich.table import Table as Grid
from rich.text import Text

from firstwords.trace import tables
from firstwords.trace.entries import Entry, Part
from firstwords.trace.tables import Table
from firstwords.trace.walk import Trace

WIDEST = 100
MOST_ROWS = 40  # of a table


def show(trace: Trace, layer: int) -> None:
    console = Console(file=sys.stdout, highlight=False)
    console.width = min(console.width, WIDEST)
    console.print(Text(tables.heading(trace), "bold"))
    console.print(Text(tables.opening(trace)))
    whys = tables.whys(trace.parts, layer)
    for part in trace.parts:
        if tables.in_full(part, layer):
            _part(console, part, whys)
        else:
            console.print()
            console.print(Text(tables.in_a_line(part)))
        if part.name == "row":
            _table(console, tables.row_table(trace, MOST_ROWS))
        if part.name == "backward":
            _table(console, tables.gradient_table(trace, layer))
    _table(console, tables.update_table(trace, layer))
    _table(console, tables.outcome_table(trace, MOST_ROWS))
    _table(console, tables.flops_table(trace))


def _part(console: Console, part: Part, whys: dict[int, str]) -> None:
    console.print()
    console.rule(Text(part.title, "bold"), align="left")
    console.print(Text(part.words))
    for entry in part.entries:
        _entry(console, entry, whys.get(id(entry), ""))


def _entry(console: Console, entry: Entry, why: str) -> None:
    title = Grid.grid(expand=True, padding=(0, 1))
    title.add_column()
    title.add_column(justify="right")
    title.add_row(Text(entry.title, "bold"), Text(entry.shape_in_words))
    console.print()
    console.print(title)
    operations = tables.operations(entry)
    for line, style in (
        (tables.where(entry), "cyan"),
        *((line, "green") for line in tables.code(entry)),
        ("  ".join(filter(None, (operations, tables.cost(entry.flops)))), ""),
        (tables.outcome(entry), "magenta"),
        (why, "italic"),
    ):
        if line:
            console.print(Padding(Text(line, style), (0, 0, 0, 4), expand=False))


def _table(console: Console, table: Table) -> None:
    console.print()
    console.print(Text(table.title, "bold"))
    console.print(Text(table.words))
    grid = Grid(box=None, padding=(0, 2, 0, 0), header_style="")
    for name in table.header:
        grid.add_column(Text(name), overflow="fold")
    for row in table.rows:
        grid.add_row(*map(Text, row))
    console.print(grid)
