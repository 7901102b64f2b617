"""The glossary has what reports show, says it briefly, and its page is made of it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from firstwords.evaluation.benchmarks import BENCHMARKS
from firstwords.glossary import TERMS, meaning

ROOT = Path(__file__).resolve().parents[1]
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


def test_the_pages_are_those_that_the_script_makes() -> None:
    script = ROOT / "scripts" / "make_docs.py"
    done = subprocess.run(
        [sys.executable, script, "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_page_that_differs_is_found_and_written(tmp_path: Path) -> None:
    """On a copy of the script, whose root is then the temporary directory."""
    (tmp_path / "scripts").mkdir()
    script = tmp_path / "scripts" / "make_docs.py"
    script.write_text((ROOT / "scripts" / "make_docs.py").read_text(encoding="utf-8"))
    page = tmp_path / "docs" / "guides" / "glossary.md"
    check = [sys.executable, str(script), "--check"]
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "docs/guides/glossary.md is out of date\n" in done.stdout
    subprocess.run(check[:2], check=True, capture_output=True)
    assert page.read_text(encoding="utf-8").count("\n**") == len(TERMS)
    assert subprocess.run(check, capture_output=True, check=False).returncode == 0
