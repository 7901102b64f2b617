"""Run benchmarks on a model. Training must not be lost because a benchmark fails, so failures are
part of the result."""

import os
import traceback
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from firstwords.common import console
from firstwords.common.errors import Interrupted, UserError
from firstwords.evaluation.benchmark import (
    Benchmark,
    BenchmarkCategory,
    BenchmarkRefused,
    GenerativeItem,
    ItemResult,
    LoglikelihoodItem,
    OnDone,
    Prompt,
    benchmark_score,
    category_score,
    judge,
)
from firstwords.evaluation.eval_data import EvalData, MissingData
from firstwords.evaluation.loglikelihood import Pair, encode_pair, loglikelihoods
from firstwords.inference.batch import GeneratedAnswer, answer_all, decode_batch_size
from firstwords.inference.chat import fit_prompt
from firstwords.inference.decoder import Decoder
from firstwords.inference.engine import Engine
from firstwords.inference.sampling import GREEDY
from firstwords.model.transformer import Transformer
from firstwords.recipe import Stage
from firstwords.tokenizer.bpe import END_OF_TEXT, Tokenizer
from firstwords.tokenizer.chat_format import encode_prompt

ITEMS_PER_CHUNK = 1024  # items whose tokens are in memory at a time


class BenchmarkResult(NamedTuple):
    """The score of a benchmark or the reason why there is none, and a record of every item."""

    result: dict[str, Any]
    records: list[dict[str, Any]]


