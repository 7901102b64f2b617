"""Print a trace to the terminal."""

import sys

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from firstwords.common.console import PlainConsole
from firstwords.inspect.trace import tables
from firstwords.inspect.trace.entries import TraceEntry, TracePart
from firstwords.inspect.trace.tables import TextTable
from firstwords.inspect.trace.trace_step import Trace

MAX_COLUMNS = 100
MAX_ROWS = 40  # of a table


def print_trace(trace: Trace, layer: int) -> None:
    """Print a trace; of the blocks only number `layer` in full."""
    console = PlainConsole(file=sys.stdout, highlight=False)
    console.width = min(console.width, MAX_COLUMNS)
    console.print(Text(tables.heading(trace), "bold"))
    console.print(Text(tables.input_text(trace)))
    reasons = tables.reasons_to_print(trace.parts, layer)
    for part in trace.parts:
        if tables.is_in_full(part, layer):
            _print_part(console, part, reasons)
        else:
            console.print()
            console.print(Text(tables.one_line_summary(part)))
        if part.name == "row":
            _print_table(console, tables.row_table(trace, MAX_ROWS))
        if part.name == "backward":
            _print_table(console, tables.gradient_table(trace, layer))
    _print_table(console, tables.update_table(trace, layer))
    _print_table(console, tables.probability_table(trace, MAX_ROWS))
    _print_table(console, tables.flops_table(trace))


def _print_part(console: Console, part: TracePart, reasons: dict[int, str]) -> None:
    console.print()
    console.rule(Text(part.title, "bold"), align="left")
    console.print(Text(part.summary))
    for entry in part.entries:
        _print_entry(console, entry, reasons.get(id(entry), ""))


def _print_entry(console: Console, entry: TraceEntry, why: str) -> None:
    title = Table.grid(expand=True, padding=(0, 1))
    title.add_column()
    title.add_column(justify="right")
    title.add_row(Text(entry.title, "bold"), Text(entry.shape_in_words))
    console.print()
    console.print(title)
    operations = tables.format_operations(entry)
    for line, style in (
        (tables.format_location(entry), "cyan"),
        *((line, "green") for line in tables.code_lines(entry)),
        ("  ".join(filter(None, (operations, tables.format_flops(entry.flops)))), ""),
        (tables.format_result(entry), "magenta"),
        (why, "italic"),
    ):
        if line:
            console.print(Padding(Text(line, style), (0, 0, 0, 4), expand=False))


def _print_table(console: Console, table: TextTable) -> None:
    console.print()
    console.print(Text(table.title, "bold"))
    console.print(Text(table.summary))
    grid = Table(box=None, padding=(0, 2, 0, 0), header_style="")
    for name in table.header:
        grid.add_column(Text(name), overflow="fold")
    for row in table.rows:
        grid.add_row(*map(Text, row))
    console.print(grid)
