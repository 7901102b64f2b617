"""The glossary has what reports show, and says it briefly."""

import re

import pytest

from firstwords.evaluation.benchmarks import BENCHMARKS
from firstwords.glossary import TERMS, meaning

SHOWN = [
    "bits per byte",
    "nats",
    "chance line",
    "confidence interval",
    "perplexity",
    "epoch",
    "token",
    "vocabulary",
    "learning rate",
    "gradient norm",
    "Muon",
    "momentum",
    "warm-up",
    "decay",
    "context",
    "attention head",
    "KV cache",
    "temperature",
    "top-k",
    "top-p",
    "CORE",
    "ARC-Easy",
    "MMLU",
    "GSM8K",
    "HumanEval",
    "FLOP",
    "throughput",
    "ceiling",
    "checkpoint",
    "seed",
    "bytes per token",
    "loss on answers",
    "peak memory",
    "exam",
    "at chance",
]


@pytest.mark.parametrize("term", SHOWN)
def test_every_shown_term_has_a_meaning(term: str) -> None:
    assert meaning(term)


def test_every_benchmark_is_explained() -> None:
    titles = {"exam" if name == "exam" else one.title for name, one in BENCHMARKS.items()}
    assert titles <= {term.name for term in TERMS}


def test_terms_come_once_and_are_said_in_three_sentences_at_most() -> None:
    names = [term.name for term in TERMS]
    assert len(names) == len(set(names))
    for term in TERMS:
        assert term.words.endswith("."), term.name
        assert 1 <= len(re.findall(r"[.?!](?: |$)", term.words)) <= 3, term.name


def test_an_unknown_term_is_an_error() -> None:
    with pytest.raises(KeyError):
        meaning("phlogiston")
