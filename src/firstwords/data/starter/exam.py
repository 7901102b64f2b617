"""The exam: questions that training never showed (`holdout.py`), and what counts as right.

The items are the same for every run: they depend on nothing but this package.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

from . import tasks, turn
from .facts import asked_fact
from .phrase import Rand, source
from .questions import about_anew, fact_turn, followup, untaught_turn
from .talk import (
    about_me,
    as_messages,
    count_turn,
    kept_sum,
    memory,
    spelling_turn,
    sum_turn,
    tool_turn,
    unheard,
)
from .turn import Rule, Turn

PER_CATEGORY = 200


class Item(NamedTuple):
    """One question of the exam: `messages` ends with the user's, `answer` is the curriculum's own;
    others are judged by `rule`, which looks for `right`."""

    category: str
    messages: tuple[dict[str, str], ...]
    answer: str
    rule: Rule
    right: tuple[str, ...]


class Category(NamedTuple):
    """A part of the exam. `make` draws a conversation that ends with the question; `taught` one
    like it that training may show. `rule` says what counts as right. The base model, which knows
    no conversations, takes the parts with `few_shot`: examples, then the question, as plain text.
    """

    title: str
    rule: str
    few_shot: bool
    make: Callable[[Rand], list[Turn]]
    taught: Callable[[Rand], list[Turn]]


def _one(make: Callable[[Rand], Turn]) -> Callable[[Rand], list[Turn]]:
    return lambda r: [make(r)]


def _instruction(r: Rand, kept: bool) -> Turn:
    if r() < 0.2:
        return tasks.tell_story(r, kept)
    return tasks.instruction(r, kept)


def _unknown(r: Rand, kept: bool) -> Turn:
    return unheard(r, kept) if r() < 0.5 else fact_turn(r, kept)


def _story(r: Rand, kept: bool) -> list[Turn]:
    return tasks.reading(r, kept)[:1]


SAYS = "the value, or one of several right ones, stands in the answer"

CATEGORIES: dict[str, Category] = {
    "facts": Category(
        "facts asked in training's way",
        SAYS,
        True,
        _one(lambda r: fact_turn(r, True)),
        _one(fact_turn),
    ),
    "facts_anew": Category(
        "facts asked in new words",
        SAYS,
        True,
        _one(lambda r: about_anew(r, asked_fact(r))),
        _one(fact_turn),
    ),
    "facts_pretrained": Category(
        "facts seen only in pretraining", SAYS, True, _one(untaught_turn), _one(fact_turn)
    ),
    "stories": Category(
        "stories",
        'the key words stand in the answer, at its beginning where the question is "who"',
        True,
        lambda r: _story(r, True),
        lambda r: _story(r, False),
    ),
    "sums": Category(
        "arithmetic in the head",
        "the last number of the answer, in digits or words, is the result",
        True,
        _one(kept_sum),
        _one(sum_turn),
    ),
    "calculator": Category(
        "sums and letters with the tool",
        "the last number of the answer is the result",
        False,
        _one(lambda r: tool_turn(r, True)),
        _one(tool_turn),
    ),
    "spelling": Category(
        "spelling",
        "the letters stand in the answer, joined by hyphens, none more and none less",
        True,
        _one(lambda r: spelling_turn(r, True)),
        _one(spelling_turn),
    ),
    "counting": Category(
        "counting letters",
        "the last number of the answer, in digits or words, is right",
        True,
        _one(lambda r: count_turn(r, True)),
        _one(count_turn),
    ),
    "memory": Category(
        "memory across turns",
        "what the user told stands in the answer",
        False,
        lambda r: memory(r, True),
        memory,
    ),
    "followup": Category("follow-ups", SAYS, False, lambda r: followup(r, True), followup),
    "instructions": Category(
        "instructions",
        "a list has as many different right things as asked for; one word, capitals and "
        "repetition are exact; a story names who was asked for in three sentences or more",
        False,
        _one(lambda r: _instruction(r, True)),
        _one(lambda r: _instruction(r, False)),
    ),
    "choice": Category(
        "multiple choice",
        "the last option letter of the answer is the right one",
        True,
        _one(lambda r: tasks.choice(r, True)),
        _one(tasks.choice),
    ),
    "identity": Category(
        "identity",
        "one of the words that matter stands in the answer",
        False,
        _one(lambda r: about_me(r, True)),
        _one(about_me),
    ),
    "unknown": Category(
        '"I do not know"',
        "what does not exist is not known; the real half of the questions is answered",
        False,
        _one(lambda r: _unknown(r, True)),
        _one(lambda r: _unknown(r, False)),
    ),
}


def items(per_category: int = PER_CATEGORY) -> list[Item]:
    """The exam, in the order of CATEGORIES: as many items of each category, all different."""
    return [item for name in CATEGORIES for item in items_of(name, per_category)]


@cache
def items_of(category: str, count: int = PER_CATEGORY) -> tuple[Item, ...]:
    """The first items of one category."""
    found: dict[str, Item] = {}
    index = 0
    while len(found) < count:
        turns = CATEGORIES[category].make(source(0, f"exam {category}", index))
        item = _item(category, turns)
        found.setdefault("\n".join(message["content"] for message in item.messages), item)
        index += 1
    return tuple(found.values())


def _item(category: str, turns: list[Turn]) -> Item:
    *_, last = turns
    return Item(category, as_messages(turns)[:-1], last.answer, last.rule, last.right)


def examples(category: str, count: int = 3) -> list[tuple[str, str]]:
    """Questions of a category that training may show, with their answers, for few-shot prompts."""
    found = []
    for index in range(count):
        first = CATEGORIES[category].taught(source(0, f"examples {category}", index))[0]
        found.append((first.ask, first.answer))
    return found


def is_right(item: Item, answer: str) -> bool:
    """Whether the answer, without its tool calls, is right by the item's rule."""
    return turn.is_right(item.rule, item.right, answer)
