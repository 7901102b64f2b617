"""How fast this machine trains, and with which settings.

Settings are chosen by trying: a small model's training step with other numbers of threads, in
another dtype, in smaller micro-batches, compiled; and a larger one's on a GPU, if there is one.
What was found is kept for the machine, so that only the first plan pays for it; the speed of the
model that a plan picks is measured every time.
"""

import hashlib
import json
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from pydantic import Field, ValidationError

from firstwords import console, files, machine
from firstwords.distributed import Exchange, World
from firstwords.model import Transformer, flops_per_token
from firstwords.optimizer import Optimizer
from firstwords.recipe import SEQ_LEN, Device, Dtype, Fixed, Recipe, StageConfig, model_config
from firstwords.training import (
    COMPILE_ERRORS,
    accumulate,
    compile_by,
    loss_function,
    torch_dtype,
)

CLEARLY = 1.05  # times as fast, or else the simpler setting stays
SECONDS = 1.5  # of steps for each setting that is tried
FEWEST_TURNS = 3
COMPILED_SECONDS = 3.0
ROWS = 8
GPU_ROWS = 64  # fewer leave most of a GPU idle
TRY_FROM = 120.0  # seconds of budget from which trying settings, 10 to 20 s, may pay


class Settings(Fixed):
    """What trains fastest here. `tried` says how many times as fast as the best before it each
    setting was, with the ones that were not taken."""

    n_threads: int = Field(ge=1)
    device: Device = "cpu"
    dtype: Dtype
    halves: int = Field(ge=0)  # how often a batch is halved into micro-batches
    flops_per_second: float = Field(gt=0)
    matmul_gflops: dict[str, float]
    tried: dict[str, float]


def settings(seconds: float) -> Settings:
    """This machine's settings: as they were found before, or found now in some ten seconds. For a
    budget too short for that, which is worth no more than a guess: all cores, whole batches, the
    dtype with the faster products; the next plan does not know of it."""
    path = _kept("settings")
    if path.exists():
        try:
            return Settings.model_validate_json(path.read_text(encoding="utf-8"))
        except (OSError, ValidationError):
            console.warn(f"{path} is not readable; measuring again")
    if seconds < TRY_FROM:
        return _guess()
    found = _try_settings()
    files.write_json(path, found.model_dump())
    return found


def _guess() -> Settings:
    rates = _product_rates()
    best = trial(machine.physical_cores())
    if rates["bfloat16"] > rates["float32"]:
        best = best.model_copy(update={"dtype": "bfloat16"})
    return _or_gpu(_settings(best, tokens_per_second(best, SECONDS), rates, {}))


def _or_gpu(found: Settings) -> Settings:
    """The same, or a GPU's settings where that trains faster."""
    device = machine.gpu()
    if device is None:
        return found
    other = gpu_trial(found.n_threads, device)
    try:
        speed = tokens_per_second(other, SECONDS)
    except RuntimeError as error:  # a driver or a kernel that is missing
        reason = str(error).strip().splitlines()[0]
        console.warn(f"the GPU ({device}) is left alone: it does not work ({reason[:120]})")
        return found
    rate = speed * flops_per_token(other.model, SEQ_LEN)
    tried = found.tried | {device: rate / found.flops_per_second}
    if tried[device] < CLEARLY:
        return found.model_copy(update={"tried": tried})
    of_gpu = {"device": device, "dtype": other.dtype, "halves": 0, "flops_per_second": rate}
    return found.model_copy(update=of_gpu | {"tried": tried})


def _product_rates() -> dict[str, float]:
    machine.setup(machine.physical_cores())
    return {
        "float32": machine.matmul_gflops(torch.float32),
        "bfloat16": machine.matmul_gflops(torch.bfloat16),
    }


