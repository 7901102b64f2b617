"""Find the settings with which this machine trains fastest, and measure its speed.

Settings are chosen by trial: the training step of a small model with fewer threads, in another
dtype, by the native kernel, in larger micro-batches, compiled; and that of a larger model on a
GPU, if there is one. The results are cached, so that only the first plan on a machine pays for
them. The speed of the model that a plan chooses is measured every time.
"""

import hashlib
import json
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from pydantic import Field, ValidationError

from firstwords.common import console, devices, disk, files, hardware, paths
from firstwords.common.errors import telling_line
from firstwords.common.hardware import Device
from firstwords.common.schema import FrozenModel
from firstwords.data.dataloader import single_sequences
from firstwords.kernels.build import train_library
from firstwords.model.size import flops_per_token
from firstwords.planning.model_sizes import SEQ_LEN, model_config
from firstwords.recipe import Dtype, Kernel, Recipe, StageConfig, with_overrides
from firstwords.training.loop import gradients
from firstwords.training.setup import COMPILE_ERRORS, build, compile_by, warn_not_compiled

MIN_SPEEDUP = 1.05  # with less, the simpler setting stays
TRIAL_SECONDS = 1.5  # of steps for each setting
MAX_GRADIENT_DIFFERENCE = 0.05  # of losses and gradient norms; bfloat16 differs by 0.3 %
COMPILE_TRIAL_SECONDS = 3.0
MIN_TURNS = 3  # steps of each of two recipes that are compared
TRIAL_BATCH_SIZE = 8
TRIAL_MICRO_BATCH_SIZE = 2  # PyTorch's activations of whole batches need 200 MB more
GPU_TRIAL_BATCH_SIZE = 64  # smaller batches leave most of a GPU idle
NATIVE_FROM_SECONDS = 45.0  # budget from which compiling the native kernel, 6 s, pays
TRIALS_FROM_SECONDS = 240.0  # budget from which trying settings, 10 to 25 s, may pay


class MachineSettings(FrozenModel):
    """The settings with which this machine trains fastest.

    `speedups` has the speed of every setting that was tried, chosen or not, relative to the best
    before it. `batch_halvings` says how often a batch is halved into micro-batches.
    """

    n_threads: int = Field(ge=1)
    device: Device = "cpu"
    dtype: Dtype
    kernel: Kernel
    batch_halvings: int = Field(ge=0)
    flops_per_second: float = Field(gt=0)
    matmul_gflops: dict[str, float]  # by dtype, on the CPU
    speedups: dict[str, float]


# --- settings -------------------------------------------------------------------------------------


def machine_settings(seconds: float) -> MachineSettings:
    """Return this machine's settings, from the cache or found by trial in about ten seconds.

    A budget of `seconds` that is too short for trials gets defaults that are not cached: all cores,
    the dtype with the faster matrix products, and the faster kernel.
    """
    path = _cache_path("settings", "kernel")
    if path.exists():
        try:
            return MachineSettings.model_validate_json(path.read_text(encoding="utf-8"))
        except (OSError, ValidationError):
            console.warn(f"{path} is not readable; benchmarking this machine again")
    if seconds < TRIALS_FROM_SECONDS:
        return _default_settings(with_native=seconds >= NATIVE_FROM_SECONDS)
    console.say("benchmarking this machine (cached for later runs)")
    settings = _settings_by_trial()
    with disk.optional_output("these settings"):
        files.write_json(path, settings.model_dump())
    return settings


def with_own_settings(settings: MachineSettings, overrides: Iterable[str]) -> MachineSettings:
    """Return the settings with the threads, dtype and kernel that `--set` gives, and their speed on
    the CPU."""
    trial = _in_micro_batches(
        trial_recipe(settings.n_threads).replace(dtype=settings.dtype, kernel=settings.kernel),
        TRIAL_BATCH_SIZE >> settings.batch_halvings,
    )
    own = [text for text in overrides if text.partition("=")[0] in ("n_threads", "dtype", "kernel")]
    chosen = with_overrides(trial, own)
    if chosen == trial or settings.device != "cpu":
        return settings
    speed = tokens_per_second(chosen, TRIAL_SECONDS)
    return _settings_of(chosen, speed, settings.matmul_gflops, settings.speedups)


