"""Compare the answers of two runs to the same questions, item by item.

The evaluation of a run keeps every item of a benchmark with the model's answer. Items are the same
if their category, prompt and reference are.
"""

import json
from collections.abc import Iterable
from typing import Any, NamedTuple

from firstwords.compare.paired import holm, mcnemar, paired_proportions
from firstwords.evaluation.benchmarks import BENCHMARKS
from firstwords.evaluation.intervals import wilson
from firstwords.recipe import Stage
from firstwords.runs.documents import Document, read_valid_lines
from firstwords.runs.run import Run

EXAMPLES = 3  # questions shown that only one of two runs answered correctly
LEAST_SHARED = 0.5  # share of the items of the smaller evaluation without which none are compared


class ItemRecord(Document):
    """A line of evaluation/STAGE.BENCHMARK.jsonl."""

    category: str
    correct: bool
    prompt: str | list[dict[str, Any]]
    reference: str


Items = dict[str, dict[str, Any]]  # the records of a benchmark by their identity


class Shared(NamedTuple):
    """The items that two runs both answered."""

    first: list[dict[str, Any]]
    second: list[dict[str, Any]]


def compare_benchmarks(runs: list[Run], stages: list[Stage]) -> list[dict[str, Any]]:
    """Return each benchmark that two runs or more took, each at its stage: the score of every run,
    and the paired difference of every run to the first one, for the whole and for its parts."""
    compared = []
    for name, benchmark in BENCHMARKS.items():
        items = [read_items(run, stage, name) for run, stage in zip(runs, stages, strict=True)]
        if sum(map(bool, items)) > 1:
            titles = part_titles(runs, stages, name)
            compared.append(
                {"name": name, "title": benchmark.title, **_compare(runs, items, titles)}
            )
    return sorted(compared, key=lambda one: one["name"] != "exam")


def read_items(run: Run, stage: Stage, benchmark: str) -> Items:
    """Return the items of a benchmark that a stage of a run answered."""
    records = read_valid_lines(ItemRecord, run.records(stage, benchmark))
    return {_identity(record): record for record in records}


def _identity(record: dict[str, Any]) -> str:
    return json.dumps([record["category"], record["prompt"], record["reference"]])


def part_titles(runs: list[Run], stages: list[Stage], benchmark: str) -> dict[str, str]:
    """Return the titles of a benchmark's parts, as far as an evaluation of the runs names them."""
    titles: dict[str, str] = {}
    for run, stage in zip(runs, stages, strict=True):
        tasks = (run.read_evaluation(stage) or {}).get("tasks", {})
        parts = tasks.get(benchmark, {}).get("categories", {})
        titles |= {name: part["title"] for name, part in parts.items()}
    return titles


def _compare(runs: list[Run], items: list[Items], titles: dict[str, str]) -> dict[str, Any]:
    shared = [shared_items(items[0], other) for other in items[1:]]
    reasons = [
        _not_comparable(runs[0], run, items[0], other, both)
        for run, other, both in zip(runs[1:], items[1:], shared, strict=True)
    ]
    pairs = [
        {"reason": reason} if reason else _compare_whole(items[0], other, both)
        for other, both, reason in zip(items[1:], shared, reasons, strict=True)
    ]
    names = dict.fromkeys(record["category"] for one in items for record in one.values())
    parts = [
        {
            "name": name,
            "title": titles.get(name, name.replace("_", " ")),
            "scores": [score_items(_of(one.values(), name)) for one in items],
            "pairs": [
                None if reason else compare_items(_of_part(both, name))
                for both, reason in zip(shared, reasons, strict=True)
            ],
        }
        for name in names
    ]
    _mark_clear(parts)
    return {
        "scores": [score_items(list(one.values())) for one in items],
        "pairs": pairs,
        "parts": parts if len(parts) > 1 else [],
        "examples": [
            [] if reason else find_examples(both)
            for both, reason in zip(shared, reasons, strict=True)
        ],
    }


