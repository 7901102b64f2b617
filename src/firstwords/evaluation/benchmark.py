"""What a benchmark is made of, how a model takes one, and what comes of it.

There are two kinds of items. `Scored` ones give continuations, of which the model finds one the
likeliest; `Written` ones let it write, and check what it wrote. A prompt is plain text, as a base
model knows it, or a conversation, as the chat stages do.
"""

import math
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from firstwords.conversation import Messages, encode_prompt
from firstwords.evaluation.continuations import Likelihood, Pair, encode_pair, likelihoods
from firstwords.evaluation.data import EvalData
from firstwords.evaluation.intervals import wilson
from firstwords.inference.batch import answer_all, batch_size
from firstwords.inference.chat import fit_prompt
from firstwords.inference.decoder import Decoder
from firstwords.inference.engine import Engine
from firstwords.inference.sampling import GREEDY
from firstwords.model import Transformer
from firstwords.tokenizer import END_OF_TEXT, Tokenizer

Prompt = str | Messages
Rule = Literal["sum", "mean", "exact"]
Heard = Callable[[int], None]
CHUNK = 1024  # items whose tokens are in memory at a time


class Refused(Exception):
    """A benchmark will not be taken here; the text says why and what would change that."""


class Scored(NamedTuple):
    """An item with given continuations, each after a prompt of its own. By `rule` the model chooses
    the one with the highest log-probability, the sum of its tokens' or their mean; with "exact" it
    is right if it would have written the only one, token for token. `shots` are examples before a
    plain prompt, of which the first are left out where the context is too small for all."""

    prompts: Sequence[Prompt]
    continuations: Sequence[str]
    right: int = 0
    rule: Rule = "sum"
    shots: Sequence[str] = ()


class Written(NamedTuple):
    """An item that the model answers in its own words, until it ends its turn, writes one of
    `stop`, or has written `max_tokens`; both are the same for all items of a benchmark."""

    prompt: Prompt
    is_right: Callable[[str], bool]
    reference: str  # a right answer, to read
    shots: Sequence[str] = ()
    stop: tuple[str, ...] = ()
    max_tokens: int = 96


class Category(NamedTuple):
    """Items of one sort, and the share that guessing would get."""

    title: str
    chance: float
    items: Sequence[Scored] | Sequence[Written]
    note: str = ""  # what counts as right, for readers


@dataclass(frozen=True)
class Benchmark:
    """`categories` loads the items, of each category `limit` at most (0: all), as plain text or
    for `chat`; it raises `Absent` where data is missing. The score is the mean of theirs, `centred`
    first (0 for guessing, 1 for all right) where that is how the benchmark is defined."""

    name: str
    title: str
    categories: Callable[[EvalData, bool, int], dict[str, Category]]
    centred: bool = False
    absent: Callable[[EvalData], list[str]] = lambda data: []  # categories without data


class Record(NamedTuple):
    """What came of an item."""

    right: bool
    details: dict[str, Any]


def chance_of(items: Sequence[Scored]) -> float:
    """The share that guessing gets among the given continuations."""
    return sum(1 / len(item.continuations) for item in items) / len(items)