class BenchmarkRunner:
    """Runs the items of benchmarks on one model."""

    def __init__(self, model: Transformer, tokenizer: Tokenizer) -> None:
        self.model, self.tokenizer = model, tokenizer
        self.context = model.config.max_seq_len

    def run(
        self, categories: dict[str, BenchmarkCategory], on_done: OnDone = lambda count: None
    ) -> dict[str, list[ItemResult]]:
        """Return the result of every item, by category and in order. Items of similar length are
        batched, across categories."""
        items = [(name, item) for name, category in categories.items() for item in category.items]
        order = sorted(range(len(items)), key=lambda number: _n_characters(items[number][1]))
        results: dict[int, ItemResult] = {}
        for first in range(0, len(order), ITEMS_PER_CHUNK):
            numbers = order[first : first + ITEMS_PER_CHUNK]
            chunk = self._run_items([items[number][1] for number in numbers], on_done)
            results.update(zip(numbers, chunk, strict=True))
        by_category: dict[str, list[ItemResult]] = {name: [] for name in categories}
        for number, (name, _) in enumerate(items):
            by_category[name].append(results[number])
        return by_category

    def _run_items(
        self, items: list[LoglikelihoodItem | GenerativeItem], on_done: OnDone
    ) -> list[ItemResult]:
        """Run items of a benchmark, which are all of one kind."""
        scored = [item for item in items if isinstance(item, LoglikelihoodItem)]
        generative = [item for item in items if isinstance(item, GenerativeItem)]
        return self._score(scored, on_done) if scored else self._generate(generative, on_done)

    def _score(self, items: list[LoglikelihoodItem], on_done: OnDone) -> list[ItemResult]:
        pairs = [self._pairs(item) for item in items]
        likelihoods = loglikelihoods(self.model, pairs, on_done)
        return [judge(item, of_item) for item, of_item in zip(items, likelihoods, strict=True)]

    def _pairs(self, item: LoglikelihoodItem) -> list[Pair]:
        """Encode an item with as many of its examples as fit the context, the last ones first."""
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
            prefix = [self.tokenizer.special(END_OF_TEXT)]
            return encode_pair(self.tokenizer, prefix, before + prompt, continuation)
        return Pair(encode_prompt(self.tokenizer, prompt), self.tokenizer.encode(continuation))

    def _generate(self, items: list[GenerativeItem], on_done: OnDone) -> list[ItemResult]:
        prompts = [self._prompt(item) for item in items]
        sampling = GREEDY.replace(max_tokens=items[0].max_tokens, stop=items[0].stop)
        slots = min(len(prompts), decode_batch_size(self.model.config))
        engine = Engine(Decoder(self.model, slots))
        answers = answer_all(engine, self.tokenizer, prompts, sampling, on_done)
        with ThreadPoolExecutor(os.cpu_count()) as pool:  # a check may run a program for seconds
            return list(pool.map(_check, items, answers))

    def _prompt(self, item: GenerativeItem) -> list[int]:
        """Encode a prompt so that the answer has room: its maximum length, or a quarter of the
        context if that is less. Examples and then the beginning are left out to fit."""
        if not isinstance(item.prompt, str):
            return fit_prompt(self.tokenizer, item.prompt, self.context).ids
        room = self.context - min(item.max_tokens, self.context // 4)
        shots = list(item.shots)
        while True:
            ids = self.tokenizer.encode("".join(shots) + item.prompt)
            if len(ids) < room or not shots:
                return [self.tokenizer.special(END_OF_TEXT), *ids[-room + 1 :]]
            del shots[0]


def _check(item: GenerativeItem, answer: GeneratedAnswer) -> ItemResult:
    """Check an answer, and return its record."""
    details = {
        "prompt": item.prompt,
        "reference": item.reference,
        "answer": answer.content,
        "empty": not answer.text.strip(),
        "broken_call": answer.broken_call,
    }
    if item.find_problem is None:
        return ItemResult(item.is_correct(answer.text), details)
    problem = item.find_problem(answer.text, answer.cut)
    return ItemResult(not problem, {**details, "problem": problem})


def _n_characters(item: LoglikelihoodItem | GenerativeItem) -> int:
    """Return the approximate length of an item's prompt with its examples."""
    prompt = item.prompts[0] if isinstance(item, LoglikelihoodItem) else item.prompt
    length = len(prompt) if isinstance(prompt, str) else sum(len(m["content"]) for m in prompt)
    return length + sum(map(len, item.shots))


def run_benchmark(
    benchmark: Benchmark,
    runner: BenchmarkRunner,
    stage: Stage,
    data: EvalData,
    limit: int,
    required: bool = False,
) -> BenchmarkResult:
    """Run `limit` items of each category of a benchmark, 0 for all.

    A benchmark that lacks data, is refused or fails gives a result that says so. If it is
    `required`, missing data and refusal raise UserError, and other errors propagate.
    """
    try:
        return _run_benchmark(benchmark, runner, stage, data, limit)
    except MissingData as error:
        if required:
            raise UserError(
                f"no data for {benchmark.name}: {data.folder} has no {error}",
                "fetch it with firstwords data fetch eval, or name a directory with --eval-data",
            ) from None
        return BenchmarkResult({"title": benchmark.title, "absent": str(error)}, [])
    except BenchmarkRefused as error:
        if required:
            raise UserError(f"{benchmark.name} cannot run: {error.problem}", error.hint) from None
        console.warn(f"skipping {benchmark.name}: {error}")
        return BenchmarkResult({"title": benchmark.title, "refused": str(error)}, [])
    except (Interrupted, KeyboardInterrupt, MemoryError):
        raise
    except Exception as error:
        if required:
            raise
        console.warn(f"skipping {benchmark.name}, which failed:\n{traceback.format_exc()}")
        return BenchmarkResult(
            {"title": benchmark.title, "error": f"{type(error).__name__}: {error}"}, []
        )


def _run_benchmark(
    benchmark: Benchmark, runner: BenchmarkRunner, stage: Stage, data: EvalData, limit: int
) -> BenchmarkResult:
    categories = benchmark.load_categories(data, stage != "pretrain", limit)
    total = sum(len(category.items) for category in categories.values())
    with console.progress(f"{benchmark.name} of {stage}", total, "items") as meter:
        results = benchmark.review(runner.run(categories, meter.advance))
    scores = {
        name: category_score(category, results[name]) for name, category in categories.items()
    }
    records = [
        {"category": name, "correct": item.correct, **item.details}
        for name, of_category in results.items()
        for item in of_category
    ]
    result = benchmark_score(benchmark, scores)
    if missing := benchmark.missing(data):
        available, total = len(categories), len(categories) + len(missing)
        result["title"] = f"{benchmark.title} ({available} of {total} tasks)"
        result |= {"available": available, "of": total, "missing": missing}
    if any("problem" in record for record in records):
        kinds = Counter(record["problem"].split(":")[0] for record in records if record["problem"])
        result["problems"] = dict(kinds.most_common())
    for count in ("empty", "broken_call"):
        if any(count in record for record in records):
            result[count] = sum(record[count] for record in records)
    return BenchmarkResult(result, records)
