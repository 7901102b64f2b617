"""What many tests need: a home of its own for each, a small tokenizer, small random models."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import settings

from firstwords.model import Transformer
from firstwords.recipe import ModelConfig
from firstwords.tokenizer import Tokenizer

# Shared machines are slow at times, and a test that fails must fail again.
settings.register_profile(
    "firstwords", deadline=None, max_examples=60, derandomize=True, database=None
)
settings.load_profile("firstwords")

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


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)  # models of this size only lose with more


@pytest.fixture(autouse=True)
def _no_flush(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody pulls the plug of the machine here, and flushing takes most of the time."""
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
    path = Path(__file__).parents[2] / "shared" / "data"
    if not path.is_dir():
        pytest.skip(f"needs the real corpora in {path}")
    return path


@pytest.fixture(scope="session")
def tiny_tokenizer() -> Tokenizer:
    return Tokenizer.train(TEXT, 512)


@pytest.fixture(scope="session")
def tiny_model(tiny_tokenizer: Tokenizer) -> ModelConfig:
    """Two layers with grouped queries, and constants that are not the defaults."""
    return ModelConfig(
        vocab_size=tiny_tokenizer.vocab_size,
        n_layer=2,
        n_embd=32,
        n_head=4,
        n_kv_head=2,
        head_dim=8,
        n_hidden=48,
        max_seq_len=64,
        rope_theta=5_000.0,
        norm_eps=1e-5,
    )


@pytest.fixture(scope="session")
def random_model() -> Callable[..., Transformer]:
    """A model in which every parameter is random, also those that start at zero or one."""

    def make(config: ModelConfig, seed: int = 0) -> Transformer:
        model = Transformer(config).init_weights(seed)
        generator = torch.Generator().manual_seed(seed + 1)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter += 0.2 * torch.randn(parameter.shape, generator=generator)
        return model.eval()

    return make
