"""Taking a benchmark: what is shown to the model, what counts, and how scores are put together."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from firstwords.errors import UserError
from firstwords.evaluation.benchmark import (
    Benchmark,
    Category,
    Refused,
    Scored,
    Taker,
    Written,
    at_chance,
    chance_of,
    mean_of,
    score_of,
)
from firstwords.evaluation.benchmark import Record as Taken
from firstwords.evaluation.data import EvalData, chosen
from firstwords.evaluation.intervals import wilson
from firstwords.evaluation.table import chat_core, rows, text_table
from firstwords.evaluation.taking import take_benchmark
from firstwords.model import Transformer
from firstwords.recipe import ModelConfig
from firstwords.tokenizer import END_OF_TEXT, Tokenizer

MakeModel = Callable[..., Transformer]
DATA = EvalData(Path("nowhere"))


@pytest.fixture
def taker(tiny_model: ModelConfig, tiny_tokenizer: Tokenizer, random_model: MakeModel) -> Taker:
    return Taker(random_model(tiny_model), tiny_tokenizer)


def category(items: list[Scored] | list[Written], chance: float = 0.5) -> Category:
    return Category("category", chance, items)


def answers(right: str) -> Written:
    asked = [{"role": "user", "content": "Hi"}]
    return Written(asked, lambda text: text.strip() == right, right, max_tokens=4)


def test_every_item_has_its_record_in_order(taker: Taker) -> None:
    one = [Scored(["a" * n] * 2, [" x", " y"], n % 2) for n in (30, 3, 17, 9)]
    two = [Scored(["The"] * 3, [" fox", " hen", " old bear"], 2, "mean")]
    done: list[int] = []
    found = taker.take({"one": category(one), "two": category(two)}, done.append)
    assert sum(done) == 5
    assert [record.details["prompt"] for record in found["one"]] == [i.prompts[0] for i in one]
    for item, record in zip([*one, *two], [*found["one"], *found["two"]], strict=True):
        nats = record.details["nats"]
        lengths = [len(taker.tokenizer.encode(c)) for c in item.continuations]
        values = (
            [n / t for n, t in zip(nats, lengths, strict=True)] if item.rule == "mean" else nats
        )
        assert record.details["chosen"] == values.index(max(values))
        assert record.right == (record.details["chosen"] == item.right)
        json.dumps(record.details)


def test_examples_are_left_out_from_the_first_until_the_rest_fits(taker: Taker) -> None:
    shots = [f"{word} went over the stone. " for word in ("first", *"abcdefghijkl", "fourth")]
    item = Scored(["Then the fox"] * 2, [" said", " looked at it"], shots=shots)
    pairs = taker._pairs(item)
    text = taker.tokenizer.decode(pairs[0].context[1:])
    assert pairs[0].context[0] == taker.tokenizer.special(END_OF_TEXT)
    assert text.endswith("fourth went over the stone. Then the fox")
    assert "first" not in text
    assert max(len(p.context) + len(p.continuation) - 1 for p in pairs) <= taker.context
    some = Written("Then", lambda text: True, "", shots)
    ids = taker._prompt(some)
    assert len(ids) <= taker.context - taker.context // 4
    assert taker.tokenizer.decode(ids).endswith("fourth went over the stone. Then")


def test_a_conversation_is_scored_after_the_assistants_opening(taker: Taker) -> None:
    item = Scored([[{"role": "user", "content": "A or B?"}]] * 2, ["A", "B"])
    pair = taker._pairs(item)[1]
    assert taker.tokenizer.decode(pair.context).endswith("<|im_end|>\n<|im_start|>assistant\n")
    assert taker.tokenizer.decode(pair.continuation) == "B"


def test_a_score_has_its_interval_and_chance() -> None:
    records = [Taken(n < 30, {}) for n in range(100)]
    score = score_of(category([], chance=0.25), records)
    assert (score["score"], score["chance"], score["n"]) == (0.3, 0.25, 100)
    assert score["ci95"] == list(wilson(30, 100))
    assert at_chance(score)
    assert not at_chance({**score, "chance": 0.1})


def test_chance_is_one_of_the_continuations() -> None:
    items = [Scored(["a"] * n, ["x"] * n) for n in (2, 4, 4)]
    assert chance_of(items) == pytest.approx((1 / 2 + 1 / 4 + 1 / 4) / 3)


def score(value: float, chance: float, n: int = 100) -> dict[str, Any]:
    interval = list(wilson(round(value * n), n))
    return {"title": "t", "score": value, "chance": chance, "ci95": interval, "n": n}


def test_centred_scores_are_nought_for_guessing_and_one_for_everything_right() -> None:
    assert mean_of("m", [score(0.25, 0.25), score(0.5, 0.5)], True)["score"] == pytest.approx(0)
    assert mean_of("m", [score(1, 0.25), score(1, 0.0)], True)["score"] == pytest.approx(1)
    both = mean_of("m", [score(0.4, 0.25), score(0.75, 0.5)], True)
    assert both["score"] == pytest.approx((0.2 + 0.5) / 2)
    low, high = both["ci95"]
    assert low < both["score"] < high
    assert both["chance"] == 0
    fewer = mean_of("m", [score(0.4, 0.25, 20), score(0.75, 0.5, 20)], True)
    assert fewer["ci95"][1] - fewer["ci95"][0] > high - low


def test_plain_means_are_those_of_all_items() -> None:
    both = mean_of("m", [score(0.4, 0.2), score(0.8, 0.4)], False)
    assert (both["score"], both["chance"]) == (pytest.approx(0.6), pytest.approx(0.3))
    assert both["ci95"] == list(wilson(120, 200))


def test_more_items_contain_the_fewer_and_none_is_twice() -> None:
    for n, limit in ((10, 0), (10, 10), (10, 30), (1000, 50)):
        taken = chosen(n, limit)
        assert len(set(taken)) == len(taken) == (min(n, limit) or n)
        assert taken == sorted(taken)
    assert set(chosen(1000, 50)) < set(chosen(1000, 60))
    assert max(chosen(1000, 50)) > 500  # from all over


def make(categories: Callable[..., dict[str, Category]]) -> Benchmark:
    return Benchmark("mine", "my benchmark", categories)


def test_what_breaks_is_reported_and_does_not_break_the_rest(
    taker: Taker, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(data: EvalData, chat: bool, limit: int) -> dict[str, Category]:
        raise ZeroDivisionError("oh")

    def refused(data: EvalData, chat: bool, limit: int) -> dict[str, Category]:
        raise Refused("not here")

    def no_data(data: EvalData, chat: bool, limit: int) -> dict[str, Category]:
        return {"x": category([Scored(["a"], [r["b"]]) for r in data.rows("absent", limit)])}

    results = {
        name: take_benchmark(make(categories), taker, "base", DATA, 5).result
        for name, categories in (("a", broken), ("b", refused), ("c", no_data))
    }
    assert results["a"]["error"] == "ZeroDivisionError: oh"
    assert results["b"]["refused"] == "not here"
    assert "absent.jsonl" in results["c"]["absent"]
    assert "ZeroDivisionError" in capsys.readouterr().err
    told = text_table({"run": "r", "stage": "base", "tasks": results})
    assert [line.split("  ")[-1].strip() for line in told.splitlines()[1:]] == [
        "failed",
        "refused",
        "no data",
    ]


def test_what_was_asked_for_by_name_must_be_there(taker: Taker) -> None:
    def no_data(data: EvalData, chat: bool, limit: int) -> dict[str, Category]:
        return {"x": category([Scored(["a"], [r["b"]]) for r in data.rows("absent", limit)])}

    with pytest.raises(UserError, match="--eval-data"):
        take_benchmark(make(no_data), taker, "base", DATA, 5, asked=True)


def test_answers_that_are_empty_or_broken_are_counted(taker: Taker) -> None:
    def some(data: EvalData, chat: bool, limit: int) -> dict[str, Category]:
        return {"x": category([answers("x")] * 3), "y": category([answers("y")] * 3)}

    taken = take_benchmark(make(some), taker, "sft", DATA, 0)
    assert {"empty", "broken_call"} < set(taken.result)
    assert [record["category"] for record in taken.records] == ["x"] * 3 + ["y"] * 3
    assert taken.result["n"] == 6
    json.dumps(taken.result)


def test_the_table_has_a_column_for_each_stage_and_says_what_is_at_chance() -> None:
    base = {"arc_easy": score(0.26, 0.25), "bits_per_byte": {**score(0.5, 8.0), "score": 1.2345}}
    sft = {"arc_easy": score(0.5, 0.25), "gsm8k": score(0.2, 0.0)}
    table = rows({"base": base, "sft": sft})
    assert table[0][1].endswith("at chance")
    assert table[0][2] == "50% (40% to 60%)"
    assert table[1][1].startswith("1.234")
    assert table[2][1] == ""
    core = table[-1]
    assert core[0] == "ChatCORE (2 of 5 tasks)"
    assert core[1] == ""  # not of the base model
    assert core[2].startswith(f"{(1 / 3 + 0.2) / 2:.3f}")
    assert chat_core({}) is None
