"""BLiMP: its paradigms, its score, its files, and that training never shows its sentences."""

import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from firstwords.data.starter import conversation, document
from firstwords.evaluation.benchmark import LoglikelihoodItem
from firstwords.evaluation.benchmarks.blimp import BLIMP
from firstwords.evaluation.blimp_paradigms import PHENOMENA, PUBLISHED_MEANS, PUBLISHED_MODELS
from firstwords.evaluation.eval_data import EvalData, MissingData
from firstwords.evaluation.intervals import wilson
from firstwords.evaluation.runner import BenchmarkRunner, run_benchmark
from firstwords.model.transformer import Transformer
from firstwords.recipe import ModelConfig
from firstwords.report.sections.evaluation import render_benchmarks
from firstwords.tokenizer.bpe import Tokenizer

TERMS = {"s-selection": "argument_structure"}  # in the data's words -> in the paper's


def pairs(paradigm: str, n: int = 4) -> list[dict[str, Any]]:
    return [
        {"UID": paradigm, "sentence_good": f"The hens sleep {i}.", "sentence_bad": f"The {i} hens."}
        for i in range(n)
    ]


@pytest.fixture
def small(tmp_path: Path) -> EvalData:
    """Data as `firstwords data fetch eval` stores it, with four pairs in each file."""
    (tmp_path / "blimp").mkdir()
    for phenomenon in PHENOMENA.values():
        for paradigm in phenomenon.paradigms:
            text = "".join(json.dumps(row) + "\n" for row in pairs(paradigm))
            (tmp_path / "blimp" / f"{paradigm}.jsonl").write_text(text)
    return EvalData(tmp_path)


def test_there_are_67_paradigms_in_12_phenomena() -> None:
    paradigms = [one for phenomenon in PHENOMENA.values() for one in phenomenon.paradigms]
    assert (len(PHENOMENA), len(paradigms), len(set(paradigms))) == (12, 67, 67)


def test_published_means_are_those_of_the_phenomena() -> None:
    for column, mean in enumerate(PUBLISHED_MEANS):
        total = sum(p.published[column] * len(p.paradigms) for p in PHENOMENA.values())
        assert total / 67 == pytest.approx(mean, abs=0.001), PUBLISHED_MODELS[column]


def test_the_table_agrees_with_the_data(data_folder: Path) -> None:
    rows = EvalData(data_folder / "eval").rows("blimp")
    assert set(Counter(row["UID"] for row in rows).values()) == {1000}
    terms = {row["UID"]: row["linguistics_term"] for row in rows}
    table = {one: name for name, phenomenon in PHENOMENA.items() for one in phenomenon.paradigms}
    assert {uid: TERMS.get(term, term) for uid, term in terms.items()} == table


@pytest.mark.parametrize("chat", [False, True])
def test_every_paradigm_has_as_many_pairs(small: EvalData, chat: bool) -> None:
    categories = BLIMP.load_categories(small, chat, 3)
    for name, phenomenon in PHENOMENA.items():
        items = categories[name].items
        assert categories[name].chance == 0.5
        drawn = Counter(i.labels["paradigm"] for i in items if isinstance(i, LoglikelihoodItem))
        assert drawn == dict.fromkeys(phenomenon.paradigms, 3)
    item = BLIMP.load_categories(small, chat, 0)["ellipsis"].items[0]
    assert isinstance(item, LoglikelihoodItem)
    assert item.prompts == ["", ""]
    assert item.continuations == [" The hens sleep 0.", " The 0 hens."]
    assert (item.correct, item.rule) == (0, "sum")


def test_a_missing_paradigm_is_named(small: EvalData) -> None:
    (small.folder / "blimp" / "passive_1.jsonl").unlink()
    with pytest.raises(MissingData, match=r"blimp/passive_1\.jsonl"):
        BLIMP.load_categories(small, False, 1)


def test_the_score_is_the_mean_of_the_paradigms(
    small: EvalData, tiny_model: ModelConfig, tiny_tokenizer: Tokenizer, random_model: Any
) -> None:
    runner = BenchmarkRunner(random_model(tiny_model), tiny_tokenizer)
    result, records = run_benchmark(BLIMP, runner, "sft", small, 2, required=True)
    of_paradigm: dict[str, list[bool]] = {}
    for record in records:
        of_paradigm.setdefault(record["paradigm"], []).append(record["correct"])
        assert {"reference", "sentence_bad", "nats", "chosen"} < set(record)
    means = [sum(correct) / len(correct) for correct in of_paradigm.values()]
    assert len(means) == 67
    assert result["score"] == pytest.approx(sum(means) / 67)
    assert (result["n"], result["chance"]) == (134, pytest.approx(0.5))
    assert result["ci95"] == list(wilson(sum(record["correct"] for record in records), 134))
    binding = result["categories"]["binding"]
    assert binding["n"] == 14
    json.dumps(result)


def test_the_report_shows_published_results_beside_the_score(
    small: EvalData,
    tiny_model: ModelConfig,
    tiny_tokenizer: Tokenizer,
    random_model: Callable[..., Transformer],
) -> None:
    runner = BenchmarkRunner(random_model(tiny_model), tiny_tokenizer)
    result = run_benchmark(BLIMP, runner, "sft", small, 1, required=True).result
    tasks = {"bits_per_byte": {}, "blimp": result}
    page = render_benchmarks({s: {"tasks": tasks} for s in ("pretrain", "midtrain", "sft")})
    assert "BLiMP: 67 pairs" in page
    assert "| chance line | 5-gram | LSTM | Transformer-XL | GPT-2 |" in page
    assert page.rstrip().endswith("| 50% | 61% | 70% | 70% | 83% |")
    assert page.count("| binding |") == 1
    absent = {"title": "BLiMP", "absent": "blimp.jsonl"}
    page = render_benchmarks(
        {s: {"tasks": {"blimp": absent}} for s in ("pretrain", "midtrain", "sft")}
    )
    assert "no data" in page


def test_training_never_shows_its_sentences(data_folder: Path) -> None:
    """The starter curriculum shares no sentence of five or more words with BLiMP."""
    rows = EvalData(data_folder / "eval").rows("blimp")
    keys = (_key(row[name]) for row in rows for name in ("sentence_good", "sentence_bad"))
    sentences = {key for key in keys if key.count(" ") > 3}
    assert len(sentences) > 100_000
    shown, n_bytes, index = set(), 0, 0
    while n_bytes < 2_000_000:
        texts = [document(11, index).text]
        texts += [message["content"] for message in conversation(11, index).messages]
        for text in texts:
            shown |= {_key(one) for one in re.split(r"(?<=[.!?])\s+", text)} & sentences
            n_bytes += len(text)
        index += 1
    assert not shown


def _key(sentence: str) -> str:
    return " ".join(sentence.lower().split()).strip(" .?!")
