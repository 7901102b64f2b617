"""Log the metrics of training to other tools.

TensorBoard files are always written (`tensorboard --logdir RUN/tensorboard`). Weights & Biases and
trackio are used if `--log-to` names them; both store what they get on this machine, W&B until
`wandb sync`, or online at once if WANDB_MODE is "online".
"""

import importlib.util
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from typing import Literal

from firstwords.common.errors import UserError
from firstwords.common.packages import install_command
from firstwords.recipe import Stage
from firstwords.runs.run import Run
from firstwords.tokenizer.bpe import Tokenizer
from firstwords.training.loop import Step
from firstwords.training.session import Callback, CallbackFactory, Snapshot

Name = Literal["wandb", "trackio"]
PROJECT = "firstwords"
Log = Callable[[dict[str, float], int], None]  # values by name, step
Tracker = Callable[[Run, Stage, int], AbstractContextManager[Log]]  # run, stage, steps taken


def check_trackers(names: tuple[Name, ...]) -> None:
    """Raise UserError if one of the tools is not installed."""
    for name in names:
        if importlib.util.find_spec(name) is None:
            raise UserError(
                f"--log-to {name} needs {name}, which is not installed",
                f"run: {install_command(name)}",
            )


def tracker_callbacks(run: Run, names: tuple[Name, ...]) -> list[CallbackFactory]:
    """Return callbacks for TensorBoard and the named tools."""
    trackers: dict[Name, Tracker] = {"wandb": _wandb, "trackio": _trackio}
    return [_callback(run, _tensorboard), *(_callback(run, trackers[name]) for name in names)]


def values_of(step: Step, batch_tokens: int) -> dict[str, float]:
    """Return the values of a step that the tools plot."""
    values = {
        "loss": step.loss,
        "learning_rate": step.lr,
        "tokens_per_second": batch_tokens / step.seconds,
        "grad_norm": step.grad_norm,
    }
    return values if step.update_norm is None else values | {"update_norm": step.update_norm}


def _callback(run: Run, tracker: Tracker) -> CallbackFactory:
    @contextmanager
    def callback(
        stage: Stage, snapshot: Snapshot, tokenizer: Tokenizer, steps_taken: int
    ) -> Iterator[Callback]:
        batch_tokens = run.recipe.stage(stage).batch_tokens
        with tracker(run, stage, steps_taken) as log:
            yield lambda step: log(values_of(step, batch_tokens), step.step)

    return callback


@contextmanager
def _tensorboard(run: Run, stage: Stage, steps_taken: int) -> Iterator[Log]:
    from firstwords.training.event_file import EventFile

    purge_step = steps_taken + 1 if steps_taken else None  # resuming repeats these steps
    with closing(EventFile(run.directory / "tensorboard" / stage, purge_step)) as events:
        yield events.add


@contextmanager
def _wandb(run: Run, stage: Stage, steps_taken: int) -> Iterator[Log]:
    import wandb

    tracked = wandb.init(
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
        yield lambda values, step: tracked.log(values, step=step)
    finally:
        tracked.finish()


@contextmanager
def _trackio(run: Run, stage: Stage, steps_taken: int) -> Iterator[Log]:
    import trackio

    tracked = trackio.init(
        project=PROJECT,
        name=f"{run.name}-{stage}",
        group=run.name,
        config=run.recipe.model_dump(),
        resume="allow",
        embed=False,
    )
    try:
        yield lambda values, step: tracked.log(values, step=step)
    finally:
        tracked.finish()
