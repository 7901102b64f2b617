"""The training loop. All stages, labs and benchmarks use it.

It keeps no position of its own: batch `step` is a pure function of (seed, step), and the step is
the optimizer's count. So a run that resumes from a checkpoint ends with the same bytes as one that
never stopped.

Shapes: B rows of a batch, m rows of a micro-batch, T tokens.
"""

import math
import time
from collections.abc import Iterator
from typing import NamedTuple

from torch import Tensor

from firstwords.common.errors import Diverged
from firstwords.data.dataloader import IGNORE_INDEX, Batch, Batches
from firstwords.recipe import StageConfig
from firstwords.training.gradient_sync import GradientSync
from firstwords.training.schedule import learning_rate
from firstwords.training.setup import LossFunction, TrainState, compile_or_eager

UPDATE_NORM_EVERY = 10  # steps; measuring the update takes a copy of the weights


class Step(NamedTuple):
    """The metrics of one optimizer step, a line of metrics/STAGE.jsonl."""

    step: int  # counted from 1
    loss: float  # mean cross-entropy over the batch's targets, nats
    lr: float  # fraction of the peak learning rates
    seconds: float  # wall time of the step
    grad_norm: float  # norm of all gradients together
    update_norm: float | None  # norm of the update over that of the weights; every tenth step


def train(state: TrainState, batches: Batches, stage: StageConfig) -> Iterator[Step]:
    """Take the remaining steps of `stage`, yielding the metrics of each. Stop iterating to stop
    training. All processes of `state.sync` take every step together. Raises Diverged."""
    while state.optimizer.steps < stage.steps:
        yield train_step(state, batches, stage)


def train_step(state: TrainState, batches: Batches, stage: StageConfig) -> Step:
    """Take one optimizer step. Raises Diverged if the loss is not finite."""
    optimizer, sync = state.optimizer, state.sync
    start, number = time.perf_counter(), optimizer.steps
    lr = stage.lr_scale * learning_rate(
        number, stage.steps, stage.warmup_steps, stage.decay_fraction, stage.final_lr_fraction
    )
    # 1. Gradients of the mean loss over the batch.
    local_loss = gradients(state, batches.batch(number), stage.micro_batch_size)
    loss, squared_norm = sync.world.all_reduce_sum(local_loss, optimizer.gradient_norm() ** 2)
    if not math.isfinite(loss):
        raise Diverged(f"the loss at step {number + 1} is {loss}")
    # 2. Every parameter's owner updates it; then all processes get the new weights.
    before = optimizer.copy_weights() if number % UPDATE_NORM_EVERY == 0 else None
    optimizer.step(lr)
    sync.zero_grad()
    sync.broadcast_weights()
    # 3. Metrics.
    update_norm = None
    if before is not None:
        change, weight = optimizer.update_norms(before)
        change, weight = sync.world.all_reduce_sum(change**2, weight**2)
        update_norm = math.sqrt(change / weight)
    seconds = time.perf_counter() - start
    return Step(number + 1, loss, lr, seconds, math.sqrt(squared_norm), update_norm)


def gradients(state: TrainState, batch: Batch, micro_batch_size: int) -> float:
    """Compute the gradients of a batch's mean loss over its targets, or if it has weights of the
    sum of each target's loss times its weight.

    Returns the share of that loss that this process's rows contribute, in nats.
    """
    if state.native:
        return state.native.gradients(batch)
    return accumulate(state.loss, state.sync, batch, micro_batch_size)


def accumulate(
    loss: LossFunction, sync: GradientSync, batch: Batch, micro_batch_size: int
) -> float:
    """Do what `gradients` does by PyTorch, one micro-batch at a time."""
    divisor = int((batch.y_BT != IGNORE_INDEX).sum()) if batch.w_BT is None else 1
    parts = (sync.world.local_rows(part_BT) for part_BT in batch.parts())
    *first, last = zip(*(part_BT.split(micro_batch_size) for part_BT in parts), strict=True)
    total = 0.0
    for micro_batch in first:
        total += _backward(loss(*micro_batch) / divisor)
    last_loss = loss(*last) / divisor
    with sync.sync_gradients():  # every gradient is complete with this backward
        total += _backward(last_loss)
    return total


def warm_up(state: TrainState, batches: Batches, stage: StageConfig) -> bool:
    """Compile the step: compute the gradients of a first batch, and clear them. Returns whether
    that succeeded; if not, the step is eager."""

    def first_batch() -> None:
        accumulate(state.loss, state.sync, batches.batch(0), stage.micro_batch_size)

    compiles = compile_or_eager(state.model, first_batch)
    state.sync.zero_grad()
    return compiles


def _backward(loss: Tensor) -> float:
    loss.backward()
    return loss.item()
