"""Templates with alternatives: how the curriculum says one thing in many ways.

A template is a line of plain text with three kinds of marks:

- ``[red|blue|]`` picks one of the alternatives (which may nest, or be empty);
- ``{name}`` puts in the slot *name*; ``{^name}`` with a capital first letter,
  ``{a:name}`` with "a" or "an" before it, ``{^a:name}`` with "A" or "An";
- ``<happy>`` is short for the alternatives that `MACROS` lists under *happy*.

Templates are parsed once and kept. Chance comes from a plain function that returns a
float in [0, 1): calling that is several times faster than the methods of `random.Random`, and
the numbers are the same on every platform and Python version.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache, lru_cache
from importlib import resources
from typing import NamedTuple, TypeVar, cast

Rand = Callable[[], float]
T = TypeVar("T")


def source(seed: int, stream: str, index: int) -> Rand:
    """The stream of chance for one sample: a pure function of its three arguments."""
    return random.Random(f"{seed}:{stream}:{index}").random


def pick(r: Rand, items: Sequence[T]) -> T:
    """One of the items, all equally likely."""
    return items[int(r() * len(items))]


def whole(r: Rand, low: int, high: int) -> int:
    """A whole number from low to high, both included."""
    return low + int(r() * (high - low + 1))


def some(r: Rand, items: Sequence[T], count: int) -> list[T]:
    """`count` different items in random order (all of them, shuffled, if there are fewer)."""
    pool = list(items)
    count = min(count, len(pool))
    for i in range(count):
        j = i + int(r() * (len(pool) - i))
        pool[i], pool[j] = pool[j], pool[i]
    return pool[:count]


def weighted(r: Rand, table: Mapping[str, float]) -> str:
    """One key of a table of weights, as often as its weight says."""
    point = r() * sum(table.values())
    for key, weight in table.items():
        point -= weight
        if point < 0:
            return key
    return key


# Words that begin with a vowel letter and a consonant sound, or the other way round.
_TAKES_A = ("uni", "uran", "use", "usu", "eu", "one", "once", "ut")
_TAKES_AN = ("hour", "honest", "heir", "honour", "yt")


@lru_cache(maxsize=10_000)
def article(phrase: str) -> str:
    """ "a" or "an", as the sound of the phrase asks."""
    word = phrase.lower()
    if word.startswith(_TAKES_AN):
        return "an"
    if word.startswith(_TAKES_A) and not word.startswith(("unin", "unim", "utter")):
        return "a"
    if word[:1].isdigit():
        return "an" if word.startswith(("8", "11", "18")) and not word.startswith("110") else "a"
    return "an" if word[:1] in "aeiou" else "a"


def capital(text: str) -> str:
    """The text with its first letter in upper case, after a quotation mark too."""
    if text[:1] == '"':
        return text[:1] + text[1:2].upper() + text[2:]
    return text[:1].upper() + text[1:]


def listing(items: Sequence[str], word: str = "and") -> str:
    """'a', 'a and b', 'a, b, and c'."""
    if len(items) < 3:
        return f" {word} ".join(items)
    return ", ".join(items[:-1]) + f", {word} {items[-1]}"


class _Slot(NamedTuple):
    """A place in a template where a value goes."""

    key: str
    article: bool
    capital: bool

    def value(self, slots: Mapping[str, str]) -> str:
        text = slots[self.key]
        if self.article:
            text = f"{article(text)} {text}"
        return capital(text) if self.capital else text


def _slot(mark: str) -> _Slot:
    plain = mark.lstrip("^")
    return _Slot(plain.removeprefix("a:"), plain.startswith("a:"), mark.startswith("^"))


# A template, parsed: text, slots, and lists of alternatives, which are templates in turn. One
# without marks stays a string: most alternatives are a word or two.
_Parts = str | tuple[object, ...]
_MARK = re.compile(r"([\[\]|]|\{[^}]*\})")
_MACRO = re.compile(r"<([a-z]+)>")


def _parse(template: str) -> _Parts:
    """Text, slots and (nested) alternatives, in order."""
    while True:
        opened = _MACRO.sub(lambda m: macros().get(m[1], "\0" + m[1] + "\1"), template)
        if opened == template:
            break
        template = opened
    template = template.replace("\0", "<").replace("\1", ">")
    stack: list[list[list[object]]] = [[[]]]
    for piece in _MARK.split(template):
        if piece == "[":
            stack.append([[]])
        elif piece == "]":
            options = [_joined(option) for option in stack.pop()]
            stack[-1][-1].append(options)
        elif piece == "|" and len(stack) > 1:
            stack[-1].append([])
        elif piece.startswith("{"):
            stack[-1][-1].append(_slot(piece[1:-1]))
        elif piece:
            stack[-1][-1].append(piece)
    if len(stack) != 1:
        raise ValueError(f"unbalanced brackets in template: {template!r}")
    return _joined(stack[0][0])


def _joined(parts: list[object]) -> _Parts:
    if all(type(part) is str for part in parts):
        return "".join(cast("list[str]", parts))
    return tuple(parts)


_parsed: dict[str, _Parts] = {}


def _render(r: Rand, parts: tuple[object, ...], slots: Mapping[str, str], out: list[str]) -> None:
    """Append the pieces of a template to `out`. This is where the curriculum's time goes."""
    for part in parts:
        if type(part) is list:
            part = part[int(r() * len(part))]
            if type(part) is tuple:
                _render(r, part, slots, out)
                continue
        if type(part) is str:
            out.append(part)
        elif part.article or part.capital:  # type: ignore[attr-defined]
            out.append(part.value(slots))  # type: ignore[attr-defined]
        else:
            out.append(slots[part.key])  # type: ignore[attr-defined]


_NONE: Mapping[str, str] = {}


def fill(r: Rand, template: str, slots: Mapping[str, str] = _NONE) -> str:
    """The template with alternatives chosen and slots filled, nothing else changed."""
    parts = _parsed.get(template)
    if parts is None:
        parts = _parsed[template] = _parse(template)
    if isinstance(parts, str):
        return parts
    out: list[str] = []
    _render(r, parts, slots, out)
    return "".join(out)


def say(r: Rand, templates: Sequence[str], slots: Mapping[str, str] = _NONE) -> str:
    """One of the templates as a sentence: filled, and begun with a capital letter."""
    return capital(fill(r, templates[int(r() * len(templates))], slots))


def table_text(name: str) -> str:
    """The text of a file in `tables/`, without its comment lines."""
    path = resources.files(__package__) / "tables" / name
    lines = path.read_text(encoding="utf-8").splitlines()
    return "\n".join(line for line in lines if not line.startswith("#"))


@cache
def rows(name: str) -> tuple[tuple[str, ...], ...]:
    """A table: one row a line, its cells parted by '|'."""
    lines = table_text(name).splitlines()
    return tuple(tuple(cell.strip() for cell in line.split("|")) for line in lines if line.strip())


@cache
def sections(name: str) -> dict[str, tuple[str, ...]]:
    """A file of templates: a heading '-- name', then one template a line."""
    found: dict[str, list[str]] = {}
    heading = ""
    for line in table_text(name).splitlines():
        if line.startswith("-- "):
            heading = line[3:].strip()
            found[heading] = []
        elif line.strip():
            found[heading].append(line.strip())
    return {key: tuple(lines) for key, lines in found.items()}


@cache
def macros() -> dict[str, str]:
    """What a mark like <happy> stands for: the lines of its section, as alternatives."""
    return {key: f"[{'|'.join(lines)}]" for key, lines in sections("macros.txt").items()}
