"""Lab 10: two heads that know from the start how to look back, and a model without them."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch
from torch import Tensor

from firstwords import induction as heads
from firstwords.data.rows import EchoRows
from firstwords.labs.folder import Folder
from firstwords.labs.lab import Finding, Outcome, Setting, right, told, wrong
from firstwords.labs.small import recipe, trained
from firstwords.model import Transformer
from firstwords.recipe import ModelConfig, model_config

FILE = "copying.py"
STEPS = 150
TRIALS = 6
ROWS, LENGTH = 64, 60
EXERCISE_SHAPE, EXERCISE_VOCAB = (2, 96, 2), 256


def exercise(folder: Folder) -> Iterator[Finding]:
    repeated = folder.function(FILE, "repeated")
    config = model_config(EXERCISE_SHAPE, EXERCISE_VOCAB)
    for seed in range(TRIALS):
        model, half_BT = first_weights(config, seed), halves(config, seed)
        found, expected = repeated(model, half_BT), share_repeated(model, half_BT)
        if not isinstance(found, int | float | Tensor) or abs(float(found) - expected) > 1e-6:
            yield wrong(
                f"repeated is {found} where it should be {expected:.4f}",
                f"{LENGTH - 1} guesses of a row count: those about the second half but its first "
                "token, each made one place before the token that it is about",
            )
            return
    yield right(f"repeated is right for {TRIALS} models with the heads that are planted")


def first_weights(config: ModelConfig, seed: int = 0) -> Transformer:
    return Transformer(config).init_weights(seed).eval()


def halves(config: ModelConfig, seed: int = 0) -> Tensor:
    """Rows of random tokens."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(config.vocab_size, (ROWS, LENGTH), generator=generator)


@torch.inference_mode()
def share_repeated(model: Transformer, half_BT: Tensor) -> float:
    length = half_BT.shape[1]
    guess_BT = model(torch.cat((half_BT, half_BT), dim=1)).argmax(-1)
    return float((guess_BT[:, length:-1] == half_BT[:, 1:]).float().mean())


@contextmanager
def nothing_planted() -> Iterator[None]:
    """Inside this block a model's first weights are random in the first heads too."""
    before, heads.plant = heads.plant, lambda model, generator: None
    try:
        yield
    finally:
        heads.plant = before


def experiment(folder: Folder, setting: Setting) -> Iterator[Finding | Outcome]:
    repeated = folder.function(FILE, "repeated")
    made = recipe(setting, STEPS)
    half_BT = halves(made.model)
    rows = EchoRows(made.model.vocab_size, made.base.seq_len, made.base.steps * ROWS, made.seed)
    shares = {}
    for name, block in (("planted", nullcontext()), ("random", nothing_planted())):
        with block:
            before = first_weights(made.model)
            run = trained(made, rows, f"{name} heads")
        shares[name] = float(repeated(before, half_BT)), float(repeated(run.model, half_BT))
        yield told(f"{name} heads: loss {run.losses[0]:.2f} to {run.loss:.2f} nats on echoes")
    yield Outcome("first", f"{shares['planted'][0]:.0%} planted, {shares['random'][0]:.1%} random")
    yield Outcome("planted", f"{shares['planted'][1]:.0%}")
    yield Outcome("random", f"{shares['random'][1]:.1%}")
