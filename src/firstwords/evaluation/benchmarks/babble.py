"""Babble: the share of answers to open prompts that are English, judged by `evaluation/babble.py`.

The prompts are in `evaluation/babble_prompts.txt`, ten kinds of thirty. The score is the share of
answers that no rule calls babble, so 1 minus the score is the share of babble. No answer is right
by chance, but one fixed sentence would pass almost everywhere: read this score beside the exam.
"""

from functools import partial

from firstwords.evaluation import babble
from firstwords.evaluation.benchmark import Benchmark, BenchmarkCategory, GenerativeItem
from firstwords.evaluation.eval_data import EvalData, sample_indices
from firstwords.tokenizer.chat_format import Messages

MAX_TOKENS = 160
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


BABBLE = Benchmark("babble", "answers in English", load_categories, chat_only=True)
