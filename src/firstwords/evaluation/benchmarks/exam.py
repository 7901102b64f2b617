"""The exam of the starter curriculum; what is right is said by `data/starter/exam.py`.

The base model, which has seen no conversations, takes the categories that make sense as plain text,
after some examples.
"""

from collections.abc import Iterator
from functools import cache, partial

from firstwords.data.starter import exam
from firstwords.data.starter.exam import PER_CATEGORY, Item
from firstwords.evaluation.benchmark import Benchmark, Category, Written
from firstwords.evaluation.data import EvalData

MAX_TOKENS = 96
REFUSAL = "I do not know."


def categories(data: EvalData, chat: bool, limit: int) -> dict[str, Category]:
    count = limit or PER_CATEGORY
    return {
        name: Category(
            category.title,
            best_constant(name, count),
            [spoken(item) if chat else plain(item) for item in exam.items_of(name, count)],
            category.rule,
        )
        for name, category in exam.CATEGORIES.items()
        if chat or category.few_shot
    }


def spoken(item: Item) -> Written:
    right = partial(exam.is_right, item)
    return Written(list(item.messages), right, item.answer, max_tokens=MAX_TOKENS)


def plain(item: Item) -> Written:
    """Examples with their answers, then the question, each on a line of its own."""
    right = partial(exam.is_right, item)
    shots = [f"{question}\n{answer}\n" for question, answer in exam.examples(item.category)]
    asked = item.messages[-1]["content"] + "\n"
    return Written(asked, right, item.answer, shots, ("\n",), MAX_TOKENS)


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


EXAM = Benchmark("exam", "exam of the starter curriculum", categories)
