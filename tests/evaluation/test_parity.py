"""The same checkpoint, questions and prompts through lm-evaluation-harness: the same numbers."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from firstwords import checkpoint
from firstwords.evaluation.benchmark import Category, Scored, Taker
from firstwords.evaluation.benchmarks import BENCHMARKS
from firstwords.evaluation.benchmarks.core import categories as core_categories
from firstwords.evaluation.data import EvalData
from firstwords.model import Transformer
from firstwords.recipe import ModelConfig
from firstwords.tokenizer import END_OF_TEXT, Tokenizer

MakeModel = Callable[..., Transformer]
ITEMS = 12
SUBJECT = "anatomy"


@pytest.fixture(scope="module")
def harness(
    tiny_model: ModelConfig,
    tiny_tokenizer: Tokenizer,
    random_model: MakeModel,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Any, Taker]:
    """lm-eval's model and ours, of one checkpoint with room for every example."""
    huggingface = pytest.importorskip("lm_eval.models.huggingface", exc_type=ImportError)
    model = random_model(tiny_model.model_copy(update={"max_seq_len": 4096}))
    directory = tmp_path_factory.mktemp("model")
    checkpoint.write_model(directory, model, tiny_tokenizer)
    theirs = huggingface.HFLM(str(directory), device="cpu", dtype="float32", batch_size=1)
    return theirs, Taker(checkpoint.load_model(directory).eval(), tiny_tokenizer)


def their_samples(lm: Any, config: dict[str, Any], shots: int) -> list[dict[str, Any]]:
    """What lm-eval makes of a task of its own whose data lies here."""
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
    """A task's definition as lm-eval ships it, with the data of this folder."""
    import lm_eval.tasks
    import yaml

    place = Path(lm_eval.tasks.__file__).parent / name
    config = yaml.safe_load(place.read_text())
    if include := config.pop("include", None):
        config = yaml.safe_load((place.parent / include).read_text()) | config
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
    taker: Taker, category: Category, samples: list[dict[str, Any]], mean: bool = False
) -> None:
    records = taker.take({"category": category})["category"]
    assert len(records) == len(samples) >= ITEMS
    for record, item, sample in zip(records, category.items, samples, strict=True):
        assert isinstance(item, Scored)
        theirs = [float(response[0][0]) for response in sample["resps"]]
        assert record.details["nats"] == pytest.approx(theirs, abs=1e-3)
        assert int(sample["target"]) == item.right
        if not mean:
            assert record.details["chosen"] == max(range(len(theirs)), key=theirs.__getitem__)
            assert record.right == bool(sample["acc"])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["arc_easy", "arc_challenge"])
def test_arc_is_that_of_lm_eval(
    name: str, harness: tuple[Any, Taker], data_folder: Path, tmp_path: Path
) -> None:
    lm, taker = harness
    data = EvalData(data_folder / "eval")
    rows = data.rows(f"{name}_test", ITEMS)
    samples = their_samples(lm, shipped(f"arc/{name}.yaml", {"test": rows}, tmp_path), 0)
    compare(taker, BENCHMARKS[name].categories(data, False, ITEMS)[f"{name}_test"], samples)


@pytest.mark.slow
def test_mmlu_with_its_five_examples_is_that_of_lm_eval(
    harness: tuple[Any, Taker], data_folder: Path, tmp_path: Path
) -> None:
    lm, taker = harness
    data = EvalData(data_folder / "eval")
    rows = {
        split: [row for row in data.rows(f"mmlu_{split}") if row["subject"] == SUBJECT]
        for split in ("test", "dev")
    }
    rows["test"] = rows["test"][:ITEMS]
    config = shipped(f"mmlu/default/mmlu_{SUBJECT}.yaml", rows, tmp_path)
    own = tmp_path / "own"
    own.mkdir()
    (own / "mmlu_test.jsonl").write_text((tmp_path / "test.jsonl").read_text())
    (own / "mmlu_dev.jsonl").write_text((tmp_path / "dev.jsonl").read_text())
    category = BENCHMARKS["mmlu"].categories(EvalData(own), False, 0)["mmlu"]
    compare(taker, category, their_samples(lm, config, 5))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["openbook_qa", "copa"])
def test_tasks_of_core_have_the_likelihoods_of_lm_eval(
    name: str, harness: tuple[Any, Taker], data_folder: Path, tmp_path: Path
) -> None:
    lm, taker = harness
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
    compare(
        taker, core_categories(data, False, ITEMS)[name], their_samples(lm, config, 0), mean=True
    )
