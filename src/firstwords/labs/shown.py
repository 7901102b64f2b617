"""What a check finds, as lines for the terminal."""

import textwrap

import click

from firstwords.labs.checking import Compared
from firstwords.labs.lab import Finding

WIDTH = 100
LABEL = len("not yet  ")
LABELS = {True: ("right", "green"), False: ("not yet", "yellow"), None: ("", None)}


def shown(item: Finding | Compared) -> str:
    if isinstance(item, Compared):
        lines = [item.question, f"   you said: {item.said}", f"   it was:   {item.was}"]
        return "\n".join(_indented("", line) for line in lines)
    label, colour = LABELS[item.right]
    lines = [_indented(label, item.text, colour)]
    if item.hint:
        lines.append(_indented("", f"hint: {item.hint}"))
    return "\n".join(lines)


def wrapped(text: str) -> str:
    return textwrap.fill(text, WIDTH)


def _indented(label: str, text: str, colour: str | None = None) -> str:
    """The text beside its label, in lines that a terminal holds."""
    lines = textwrap.wrap(text, WIDTH - LABEL) or [""]
    first, *rest = (" " * LABEL + line for line in lines)
    return "\n".join([click.style(label.ljust(LABEL), fg=colour) + first[LABEL:], *rest])
