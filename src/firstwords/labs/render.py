"""Format the results of a check for the terminal."""

import textwrap

import click

from firstwords.common.terminal import printable
from firstwords.labs.checking import Comparison
from firstwords.labs.lab import LabFinding

MAX_COLUMNS = 100
LABEL_WIDTH = len("not yet  ")
LABELS = {True: ("ok", "green"), False: ("not yet", "yellow"), None: ("", None)}


def format_item(item: LabFinding | Comparison) -> str:
    """Format one result of a check, with its label and hint."""
    if isinstance(item, Comparison):
        lines = [
            item.question,
            f"   predicted: {item.predicted}",
            f"   actual:    {item.actual}",
        ]
        return "\n".join(_labeled("", line) for line in lines)
    label, color = LABELS[item.passed]
    lines = [_labeled(label, item.text, color)]
    if item.hint:
        lines.append(_labeled("", f"hint: {item.hint}"))
    return "\n".join(lines)


def wrap_text(text: str) -> str:
    """Break a text into lines that a terminal can show."""
    return textwrap.fill(text, MAX_COLUMNS)


def _labeled(label: str, text: str, color: str | None = None) -> str:
    """Put a label in front of a text, and indent the text's further lines."""
    lines = textwrap.wrap(printable(text), MAX_COLUMNS - LABEL_WIDTH) or [""]
    first, *rest = (" " * LABEL_WIDTH + line for line in lines)
    styled = click.style(label.ljust(LABEL_WIDTH), fg=color)
    return "\n".join([styled + first[LABEL_WIDTH:], *rest])
