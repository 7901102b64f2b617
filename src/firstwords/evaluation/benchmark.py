"""The parts of a benchmark, and how scores are computed from its items.

There are two kinds of items. A `LoglikelihoodItem` gives continuations, of which the model picks
the most likely; a `GenerativeItem` lets the model write, and checks the text. A prompt is plain
text, for the pretrained model, or a conversation, for the chat stages.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from firstwords.common.errors import UserError
from firstwords.evaluation.eval_data import EvalData
from firstwords.evaluation.intervals import wilson
from firstwords.evaluation.loglikelihood import Likelihood
from firstwords.tokenizer.chat_format import Messages

Prompt = str | Messages
Rule = Literal["sum", "mean", "exact"]
OnDone = Callable[[int], None]  # called with the number of items finished since the last call


class BenchmarkRefused(UserError):
    """A benchmark cannot run on this machine."""


class LoglikelihoodItem(NamedTuple):
    """A question with given continuations, each after a prompt of its own.

    By `rule` "sum" or "mean" the model picks the continuation with the highest log-probability,
    summed or averaged over its tokens, and `correct` is the index of the right one. By "exact" it
    is right if greedy decoding would write the only continuation, token for token. `shots` are
    few-shot examples before a plain prompt; where the context is too small, the first are left out.
    `labels` are added to the item's record.
    """

    prompts: Sequence[Prompt]
    continuations: Sequence[str]
    correct: int = 0
    rule: Rule = "sum"
    shots: Sequence[str] = ()
    labels: Mapping[str, str] = MappingProxyType({})


class GenerativeItem(NamedTuple):
    """A question that the model answers in its own words.

    The answer ends with the model's turn, at one of the strings `stop`, or after `max_tokens`; both
    must be the same for all items of a benchmark. `is_correct` checks its text, without tool calls.
    With `find_problem`, an answer is correct if that returns "" for its text and whether it was cut
    off; the problem is part of the item's record, and "KIND: DETAIL" counts as KIND.
    """

    prompt: Prompt
    is_correct: Callable[[str], bool]
    reference: str  # a correct answer, for readers of the records
    shots: Sequence[str] = ()
    stop: tuple[str, ...] = ()
    max_tokens: int = 96
    find_problem: Callable[[str, bool], str] | None = None


class BenchmarkCategory(NamedTuple):
    """Items that share a score, and the score of guessing."""

    title: str
    chance: float
    items: Sequence[LoglikelihoodItem] | Sequence[GenerativeItem]
    note: str = ""  # what counts as correct, for readers


class ItemResult(NamedTuple):
    """Whether an item was answered correctly, and what the model chose or wrote."""

    correct: bool
    details: dict[str, Any]


@dataclass(frozen=True)
class Benchmark:
    """A benchmark by name.

    `load_categories(data, chat, limit)` returns its categories by name, each of at most `limit`
    items (0: all), as conversations if `chat`, else as plain text. It raises MissingData or
    BenchmarkRefused. The score is the mean over categories; with `centred`, each is first rescaled
    so that 0 is guessing and 1 all correct. With `pooled`, the score is the mean over all items
    instead, and `limit` is that of each of the equal parts that categories consist of.
    `missing(data)` lists the categories without data. `chat_only` benchmarks are for chat stages.
    `review(results)` may change results in view of all, by category.
    """

    name: str
    title: str
    load_categories: Callable[[EvalData, bool, int], dict[str, BenchmarkCategory]]
    centred: bool = False
    pooled: bool = False
    chat_only: bool = False
    missing: Callable[[EvalData], list[str]] = lambda data: []
    review: Callable[[dict[str, list[ItemResult]]], dict[str, list[ItemResult]]] = lambda all: all


def chance_of(items: Sequence[LoglikelihoodItem]) -> float:
    """Return the score of guessing among the given continuations."""
    return sum(1 / len(item.continuations) for item in items) / len(items)


def judge(item: LoglikelihoodItem, likelihoods: list[Likelihood]) -> ItemResult:
    """Apply the item's rule to the likelihoods of its continuations."""
    values = [one.mean if item.rule == "mean" else one.nats for one in likelihoods]
    choice = max(range(len(values)), key=values.__getitem__)
    correct = likelihoods[0].greedy if item.rule == "exact" else choice == item.correct
    details: dict[str, Any] = {
        "prompt": item.prompts[item.correct],
        "reference": item.continuations[item.correct],
        "nats": [round(one.nats, 5) for one in likelihoods],
    }
    if item.rule != "exact":
        details["chosen"] = choice
    return ItemResult(correct, {**details, **item.labels})


def category_score(category: BenchmarkCategory, results: list[ItemResult]) -> dict[str, Any]:
    """Return the share of correct items, with its 95 % interval and the chance line."""
    n_correct, n = sum(result.correct for result in results), len(results)
    score: dict[str, Any] = {
        "title": category.title,
        "score": n_correct / n,
        "chance": category.chance,
        "ci95": list(wilson(n_correct, n)),
        "n": n,
    }
    return score | {"note": category.note} if category.note else score


def benchmark_score(benchmark: Benchmark, scores: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return the benchmark's score from those of its categories, of which there is at least one."""
    if len(scores) == 1 and not benchmark.centred:
        return next(iter(scores.values())) | {"title": benchmark.title}
    mean = mean_score(benchmark.title, list(scores.values()), benchmark.centred, benchmark.pooled)
    return {**mean, "categories": scores}


def mean_score(
    title: str, scores: list[dict[str, Any]], centred: bool, pooled: bool = False
) -> dict[str, Any]:
    """Return the mean of scores and its 95 % interval.

    Each score has equal weight, or with `pooled` the weight of its items. With `centred`, each is
    first rescaled so that guessing is 0 and all correct is 1.
    """
    n = sum(score["n"] for score in scores)
    weights = [score["n"] / n if pooled else 1 / len(scores) for score in scores]
    scales = [1 / (1 - score["chance"]) if centred else 1.0 for score in scores]
    chance = sum(w * score["chance"] for w, score in zip(weights, scores, strict=True))
    mean = sum(
        weight * scale * (score["score"] - centred * score["chance"])
        for weight, scale, score in zip(weights, scales, scores, strict=True)
    )
    if centred:  # half-widths of independent samples add in quadrature
        widths = (score["ci95"][1] - score["ci95"][0] for score in scores)
        halves = [w * s * width / 2 for w, s, width in zip(weights, scales, widths, strict=True)]
        half = math.hypot(*halves)
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
    """Return whether the chance line is in the score's interval: it may be guessing."""
    low, high = score["ci95"]
    return bool(low <= score["chance"] <= high)
