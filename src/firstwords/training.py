"""THE training loop. All stages call it; what differs between them is decided before.

It holds no position of its own: batch `step` is a pure function of (seed, step), and the step is
the optimizer's count. So a run that continues from a checkpoint ends with the same bytes as one
that never stopped.
"""

import math
import shutil
import time
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from firstwords import machine
from firstwords.data.rows import Batches
from firstwords.distributed import Exchange
from firstwords.errors import Diverged
from firstwords.model import IGNORE, Block, Transformer
from firstwords.optimizer import Optimizer, learning_rate
from firstwords.recipe import Recipe, StageConfig

LOOK_EVERY = 10  # steps; looking at what a step changed takes a copy of the weights
COMPILE_ERRORS = (RuntimeError, OSError, ImportError)
LossFunction = Callable[[Tensor, Tensor], Tensor]


class Step(NamedTuple):
    """What one step did."""

    step: int  # counted from 1
    loss: float  # nats per target
    lr: float  # share of the peak rates
    seconds: float  # that it took
    gradient: float  # norm of all gradients
    update: float | None  # norm of the change of all weights, by their own; None: not looked at


def loss_function(model: Transformer, recipe: Recipe) -> LossFunction:
    """The summed loss of a micro-batch, in the recipe's dtype, compiled if the recipe says so.

    Only a block is compiled, once for all layers and for all later models of this process that
    have its shape: half the time of compiling the whole, and as fast (docs/lab-notebook.md).
    """
    dtype = torch_dtype(recipe)
    for block in model.layers:
        assert isinstance(block, Block)
        block.self_attn.plain = recipe.attention == "plain"
        if recipe.compile:  # what is around it, where weights are gathered for it, is not compiled
            block.forward = torch.compile(block.forward, dynamic=False)  # type: ignore[method-assign]

    def loss(x_BT: Tensor, y_BT: Tensor) -> Tensor:
        with torch.autocast(model.device.type, dtype, enabled=dtype != torch.float32):
            return model.loss(x_BT, y_BT, reduction="sum")

    return loss


def warm_up(
    loss: LossFunction,
    batches: Batches,
    stage: StageConfig,
    exchange: Exchange,
) -> None:
    """Compile: take a first batch through the model, and forget its gradients."""
    compile_by(lambda: accumulate(loss, *batches.batch(0), stage.micro_rows, exchange))
    exchange.forget_gradients()


def compile_by(step: Callable[[], object]) -> None:
    """Take a step that compiles. Raises one of COMPILE_ERRORS.

    A kill in the midst of compiling can leave code on disk that does not load; so after a failure
    all of it is made again.
    """
    try:
        step()
    except COMPILE_ERRORS:
        shutil.rmtree(machine.compiled_code(), ignore_errors=True)
        torch._dynamo.reset()
        step()


def torch_dtype(recipe: Recipe) -> torch.dtype:
    return {"float32": torch.float32, "bfloat16": torch.bfloat16}[recipe.dtype]


def train(
    loss: LossFunction,
    optimizer: Optimizer,
    batches: Batches,
    stage: StageConfig,
    on_step: Callable[[Step], bool],
    exchange: Exchange,
) -> None:
    """Take the remaining steps of `stage`, with all processes of the `exchange`. `on_step` sees
    each; it ends the loop by returning False, in every process alike. Raises Diverged."""
    world = exchange.world
    while optimizer.steps < stage.steps:
        start = time.perf_counter()
        lr = learning_rate(
            optimizer.steps, stage.steps, stage.warmup_steps, stage.decay_fraction, stage.final_lr
        )
        x_BT, y_BT = batches.batch(optimizer.steps)
        part = accumulate(loss, x_BT, y_BT, stage.micro_rows, exchange)
        value, squares = world.total(part, optimizer.gradient_norm() ** 2)
        if not math.isfinite(value):
            raise Diverged(f"the loss at step {optimizer.steps + 1} is {value}")
        before = optimizer.weights() if optimizer.steps % LOOK_EVERY == 0 else None
        optimizer.step(lr * stage.lr_scale)
        exchange.give_back()
        update = None
        if before is not None:
            moved, all_of_it = optimizer.change_since(before)
            moved, all_of_it = world.total(moved**2, all_of_it**2)
            update = math.sqrt(moved / all_of_it)
        seconds = time.perf_counter() - start
        if not on_step(
            Step(optimizer.steps, value, lr * stage.lr_scale, seconds, squares**0.5, update)
        ):
            return


def accumulate(
    loss: LossFunction, x_BT: Tensor, y_BT: Tensor, micro_rows: int, exchange: Exchange
) -> float:
    """Gradients of the mean loss over all targets of the batch, `micro_rows` rows at a time.
    Returns what this process's rows add to the loss."""
    n_targets = int((y_BT != IGNORE).sum())
    rows = zip(
        exchange.world.share(x_BT).split(micro_rows),
        exchange.world.share(y_BT).split(micro_rows),
        strict=True,
    )
    *first, last = [(x_mT, y_mT) for x_mT, y_mT in rows]
    total = 0.0
    for x_mT, y_mT in first:
        total += _backward(loss(x_mT, y_mT) / n_targets)
    part = loss(*last) / n_targets
    with exchange.last_backward():
        total += _backward(part)
    return total


def _backward(part: Tensor) -> float:
    part.backward()
    return part.item()
