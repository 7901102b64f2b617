"""Babble: the share of answers to open prompts that are English, judged by `evaluation/babble.py`.

The prompts are in `data/starter/tables/open_prompts.txt`, ten kinds of thirty. The score is the
share of answers that no rule calls babble, so 1 minus the score is the share of babble. One good
sentence would pass nearly everywhere, so an answer that the model gives to many prompts is babble
too.
"""

from collections import Counter
from functools import partial

from firstwords.evaluation import babble
from firstwords.evaluation.benchmark import (
    Benchmark,
    BenchmarkCategory,
    GenerativeItem,
    ItemResult,
)
from firstwords.evaluation.eval_data import EvalData, sample_indices
from firstwords.tokenizer.chat_format import Messages

MAX_TOKENS = 160
MAX_SAME_ANSWERS, MAX_SAME_SHARE = 3, 0.05  # prompts that may get the same answer
NOTE = "no rule calls the answer babble"


def babble_item(messages: Messages) -> GenerativeItem:
    """Return an item that lets the model answer, and judges whether that is English."""
    prompt = "\n".join(message["content"] for message in messages)
    judge = partial(babble.find_babble, prompt)
    return GenerativeItem(
        messages, lambda text: not judge(text), "", max_tokens=MAX_TOKENS, find_problem=judge
    )


def load_categories(data: EvalData, chat: bool, limit: int) -> dict[str, BenchmarkCategory]:
    """Return a category for each kind of prompt."""
    categories = {}
    for kind, prompts in babble.open_prompts().items():
        chosen = [prompts[index] for index in sample_indices(len(prompts), limit)]
        items = [babble_item(messages) for messages in chosen]
        categories[kind] = BenchmarkCategory(kind, 0.0, items, NOTE)
    return categories


def find_same_answers(results: dict[str, list[ItemResult]]) -> dict[str, list[ItemResult]]:
    """Return the results with an answer that too many prompts got counted as babble."""
    counts = Counter(_key(result) for of_kind in results.values() for result in of_kind)
    limit = max(MAX_SAME_ANSWERS, int(counts.total() * MAX_SAME_SHARE))

    def review(result: ItemResult) -> ItemResult:
        if not result.correct or counts[_key(result)] <= limit:
            return result
        problem = f"same answer: {counts[_key(result)]} times"
        return ItemResult(False, {**result.details, "problem": problem})

    return {kind: [review(result) for result in of_kind] for kind, of_kind in results.items()}


def _key(result: ItemResult) -> str:
    return " ".join(str(result.details["answer"]).lower().split())


BABBLE = Benchmark(
    "babble", "answers in English", load_categories, chat_only=True, review=find_same_answers
)
