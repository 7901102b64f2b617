"""Shared fixtures: a home directory per test, a small tokenizer, small models; and the markers."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from factories import tiny_config, tiny_model_with_random_weights
from hypothesis import settings

from firstwords.model.transformer import Transformer
from firstwords.recipe import ModelConfig
from firstwords.tokenizer.bpe import Tokenizer

# No deadline, because shared machines are sometimes slow; derandomized, so that failures repeat.
settings.register_profile(
    "firstwords", deadline=None, max_examples=60, derandomize=True, database=None
)
settings.load_profile("firstwords")

TESTS = Path(__file__).parent
TEXT = [
    f"The {size} {animal} {verb} over {number} {thing}s, and the {thing} said: {word}!\n"
    for size in ("small", "old", "quick")
    for animal in ("fox", "hen", "bear", "goat")
    for verb in ("jumped", "looked", "went")
    for thing in ("stone", "river", "apple")
    for number, word in ((12, "hello"), (7, "don't"), (305, "grüß dich"))
] + [
    "Rain falls on the mountain because warm air rises, cools and lets its water go.\n",
    "Please write a letter to your grandmother about the garden, the kitchen and the new kitten.\n",
    "Yesterday evening seven children carried lanterns through the quiet village; nobody spoke.\n",
    "A triangle has three corners, a square has four, and a circle has none at all.\n",
]


INFRA = ("scripts", "slurm")
# The files that take minutes, longest first. One worker runs a whole file, so that the others would
# wait for one of these if it were the last.
LONGEST = (
    "training/test_distributed.py",
    "slurm/test_real_slurm.py",
    "pipeline/test_resume.py",
    "labs/test_labs.py",
    "test_docs_run.py",
    "pipeline/test_preset_run.py",
    "data/starter/test_exam.py",
    "pipeline/test_pipeline.py",
    "pipeline/test_power_cuts.py",
    "serve/test_xray_page.py",
    "serve/test_web.py",
)


def place_in_order(item: pytest.Item) -> int:
    file = item.path.relative_to(TESTS).as_posix()
    return LONGEST.index(file) if file in LONGEST else len(LONGEST)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of long files first, and mark tests by their directory."""
    items.sort(key=place_in_order)
    for item in items:
        directory = item.path.relative_to(TESTS).parts[0]
        default = "pipeline" if directory == "pipeline" else "unit"
        item.add_marker("infra" if directory in INFRA else default)


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)  # more threads would slow models of this size down


@pytest.fixture(autouse=True)
def _no_flush(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip fsync, which would take most of the time of many tests."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """$FIRSTWORDS_HOME, new and empty."""
    path = tmp_path / "home"
    monkeypatch.setenv("FIRSTWORDS_HOME", str(path))
    return path


@pytest.fixture(scope="session")
def sample_text() -> list[str]:
    """Documents that a model can learn something from."""
    return list(TEXT)


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """Real corpora beside the checkout."""
    path = TESTS.parents[1] / "shared" / "data"
    if not path.is_dir():
        pytest.skip(f"needs the real corpora in {path}")
    return path


@pytest.fixture(scope="session")
def tiny_tokenizer() -> Tokenizer:
    return Tokenizer.train(TEXT, 512)


@pytest.fixture(scope="session")
def tiny_model(tiny_tokenizer: Tokenizer) -> ModelConfig:
    """The shape of factories.tiny_model with the vocabulary of the tiny tokenizer."""
    return tiny_config(vocab_size=tiny_tokenizer.vocab_size)


@pytest.fixture(scope="session")
def random_model() -> Callable[..., Transformer]:
    """A factory of models in which every parameter is random, also those that start at zero."""
    return tiny_model_with_random_weights


@pytest.fixture
def call_command(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Return a function that runs a command of `firstwords` in this process, and returns its exit
    code, output and errors."""
    from firstwords.cli.main import run_command

    def call(*arguments: str) -> tuple[int, str, str]:
        code = run_command(list(arguments))
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call
