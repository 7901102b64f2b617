"""`firstwords bench tokenizer`: all contenders do the same work."""

import json

import numpy as np
import pytest

from firstwords.bench.tokenizer import encoding_contenders, training_contenders
from firstwords.cli.main import run_command
from firstwords.data.encoding import EncodedBatch
from firstwords.tokenizer.bpe import Tokenizer


def test_all_contenders_encode_the_same_ids(
    tiny_tokenizer: Tokenizer, sample_text: list[str]
) -> None:
    contenders = encoding_contenders(sample_text, tiny_tokenizer)
    results = {name: run() for name, run in contenders.items()}
    batch = results.pop("encode: firstwords")
    assert isinstance(batch, EncodedBatch)
    ours = [ids[1:] for ids in np.split(batch.ids, np.cumsum(batch.lengths)[:-1])]
    assert len(results) == 2
    for name, theirs in results.items():
        for a, b in zip(ours, theirs, strict=True):  # type: ignore[call-overload]
            assert np.array_equal(a, b), name


def test_all_contenders_learn_the_same_tokens(sample_text: list[str]) -> None:
    results = {name: run() for name, run in training_contenders(sample_text, 400).items()}
    ours = results["train: firstwords"]
    assert isinstance(ours, Tokenizer)
    tokens = {ours.token_bytes(token) for token in range(ours.vocab_size)}
    assert {bytes(token) for token, _ in results["train: rustbpe"]} <= tokens  # type: ignore[attr-defined]


def test_json_output_is_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["bench", "tokenizer", "--megabytes", "0.05", "--vocab-size", "400"]
    assert run_command([*arguments, "--rounds", "1", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["of_rustbpe"] > 0
    assert document["of_tiktoken"] > 0
    assert all(rate > 0 for rate in document["megabytes_per_second"].values())
    assert run_command([*arguments, "--rounds", "1"]) == 0
    assert "rustbpe used directly" in capsys.readouterr().out