def _default_settings(with_native: bool) -> MachineSettings:
    gflops = _matmul_gflops()
    recipe = trial_recipe(hardware.physical_cores())
    if gflops["bfloat16"] > gflops["float32"]:
        recipe = recipe.replace(dtype="bfloat16")
    speed = tokens_per_second(recipe, TRIAL_SECONDS)
    speedups: dict[str, float] = {}
    native = _in_whole_batches(recipe.replace(kernel="native"))
    if (
        with_native
        and train_library(recipe.dtype)
        and has_gradients(native, first_gradients(recipe))
    ):
        native_speed = tokens_per_second(native, TRIAL_SECONDS)
        speedups["native"] = native_speed / speed
        if native_speed > speed:
            recipe, speed = native, native_speed
    return _or_gpu(_settings_of(recipe, speed, gflops, speedups))


def _settings_by_trial() -> MachineSettings:
    gflops = _matmul_gflops()
    best = trial_recipe(hardware.physical_cores())
    speed = tokens_per_second(best, TRIAL_SECONDS)
    speedups: dict[str, float] = {}

    def adopt(name: str, other: Recipe, least: float = MIN_SPEEDUP) -> bool:
        """Take the other recipe if its speedup is at least `least`; return whether it is."""
        nonlocal best, speed
        speed, other_speed = measure_alternately(best, other, TRIAL_SECONDS)
        speedups[name] = other_speed / speed
        if speedups[name] < least:
            return False
        best, speed = other, other_speed
        return True

    # 1. Fewer threads, unless they are clearly slower.
    while (fewer := best.n_threads // 2) and adopt(
        f"{fewer} threads", trial_recipe(fewer), 1 / MIN_SPEEDUP
    ):
        pass
    # 2. bfloat16. A CPU without bfloat16 products emulates them, ten times slower: no trial.
    if gflops["bfloat16"] > gflops["float32"]:
        adopt("bfloat16", best.replace(dtype="bfloat16"))
    # 3. The native kernel, compiled in a few seconds.
    if train_library(best.dtype):
        native = _in_whole_batches(best.replace(kernel="native"))
        if has_gradients(native, first_gradients(best)):
            adopt("native", native, 1.0)
    # 4. Larger micro-batches.
    while (size := 2 * best.pretrain.micro_batch_size) <= TRIAL_BATCH_SIZE and adopt(
        f"micro-batches of {size}", _in_micro_batches(best, size)
    ):
        pass
    # 5. A GPU.
    return _or_gpu(_settings_of(best, speed, gflops, speedups))


def _in_whole_batches(recipe: Recipe) -> Recipe:
    """Return the recipe as the native kernel takes it, whose passes need little memory anyway."""
    return _in_micro_batches(recipe, TRIAL_BATCH_SIZE)


def _in_micro_batches(recipe: Recipe, size: int) -> Recipe:
    return recipe.replace(pretrain=recipe.pretrain.replace(micro_batch_size=size))


def _or_gpu(settings: MachineSettings) -> MachineSettings:
    """Return the settings, with those of a GPU if it trains faster."""
    device = devices.available_gpu()
    if device is None:
        return settings
    trial = gpu_trial_recipe(settings.n_threads, device)
    try:
        speed = tokens_per_second(trial, TRIAL_SECONDS)
    except RuntimeError as error:  # a driver or a kernel is missing
        console.warn(f"ignoring the GPU ({device}): a trial step failed ({telling_line(error)})")
        return settings
    flops_per_second = speed * flops_per_token(trial.model, SEQ_LEN)
    speedup = flops_per_second / settings.flops_per_second
    settings = settings.replace(speedups=settings.speedups | {device: speedup})
    if speedup < MIN_SPEEDUP:
        return settings
    return settings.replace(
        device=device,
        dtype=trial.dtype,
        kernel="pytorch",
        batch_halvings=0,
        flops_per_second=flops_per_second,
    )