def _settings(
    best: Recipe, speed: float, rates: dict[str, float], tried: dict[str, float]
) -> Settings:
    return Settings(
        n_threads=best.n_threads,
        dtype=best.dtype,
        halves=(ROWS // best.base.micro_rows).bit_length() - 1,
        flops_per_second=speed * flops_per_token(best.model, SEQ_LEN),
        matmul_gflops=rates,
        tried=tried,
    )


def _try_settings() -> Settings:
    console.say("measuring this machine (once; the next plan knows it)")
    rates = _product_rates()
    best = trial(machine.physical_cores())
    speed = tokens_per_second(best, SECONDS)
    tried: dict[str, float] = {}

    def against_best(name: str, other: Recipe) -> float:
        nonlocal speed
        speed, others = in_turns(best, other, SECONDS)
        tried[name] = others / speed
        return tried[name]

    while best.n_threads > 1:
        fewer = best.n_threads // 2
        if against_best(f"{fewer} threads", trial(fewer)) < 1 / CLEARLY:
            break
        best = trial(fewer)
    # Where the processor has no bfloat16 products it emulates them, ten times slower: no trial.
    if rates["bfloat16"] > rates["float32"]:
        other = best.model_copy(update={"dtype": "bfloat16"})
        if against_best("bfloat16", other) > CLEARLY:
            best = other
    while best.base.micro_rows > 1:
        stage = best.base.model_copy(update={"micro_rows": best.base.micro_rows // 2})
        other = best.model_copy(update={"base": stage})
        if against_best(f"{stage.micro_rows} rows at a time", other) < CLEARLY:
            break
        best = other
    return _or_gpu(_settings(best, speed, rates, tried))


def trial(n_threads: int) -> Recipe:
    """A recipe to measure with; only its model and its base stage count."""
    stage = StageConfig(steps=1, batch_rows=ROWS, micro_rows=ROWS, seq_len=SEQ_LEN)
    model = model_config((4, 192, 2), 2048)
    return Recipe(
        n_threads=n_threads, tokenizer_bytes=1, model=model, base=stage, mid=stage, sft=stage
    )


def gpu_trial(n_threads: int, device: Device) -> Recipe:
    """Work for a GPU. In bfloat16 where it has that in hardware, as NVIDIA's have since 2020."""
    stage = StageConfig(steps=1, batch_rows=GPU_ROWS, micro_rows=GPU_ROWS, seq_len=SEQ_LEN)
    small = trial(n_threads)
    return small.model_copy(
        update={
            "device": device,
            "dtype": "bfloat16" if device == "cuda" else "float32",
            "model": model_config((8, 512, 4), 4096),
            "base": stage,
        }
    )


def fastest(recipe: Recipe) -> Recipe:
    """The recipe, compiled if that makes its steps faster here, and then with the faster attention.
    Known from before, or tried now, which takes up to a minute. Not compiled where that fails: a
    compiler without Python's headers beside it cannot."""
    path = _kept(
        "steps", recipe.model.model_dump(), recipe.device, recipe.dtype, recipe.base.micro_rows
    )
    if not path.exists():
        console.say("compiling the training step, to see what it gains (up to a minute, once)")
        try:
            tried = _compile_and_compare(recipe)
        except COMPILE_ERRORS as error:
            reason = str(error).strip().splitlines()[0]
            console.warn(f"compiling does not work here, so steps are slower ({reason[:120]})")
            return recipe
        files.write_json(path, tried)
    found = files.read_json(path)
    return recipe.model_copy(update={"compile": found["pays"], "attention": found["attention"]})


def _compile_and_compare(recipe: Recipe) -> dict[str, Any]:
    """Raises one of COMPILE_ERRORS."""
    compiled = recipe.model_copy(update={"compile": True})
    compile_by(lambda: tokens_per_second(compiled, seconds=0.0))
    eager, faster = in_turns(recipe, compiled, COMPILED_SECONDS)
    found = {"eager_per_second": eager, "compiled_per_second": faster, "attention": "fused"}
    # Of no use elsewhere: float32's products of scores are slow, and on a GPU the fused kernel is
    # what saves most.
    if faster > eager and recipe.device == "cpu" and recipe.dtype == "bfloat16":
        plain = compiled.model_copy(update={"attention": "plain"})
        compile_by(lambda: tokens_per_second(plain, seconds=0.0))
        fused, other = in_turns(compiled, plain, COMPILED_SECONDS)
        if other > fused:
            found |= {"attention": "plain", "compiled_per_second": other}
    return found | {"pays": faster > eager}


def tokens_per_second(recipe: Recipe, seconds: float) -> float:
    """Whole training steps of the recipe's base stage on random tokens: how many it took in the
    second half of `seconds`, for the first seconds can be a third slower. Not their median: what a
    busy machine takes away now and then counts."""
    step = training_step(recipe)
    step()
    times = [step(), step()]
    while sum(times) < seconds:
        times.append(step())
    counted = times[len(times) // 2 :]
    return recipe.base.batch_tokens * len(counted) / sum(counted)


def in_turns(one: Recipe, other: Recipe, seconds: float) -> tuple[float, float]:
    """Tokens per second of two recipes that take steps in turns, so that a machine whose speed
    changes meanwhile changes both alike."""
    steps = [training_step(one), training_step(other)]
    for step in steps * 2:
        step()
    times: list[list[float]] = []
    while len(times) < FEWEST_TURNS or sum(sum(turn) for turn in times) < 2 * seconds:
        times.append([step() for step in steps])
    first, second = (statistics.median(column) for column in zip(*times, strict=True))
    return one.base.batch_tokens / first, other.base.batch_tokens / second


def training_step(recipe: Recipe) -> Callable[[], float]:
    """A step of the recipe's base stage, which returns the seconds that it took."""
    stage = recipe.base
    model = Transformer(recipe.model).init_weights(recipe.seed).to(recipe.device)
    optimizer = Optimizer(model, recipe.optimizer, torch_dtype(recipe))
    loss, alone = loss_function(model, recipe), Exchange(World(), model)
    generator = torch.Generator().manual_seed(0)
    shape = (stage.batch_rows, stage.seq_len)
    x_BT = torch.randint(recipe.model.vocab_size, shape, generator=generator)

    def step() -> float:
        with _threads(recipe.n_threads):
            start = time.perf_counter()
            accumulate(loss, x_BT, x_BT, stage.micro_rows, alone)
            optimizer.gradient_norm()
            optimizer.step(0.1)
            machine.wait_for(model.device)
            return time.perf_counter() - start

    return step


@contextmanager
def _threads(n: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _kept(kind: str, *about: Any) -> Path:
    """Where a finding is kept: it holds for this processor, these cores and GPUs, this PyTorch."""
    here = [machine.cpu_name(), machine.physical_cores(), *machine.gpu_names()]
    here += [torch.__version__, *about]
    key = hashlib.sha256(json.dumps(here).encode()).hexdigest()[:16]
    return machine.home() / "machine" / f"{kind}-{key}.json"
