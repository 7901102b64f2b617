"""One question with its answer, and the rule by which another answer counts as right too."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Literal, NamedTuple

from .holdout import asked, held_out
from .phrase import Rand
from .words import in_words

Rule = Literal[
    "says",
    "mentions",
    "begins",
    "number",
    "spells",
    "exactly",
    "option",
    "list",
    "repeats",
    "tells",
    "refuses",
]


class Turn(NamedTuple):
    """What the user asks and the assistant answers. `right` is what `rule` looks for; see
    `is_right`. Without it the turn is only talk, and cannot be judged."""

    ask: str
    answer: str
    rule: Rule = "says"
    right: tuple[str, ...] = ()


def drawn(r: Rand, make: Callable[[Rand], Turn], kept: bool = False) -> Turn:
    """A turn whose question training may show, or one that the exam keeps."""
    while True:
        turn = make(r)
        if held_out("question", asked(turn.ask)) == kept:
            return turn


REFUSALS = ("do not know", "never heard of", "not told me", "cannot know")


def is_right(rule: Rule, right: tuple[str, ...], answer: str) -> bool:
    """Whether an answer, without its tool calls, is right.

    says: one of `right` stands in it, as whole words, whatever the case, and it is no refusal;
    mentions: the same, refusal or not; begins: it begins with one of them; number: its last
    number, in digits or words, is the right one; spells: the right letters stand in it joined by
    hyphens, none more and none less; exactly: it is one of `right` but for a full stop; option:
    the last option letter in it is the right one; list: it lists as many different things as
    right[0] says, all of them among the others of `right`; repeats: it is right[1] as often as
    right[0] says; tells: all of `right` stand in it, in three sentences or more; refuses: it says
    that it does not know.
    """
    return _JUDGES[rule](right, answer.strip())


def _plain(text: str) -> str:
    """Lower case, with single spaces for all that is neither letter nor digit."""
    words = " ".join(re.findall(r"[^\W_]+", text.lower()))
    return f" {words} "


def _says(right: tuple[str, ...], answer: str) -> bool:
    return _mentions(right, answer) and not _refuses(right, answer)


def _mentions(right: tuple[str, ...], answer: str) -> bool:
    return any(_plain(value) in _plain(answer) for value in right)


def _begins(right: tuple[str, ...], answer: str) -> bool:
    return any(_plain(answer).startswith(_plain(value)) for value in right)


@cache
def _numbers() -> dict[str, str]:
    return {"no": "0", **{in_words(number): str(number) for number in range(1000)}}


def _number(right: tuple[str, ...], answer: str) -> bool:
    words = re.findall(r"-?\d[\d,]*(?:\.\d+)?|[a-z]+(?:-[a-z]+)?", answer.lower())
    found = [_numbers().get(word, word.replace(",", "")) for word in words]
    values = [word for word in found if word.lstrip("-")[:1].isdigit()]
    return bool(values) and values[-1].rstrip(".") == right[0]


def _spells(right: tuple[str, ...], answer: str) -> bool:
    return right[0] in re.findall(r"\b[a-z](?:-[a-z])+\b", answer.lower())


def _exactly(right: tuple[str, ...], answer: str) -> bool:
    return answer.rstrip(".") in right


def _option(right: tuple[str, ...], answer: str) -> bool:
    letters = re.findall(r"\b([A-D])(?:\)|\.|$)", answer)
    return bool(letters) and letters[-1] == right[0]


def _list(right: tuple[str, ...], answer: str) -> bool:
    left, found = _plain(answer), []
    for thing in sorted(map(_plain, right[1:]), key=len, reverse=True):
        found += [thing] * left.count(thing)
        left = left.replace(thing, " ")
    nothing_else = all(word == "and" or word.isdigit() for word in left.split())
    return nothing_else and len(found) == len(set(found)) == int(right[0])


def _repeats(right: tuple[str, ...], answer: str) -> bool:
    return _plain(answer).split() == [right[1]] * int(right[0])


def _tells(right: tuple[str, ...], answer: str) -> bool:
    said = _plain(answer)
    return all(_plain(value) in said for value in right) and len(re.findall(r"[.!?]", answer)) >= 3


def _refuses(_right: tuple[str, ...], answer: str) -> bool:
    return any(refusal in answer.lower() for refusal in REFUSALS)


_JUDGES: dict[Rule, Callable[[tuple[str, ...], str], bool]] = {
    "says": _says,
    "mentions": _mentions,
    "begins": _begins,
    "number": _number,
    "spells": _spells,
    "exactly": _exactly,
    "option": _option,
    "list": _list,
    "repeats": _repeats,
    "tells": _tells,
    "refuses": _refuses,
}
