"""lm-evaluation-harness gives the same log-likelihoods for the same checkpoint and questions."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from firstwords.evaluation.benchmark import BenchmarkCategory, LoglikelihoodItem
from firstwords.evaluation.benchmarks import BENCHMARKS
from firstwords.evaluation.benchmarks.core import load_categories as load_core
from firstwords.evaluation.eval_data import EvalData
from firstwords.evaluation.runner import BenchmarkRunner
from firstwords.model import hf_format
from firstwords.model.transformer import Transformer
from firstwords.recipe import ModelConfig
from firstwords.tokenizer.bpe import END_OF_TEXT, Tokenizer

MakeModel = Callable[..., Transformer]
ITEMS = 12
SUBJECT = "anatomy"


@pytest.fixture(scope="module")
def harness(
    tiny_model: ModelConfig,
    tiny_tokenizer: Tokenizer,
    random_model: MakeModel,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Any, BenchmarkRunner]:
    """Return lm-eval's model and a runner, for one checkpoint with room for all examples."""
    huggingface = pytest.importorskip("lm_eval.models.huggingface", exc_type=ImportError)
    model = random_model(tiny_model.replace(max_seq_len=4096))
    directory = tmp_path_factory.mktemp("model")
    hf_format.write_model(directory, model, tiny_tokenizer)
    theirs = huggingface.HFLM(str(directory), device="cpu", dtype="float32", batch_size=1)
    return theirs, BenchmarkRunner(hf_format.load_model(directory).eval(), tiny_tokenizer)


def their_samples(lm: Any, config: dict[str, Any], shots: int) -> list[dict[str, Any]]:
    """Return lm-eval's samples of a task given by its configuration."""
    import lm_eval

    text = END_OF_TEXT + config.pop("description", "")
    result = lm_eval.simple_evaluate(
        lm,
        tasks=[{"description": text, **config}],
        num_fewshot=shots,
        log_samples=True,
        bootstrap_iters=0,
    )
    return sorted(result["samples"][config["task"]], key=lambda sample: sample["doc_id"])


def shipped(name: str, rows: dict[str, list[dict[str, Any]]], folder: Path) -> dict[str, Any]:
    """Return a task's configuration as lm-eval ships it, with local data."""
    import lm_eval.tasks
    import yaml

    path = Path(lm_eval.tasks.__file__).parent / name
    config = yaml.safe_load(path.read_text())
    if include := config.pop("include", None):
        config = yaml.safe_load((path.parent / include).read_text()) | config
    for key in ("tag", "dataset_name", "task_alias", "training_split", "validation_split"):
        config.pop(key, None)
    return config | local(rows, folder)


def local(rows: dict[str, list[dict[str, Any]]], folder: Path) -> dict[str, Any]:
    paths = {}
    for split, of_split in rows.items():
        path = folder / f"{split}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in of_split))
        paths[split] = str(path)
    return {"dataset_path": "json", "dataset_kwargs": {"data_files": paths}, "test_split": "test"}


def compare(
    runner: BenchmarkRunner,
    category: BenchmarkCategory,
    samples: list[dict[str, Any]],
    mean: bool = False,
) -> None:
    results = runner.run({"category": category})["category"]
    assert len(results) == len(samples) >= ITEMS
    for result, item, sample in zip(results, category.items, samples, strict=True):
        assert isinstance(item, LoglikelihoodItem)
        theirs = [float(response[0][0]) for response in sample["resps"]]
        assert result.details["nats"] == pytest.approx(theirs, abs=1e-3)
        assert int(sample["target"]) == item.correct
        if not mean:
            assert result.details["chosen"] == max(range(len(theirs)), key=theirs.__getitem__)
            assert result.correct == bool(sample["acc"])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["arc_easy", "arc_challenge"])
