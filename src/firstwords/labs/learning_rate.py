"""Lab 4: the learning rate ten times too high, and its course over a training."""

import math
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from firstwords import optimizer, training
from firstwords.data.rows import TextRows
from firstwords.errors import Diverged
from firstwords.labs.folder import Folder
from firstwords.labs.lab import Finding, Outcome, Setting, right, told, wrong
from firstwords.labs.small import recipe, trained, workshop

FILE = "schedule.py"
FACTORS = (0.1, 0.3, 1.0, 3.0, 10.0)
STEPS = 120
TRIALS = 200
POINTS = 6
Schedule = Callable[[int, int, int, float, float], float]


def exercise(folder: Folder) -> Iterator[Finding]:
    schedule: Schedule = folder.function(FILE, "learning_rate")
    rng = random.Random(0)
    for trial in range(TRIALS):
        steps = rng.randint(1, 60)
        warmup = rng.choice([0, 0, rng.randint(0, steps)])
        decay, final = rng.choice([0.0, 0.25, 0.5, 0.6, 1.0]), rng.choice([0.0, 0.05, 0.5])
        if trial < 3:
            steps, warmup, decay, final = 10, (0, 2, 2)[trial], (0.0, 0.0, 0.5)[trial], 0.0
        for step in range(steps):
            expected = optimizer.learning_rate(step, steps, warmup, decay, final)
            found = schedule(step, steps, warmup, decay, final)
            if not isinstance(found, int | float) or abs(found - expected) > 1e-9:
                call = f"learning_rate({step}, {steps}, {warmup}, {decay}, {final})"
                yield wrong(f"{call} is {found}, not {expected:.4g}", _hint(step, warmup, expected))
                return
    yield right(f"learning_rate is right at every step of {TRIALS} schedules")


def _hint(step: int, warmup: int, expected: float) -> str:
    if step < warmup:
        return "warmup: at step 0 it is 1 / warmup, and at step warmup - 1 it is 1"
    if expected == 1.0:
        return "between warmup and decay it is 1"
    return "decay: the first of d steps has gone down by (1 - final) / d, the last ends at final"


@contextmanager
def scheduled_by(schedule: Schedule) -> Iterator[None]:
    """Inside this block the training loop asks this function."""
    before, training.learning_rate = training.learning_rate, schedule  # type: ignore[assignment]
    try:
        yield
    finally:
        training.learning_rate = before


def experiment(folder: Folder, setting: Setting) -> Iterator[Finding | Outcome]:
    schedule: Schedule = folder.function(FILE, "learning_rate")
    made = recipe(setting, STEPS)
    ends: dict[float, float] = {}
    with workshop() as shop, scheduled_by(schedule):
        rows = TextRows(shop.text("train", made.base.tokens), made.base.seq_len, shop.pad)
        for factor in FACTORS:
            stage = made.base.model_copy(update={"lr_scale": factor})
            try:
                run = trained(made.model_copy(update={"base": stage}), rows, f"rate x {factor:g}")
            except Diverged as error:
                ends[factor] = math.inf
                yield told(f"x {factor:<4g} {error}")
            else:
                ends[factor] = run.loss
                yield told(
                    f"x {factor:<4g} loss {_course(run.losses)}  end {run.loss:.3f}  "
                    f"weights move {run.update:.1%} a step"
                )
    best = min(ends, key=ends.__getitem__)
    yield Outcome("best", f"x {best:g}, with {ends[best]:.3f}")
    yield Outcome("ten", f"{ends[10.0]:.3f}, where x 1 has {ends[1.0]:.3f}")
    yield Outcome("diverges", ", ".join(f"x {f:g}" for f in ends if ends[f] == math.inf) or "none")


def _course(losses: list[float]) -> str:
    """The loss at some steps on the way."""
    places = [round(i * (len(losses) - 1) / POINTS) for i in range(POINTS)]
    return "  ".join(f"{losses[place]:.2f}" for place in places)
