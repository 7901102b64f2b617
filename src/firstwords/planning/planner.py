"""From a time budget to a recipe.

1. Find the settings that train fastest on this machine (`autotune.py`, cached).
2. Draft what follows from the budget alone (`draft.py`).
3. Choose the model size with the lowest expected loss (`choose_model.py`).
4. Measure the speed of that model's training step, compiled if that is faster.
5. Set the number of steps for the time that remains (`stage_steps.py`).

Start-up, tokenizer, encoding, evaluation and report get their time first. The plan is stored in the
run's `run.json`.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from firstwords.common import devices, hardware
from firstwords.data.corpora import Corpus
from firstwords.planning import autotune, checks, estimates
from firstwords.planning.autotune import MachineSettings
from firstwords.planning.choose_model import choose_model, steps_within
from firstwords.planning.comparison import compare_budgets
from firstwords.planning.draft import draft_recipe, with_batch_size
from firstwords.planning.estimates import (
    USABLE_MEMORY_FRACTION,
    DatasetSize,
    recipe_flops_per_token,
)
from firstwords.planning.presets import DepthPreset, WorkerSpec, fit_memory, recipe_from_preset
from firstwords.planning.stage_steps import Schedules, from_random, with_steps_for_time
from firstwords.recipe import Recipe, overridden_names, with_overrides

MULTI_GPU_EFFICIENCY = 0.9  # of linear scaling; not measured yet
COMPILE_FROM_SECONDS = 300.0  # budget from which trying to compile, 20 to 60 s, may pay
MAX_MEASURED_STEP_SECONDS = 5.0  # the speed of slower steps is computed


@dataclass(frozen=True)
class Plan:
    """A recipe, and what to expect of it: time, memory, disk space, bits per byte. `predicted` is
    empty for a recipe that was given, not planned. `notes` are about the data."""

    recipe: Recipe
    predicted: dict[str, Any]
    notes: tuple[str, ...] = ()


class Start(NamedTuple):
    """What a run begins with that starts from another one: its recipe, and how to train further."""

    recipe: Recipe
    schedules: Schedules


def make_plan(
    seconds: float,
    seed: int,
    text: Corpus,
    chat: Corpus,
    processes: int = 1,
    start: Start | None = None,
    overrides: Sequence[str] = (),
) -> Plan:
    """Plan a run for a time budget in seconds, for `processes` with a GPU each if GPUs train. With
    a `start` the model's shape and vocabulary are given, with `overrides` those hyper-parameters,
    written as `--set` takes them; everything else follows from them.

    Takes about ten seconds, up to a minute for the first time on a machine; the budget includes it.
    Raises UserError if time, memory or disk space are too short.
    """
    started = time.monotonic()
    checks.check_budget(seconds)
    memory = USABLE_MEMORY_FRACTION * devices.available_memory()
    trial_bytes = estimates.memory_bytes(autotune.trial_recipe(1))
    checks.check_memory(trial_bytes, memory, "benchmarking this machine")
    settings = autotune.with_own_settings(autotune.machine_settings(seconds), overrides)
    devices.configure_torch(settings.n_threads)
    if settings.device != "cpu":
        memory = USABLE_MEMORY_FRACTION * devices.available_memory(settings.device)
    gpus = 1 if settings.device == "cpu" else processes
    speedup = parallel_speedup(settings, processes)
    draft = draft_recipe(seconds, seed, settings, text.is_starter, gpus)
    if start:
        draft = started_draft(draft, start.recipe)
    # What is chosen and set below, the model and the steps, is overridden again.
    draft = with_overrides(draft, overrides)
    data = estimates.dataset_size(text, chat, draft.model.vocab_size)
    set_steps = steps_within(seconds, speedup * settings.flops_per_second, data)

    def choose(available: float) -> Recipe:
        if start:
            return fit_memory(draft, available)
        return choose_model(draft, data, available, set_steps)

    chosen = choose(memory)
    short_of_memory = chosen != choose(float("inf"))
    if not start:
        chosen = with_batch_size(chosen, chosen.pretrain.tokens)
    chosen, speed = measure_speed(with_overrides(chosen, overrides), seconds, gpus)
    speed *= speedup
    measuring = time.monotonic() - started
    schedules = start.schedules if start else from_random(data)
    recipe = with_steps_for_time(chosen, seconds - measuring, speed, data, schedules)
    recipe = with_overrides(recipe, overrides)
    predicted = estimate_run(recipe, seconds, measuring, speed, data) | {
        "settings": settings.model_dump(),
        "short_of_memory": short_of_memory,
    }
    if start is None:  # the scaling law is about training from random weights
        predicted["bits_per_byte"] = estimate_bits(recipe, data)
        predicted["comparison"] = _comparison(recipe, settings, speed, data, memory)
    if not any(name.endswith(".steps") for name in overridden_names(overrides)):
        checks.check_estimated_time(seconds, predicted["total_seconds"])
    checks.check_resources(recipe, memory)
    return Plan(recipe, predicted)


def started_draft(draft: Recipe, source: Recipe) -> Recipe:
    """Return the draft with the model, tokenizer and learning rates of the run that it starts
    from."""
    stage = draft.pretrain.replace(seq_len=source.sft.seq_len)
    return draft.replace(
        tokenizer_bytes=0,
        model=source.model,
        optimizer=source.optimizer,
        pretrain=stage,
        midtrain=stage,
        sft=stage,
    )


def plan_preset(
    preset: DepthPreset,
    seed: int,
    text: Corpus,
    chat: Corpus,
    processes: int = 1,
    overrides: Sequence[str] = (),
) -> Plan:
    """Complete a preset for this machine, with the overrides of `--set`, and estimate what it
    takes. Raises UserError if memory or disk space are too short."""
    started = time.monotonic()
    settings = autotune.with_own_settings(autotune.machine_settings(float("inf")), overrides)
    devices.configure_torch(settings.n_threads)
    memory = USABLE_MEMORY_FRACTION * devices.available_memory(settings.device)
    worker = WorkerSpec(
        device=settings.device,
        n_threads=settings.n_threads,
        dtype=settings.dtype,
        kernel=settings.kernel if processes == 1 else "pytorch",
        compile=hardware.has_compiler(),
        memory=memory,
        processes=processes,
    )
    recipe = with_overrides(recipe_from_preset(preset, worker, seed), overrides)
    checks.check_resources(recipe, memory, processes)
    data = estimates.dataset_size(text, chat, recipe.model.vocab_size)
    speed = parallel_speedup(settings, processes) * _preset_speed(recipe, settings)
    measuring = time.monotonic() - started
    seconds = measuring + estimates.run_seconds(recipe, speed, data)
    predicted = estimate_run(recipe, seconds, measuring, speed, data) | {
        "settings": settings.model_dump(),
        "short_of_memory": False,
        "bits_per_byte": estimate_bits(recipe, data),
        "comparison": _comparison(recipe, settings, speed, data, memory),
    }
    return Plan(recipe, predicted)


def parallel_speedup(settings: MachineSettings, processes: int) -> float:
    """Return how many times faster than one device the processes train together. On a CPU they
    share its cores."""
    if settings.device == "cpu" or processes == 1:
        return 1.0
    return MULTI_GPU_EFFICIENCY * processes


def measure_speed(recipe: Recipe, seconds: float, gpus: int = 1) -> tuple[Recipe, float]:
    """Return the recipe, compiled if that pays for a budget of `seconds`, and the tokens per second
    of one of the `gpus` with its share of a batch.

    The native kernel is not compared with torch.compile: it was faster on every machine where it
    was faster than the eager step, and the comparison takes a minute
    (docs/lab-notebook.md#native-training-step).
    """
    if seconds >= COMPILE_FROM_SECONDS and hardware.has_compiler() and recipe.kernel == "pytorch":
        recipe = autotune.autotune_step(recipe)
    stage = recipe.pretrain.replace(batch_size=recipe.pretrain.batch_size // gpus)
    measured = recipe.replace(pretrain=stage)
    measuring_seconds = min(30.0, max(2.0, seconds / 120))
    return recipe, autotune.tokens_per_second(measured, measuring_seconds)


def _preset_speed(recipe: Recipe, settings: MachineSettings) -> float:
    """Return the tokens per second of a preset's step on one device: that of one micro-batch, not
    compiled, or computed if that would take too long."""
    stage = recipe.pretrain.replace(batch_size=recipe.pretrain.micro_batch_size)
    speed = settings.flops_per_second / recipe_flops_per_token(recipe)
    if recipe.shard == "optimizer" and stage.batch_tokens / speed < MAX_MEASURED_STEP_SECONDS:
        measured = recipe.replace(pretrain=stage, compile=False)
        return autotune.tokens_per_second(measured, MAX_MEASURED_STEP_SECONDS)
    return speed


def estimate_run(
    recipe: Recipe, seconds: float, measuring: float, tokens_per_second: float, data: DatasetSize
) -> dict[str, Any]:
    """Return what the plan expects, for the report to compare with the actual figures."""
    run_seconds = estimates.run_seconds(recipe, tokens_per_second, data)
    return {
        "seconds": seconds,
        "measuring_seconds": measuring,
        "tokens_per_second": tokens_per_second,
        "phase_seconds": estimates.phase_seconds(recipe, tokens_per_second, data),
        "total_seconds": measuring + run_seconds,
        "memory_bytes": estimates.memory_bytes(recipe),
        "disk_bytes": estimates.disk_bytes(recipe),
        "parameters": estimates.parameters(recipe.model),
        "flops_per_token": recipe_flops_per_token(recipe),
        "epochs": {
            stage: recipe.stage(stage).tokens / data.tokens(stage) for stage in recipe.stages
        },
    }


def estimate_bits(recipe: Recipe, data: DatasetSize) -> dict[str, Any]:
    """Return the bits per byte to expect of a model that starts from random weights."""
    bits = estimates.pretrained_bits_per_byte(recipe, data)
    error = estimates.bits_per_byte_error(data.kind)
    extent = [bits * (1 - error), bits * (1 + error)]
    return {"stage": "pretrain", "expected": bits, "range": extent}


def _comparison(
    recipe: Recipe, settings: MachineSettings, speed: float, data: DatasetSize, memory: float
) -> list[dict[str, Any]]:
    flops_per_second = speed * recipe_flops_per_token(recipe)
    return compare_budgets(settings, flops_per_second, data, memory)
