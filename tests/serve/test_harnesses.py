"""What others ask of the API: lm-evaluation-harness, and every request that a fuzzer thinks of."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from firstwords import checkpoint
from firstwords.evaluation.benchmark import Scored, Taker
from firstwords.evaluation.benchmarks import BENCHMARKS
from firstwords.evaluation.data import EvalData
from firstwords.inference.decoder import Decoder
from firstwords.model import Transformer
from firstwords.serve.app import Limits
from firstwords.tokenizer import END_OF_TEXT, Tokenizer

Serve = Callable[..., Any]
ITEMS = 8


@pytest.mark.slow
def test_lm_eval_finds_the_scores_of_our_own_evaluation(
    serve: Serve,
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
    checkpoint.write_model(tmp_path / "model", wide_model, tiny_tokenizer)
    part = BENCHMARKS["arc_easy"].categories(EvalData(data_folder / "eval"), False, 0)
    items = [
        item
        for item in part["arc_easy_test"].items
        if isinstance(item, Scored) and len(tiny_tokenizer.encode(item.prompts[0])) < 150
    ][:ITEMS]
    rows = [
        {
            "text": item.prompts[0],
            "choices": [c[1:] for c in item.continuations],
            "gold": item.right,
        }
        for item in items
    ]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    result = lm_eval.simple_evaluate(
        "local-completions",
        model_args={
            "model": "toy-sft",
            "base_url": f"{serve().url}/v1/completions",
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
    records = Taker(wide_model, tiny_tokenizer).take({"arc": category})["arc"]
    for record, sample in zip(records, samples, strict=True):
        theirs = [float(response[0][0]) for response in sample["resps"]]
        assert record.details["nats"] == pytest.approx(theirs, abs=1e-3)
    right = sum(record.right for record in records) / len(records)
    assert result["results"]["arc"]["acc,none"] == pytest.approx(right)


@pytest.mark.slow
def test_no_request_makes_the_server_fail(
    serve: Serve, wide_model: Transformer, monkeypatch: pytest.MonkeyPatch
) -> None:
    schemathesis = pytest.importorskip("schemathesis")
    running = serve(
        Limits(seconds=20, most_bytes=100_000), decoders={"toy-sft": Decoder(wide_model, 4)}
    )
    schema = schemathesis.openapi.from_url(f"{running.url}/openapi.json")
    operations = [result.ok() for result in schema.get_all_operations()]
    assert len(operations) >= 6

    def never_fails(operation: Any) -> None:
        @settings(max_examples=60, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy())
        def ask(case: Any) -> None:
            response = case.call(base_url=running.url)
            assert response.status_code < 500, response.text

        ask()

    for operation in operations:
        never_fails(operation)
    assert running.client.get("/health").status_code == 200
