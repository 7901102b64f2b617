"""Third-party clients of the API: lm-evaluation-harness, and a fuzzer."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from firstwords.evaluation.benchmark import LoglikelihoodItem
from firstwords.evaluation.benchmarks import BENCHMARKS
from firstwords.evaluation.eval_data import EvalData
from firstwords.evaluation.runner import BenchmarkRunner
from firstwords.inference.decoder import Decoder
from firstwords.model import hf_format
from firstwords.model.transformer import Transformer
from firstwords.serve.app import ServerLimits
from firstwords.tokenizer.bpe import END_OF_TEXT, Tokenizer

Serve = Callable[..., Any]
ITEMS = 8


@pytest.mark.slow
def test_lm_eval_scores_equal_those_of_firstwords_eval(
    url: str,
    wide_model: Transformer,
    tiny_tokenizer: Tokenizer,
    data_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    lm_eval = pytest.importorskip("lm_eval")
    pytest.importorskip("tenacity")
    (tmp_path / "model").mkdir()
    hf_format.write_model(tmp_path / "model", wide_model, tiny_tokenizer)
    part = BENCHMARKS["arc_easy"].load_categories(EvalData(data_folder / "eval"), False, 0)
    items = [
        item
        for item in part["arc_easy_test"].items
        if isinstance(item, LoglikelihoodItem) and len(tiny_tokenizer.encode(item.prompts[0])) < 150
    ][:ITEMS]
    rows = [
        {
            "text": item.prompts[0],
            "choices": [c[1:] for c in item.continuations],
            "gold": item.correct,
        }
        for item in items
    ]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    result = lm_eval.simple_evaluate(
        "local-completions",
        model_args={
            "model": "toy-sft",
            "base_url": f"{url}/v1/completions",
            "tokenizer": str(tmp_path / "model"),
            "tokenizer_backend": "huggingface",
            "max_length": 256,
        },
        tasks=[
            {
                "task": "arc",
                "dataset_path": "json",
                "dataset_kwargs": {"data_files": {"test": str(path)}},
                "test_split": "test",
                "output_type": "multiple_choice",
                "description": END_OF_TEXT,
                "doc_to_text": "{{text}}",
                "doc_to_choice": "{{choices}}",
                "doc_to_target": "{{gold}}",
                "metric_list": [{"metric": "acc"}],
            }
        ],
        log_samples=True,
        bootstrap_iters=0,
    )
    samples = sorted(result["samples"]["arc"], key=lambda sample: sample["doc_id"])
    category = part["arc_easy_test"]._replace(items=items)
    records = BenchmarkRunner(wide_model, tiny_tokenizer).run({"arc": category})["arc"]
    for record, sample in zip(records, samples, strict=True):
        lm_eval_nats = [float(response[0][0]) for response in sample["resps"]]
        assert record.details["nats"] == pytest.approx(lm_eval_nats, abs=1e-3)
    right = sum(record.correct for record in records) / len(records)
    assert result["results"]["arc"]["acc,none"] == pytest.approx(right)


@pytest.mark.slow
def test_no_generated_request_makes_the_server_fail(
    serve: Serve, wide_model: Transformer, monkeypatch: pytest.MonkeyPatch
) -> None:
    schemathesis = pytest.importorskip("schemathesis")
    limits = ServerLimits(max_body_bytes=100_000)
    running = serve(limits, decoders={"toy-sft": Decoder(wide_model, 4)})
    schema = schemathesis.openapi.from_url(f"{running.url}/openapi.json")
    operations = [result.ok() for result in schema.get_all_operations()]
    assert len(operations) >= 6

    def check(operation: Any) -> None:
        @settings(max_examples=60, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy())
        def ask(case: Any) -> None:
            response = case.call(base_url=running.url)
            assert response.status_code < 500, response.text

        ask()

    for operation in operations:
        check(operation)
    assert running.client.get("/health").status_code == 200
