"""Templates with alternatives: how the curriculum words one thing in many ways.

A template is a line of plain text with three kinds of marks:

- ``[red|blue|]`` chooses one of the alternatives, which may be nested or empty;
- ``{name}`` inserts the slot *name*; ``{^name}`` with a capital first letter, ``{a:name}`` with "a"
  or "an" before it, ``{^a:name}`` with "A" or "An";
- ``<happy>`` stands for the alternatives listed under *happy* in `tables/macros.txt`.

Each template is parsed once, when it is first used.
"""

import re
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from typing import NamedTuple, cast

from firstwords.data.starter.rng import Rng, favouring_first
from firstwords.data.starter.tables import table_sections

# Prefixes that begin with a vowel letter and a consonant sound, or the other way round.
_TAKES_A = ("uni", "uran", "use", "usu", "eu", "one", "once", "ut")
_TAKES_AN = ("hour", "honest", "heir", "honour", "yt")


@lru_cache(maxsize=10_000)
def article(phrase: str) -> str:
    """Return the indefinite article, "a" or "an", that goes before a phrase."""
    word = phrase.lower()
    if word.startswith(_TAKES_AN):
        return "an"
    if word.startswith(_TAKES_A) and not word.startswith(("unin", "unim", "utter")):
        return "a"
    if word[:1].isdigit():
        return "an" if word.startswith(("8", "11", "18")) and not word.startswith("110") else "a"
    return "an" if word[:1] in "aeiou" else "a"


def capitalize(text: str) -> str:
    """Return the text with its first letter in upper case, also after a quotation mark."""
    if text[:1] == '"':
        return text[:1] + text[1:2].upper() + text[2:]
    return text[:1].upper() + text[1:]


def join_list(items: Sequence[str], word: str = "and") -> str:
    """Return the items as an enumeration: 'a', 'a and b', 'a, b, and c'."""
    if len(items) < 3:
        return f" {word} ".join(items)
    return ", ".join(items[:-1]) + f", {word} {items[-1]}"


class _Slot(NamedTuple):
    """A position in a template where a value is inserted."""

    key: str
    article: bool
    capital: bool

    def value(self, slots: Mapping[str, str]) -> str:
        text = slots[self.key]
        if self.article:
            text = f"{article(text)} {text}"
        return capitalize(text) if self.capital else text


def _parse_slot(mark: str) -> _Slot:
    plain = mark.lstrip("^")
    return _Slot(plain.removeprefix("a:"), plain.startswith("a:"), mark.startswith("^"))


# A parsed template: text, slots, and lists of alternatives, which are parsed templates themselves.
# A template without marks stays a string, since most alternatives are a word or two.
_Template = str | tuple[object, ...]
_MARK = re.compile(r"([\[\]|]|\{[^}]*\})")
_MACRO = re.compile(r"<([a-z]+)>")


@cache
def _macros() -> dict[str, str]:
    """Return what marks like <happy> stand for: the lines of each section as alternatives."""
    return {key: f"[{'|'.join(lines)}]" for key, lines in table_sections("macros.txt").items()}


def _parse(template: str) -> _Template:
    # A mark in angle brackets that is no macro, such as <tool_call>, stays as it is.
    while True:
        expanded = _MACRO.sub(lambda m: _macros().get(m[1], "\0" + m[1] + "\1"), template)
        if expanded == template:
            break
        template = expanded
    template = template.replace("\0", "<").replace("\1", ">")
    stack: list[list[list[object]]] = [[[]]]
    for piece in _MARK.split(template):
        if piece == "[":
            stack.append([[]])
        elif piece == "]":
            options = [_simplify(option) for option in stack.pop()]
            stack[-1][-1].append(options)
        elif piece == "|" and len(stack) > 1:
            stack[-1].append([])
        elif piece.startswith("{"):
            stack[-1][-1].append(_parse_slot(piece[1:-1]))
        elif piece:
            stack[-1][-1].append(piece)
    if len(stack) != 1:
        raise ValueError(f"unbalanced brackets in template: {template!r}")
    return _simplify(stack[0][0])


def _simplify(parts: list[object]) -> _Template:
    if all(type(part) is str for part in parts):
        return "".join(cast("list[str]", parts))
    return tuple(parts)


_parsed: dict[str, _Template] = {}


def _render(
    rng: Rng, parts: tuple[object, ...], slots: Mapping[str, str], pieces: list[str]
) -> None:
    """Append the text of a parsed template to `pieces`. Generation spends most of its time here."""
    for part in parts:
        if type(part) is list:
            part = part[int(rng() * len(part))]
            if type(part) is tuple:
                _render(rng, part, slots, pieces)
                continue
        if type(part) is str:
            pieces.append(part)
        elif part.article or part.capital:  # type: ignore[attr-defined]
            pieces.append(part.value(slots))  # type: ignore[attr-defined]
        else:
            pieces.append(slots[part.key])  # type: ignore[attr-defined]


_NO_SLOTS: Mapping[str, str] = {}


def fill_template(rng: Rng, template: str, slots: Mapping[str, str] = _NO_SLOTS) -> str:
    """Return the template with alternatives chosen and slots filled.

    Raises ValueError if its brackets are unbalanced, KeyError if a slot is missing.
    """
    parts = _parsed.get(template)
    if parts is None:
        parts = _parsed[template] = _parse(template)
    if isinstance(parts, str):
        return parts
    pieces: list[str] = []
    _render(rng, parts, slots, pieces)
    return "".join(pieces)


def make_sentence(rng: Rng, templates: Sequence[str], slots: Mapping[str, str] = _NO_SLOTS) -> str:
    """Return one of the templates, filled, with a capital first letter."""
    return capitalize(fill_template(rng, templates[int(rng() * len(templates))], slots))


def make_answer(rng: Rng, templates: Sequence[str], slots: Mapping[str, str] = _NO_SLOTS) -> str:
    """Return what the assistant says: a sentence as `make_sentence` makes it, with the first
    templates and alternatives more often than the last (`rng.favouring_first`)."""
    return make_sentence(favouring_first(rng), templates, slots)
