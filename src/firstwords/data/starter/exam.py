"""The exam: questions that training never shows (`holdout.py`), and how answers are graded.

The items depend on this package alone, so they are the same for every run. Only the name of the
model and of who made it are those of the run's personality.
"""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

from firstwords.data.starter import grading
from firstwords.data.starter.conversations import as_messages
from firstwords.data.starter.everyday.dialogue import exam_turn
from firstwords.data.starter.everyday.exam_turns import typed_turn
from firstwords.data.starter.everyday.followups import exam_followup
from firstwords.data.starter.everyday.meanings import exam_meaning
from firstwords.data.starter.everyday.recall import recall_chat
from firstwords.data.starter.everyday.reflect import reflection_exam_turn
from firstwords.data.starter.everyday.unknown_things import exam_unknown
from firstwords.data.starter.fact_questions import (
    ask_fact_in_exam_words,
    fact_turn,
    followup,
    held_out_fact_turn,
)
from firstwords.data.starter.facts import random_asked_fact
from firstwords.data.starter.grading import Rule
from firstwords.data.starter.instructions import instruction, tell_story
from firstwords.data.starter.letters import count_turn, spelling_turn
from firstwords.data.starter.multiple_choice import multiple_choice
from firstwords.data.starter.numbers import held_out_sum_turn, math_turn
from firstwords.data.starter.personality import Personality, own_expected, personalize
from firstwords.data.starter.reading import reading
from firstwords.data.starter.rng import Rng, seeded_rng
from firstwords.data.starter.small_talk import identity_turn
from firstwords.data.starter.tales.talk import exam_tale, example_tale
from firstwords.data.starter.tool_use import tool_turn
from firstwords.data.starter.turn import Turn
from firstwords.data.starter.unknown import invented_name_turn
from firstwords.data.starter.user_details import memory

PER_CATEGORY = 200


class ExamItem(NamedTuple):
    """One question of the exam; `rule` grades an answer against `expected`."""

    category: str
    messages: tuple[dict[str, str], ...]  # the last one is the user's question
    answer: str  # as the curriculum answers it
    rule: Rule
    expected: tuple[str, ...]


class ExamCategory(NamedTuple):
    """A part of the exam.

    The pretrained model knows no conversations. It takes only the categories with `few_shot`:
    examples and then the question, as plain text.
    """

    title: str
    criterion: str  # what counts as right, for people to read
    few_shot: bool
    make: Callable[[Rng], list[Turn]]  # a held-out conversation that ends with the question
    make_example: Callable[[Rng], list[Turn]]  # one like it that training may show


def _one(make: Callable[[Rng], Turn]) -> Callable[[Rng], list[Turn]]:
    return lambda rng: [make(rng)]


def _instruction(rng: Rng, held_out: bool) -> Turn:
    if rng() < 0.2:
        return tell_story(rng, held_out)
    return instruction(rng, held_out)


def _unknown(rng: Rng, held_out: bool) -> Turn:
    return invented_name_turn(rng, held_out) if rng() < 0.5 else fact_turn(rng, held_out)


def _reading(rng: Rng, held_out: bool) -> list[Turn]:
    return reading(rng, held_out)[:1]


CONTAINS_VALUE = "the answer contains the value, or one of several right ones"