def _settings_of(
    recipe: Recipe, speed: float, gflops: dict[str, float], speedups: dict[str, float]
) -> MachineSettings:
    """Return the settings of a trial recipe that trains `speed` tokens per second."""
    n_micro_batches = TRIAL_BATCH_SIZE // recipe.pretrain.micro_batch_size
    return MachineSettings(
        n_threads=recipe.n_threads,
        dtype=recipe.dtype,
        kernel=recipe.kernel,
        batch_halvings=n_micro_batches.bit_length() - 1,
        flops_per_second=speed * flops_per_token(recipe.model, SEQ_LEN),
        matmul_gflops=gflops,
        speedups=speedups,
    )


def _matmul_gflops() -> dict[str, float]:
    devices.configure_torch(hardware.physical_cores())
    return {
        "float32": devices.matmul_gflops(torch.float32),
        "bfloat16": devices.matmul_gflops(torch.bfloat16),
    }


def trial_recipe(n_threads: int) -> Recipe:
    """Return a recipe to measure CPU settings with. Only its model and its pretraining count."""
    stage = StageConfig(
        steps=1,
        batch_size=TRIAL_BATCH_SIZE,
        micro_batch_size=TRIAL_MICRO_BATCH_SIZE,
        seq_len=SEQ_LEN,
    )
    return Recipe(
        n_threads=n_threads,
        tokenizer_bytes=1,
        model=model_config((4, 192, 2), 2048),
        pretrain=stage,
        midtrain=stage,
        sft=stage,
    )


def gpu_trial_recipe(n_threads: int, device: Device) -> Recipe:
    """Return a recipe to measure a GPU with: a larger model, and bfloat16 on NVIDIA GPUs, which
    have it in hardware since 2020."""
    stage = StageConfig(
        steps=1,
        batch_size=GPU_TRIAL_BATCH_SIZE,
        micro_batch_size=GPU_TRIAL_BATCH_SIZE,
        seq_len=SEQ_LEN,
    )
    return trial_recipe(n_threads).replace(
        device=device,
        dtype="bfloat16" if device == "cuda" else "float32",
        model=model_config((8, 512, 4), 4096),
        pretrain=stage,
    )


# --- compiling ------------------------------------------------------------------------------------


def autotune_step(recipe: Recipe) -> Recipe:
    """Return the recipe, compiled if that makes its steps faster, and with the faster attention.

    The result is cached; a trial takes up to a minute. If compiling fails, for example because
    Python's headers are missing, the recipe stays as it is.
    """
    path = _cache_path(
        "step",
        recipe.model.model_dump(),
        recipe.device,
        recipe.dtype,
        recipe.pretrain.micro_batch_size,
    )
    if path.exists():
        trial = files.read_json(path)
    else:
        console.say("compiling the training step to measure the speedup (up to a minute, once)")
        try:
            trial = _compile_and_compare(recipe)
        except COMPILE_ERRORS as error:
            warn_not_compiled(error)
            return recipe
        with disk.optional_output("the speeds"):
            files.write_json(path, trial)
    return recipe.replace(compile=trial["pays"], attention=trial["attention"])


def _compile_and_compare(recipe: Recipe) -> dict[str, Any]:
    """Measure the recipe's step eager, compiled, and compiled with plain attention.

    A variant with other gradients than the eager step is not used, however fast it is: compiled
    plain attention with heads of 64 channels has NaN gradients on processors with AMX
    (docs/lab-notebook.md#plain-attention-with-nan-gradients). Raises one of COMPILE_ERRORS.
    """
    compiled = recipe.replace(compile=True)
    compile_by(lambda: tokens_per_second(compiled, seconds=0.0))
    eager_speed, speed = measure_alternately(recipe, compiled, COMPILE_TRIAL_SECONDS)
    gradients_of_eager = first_gradients(recipe)
    pays, attention = speed > eager_speed and has_gradients(compiled, gradients_of_eager), "fused"
    # Plain attention cannot win elsewhere: float32 products of the scores are slow, and on a GPU
    # the fused kernel saves the most.
    if pays and recipe.device == "cpu" and recipe.dtype == "bfloat16":
        plain = compiled.replace(attention="plain")
        compile_by(lambda: tokens_per_second(plain, seconds=0.0))
        fused_speed, plain_speed = measure_alternately(compiled, plain, COMPILE_TRIAL_SECONDS)
        if plain_speed > fused_speed and has_gradients(plain, gradients_of_eager):
            attention, speed = "plain", plain_speed
    return {
        "eager_per_second": eager_speed,
        "compiled_per_second": speed,
        "attention": attention,
        "pays": pays,
    }


