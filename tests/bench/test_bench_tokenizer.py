"""`firstwords bench tokenizer`: all contenders do the same work."""

import json

import numpy as np
import pytest

from firstwords.bench import tokenizer as bench
from firstwords.cli import run_command
from firstwords.data.encoding import Batch
from firstwords.tokenizer import Tokenizer


def test_all_encode_alike(tiny_tokenizer: Tokenizer, sample_text: list[str]) -> None:
    made = {name: work() for name, work in bench.encoded(sample_text, tiny_tokenizer).items()}
    batch = made.pop("encode: firstwords")
    assert isinstance(batch, Batch)
    ours = [ids[1:] for ids in np.split(batch.ids, np.cumsum(batch.lengths)[:-1])]
    assert len(made) == 2
    for name, theirs in made.items():
        for a, b in zip(ours, theirs, strict=True):  # type: ignore[call-overload]
            assert np.array_equal(a, b), name


def test_all_learn_the_same_words(sample_text: list[str]) -> None:
    made = {name: work() for name, work in bench.trained(sample_text, 400).items()}
    ours = made["train: firstwords"]
    assert isinstance(ours, Tokenizer)
    learned = {ours.token_bytes(token) for token in range(ours.vocab_size)}
    assert {bytes(token) for token, _ in made["train: rustbpe"]} <= learned  # type: ignore[attr-defined]


def test_it_prints_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["bench", "tokenizer", "--megabytes", "0.05", "--vocab-size", "400"]
    assert run_command([*arguments, "--rounds", "1", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["of_rustbpe"] > 0
    assert document["of_tiktoken"] > 0
    assert all(rate > 0 for rate in document["megabytes_per_second"].values())
    assert run_command([*arguments, "--rounds", "1"]) == 0
    assert "rustbpe used directly" in capsys.readouterr().out
