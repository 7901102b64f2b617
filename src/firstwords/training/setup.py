"""What a training step needs: model, optimizer, loss function, gradient exchange.

`build` is the only place that puts them together, for stages, autotuning, labs, the trace and the
benchmarks.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from firstwords.common import console, files, paths
from firstwords.common.errors import telling_line
from firstwords.data.dataloader import IGNORE_INDEX
from firstwords.kernels.build import train_library
from firstwords.kernels.train import NativeTrainer, RaggedTrainer, rows_per_pass
from firstwords.model.transformer import Block, Transformer
from firstwords.recipe import Recipe, RLConfig, StageConfig
from firstwords.training.distributed import World
from firstwords.training.gradient_sync import DataParallelSync, GradientSync
from firstwords.training.native_optimizer import NativeOptimizer
from firstwords.training.optimizer import Optimizer

COMPILE_ERRORS = (RuntimeError, OSError, ImportError)
LossFunction = Callable[..., Tensor]


@dataclass
class TrainState:
    """A model in training.

    `loss(x_mT, y_mT)` returns the summed cross-entropy of a micro-batch, and `loss(x_mT, y_mT,
    w_mT)` the sum of each target's cross-entropy times its weight. `native` computes the gradients
    instead, if the recipe's kernel is native.
    """

    model: Transformer
    optimizer: Optimizer
    loss: LossFunction
    sync: GradientSync
    native: NativeTrainer | None = None


def build(
    recipe: Recipe,
    model: Transformer | None = None,
    world: World | None = None,
    stage: StageConfig | None = None,
) -> TrainState:
    """Build the training state of a recipe: its device, dtype, kernel, optimizer and sharding.

    `model` is on the CPU; by default it is a new one with the recipe's initial weights. `stage` is
    the stage to train, by default pretraining. Raises UserError if the processes of `world` cannot
    share a batch.
    """
    if model is None:
        model = Transformer(recipe.model, recipe.attention).init_weights(recipe.seed)
    stage = stage or recipe.pretrain
    if isinstance(stage, RLConfig):  # each process generates, for which it needs whole weights
        recipe = recipe.replace(shard="optimizer")
    sync = make_sync(recipe, world or World(), model)
    native = native_trainer(recipe, model, stage, sync.world)
    if native:
        native_optimizer = NativeOptimizer(model, recipe.optimizer, native)
        return TrainState(model, native_optimizer, loss_function(model, recipe), sync, native)
    optimizer = Optimizer(model, recipe.optimizer, torch_dtype(recipe), sync.owned)
    return TrainState(model, optimizer, loss_function(model, recipe), sync)


def make_sync(recipe: Recipe, world: World, model: Transformer) -> GradientSync:
    """Move the model from the CPU to the recipe's device, whole or sharded, and return what
    exchanges its gradients. Raises UserError if the processes cannot share a batch evenly."""
    if recipe.shard == "weights" and world.size > 1:
        # Importing PyTorch's FSDP takes almost a second and 40 MB of memory.
        from firstwords.training.fsdp import FSDPSync, check_batch_splits_evenly

        check_batch_splits_evenly(recipe, world)
        return FSDPSync(model, world, recipe.device)
    model.to(recipe.device)
    return DataParallelSync(model, world) if world.size > 1 else GradientSync(model)


def native_trainer(
    recipe: Recipe, model: Transformer, stage: StageConfig, world: World
) -> NativeTrainer | None:
    """Return the compiled training step if the recipe says so and this machine has it.

    Several processes, and machines without a C++ compiler, use PyTorch instead, which learns the
    same.
    """
    if recipe.kernel == "pytorch" or world.size > 1:
        return None
    library = train_library(recipe.dtype)
    if library is None:
        console.warn("no native training step on this machine, so training is slower")
        return None
    rows = rows_per_pass(stage, recipe.n_threads)
    kind = RaggedTrainer if isinstance(stage, RLConfig) else NativeTrainer
    return kind(library, model, stage.seq_len, stage.batch_size, rows, recipe.n_threads)


def loss_function(model: Transformer, recipe: Recipe) -> LossFunction:
    """Return the summed loss of a micro-batch, in the recipe's dtype, compiled if it says so.

    Only a block is compiled, once for all layers and for all later models of this process that
    have its shape: half the time of compiling the whole model, and as fast
    (docs/lab-notebook.md#compiled-blocks).
    """
    dtype = torch_dtype(recipe)
    if recipe.compile:
        _compile_deterministically()
        for block in model.layers:
            assert isinstance(block, Block)
            # Around it FSDP gathers the block's weights, which is not compiled.
            block.forward = torch.compile(block.forward, dynamic=False)  # type: ignore[method-assign]

    def loss(x_mT: Tensor, y_mT: Tensor, start_mT: Tensor, w_mT: Tensor | None = None) -> Tensor:
        reduction, device = "sum" if w_mT is None else "none", model.device
        x_mT, y_mT, start_mT = x_mT.to(device), y_mT.to(device), start_mT.to(device)
        with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
            nats = model.loss(x_mT, y_mT, reduction, start_mT)
        return nats if w_mT is None else nats @ w_mT.to(device)[y_mT != IGNORE_INDEX]

    return loss


def _compile_deterministically() -> None:
    """Let torch.compile choose the same code every time, not by measuring."""
    from torch._inductor import config  # takes 2 s of CPU time, so not at the top

    config.deterministic = True


def compile_or_eager(model: Transformer, step: Callable[[], object]) -> bool:
    """Run a step that compiles the model's blocks, and return whether that succeeded; if not, the
    step runs with eager blocks, which the model keeps."""
    try:
        compile_by(step)
        return True
    except COMPILE_ERRORS as error:
        warn_not_compiled(error)
        for block in model.layers:
            vars(block).pop("forward", None)
        step()
        return False


def warn_not_compiled(error: Exception) -> None:
    """Say that training is slower because compiling failed, and why."""
    console.warn(f"compiling failed, so training steps are slower ({telling_line(error)})")


def compile_by(step: Callable[[], object]) -> None:
    """Run a step that compiles. Raises one of COMPILE_ERRORS.

    A kill while compiling can leave code on disk that does not load; so after a failure the step
    runs once more without the cache, and the new code replaces the old.
    """
    cache = Path(os.environ.get("TORCHINDUCTOR_CACHE_DIR", paths.compile_cache()))
    _remove_lost_libraries(cache)
    try:
        step()
    except COMPILE_ERRORS:
        with _new_compile_cache(cache):
            step()
    with suppress(OSError):  # the home may be read-only, or another run be compiling
        files.flush_tree(cache)


def _remove_lost_libraries(cache: Path) -> None:
    """Remove libraries whose content a power cut has lost. torch finds out which vector
    instructions work by loading one, and would compile without any in silence."""
    for path in cache.rglob("*.so"):
        with suppress(OSError):  # removed meanwhile, or in a read-only home
            with path.open("rb") as file:
                is_lost = not any(file.read(4))  # empty, or zeros
            if is_lost:
                path.unlink()


@contextmanager
def _new_compile_cache(cache: Path) -> Iterator[None]:
    """Compile into an empty directory, whose files replace those of the same names in the compile
    cache if the block succeeds. Code that other runs compiled stays."""
    cache.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=cache) as directory:
        _use_compile_cache(directory)
        try:
            yield
            for path in [path for path in Path(directory).rglob("*") if path.is_file()]:
                target = cache / path.relative_to(directory)
                target.parent.mkdir(parents=True, exist_ok=True)
                path.replace(target)
        finally:
            _use_compile_cache(str(cache))


def _use_compile_cache(directory: str) -> None:
    """Let torch.compile store its code in the directory, and forget what it loaded from another:
    also which vector instructions work, which it finds out by loading compiled code."""
    from torch._inductor import cpu_vec_isa
    from torch._inductor.utils import clear_caches

    os.environ["TORCHINDUCTOR_CACHE_DIR"] = directory
    torch._dynamo.reset()
    clear_caches()
    classes = [value for value in vars(cpu_vec_isa).values() if isinstance(value, type)]
    for function in (value for owner in (cpu_vec_isa, *classes) for value in vars(owner).values()):
        if hasattr(function, "cache_clear"):
            function.cache_clear()


def torch_dtype(recipe: Recipe) -> torch.dtype:
    """Return the dtype of the recipe's matrix products."""
    return {"float32": torch.float32, "bfloat16": torch.bfloat16}[recipe.dtype]