def has_gradients(variant: Recipe, reference: tuple[float, float]) -> bool:
    """Return whether the first step of a variant has nearly the loss and the gradient norm of
    `reference`, which are those of the eager step. NaN is never near."""
    losses_and_norms = zip(first_gradients(variant), reference, strict=True)
    agrees = all(abs(a - b) <= MAX_GRADIENT_DIFFERENCE * b for a, b in losses_and_norms)
    if not agrees:
        kind = f"compiled step with {variant.attention} attention"
        if variant.kernel == "native":
            kind = "native step"
        console.warn(f"ignoring the {kind}: its gradients differ from those of the eager step")
    return agrees


def first_gradients(recipe: Recipe) -> tuple[float, float]:
    """Return the loss and the norm of all gradients of a step on random tokens."""
    stage, state = recipe.pretrain, build(recipe)
    x_BT = _random_batch(recipe)
    with _threads(recipe.n_threads):
        batch = single_sequences(x_BT, x_BT.roll(-1, 1))
        loss = gradients(state, batch, stage.micro_batch_size)
        return loss, state.optimizer.gradient_norm()


# --- speed ----------------------------------------------------------------------------------------


def tokens_per_second(recipe: Recipe, seconds: float) -> float:
    """Measure whole training steps of the recipe's pretraining, on random tokens, for `seconds`.

    Only the second half counts, since the first seconds can be a third slower. It is the mean, not
    the median: what a busy machine takes away now and then counts too.
    """
    step = training_step(recipe)
    step()
    times = [step(), step()]
    while sum(times) < seconds:
        times.append(step())
    counted = times[len(times) // 2 :]
    return recipe.pretrain.batch_tokens * len(counted) / sum(counted)


def measure_alternately(one: Recipe, other: Recipe, seconds: float) -> tuple[float, float]:
    """Measure the tokens per second of two recipes that take steps in turns, `seconds` each, so
    that a change of the machine's speed affects both equally."""
    steps = [training_step(one), training_step(other)]
    for step in steps * 2:
        step()
    turns: list[list[float]] = []
    while len(turns) < MIN_TURNS or sum(sum(turn) for turn in turns) < 2 * seconds:
        turns.append([step() for step in steps])
    first, second = (statistics.median(times) for times in zip(*turns, strict=True))
    return one.pretrain.batch_tokens / first, other.pretrain.batch_tokens / second


def training_step(recipe: Recipe) -> Callable[[], float]:
    """Return a function that takes one step of the recipe's pretraining and returns its seconds."""
    stage, state = recipe.pretrain, build(recipe)
    x_BT = _random_batch(recipe)
    batch = single_sequences(x_BT, x_BT)

    def step() -> float:
        with _threads(recipe.n_threads):
            start = time.perf_counter()
            gradients(state, batch, stage.micro_batch_size)
            state.optimizer.gradient_norm()
            state.optimizer.step(0.1)
            state.sync.zero_grad()
            devices.synchronize(state.model.device)
            return time.perf_counter() - start

    return step


def _random_batch(recipe: Recipe) -> torch.Tensor:
    """Return random token ids (batch_size, seq_len)."""
    generator = torch.Generator().manual_seed(0)
    shape = (recipe.pretrain.batch_size, recipe.pretrain.seq_len)
    return torch.randint(recipe.model.vocab_size, shape, generator=generator)


@contextmanager
def _threads(n: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _cache_path(kind: str, *key: Any) -> Path:
    """Return the cache file of a result for this CPU, its cores, its GPUs and this PyTorch."""
    machine = [hardware.cpu_name(), hardware.physical_cores(), *devices.gpu_names()]
    document = json.dumps([*machine, torch.__version__, *key])
    digest = hashlib.sha256(document.encode()).hexdigest()[:16]
    return paths.home() / "machine" / f"{kind}-{digest}.json"
