"""Lab 10: two heads that can copy from the start, and a model without them."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch
from torch import Tensor

from firstwords.data.dataloader import RepeatedTokenRows
from firstwords.labs.folder import LabFolder
from firstwords.labs.lab import ExperimentResult, LabFinding, LabSettings, failed, info, passed
from firstwords.labs.short_training import short_recipe, train_on_rows
from firstwords.model import transformer
from firstwords.model.transformer import Transformer
from firstwords.planning.model_sizes import model_config
from firstwords.recipe import ModelConfig

FILE = "copying.py"
STEPS = 150
N_TRIALS = 6
N_ROWS, HALF_LENGTH = 64, 60
EXERCISE_SHAPE, EXERCISE_VOCAB_SIZE = (2, 96, 2), 256


def exercise(folder: LabFolder) -> Iterator[LabFinding]:
    """Check `repeat_accuracy` on models with planted heads."""
    repeat_accuracy = folder.function(FILE, "repeat_accuracy")
    config = model_config(EXERCISE_SHAPE, EXERCISE_VOCAB_SIZE)
    for seed in range(N_TRIALS):
        model, half_BT = initial_model(config, seed), random_halves(config, seed)
        actual, expected = repeat_accuracy(model, half_BT), _expected_accuracy(model, half_BT)
        if not isinstance(actual, int | float | Tensor) or abs(float(actual) - expected) > 1e-6:
            yield failed(
                f"repeat_accuracy is {actual}, not {expected:.4f}",
                f"{HALF_LENGTH - 1} predictions of a row count: those of the second half without "
                "its first token, each made one position before the token it predicts",
            )
            return
    yield passed(f"repeat_accuracy is right for {N_TRIALS} models with planted heads")


def initial_model(config: ModelConfig, seed: int = 0) -> Transformer:
    return Transformer(config).init_weights(seed).eval()


def random_halves(config: ModelConfig, seed: int = 0) -> Tensor:
    """Return rows of random tokens (B, T)."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(config.vocab_size, (N_ROWS, HALF_LENGTH), generator=generator)


@torch.inference_mode()
def _expected_accuracy(model: Transformer, half_BT: Tensor) -> float:
    """Return the share of the second half's tokens that are the model's most likely token."""
    length = half_BT.shape[1]
    prediction_BT = model(torch.cat((half_BT, half_BT), dim=1)).argmax(-1)
    return float((prediction_BT[:, length:-1] == half_BT[:, 1:]).float().mean())


@contextmanager
def without_planted_heads() -> Iterator[None]:
    """Let initial weights be random in all heads inside this block."""
    plant = transformer.plant_induction_heads
    transformer.plant_induction_heads = lambda *arguments: None
    try:
        yield
    finally:
        transformer.plant_induction_heads = plant


def experiment(folder: LabFolder, settings: LabSettings) -> Iterator[LabFinding | ExperimentResult]:
    """Train on repeated rows, with and without planted heads."""
    repeat_accuracy = folder.function(FILE, "repeat_accuracy")
    recipe = short_recipe(settings, STEPS)
    stage, half_BT = recipe.pretrain, random_halves(recipe.model)
    rows = RepeatedTokenRows(
        recipe.model.vocab_size, stage.seq_len, stage.steps * N_ROWS, recipe.seed
    )
    shares = {}
    for name, context in (("planted", nullcontext()), ("random", without_planted_heads())):
        with context:
            before = initial_model(recipe.model)
            run = train_on_rows(recipe, rows, f"{name} heads")
        shares[name] = (
            float(repeat_accuracy(before, half_BT)),
            float(repeat_accuracy(run.model, half_BT)),
        )
        yield info(
            f"{name} heads: loss {run.losses[0]:.2f} to {run.final_loss:.2f} nats on repeated rows"
        )
    planted, random = shares["planted"], shares["random"]
    yield ExperimentResult("first", f"{planted[0]:.0%} planted, {random[0]:.1%} random")
    yield ExperimentResult("planted", f"{planted[1]:.0%}")
    yield ExperimentResult("random", f"{random[1]:.1%}")
