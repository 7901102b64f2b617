"""The exam of the starter curriculum, taken by one stage's model.

Greedy decoding; what counts as right is decided by `data/starter/exam.py`. The base model, which
has seen no conversations, takes the parts that make sense as plain text, after some examples.
"""

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, NamedTuple

from firstwords.data.starter import exam
from firstwords.data.starter.exam import Item
from firstwords.evaluation.intervals import wilson
from firstwords.inference.batch import Answer, answer_all
from firstwords.inference.chat import fit_prompt
from firstwords.model import Transformer
from firstwords.recipe import Stage
from firstwords.tokenizer import END_OF_TEXT, Tokenizer

MAX_TOKENS = 96
REFUSAL = "I do not know."


class Taken(NamedTuple):
    """The result: `task` for the evaluation's JSON, and the wrong answers for reading."""

    task: dict[str, Any]
    wrong: list[dict[str, Any]]


def take(
    model: Transformer,
    tokenizer: Tokenizer,
    stage: Stage,
    per_category: int,
    on_done: Callable[[int], None] = lambda count: None,
) -> Taken:
    """Let the model answer `per_category` questions of each category; `on_done` hears how many
    more are answered."""
    items = questions(stage, per_category)
    context = model.config.max_seq_len
    if stage == "base":
        prompts = [few_shot(tokenizer, item, context) for item in items]
    else:
        prompts = [fit_prompt(tokenizer, list(item.messages), context).ids for item in items]
    stop = "\n" if stage == "base" else ""
    answers = answer_all(model, tokenizer, prompts, MAX_TOKENS, stop, on_done)
    return marked(items, answers)


def questions(stage: Stage, per_category: int) -> list[Item]:
    """The exam's items; for the base model those that can be asked in plain text."""
    return [
        item
        for item in exam.items(per_category)
        if stage != "base" or exam.CATEGORIES[item.category].few_shot
    ]


def few_shot(tokenizer: Tokenizer, item: Item, context: int) -> list[int]:
    """Examples with their answers, then the question, each on a line of its own: as many examples
    as leave room for the answer."""
    room = context - min(MAX_TOKENS, context // 4)
    examples = exam.examples(item.category)
    while True:
        lines = [line for pair in examples for line in pair]
        text = "\n".join([*lines, item.messages[-1]["content"], ""])
        ids = tokenizer.encode(text)
        if not examples or len(ids) < room:
            return [tokenizer.special(END_OF_TEXT), *ids[-room + 1 :]]
        examples = examples[1:]


def marked(items: list[Item], answers: list[Answer]) -> Taken:
    """Count what is right, by category and in all, with intervals and the chance line."""
    right: dict[str, int] = {}
    asked: dict[str, int] = {}
    wrong = []
    for item, answer in zip(items, answers, strict=True):
        asked[item.category] = asked.get(item.category, 0) + 1
        good = exam.is_right(item, answer.text)
        right[item.category] = right.get(item.category, 0) + good
        if not good:
            wrong.append(
                {
                    "category": item.category,
                    "messages": list(item.messages),
                    "expected": item.answer,
                    "answer": answer.content,
                }
            )
    chance = {name: best_constant(name, n) for name, n in asked.items()}
    categories = {
        name: {
            "title": exam.CATEGORIES[name].title,
            "rule": exam.CATEGORIES[name].rule,
            **_score(right[name], n, chance[name]),
        }
        for name, n in asked.items()
    }
    total = _score(
        sum(right.values()), len(items), sum(chance[c] * n for c, n in asked.items()) / len(items)
    )
    empty = sum(not answer.text for answer in answers)
    broken = sum(answer.broken_call for answer in answers)
    return Taken({**total, "empty": empty, "broken_calls": broken, "categories": categories}, wrong)


def _score(right: int, n: int, chance: float) -> dict[str, Any]:
    return {"score": right / n, "chance": chance, "ci95": list(wilson(right, n)), "n": n}


@cache
def best_constant(category: str, per_category: int) -> float:
    """The share that the best answer would get that is the same for every question: chance, where
    there is nothing to choose from."""
    items = exam.items_of(category, per_category)
    constants = dict.fromkeys(constant for item in items for constant in _constants(item))
    return max(
        sum(exam.is_right(item, constant) for item in items) / len(items)
        for constant in [*constants, REFUSAL]
    )


def _constants(item: Item) -> Iterator[str]:
    yield from item.right[:6]
    yield item.answer.rpartition("</tool_response>")[2]