class Taker:
    """A model that takes benchmarks."""

    def __init__(self, model: Transformer, tokenizer: Tokenizer) -> None:
        self.model, self.tokenizer = model, tokenizer
        self.context = model.config.max_seq_len

    def take(
        self, categories: dict[str, Category], on_done: Heard = lambda count: None
    ) -> dict[str, list[Record]]:
        """A record for every item, in order. Items of similar length go together, whichever
        category they are of; `on_done` hears how many more are done."""
        items = [(name, item) for name, category in categories.items() for item in category.items]
        order = sorted(range(len(items)), key=lambda number: _characters(items[number][1]))
        found: dict[int, Record] = {}
        for first in range(0, len(order), CHUNK):
            numbers = order[first : first + CHUNK]
            records = self._records([items[number][1] for number in numbers], on_done)
            found.update(zip(numbers, records, strict=True))
        result: dict[str, list[Record]] = {name: [] for name in categories}
        for number, (name, _) in enumerate(items):
            result[name].append(found[number])
        return result

    def _records(self, items: list[Scored | Written], on_done: Heard) -> list[Record]:
        scored = [item for item in items if isinstance(item, Scored)]
        written = [item for item in items if isinstance(item, Written)]
        return self._score(scored, on_done) if scored else self._write(written, on_done)

    def _score(self, items: list[Scored], on_done: Heard) -> list[Record]:
        pairs = [self._pairs(item) for item in items]
        found = likelihoods(self.model, pairs, on_done)
        return [_scored(item, liked) for item, liked in zip(items, found, strict=True)]

    def _pairs(self, item: Scored) -> list[Pair]:
        shots = list(item.shots)
        while True:
            pairs = [
                self._pair("".join(shots), prompt, continuation)
                for prompt, continuation in zip(item.prompts, item.continuations, strict=True)
            ]
            longest = max(len(pair.context) + len(pair.continuation) - 1 for pair in pairs)
            if longest <= self.context or not shots:
                return pairs
            del shots[0]

    def _pair(self, before: str, prompt: Prompt, continuation: str) -> Pair:
        if isinstance(prompt, str):
            start = [self.tokenizer.special(END_OF_TEXT)]
            return encode_pair(self.tokenizer, start, before + prompt, continuation)
        return Pair(encode_prompt(self.tokenizer, prompt), self.tokenizer.encode(continuation))

    def _write(self, items: list[Written], on_done: Heard) -> list[Record]:
        prompts = [self._prompt(item) for item in items]
        limits = {"max_tokens": items[0].max_tokens, "stop": items[0].stop}
        slots = min(len(prompts), batch_size(self.model.config))
        engine = Engine(Decoder(self.model, slots))
        answers = answer_all(
            engine, self.tokenizer, prompts, GREEDY.model_copy(update=limits), on_done
        )
        with ThreadPoolExecutor(os.cpu_count()) as pool:  # a check may run a program for seconds
            verdicts = pool.map(lambda i, a: i.is_right(a.text), items, answers)
        return [
            Record(
                right,
                {
                    "prompt": item.prompt,
                    "reference": item.reference,
                    "answer": answer.content,
                    "empty": not answer.text.strip(),
                    "broken_call": answer.broken_call,
                },
            )
            for item, answer, right in zip(items, answers, verdicts, strict=True)
        ]

    def _prompt(self, item: Written) -> list[int]:
        """With room for the answer: its most tokens, or a quarter of the context."""
        if not isinstance(item.prompt, str):
            return fit_prompt(self.tokenizer, item.prompt, self.context).ids
        room = self.context - min(item.max_tokens, self.context // 4)
        shots = list(item.shots)
        while True:
            ids = self.tokenizer.encode("".join(shots) + item.prompt)
            if len(ids) < room or not shots:
                return [self.tokenizer.special(END_OF_TEXT), *ids[-room + 1 :]]
            del shots[0]


def _characters(item: Scored | Written) -> int:
    """About how long an item is."""
    prompt = item.prompts[0] if isinstance(item, Scored) else item.prompt
    length = len(prompt) if isinstance(prompt, str) else sum(len(m["content"]) for m in prompt)
    return length + sum(map(len, item.shots))


def _scored(item: Scored, liked: list[Likelihood]) -> Record:
    values = [one.mean if item.rule == "mean" else one.nats for one in liked]
    chosen = max(range(len(values)), key=values.__getitem__)
    right = liked[0].greedy if item.rule == "exact" else chosen == item.right
    details = {
        "prompt": item.prompts[item.right],
        "reference": item.continuations[item.right],
        "nats": [round(one.nats, 5) for one in liked],
    }
    return Record(right, details if item.rule == "exact" else {**details, "chosen": chosen})


def score_of(category: Category, records: list[Record]) -> dict[str, Any]:
    """The share that is right, with its interval and the chance line."""
    right, n = sum(record.right for record in records), len(records)
    score: dict[str, Any] = {"title": category.title, "score": right / n, "chance": category.chance}
    score |= {"ci95": list(wilson(right, n)), "n": n}
    return score | {"note": category.note} if category.note else score


def summary(benchmark: Benchmark, categories: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The whole benchmark's score from those of its categories, of which there is one at least."""
    if len(categories) == 1 and not benchmark.centred:
        return next(iter(categories.values())) | {"title": benchmark.title}
    whole = mean_of(benchmark.title, list(categories.values()), benchmark.centred)
    return {**whole, "categories": categories}


def mean_of(title: str, scores: list[dict[str, Any]], centred: bool) -> dict[str, Any]:
    """The mean score, each counting the same whatever its number of items, and its interval.
    `centred` ones are first drawn out so that guessing is 0."""
    n = sum(score["n"] for score in scores)
    scales = [1 / (1 - score["chance"]) if centred else 1.0 for score in scores]
    chance = sum(score["chance"] for score in scores) / len(scores)
    mean = sum(
        scale * (score["score"] - centred * score["chance"])
        for scale, score in zip(scales, scores, strict=True)
    ) / len(scores)
    if centred:  # as of independent samples
        widths = (score["ci95"][1] - score["ci95"][0] for score in scores)
        halves = [scale * width / 2 for scale, width in zip(scales, widths, strict=True)]
        half = math.hypot(*halves) / len(scores)
        interval = mean - half, mean + half
    else:
        interval = wilson(round(mean * n), n)
    return {
        "title": title,
        "score": mean,
        "chance": 0.0 if centred else chance,
        "ci95": list(interval),
        "n": n,
        "centred": centred,
    }


def at_chance(score: dict[str, Any]) -> bool:
    """Whether the score cannot be told from guessing."""
    low, high = score["ci95"]
    return bool(low <= score["chance"] <= high)