def shared_items(first: Items, second: Items) -> Shared:
    """Return the items that both runs answered, in the order of the first one."""
    both = [identity for identity in first if identity in second]
    return Shared([first[one] for one in both], [second[one] for one in both])


def _not_comparable(
    first_run: Run, second_run: Run, first: Items, second: Items, shared: Shared
) -> str:
    """Return why the answers of two runs cannot be compared item by item; empty if they can."""
    for run, items in ((first_run, first), (second_run, second)):
        if not items:
            return f"{run.name} has no answers; evaluate it with firstwords eval --run {run.name}"
    n_fewer = min(len(first), len(second))
    if len(shared.first) >= LEAST_SHARED * n_fewer:
        return ""
    versions = {first_run.manifest.firstwords, second_run.manifest.firstwords}
    of = f" (versions {', '.join(sorted(versions))})" if len(versions) > 1 else ""
    return (
        f"{first_run.name} and {second_run.name} answered different questions{of}: only "
        f"{len(shared.first):,} of {n_fewer:,} are the same; evaluate both again with firstwords "
        f"eval --run NAME"
    )


def _compare_whole(first: Items, second: Items, shared: Shared) -> dict[str, Any] | None:
    """Compare the items that both runs answered; `left_out` counts those of the smaller evaluation
    that the other run was not asked."""
    pair = compare_items(shared)
    return pair and {**pair, "left_out": min(len(first), len(second)) - pair["n"]}


def compare_items(shared: Shared) -> dict[str, Any] | None:
    """Return the paired difference of two runs on the same items; None without any."""
    n = len(shared.first)
    if not n:
        return None
    pairs = [
        (one["correct"], other["correct"])
        for one, other in zip(shared.first, shared.second, strict=True)
    ]
    only_first, only_second = pairs.count((True, False)), pairs.count((False, True))
    difference = paired_proportions(n, only_first, only_second)
    return {
        **difference._asdict(),
        "half_width": difference.half_width,
        "clear": difference.is_clear,
        "only_first": only_first,
        "only_second": only_second,
        "p": mcnemar(only_first, only_second),
    }


def _mark_clear(parts: list[dict[str, Any]]) -> None:
    """Set which parts differ clearly, given how many parts are compared at a time."""
    for compared in zip(*(part["pairs"] for part in parts), strict=True):
        pairs = [pair for pair in compared if pair]
        for pair, clear in zip(pairs, holm([pair["p"] for pair in pairs]), strict=True):
            pair["clear"] = clear


def score_items(records: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the share of right answers with its interval; None without items."""
    if not records:
        return None
    n, n_correct = len(records), sum(record["correct"] for record in records)
    return {"score": n_correct / n, "ci95": list(wilson(n_correct, n)), "n": n}


def find_examples(shared: Shared) -> list[dict[str, Any]]:
    """Return questions that only one of two runs answered correctly, of different parts where there
    are enough, those of the second run first."""
    found: list[dict[str, Any]] = []
    for right in (False, True):  # of the first run
        parts: set[str] = set()
        for one, other in zip(shared.first, shared.second, strict=True):
            if (one["correct"], other["correct"]) != (right, not right) or "answer" not in one:
                continue
            if one["category"] not in parts and len(parts) < EXAMPLES:
                parts.add(one["category"])
                found.append(
                    {
                        "part": one["category"],
                        "prompt": last_message(one["prompt"]),
                        "reference": one["reference"],
                        "answers": [one["answer"], other["answer"]],
                        "correct": [right, not right],
                    }
                )
    return found


def last_message(prompt: str | list[dict[str, Any]]) -> str:
    """Return the question of a prompt: its text, or the last message of a conversation."""
    return prompt.strip() if isinstance(prompt, str) else str(prompt[-1]["content"])


def _of(records: Iterable[dict[str, Any]], part: str) -> list[dict[str, Any]]:
    return [record for record in records if record["category"] == part]


def _of_part(shared: Shared, part: str) -> Shared:
    return Shared(_of(shared.first, part), _of(shared.second, part))
