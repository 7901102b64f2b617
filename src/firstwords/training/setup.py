"""What a training step needs: model, optimizer, loss function, gradient exchange.

`build` is the only place that puts them together, for stages, autotuning, labs, the trace and the
benchmarks.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from firstwords.common import paths
from firstwords.model.transformer import Block, Transformer
from firstwords.recipe import Recipe
from firstwords.training.distributed import World
from firstwords.training.fsdp import make_sync
from firstwords.training.gradient_sync import GradientSync
from firstwords.training.optimizer import Optimizer

COMPILE_ERRORS = (RuntimeError, OSError, ImportError)
LossFunction = Callable[[Tensor, Tensor], Tensor]


@dataclass
class TrainState:
    """A model in training. `loss(x_mT, y_mT)` returns the summed cross-entropy of a micro-batch."""

    model: Transformer
    optimizer: Optimizer
    loss: LossFunction
    sync: GradientSync


def build(
    recipe: Recipe, model: Transformer | None = None, world: World | None = None
) -> TrainState:
    """Build the training state of a recipe: its device, dtype, attention, optimizer and sharding.

    `model` is on the CPU; by default it is a new one with the recipe's initial weights. Raises
    UserError if the processes of `world` cannot share a batch.
    """
    if model is None:
        model = Transformer(recipe.model, recipe.attention).init_weights(recipe.seed)
    sync = make_sync(recipe, world or World(), model)
    optimizer = Optimizer(model, recipe.optimizer, torch_dtype(recipe), sync.owned)
    return TrainState(model, optimizer, loss_function(model, recipe), sync)


def loss_function(model: Transformer, recipe: Recipe) -> LossFunction:
    """Return the summed loss of a micro-batch, in the recipe's dtype, compiled if it says so.

    Only a block is compiled, once for all layers and for all later models of this process that
    have its shape: half the time of compiling the whole model, and as fast
    (docs/lab-notebook.md#compiled-blocks).
    """
    dtype = torch_dtype(recipe)
    if recipe.compile:
        for block in model.layers:
            assert isinstance(block, Block)
            # Around it FSDP gathers the block's weights, which is not compiled.
            block.forward = torch.compile(block.forward, dynamic=False)  # type: ignore[method-assign]

    def loss(x_mT: Tensor, y_mT: Tensor) -> Tensor:
        device = model.device
        with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
            return model.loss(x_mT.to(device), y_mT.to(device), reduction="sum")

    return loss


def compile_by(step: Callable[[], object]) -> None:
    """Run a step that compiles. Raises one of COMPILE_ERRORS.

    A kill while compiling can leave code on disk that does not load; so after a failure the compile
    cache is cleared and the step runs once more.
    """
    try:
        step()
    except COMPILE_ERRORS:
        shutil.rmtree(paths.compile_cache(), ignore_errors=True)
        torch._dynamo.reset()
        step()


def torch_dtype(recipe: Recipe) -> torch.dtype:
    """Return the dtype of the recipe's matrix products."""
    return {"float32": torch.float32, "bfloat16": torch.bfloat16}[recipe.dtype]