def test_arc_agrees_with_lm_eval(
    name: str, harness: tuple[Any, BenchmarkRunner], data_folder: Path, tmp_path: Path
) -> None:
    lm, runner = harness
    data = EvalData(data_folder / "eval")
    rows = data.rows(f"{name}_test", ITEMS)
    samples = their_samples(lm, shipped(f"arc/{name}.yaml", {"test": rows}, tmp_path), 0)
    compare(runner, BENCHMARKS[name].load_categories(data, False, ITEMS)[f"{name}_test"], samples)


@pytest.mark.slow
def test_mmlu_with_five_examples_agrees_with_lm_eval(
    harness: tuple[Any, BenchmarkRunner], data_folder: Path, tmp_path: Path
) -> None:
    lm, runner = harness
    data = EvalData(data_folder / "eval")
    rows = {
        split: [row for row in data.rows(f"mmlu_{split}") if row["subject"] == SUBJECT]
        for split in ("test", "dev")
    }
    rows["test"] = rows["test"][:ITEMS]
    config = shipped(f"mmlu/default/mmlu_{SUBJECT}.yaml", rows, tmp_path)
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "mmlu_test.jsonl").write_text((tmp_path / "test.jsonl").read_text())
    (folder / "mmlu_dev.jsonl").write_text((tmp_path / "dev.jsonl").read_text())
    category = BENCHMARKS["mmlu"].load_categories(EvalData(folder), False, 0)["mmlu"]
    compare(runner, category, their_samples(lm, config, 5))


@pytest.mark.slow
@pytest.mark.parametrize("paradigm", ["anaphor_gender_agreement", "wh_island"])
def test_blimp_agrees_with_lm_eval(
    paradigm: str, harness: tuple[Any, BenchmarkRunner], data_folder: Path, tmp_path: Path
) -> None:
    lm, runner = harness
    categories = BENCHMARKS["blimp"].load_categories(EvalData(data_folder / "eval"), False, ITEMS)
    items = [
        item
        for category in categories.values()
        for item in category.items
        if isinstance(item, LoglikelihoodItem) and item.labels["paradigm"] == paradigm
    ]
    rows = [
        {"sentence_good": item.continuations[0][1:], "sentence_bad": item.labels["sentence_bad"]}
        for item in items
    ]
    config = shipped(f"blimp/{paradigm}.yaml", {"test": rows}, tmp_path)
    compare(runner, BenchmarkCategory(paradigm, 0.5, items), their_samples(lm, config, 0))


@pytest.mark.slow
def test_an_empty_context_is_the_end_of_text_token(
    harness: tuple[Any, BenchmarkRunner], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in lm-evaluation-harness with `prefix_token_id`."""
    from lm_eval.api.instance import Instance

    lm, runner = harness
    end = runner.tokenizer.special(END_OF_TEXT)
    monkeypatch.setattr(lm, "custom_prefix_token_id", end)
    sentences = [" The fox looked at the hens.", " The fox look at the hens."]
    requests = [
        Instance("loglikelihood", {}, ("", sentence), n) for n, sentence in enumerate(sentences)
    ]
    category = BenchmarkCategory("pair", 0.5, [LoglikelihoodItem(["", ""], sentences)])
    (result,) = runner.run({"pair": category})["pair"]
    theirs = [nats for nats, _ in lm.loglikelihood(requests, disable_tqdm=True)]
    assert result.details["nats"] == pytest.approx(theirs, abs=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["openbook_qa", "copa"])
def test_core_tasks_agree_with_lm_eval(
    name: str, harness: tuple[Any, BenchmarkRunner], data_folder: Path, tmp_path: Path
) -> None:
    lm, runner = harness
    data = EvalData(data_folder / "eval")
    rows = data.rows(f"core/eval_data/commonsense_reasoning/{name}", ITEMS)
    config = local({"test": rows}, tmp_path) | {
        "task": name,
        "output_type": "multiple_choice",
        "doc_to_text": "{{query}}",
        "doc_to_choice": "{{choices}}",
        "doc_to_target": "{{gold}}",
        "metric_list": [{"metric": "acc"}],
    }
    compare(runner, load_core(data, False, ITEMS)[name], their_samples(lm, config, 0), mean=True)