CATEGORIES: dict[str, ExamCategory] = {
    "facts": ExamCategory(
        "facts asked in training's way",
        CONTAINS_VALUE,
        True,
        _one(lambda rng: fact_turn(rng, True)),
        _one(fact_turn),
    ),
    "facts_anew": ExamCategory(
        "facts asked in new words",
        CONTAINS_VALUE,
        True,
        _one(lambda rng: ask_fact_in_exam_words(rng, random_asked_fact(rng))),
        _one(fact_turn),
    ),
    "facts_pretrained": ExamCategory(
        "facts seen only in pretraining",
        CONTAINS_VALUE,
        True,
        _one(held_out_fact_turn),
        _one(fact_turn),
    ),
    "stories": ExamCategory(
        "stories",
        'the answer contains the keywords, at its beginning if the question asks "who"',
        True,
        lambda rng: _reading(rng, True),
        lambda rng: _reading(rng, False),
    ),
    "sums": ExamCategory(
        "arithmetic in the head",
        "the last number of the answer, in digits or words, is the result",
        True,
        _one(held_out_sum_turn),
        _one(math_turn),
    ),
    "calculator": ExamCategory(
        "sums and letters with the tool",
        "the last number of the answer is the result",
        False,
        _one(lambda rng: tool_turn(rng, True)),
        _one(tool_turn),
    ),
    "spelling": ExamCategory(
        "spelling",
        "the answer contains exactly the letters of the word, joined by hyphens",
        True,
        _one(lambda rng: spelling_turn(rng, True)),
        _one(spelling_turn),
    ),
    "counting": ExamCategory(
        "counting letters",
        "the last number of the answer, in digits or words, is the count",
        True,
        _one(lambda rng: count_turn(rng, True)),
        _one(count_turn),
    ),
    "memory": ExamCategory(
        "memory across turns",
        "the answer contains what the user said",
        False,
        lambda rng: memory(rng, True),
        memory,
    ),
    "followup": ExamCategory(
        "follow-ups", CONTAINS_VALUE, False, lambda rng: followup(rng, True), followup
    ),
    "instructions": ExamCategory(
        "instructions",
        "a list has the requested number of different right items; a single word, capitals and "
        "repetition are exact; a story names the requested characters in three sentences or more",
        False,
        _one(lambda rng: _instruction(rng, True)),
        _one(lambda rng: _instruction(rng, False)),
    ),
    "choice": ExamCategory(
        "multiple choice",
        "the last option letter of the answer is the right one",
        True,
        _one(lambda rng: multiple_choice(rng, True)),
        _one(multiple_choice),
    ),
    "identity": ExamCategory(
        "identity",
        "the answer contains one of the keywords",
        False,
        _one(lambda rng: identity_turn(rng, True)),
        _one(identity_turn),
    ),
    "unknown": ExamCategory(
        '"I do not know"',
        "the answer to the invented half is that it is not known; the real half is answered",
        False,
        _one(lambda rng: _unknown(rng, True)),
        _one(lambda rng: _unknown(rng, False)),
    ),
    "everyday": ExamCategory(
        "everyday conversation",
        "the answer contains a keyword of the subject",
        False,
        _one(lambda rng: exam_turn(rng, feelings=False)),
        _one(lambda rng: exam_turn(rng, feelings=False, held_out=False)),
    ),
    "feelings": ExamCategory(
        "feelings",
        "the answer contains a keyword of the right sympathy",
        False,
        _one(lambda rng: exam_turn(rng, feelings=True)),
        _one(lambda rng: exam_turn(rng, feelings=True, held_out=False)),
    ),
    "typed": ExamCategory(
        "questions typed in lower case",
        "as in the category that the question comes from",
        False,
        _one(typed_turn),
        _one(lambda rng: typed_turn(rng, False)),
    ),
    "recall": ExamCategory(
        "facts told over turns",
        "the answer contains what the user said",
        False,
        lambda rng: recall_chat(rng, True),
        recall_chat,
    ),
    "personal": ExamCategory(
        "what users tell of their lives",
        "the answer takes up the thing, person, feeling or deed that the message names",
        False,
        _one(reflection_exam_turn),
        _one(lambda rng: reflection_exam_turn(rng, False)),
    ),
    "meanings": ExamCategory(
        "what words mean",
        "the answer contains a word of the definition",
        False,
        _one(exam_meaning),
        _one(lambda rng: exam_meaning(rng, False)),
    ),
    "followups": ExamCategory(
        "follow-ups as people type them",
        CONTAINS_VALUE,
        False,
        exam_followup,
        lambda rng: exam_followup(rng, False),
    ),
    "unknown_things": ExamCategory(
        "what nobody taught it",
        "the answer names the thing asked about and says that it is not known",
        False,
        _one(exam_unknown),
        _one(lambda rng: exam_unknown(rng, False)),
    ),
    "tales": ExamCategory(
        "stories to order",
        "the story is about what was ordered from its first sentences on, keeps names, kinds and "
        "pronouns, and is finished; an answer about it contains the keywords",
        False,
        exam_tale,
        example_tale,
    ),
}


def items(per_category: int = PER_CATEGORY) -> list[ExamItem]:
    """Return the exam in the order of CATEGORIES, with `per_category` different items of each."""
    return [item for name in CATEGORIES for item in items_of(name, per_category)]


@cache
def personal_items(
    category: str, count: int, personality: Personality | None
) -> tuple[ExamItem, ...]:
    """Return the first `count` items of one category, as a model of this personality is asked."""
    items = items_of(category, count)
    if personality is None:
        return items
    rng = seeded_rng(0, "exam personality", 0)
    return tuple(_personal(rng, item, personality) for item in items)


def _personal(rng: Rng, item: ExamItem, personality: Personality) -> ExamItem:
    answer = {"role": "assistant", "content": item.answer}
    *messages, last = personalize(rng, (*item.messages, answer), personality)
    expected = own_expected(item.expected, personality)
    return item._replace(messages=tuple(messages), answer=last["content"], expected=expected)


@cache
def items_of(category: str, count: int = PER_CATEGORY) -> tuple[ExamItem, ...]:
    """Return the first `count` items of one category."""
    by_prompt: dict[str, ExamItem] = {}
    index = 0
    while len(by_prompt) < count:
        turns = CATEGORIES[category].make(seeded_rng(0, f"exam {category}", index))
        item = _item(category, turns)
        by_prompt.setdefault("\n".join(message["content"] for message in item.messages), item)
        index += 1
    return tuple(by_prompt.values())


def _item(category: str, turns: list[Turn]) -> ExamItem:
    *_, last = turns
    return ExamItem(category, as_messages(turns)[:-1], last.answer, last.rule, last.expected)


def examples(category: str, count: int = 3) -> list[tuple[str, str]]:
    """Return questions that training may show, with answers, as examples of a few-shot prompt."""
    pairs = []
    for index in range(count):
        first = CATEGORIES[category].make_example(seeded_rng(0, f"examples {category}", index))[0]
        pairs.append((first.question, first.answer))
    return pairs


def is_right(item: ExamItem, answer: str) -> bool:
    """Return whether an answer to the item, without its tool calls, is right."""
    return grading.is_right(item.rule, item.expected, answer)
