"""Running a benchmark: prompts, what counts as correct, how scores are combined."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from firstwords.common.errors import UserError
from firstwords.evaluation.benchmark import (
    Benchmark,
    BenchmarkCategory,
    BenchmarkRefused,
    GenerativeItem,
    ItemResult,
    LoglikelihoodItem,
    at_chance,
    category_score,
    chance_of,
    mean_score,
)
from firstwords.evaluation.eval_data import EvalData, sample_indices
from firstwords.evaluation.intervals import wilson
from firstwords.evaluation.runner import BenchmarkRunner, run_benchmark
from firstwords.evaluation.table import chat_core, table_rows, text_table
from firstwords.model.transformer import Transformer
from firstwords.recipe import ModelConfig
from firstwords.tokenizer.bpe import END_OF_TEXT, Tokenizer

MakeModel = Callable[..., Transformer]
DATA = EvalData(Path("nowhere"))


@pytest.fixture
def runner(
    tiny_model: ModelConfig, tiny_tokenizer: Tokenizer, random_model: MakeModel
) -> BenchmarkRunner:
    return BenchmarkRunner(random_model(tiny_model), tiny_tokenizer)


def category(
    items: list[LoglikelihoodItem] | list[GenerativeItem], chance: float = 0.5
) -> BenchmarkCategory:
    return BenchmarkCategory("category", chance, items)


def answers(right: str) -> GenerativeItem:
    messages = [{"role": "user", "content": "Hi"}]
    return GenerativeItem(messages, lambda text: text.strip() == right, right, max_tokens=4)


def test_every_item_has_a_result_in_order(runner: BenchmarkRunner) -> None:
    one = [LoglikelihoodItem(["a" * n] * 2, [" x", " y"], n % 2) for n in (30, 3, 17, 9)]
    two = [LoglikelihoodItem(["The"] * 3, [" fox", " hen", " old bear"], 2, "mean")]
    done: list[int] = []
    results = runner.run({"one": category(one), "two": category(two)}, done.append)
    assert sum(done) == 5
    assert [result.details["prompt"] for result in results["one"]] == [i.prompts[0] for i in one]
    for item, result in zip([*one, *two], [*results["one"], *results["two"]], strict=True):
        nats = result.details["nats"]
        lengths = [len(runner.tokenizer.encode(c)) for c in item.continuations]
        values = (
            [n / t for n, t in zip(nats, lengths, strict=True)] if item.rule == "mean" else nats
        )
        assert result.details["chosen"] == values.index(max(values))
        assert result.correct == (result.details["chosen"] == item.correct)
        json.dumps(result.details)


def test_the_first_examples_are_left_out_to_fit_the_context(runner: BenchmarkRunner) -> None:
    shots = [f"{word} went over the stone. " for word in ("first", *"abcdefghijkl", "fourth")]
    item = LoglikelihoodItem(["Then the fox"] * 2, [" said", " looked at it"], shots=shots)
    pairs = runner._pairs(item)
    text = runner.tokenizer.decode(pairs[0].context[1:])
    assert pairs[0].context[0] == runner.tokenizer.special(END_OF_TEXT)
    assert text.endswith("fourth went over the stone. Then the fox")
    assert "first" not in text
    assert max(len(p.context) + len(p.continuation) - 1 for p in pairs) <= runner.context
    some = GenerativeItem("Then", lambda text: True, "", shots)
    ids = runner._prompt(some)
    assert len(ids) <= runner.context - runner.context // 4
    assert runner.tokenizer.decode(ids).endswith("fourth went over the stone. Then")


def test_a_conversation_is_scored_after_the_assistants_header(runner: BenchmarkRunner) -> None:
    item = LoglikelihoodItem([[{"role": "user", "content": "A or B?"}]] * 2, ["A", "B"])
    pair = runner._pairs(item)[1]
    assert runner.tokenizer.decode(pair.context).endswith("<|im_end|>\n<|im_start|>assistant\n")
    assert runner.tokenizer.decode(pair.continuation) == "B"


def test_a_score_has_its_interval_and_chance() -> None:
    results = [ItemResult(n < 30, {}) for n in range(100)]
    score = category_score(category([], chance=0.25), results)
    assert (score["score"], score["chance"], score["n"]) == (0.3, 0.25, 100)
    assert score["ci95"] == list(wilson(30, 100))
    assert at_chance(score)
    assert not at_chance({**score, "chance": 0.1})


def test_chance_is_picking_one_of_the_continuations() -> None:
    items = [LoglikelihoodItem(["a"] * n, ["x"] * n) for n in (2, 4, 4)]
    assert chance_of(items) == pytest.approx((1 / 2 + 1 / 4 + 1 / 4) / 3)


def score(value: float, chance: float, n: int = 100) -> dict[str, Any]:
    interval = list(wilson(round(value * n), n))
    return {"title": "t", "score": value, "chance": chance, "ci95": interval, "n": n}


def test_centred_scores_are_zero_for_guessing_and_one_for_all_correct() -> None:
    assert mean_score("m", [score(0.25, 0.25), score(0.5, 0.5)], True)["score"] == pytest.approx(0)
    assert mean_score("m", [score(1, 0.25), score(1, 0.0)], True)["score"] == pytest.approx(1)
    both = mean_score("m", [score(0.4, 0.25), score(0.75, 0.5)], True)
    assert both["score"] == pytest.approx((0.2 + 0.5) / 2)
    low, high = both["ci95"]
    assert low < both["score"] < high
    assert both["chance"] == 0
    fewer = mean_score("m", [score(0.4, 0.25, 20), score(0.75, 0.5, 20)], True)
    assert fewer["ci95"][1] - fewer["ci95"][0] > high - low


def test_means_without_centring_weigh_categories_equally() -> None:
    both = mean_score("m", [score(0.4, 0.2), score(0.8, 0.4)], False)
    assert (both["score"], both["chance"]) == (pytest.approx(0.6), pytest.approx(0.3))
    assert both["ci95"] == list(wilson(120, 200))


def test_a_larger_sample_contains_a_smaller_one() -> None:
    for n, limit in ((10, 0), (10, 10), (10, 30), (1000, 50)):
        sample = sample_indices(n, limit)
        assert len(set(sample)) == len(sample) == (min(n, limit) or n)
        assert sample == sorted(sample)
    assert set(sample_indices(1000, 50)) < set(sample_indices(1000, 60))
    assert max(sample_indices(1000, 50)) > 500, "from all over the file"


def make(categories: Callable[..., dict[str, BenchmarkCategory]]) -> Benchmark:
    return Benchmark("mine", "my benchmark", categories)


def test_a_failure_is_reported_and_does_not_stop_the_rest(
    runner: BenchmarkRunner, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(data: EvalData, chat: bool, limit: int) -> dict[str, BenchmarkCategory]:
        raise ZeroDivisionError("oh")

    def refused(data: EvalData, chat: bool, limit: int) -> dict[str, BenchmarkCategory]:
        raise BenchmarkRefused("no sandbox", "install one")

    def no_data(data: EvalData, chat: bool, limit: int) -> dict[str, BenchmarkCategory]:
        return {
            "x": category([LoglikelihoodItem(["a"], [r["b"]]) for r in data.rows("absent", limit)])
        }

    results = {
        name: run_benchmark(make(categories), runner, "pretrain", DATA, 5).result
        for name, categories in (("a", broken), ("b", refused), ("c", no_data))
    }
    assert results["a"]["error"] == "ZeroDivisionError: oh"
    assert results["b"]["refused"] == "no sandbox; install one"
    assert "absent.jsonl" in results["c"]["absent"]
    assert "ZeroDivisionError" in capsys.readouterr().err
    text = text_table({"run": "r", "stage": "pretrain", "tasks": results})
    assert [line.split("  ")[-1].strip() for line in text.splitlines()[1:]] == [
        "failed",
        "refused",
        "no data",
    ]


def test_missing_data_of_a_required_benchmark_raises(runner: BenchmarkRunner) -> None:
    def no_data(data: EvalData, chat: bool, limit: int) -> dict[str, BenchmarkCategory]:
        return {
            "x": category([LoglikelihoodItem(["a"], [r["b"]]) for r in data.rows("absent", limit)])
        }

    with pytest.raises(UserError, match="--eval-data"):
        run_benchmark(make(no_data), runner, "pretrain", DATA, 5, required=True)


def test_empty_and_broken_answers_are_counted(runner: BenchmarkRunner) -> None:
    def some(data: EvalData, chat: bool, limit: int) -> dict[str, BenchmarkCategory]:
        return {"x": category([answers("x")] * 3), "y": category([answers("y")] * 3)}

    outcome = run_benchmark(make(some), runner, "sft", DATA, 0)
    assert {"empty", "broken_call"} < set(outcome.result)
    assert [record["category"] for record in outcome.records] == ["x"] * 3 + ["y"] * 3
    assert outcome.result["n"] == 6
    json.dumps(outcome.result)


def test_the_table_has_a_column_per_stage_and_marks_chance() -> None:
    base = {"arc_easy": score(0.26, 0.25), "bits_per_byte": {**score(0.5, 8.0), "score": 1.2345}}
    sft = {"arc_easy": score(0.5, 0.25), "gsm8k": score(0.2, 0.0)}
    table = table_rows({"pretrain": base, "sft": sft})
    assert table[0][1].endswith("at chance")
    assert table[0][2] == "50% (40% to 60%)"
    assert table[1][1].startswith("1.234")
    assert table[2][1] == ""
    core = table[-1]
    assert core[0] == "ChatCORE (2 of 5 tasks)"
    assert core[1] == "", "not for the pretrained model"
    assert core[2].startswith(f"{(1 / 3 + 0.2) / 2:.3f}")
    assert chat_core({}) is None
