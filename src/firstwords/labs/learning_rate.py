"""Lab 4: a learning rate ten times too high, and the schedule of a training."""

import math
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from firstwords.common.errors import Diverged
from firstwords.data.dataloader import TextRows
from firstwords.labs.folder import LabFolder
from firstwords.labs.lab import ExperimentResult, LabFinding, LabSettings, failed, info, passed
from firstwords.labs.short_training import open_lab_data, short_recipe, train_on_rows
from firstwords.training import loop
from firstwords.training.schedule import learning_rate

FILE = "schedule.py"
FACTORS = (0.1, 0.3, 1.0, 3.0, 10.0)
STEPS = 120
N_TRIALS = 200
N_LOSSES_SHOWN = 6
Schedule = Callable[[int, int, int, float, float], float]


def exercise(folder: LabFolder) -> Iterator[LabFinding]:
    """Check `learning_rate` at every step of random schedules."""
    schedule: Schedule = folder.function(FILE, "learning_rate")
    rng = random.Random(0)
    for trial in range(N_TRIALS):
        steps = rng.randint(1, 60)
        warmup = rng.choice([0, 0, rng.randint(0, steps)])
        decay, final = rng.choice([0.0, 0.25, 0.5, 0.6, 1.0]), rng.choice([0.0, 0.05, 0.5])
        if trial < 3:
            steps, warmup, decay, final = 10, (0, 2, 2)[trial], (0.0, 0.0, 0.5)[trial], 0.0
        for step in range(steps):
            expected = learning_rate(step, steps, warmup, decay, final)
            actual = schedule(step, steps, warmup, decay, final)
            if not isinstance(actual, int | float) or abs(actual - expected) > 1e-9:
                call = f"learning_rate({step}, {steps}, {warmup}, {decay}, {final})"
                hint = _hint(step, warmup, expected)
                yield failed(f"{call} is {actual}, not {expected:.4g}", hint)
                return
    yield passed(f"learning_rate is right at every step of {N_TRIALS} schedules")


def _hint(step: int, warmup: int, expected: float) -> str:
    if step < warmup:
        return "warmup: it is 1 / warmup at step 0 and 1 at step warmup - 1"
    if expected == 1.0:
        return "between warmup and decay it is 1"
    return "decay: the first of d steps is lower by (1 - final) / d, the last one is final"


@contextmanager
def replace_schedule(schedule: Schedule) -> Iterator[None]:
    """Let the training loop use this schedule inside this block."""
    before, loop.learning_rate = loop.learning_rate, schedule  # type: ignore[assignment]
    try:
        yield
    finally:
        loop.learning_rate = before


def experiment(folder: LabFolder, settings: LabSettings) -> Iterator[LabFinding | ExperimentResult]:
    """Train with each learning rate."""
    schedule: Schedule = folder.function(FILE, "learning_rate")
    recipe = short_recipe(settings, STEPS)
    stage = recipe.pretrain
    final_losses: dict[float, float] = {}
    with open_lab_data() as data, replace_schedule(schedule):
        rows = TextRows(data.text("train", stage.tokens), stage.seq_len, data.pad_id)
        for factor in FACTORS:
            scaled = recipe.replace(pretrain=stage.replace(lr_scale=factor))
            try:
                run = train_on_rows(scaled, rows, f"rate x {factor:g}")
            except Diverged as error:
                final_losses[factor] = math.inf
                yield info(f"x {factor:<4g} {error}")
            else:
                final_losses[factor] = run.final_loss
                yield info(
                    f"x {factor:<4g} loss {_sample_losses(run.losses)}  final "
                    f"{run.final_loss:.3f}  update {run.update_norm:.1%} of the weights"
                )
    best = min(final_losses, key=final_losses.__getitem__)
    diverged = [f"x {factor:g}" for factor, loss in final_losses.items() if loss == math.inf]
    yield ExperimentResult("best", f"x {best:g}, with {final_losses[best]:.3f}")
    yield ExperimentResult("ten", f"{final_losses[10.0]:.3f}; x 1 has {final_losses[1.0]:.3f}")
    yield ExperimentResult("diverges", ", ".join(diverged) or "none")


def _sample_losses(losses: list[float]) -> str:
    """Return some of the losses, evenly spaced."""
    indices = [round(i * (len(losses) - 1) / N_LOSSES_SHOWN) for i in range(N_LOSSES_SHOWN)]
    return "  ".join(f"{losses[index]:.2f}" for index in indices)
