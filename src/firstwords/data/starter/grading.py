"""Rules by which an answer counts as right."""

import re
from collections.abc import Callable
from functools import cache
from typing import Literal

from firstwords.data.starter.story_judge import is_good_tale
from firstwords.data.starter.words import number_in_words

Rule = Literal[
    "answers",
    "mentions",
    "mentions_each",
    "starts_with",
    "last_number",
    "spells",
    "exact",
    "option",
    "list",
    "repeats",
    "story",
    "tale",
    "refuses",
]

REFUSALS = ("do not know", "never heard of", "not told me", "cannot know")


def is_right(rule: Rule, expected: tuple[str, ...], answer: str) -> bool:
    """Return whether an answer, without its tool calls, is right.

    - answers: contains one of `expected` as whole words, in any case, and does not refuse;
    - mentions: contains one of `expected`, and may refuse;
    - mentions_each: contains one of the words of each of `expected`, such as "dog|pet";
    - starts_with: starts with one of `expected`;
    - last_number: the last number, in digits or words, is `expected[0]`;
    - spells: contains exactly the letters of `expected[0]`, joined by hyphens;
    - exact: equals one of `expected`, apart from a full stop;
    - option: the last option letter is `expected[0]`;
    - list: lists `expected[0]` different things, all of them in `expected[1:]`;
    - repeats: is the word `expected[1]`, `expected[0]` times;
    - story: contains all of `expected`, and has three sentences or more;
    - tale: is a finished, consistent story about what was ordered (see `story_judge.py`);
    - refuses: says that the answer is not known.
    """
    return _GRADERS[rule](expected, answer.strip())


def _plain(text: str) -> str:
    """Return the words of a text in lower case, each with a space before and after it."""
    words = " ".join(re.findall(r"[^\W_]+", text.lower()))
    return f" {words} "


def _answers(expected: tuple[str, ...], answer: str) -> bool:
    return _mentions(expected, answer) and not _refuses(expected, answer)


def _mentions(expected: tuple[str, ...], answer: str) -> bool:
    return any(_plain(value) in _plain(answer) for value in expected)


def _mentions_each(expected: tuple[str, ...], answer: str) -> bool:
    return all(_mentions(tuple(group.split("|")), answer) for group in expected)


def _starts_with(expected: tuple[str, ...], answer: str) -> bool:
    return any(_plain(answer).startswith(_plain(value)) for value in expected)


@cache
def _numbers() -> dict[str, str]:
    return {"no": "0", **{number_in_words(number): str(number) for number in range(1000)}}


def _last_number(expected: tuple[str, ...], answer: str) -> bool:
    words = re.findall(r"-?\d[\d,]*(?:\.\d+)?|[a-z]+(?:-[a-z]+)?", answer.lower())
    digits = [_numbers().get(word, word.replace(",", "")) for word in words]
    values = [word for word in digits if word.lstrip("-")[:1].isdigit()]
    return bool(values) and values[-1].rstrip(".") == expected[0]


def _spells(expected: tuple[str, ...], answer: str) -> bool:
    return expected[0] in re.findall(r"\b[a-z](?:-[a-z])+\b", answer.lower())


def _exact(expected: tuple[str, ...], answer: str) -> bool:
    return answer.rstrip(".") in expected


def _option(expected: tuple[str, ...], answer: str) -> bool:
    letters = re.findall(r"\b([A-D])(?:\)|\.|$)", answer)
    return bool(letters) and letters[-1] == expected[0]


def _list(expected: tuple[str, ...], answer: str) -> bool:
    rest, listed = _plain(answer), []
    for thing in sorted(map(_plain, expected[1:]), key=len, reverse=True):
        listed += [thing] * rest.count(thing)
        rest = rest.replace(thing, " ")
    nothing_else = all(word == "and" or word.isdigit() for word in rest.split())
    return nothing_else and len(listed) == len(set(listed)) == int(expected[0])


def _repeats(expected: tuple[str, ...], answer: str) -> bool:
    _, _, said = answer.rpartition(":")  # perhaps after "All right:"
    return _plain(said).split() == [expected[1]] * int(expected[0])


def _story(expected: tuple[str, ...], answer: str) -> bool:
    words, n_sentences = _plain(answer), len(re.findall(r"[.!?]", answer))
    return n_sentences >= 3 and all(_plain(value) in words for value in expected)


def _refuses(_expected: tuple[str, ...], answer: str) -> bool:
    return any(refusal in answer.lower() for refusal in REFUSALS)


_GRADERS: dict[Rule, Callable[[tuple[str, ...], str], bool]] = {
    "answers": _answers,
    "mentions": _mentions,
    "mentions_each": _mentions_each,
    "starts_with": _starts_with,
    "last_number": _last_number,
    "spells": _spells,
    "exact": _exact,
    "option": _option,
    "list": _list,
    "repeats": _repeats,
    "story": _story,
    "tale": is_good_tale,
    "refuses": _refuses,
}
