"""The metrics of training, as other tools show them.

TensorBoard's event files are always written (`tensorboard --logdir RUN/tensorboard`). Weights &
Biases and trackio are asked for by `--track`; both keep what they get on this machine: W&B until
`wandb sync`, or at once where WANDB_MODE says "online".
"""

import importlib.util
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

from firstwords.errors import UserError
from firstwords.recipe import Stage
from firstwords.run import Copier, Run, Watcher
from firstwords.tokenizer import Tokenizer
from firstwords.training import Step

Name = Literal["wandb", "trackio"]
PROJECT = "firstwords"
Tell = Callable[[dict[str, float], int], None]


def check(names: tuple[Name, ...]) -> None:
    """Raises UserError where one is not installed."""
    for name in names:
        if importlib.util.find_spec(name) is None:
            raise UserError(f"--track {name}: it is not installed", f"pip install {name}")


def watchers(run: Run, names: tuple[Name, ...]) -> list[Watcher]:
    """TensorBoard's, and those that were asked for."""
    openers = {"wandb": _wandb, "trackio": _trackio}
    return [_watcher(run, _tensorboard), *(_watcher(run, openers[name]) for name in names)]


def figures(step: Step, batch_tokens: int) -> dict[str, float]:
    """What a step is worth telling."""
    told = {
        "loss": step.loss,
        "learning_rate": step.lr,
        "tokens_per_second": batch_tokens / step.seconds,
        "gradient_norm": step.gradient,
    }
    return told if step.update is None else told | {"update": step.update}


def _watcher(run: Run, opener: Callable[[Run, Stage, int], Any]) -> Watcher:
    @contextmanager
    def watch(
        stage: Stage, copy: Copier, tokenizer: Tokenizer, step: int
    ) -> Iterator[Callable[[Step], None]]:
        batch_tokens = run.recipe.stage(stage).batch_tokens
        with opener(run, stage, step) as tell:
            yield lambda taken: tell(figures(taken, batch_tokens), taken.step)

    return watch


@contextmanager
def _tensorboard(run: Run, stage: Stage, step: int) -> Iterator[Tell]:
    from tensorboardX import SummaryWriter

    directory = run.directory / "tensorboard" / stage
    writer = SummaryWriter(str(directory), purge_step=step + 1 if step else None, flush_secs=10)

    def tell(values: dict[str, float], step: int) -> None:
        for name, value in values.items():
            writer.add_scalar(name, value, step)

    try:
        yield tell
    finally:
        try:
            writer.close()
        except OSError:  # the disk is full, which training says itself; it would try again at exit
            writer.file_writer.event_writer._closed = True


@contextmanager
def _wandb(run: Run, stage: Stage, step: int) -> Iterator[Tell]:
    import wandb

    opened = wandb.init(
        project=PROJECT,
        name=f"{run.name}-{stage}",
        id=f"{run.name}-{stage}",
        group=run.name,
        dir=run.directory,
        mode="online" if os.environ.get("WANDB_MODE") == "online" else "offline",
        resume="allow",
        config=run.recipe.model_dump(),
    )
    try:
        yield lambda values, step: opened.log(values, step=step)
    finally:
        opened.finish()


@contextmanager
def _trackio(run: Run, stage: Stage, step: int) -> Iterator[Tell]:
    import trackio

    opened = trackio.init(
        project=PROJECT,
        name=f"{run.name}-{stage}",
        group=run.name,
        config=run.recipe.model_dump(),
        resume="allow",
        embed=False,
    )
    try:
        yield lambda values, step: opened.log(values, step=step)
    finally:
        opened.finish()
