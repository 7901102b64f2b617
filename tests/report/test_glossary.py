"""The glossary defines the terms that reports show, in few words."""

import re

import pytest

from firstwords.evaluation.benchmarks import BENCHMARKS
from firstwords.report.glossary import TERMS, definition_of

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
    "BLiMP",
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
def test_every_shown_term_is_defined(term: str) -> None:
    assert definition_of(term)


def test_every_benchmark_is_defined() -> None:
    titles = {"exam" if name == "exam" else one.title for name, one in BENCHMARKS.items()}
    assert titles <= {term.name for term in TERMS}


def test_terms_are_unique_and_defined_in_at_most_three_sentences() -> None:
    names = [term.name for term in TERMS]
    assert len(names) == len(set(names))
    for term in TERMS:
        assert term.definition.endswith("."), term.name
        assert 1 <= len(re.findall(r"[.?!](?: |$)", term.definition)) <= 3, term.name


def test_unknown_term_is_an_error() -> None:
    with pytest.raises(KeyError):
        definition_of("phlogiston")
