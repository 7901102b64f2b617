"""The time-to-quality race: the bits per byte that pretraining reaches in a given time.

The tokenizer is trained before the clock starts. Benchmarking the machine, choosing a model,
encoding, compiling and training all count; the final evaluation does not. With a new
`FIRSTWORDS_HOME` nothing is cached from before.
"""

import shutil
import time
from typing import Any

from firstwords.bench.pretraining import (
    measure_bits_per_byte,
    open_or_create_run,
    pretrain,
    pretrain_only,
    train_tokenizer,
)
from firstwords.common import devices, paths
from firstwords.common.signals import StopSignal
from firstwords.common.units import format_duration
from firstwords.data.corpora import Corpus, open_corpus
from firstwords.model.size import matmul_parameters
from firstwords.planning import autotune, estimates
from firstwords.planning.choose_model import choose_model
from firstwords.planning.draft import draft_recipe, with_batch_size
from firstwords.planning.estimates import DatasetSize, dataset_size, recipe_flops_per_token
from firstwords.planning.planner import measure_speed
from firstwords.planning.stage_steps import MAX_EPOCHS, RESERVED_TIME_FRACTION
from firstwords.recipe import Recipe
from firstwords.runs.run import Run

# The tokenizer depends on none of these, but a draft needs settings.
UNKNOWN_SETTINGS = autotune.MachineSettings(
    n_threads=1,
    dtype="float32",
    kernel="pytorch",
    batch_halvings=0,
    flops_per_second=1.0,
    matmul_gflops={},
    speedups={},
)


def race(source: str, seconds: float, seed: int, stop: StopSignal) -> dict[str, Any]:
    """Pretrain on `source` for `seconds`, then measure bits per byte. Raises UserError."""
    text = open_corpus(source, "--data")
    shutil.rmtree(paths.home() / "race", ignore_errors=True)
    tokenizer_run = _tokenizer_run(text, seconds, seed, stop)
    started = time.monotonic()
    recipe, speed = _plan(text, seconds, seed)
    data = _dataset(text, recipe)
    time_left = seconds - (time.monotonic() - started)
    recipe = pretrain_only(recipe, affordable_tokens(recipe, time_left, speed, data))
    run = open_or_create_run(paths.home() / "race" / "run", recipe, text.name)
    train_tokenizer(run, stop, tokenizer_run)
    pretrain(run, stop)
    seconds_taken = time.monotonic() - started
    return {
        "source": text.name,
        "machine": devices.describe_machine(),
        "seconds": seconds,
        "seconds_taken": seconds_taken,
        "tokens": recipe.pretrain.tokens,
        "tokens_per_second_measured": speed,
        "recipe": recipe.model_dump(),
        "matmul_parameters": matmul_parameters(recipe.model),
        "bits_per_byte": measure_bits_per_byte(run, None if text.is_starter else 0),
    }


def _tokenizer_run(text: Corpus, seconds: float, seed: int, stop: StopSignal) -> Run:
    """Train the tokenizer in a run of its own."""
    draft = draft_recipe(seconds, seed, UNKNOWN_SETTINGS, text.is_starter)
    run = open_or_create_run(
        paths.home() / "race" / "tokenizer", pretrain_only(draft, 1.0), text.name
    )
    train_tokenizer(run, stop)
    return run


def _plan(text: Corpus, seconds: float, seed: int) -> tuple[Recipe, float]:
    """Choose a model as a plan does, for pretraining alone, and measure its tokens per second."""
    settings = autotune.machine_settings(seconds)
    devices.configure_torch(settings.n_threads)
    draft = draft_recipe(seconds, seed, settings, text.is_starter)
    data = _dataset(text, draft)

    def set_steps(recipe: Recipe) -> Recipe:
        speed = settings.flops_per_second / recipe_flops_per_token(recipe)
        return pretrain_only(recipe, affordable_tokens(recipe, seconds, speed, data))

    memory = estimates.USABLE_MEMORY_FRACTION * devices.available_memory()
    chosen = choose_model(draft, data, memory, set_steps)
    return measure_speed(with_batch_size(chosen, chosen.pretrain.tokens), seconds)


def _dataset(text: Corpus, recipe: Recipe) -> DatasetSize:
    chat = open_corpus("starter", "--chat-data")
    return dataset_size(text, chat, recipe.model.vocab_size)


def affordable_tokens(
    recipe: Recipe, seconds: float, tokens_per_second: float, data: DatasetSize
) -> float:
    """Return the tokens that can be encoded and trained on in `seconds`."""
    start = estimates.SECONDS_PER_STAGE_START
    start += estimates.SECONDS_PER_COMPILED_STAGE_START * recipe.compile
    training_seconds = (1 - RESERVED_TIME_FRACTION) * seconds - start
    encoding_seconds = estimates.encoding_seconds(max(1.0, training_seconds * tokens_per_second))
    tokens = (training_seconds - encoding_seconds) * tokens_per_second
    return max(1.0, min(tokens, MAX_EPOCHS * data.text_tokens))


def render_race(result: dict[str, Any]) -> str:
    """Render the result as text."""
    model, bits = result["recipe"]["model"], result["bits_per_byte"]
    low, high = bits["ci95"]
    return (
        f"{bits['score']:.4f} bits per byte ({low:.4f} to {high:.4f}) of {bits['n']:,} held-out "
        f"documents after {format_duration(result['seconds_taken'])} of "
        f"{format_duration(result['seconds'])}: {model['n_layer']} layers x {model['n_embd']}, "
        f"vocabulary {model['vocab_size']:,}, {result['tokens'] / 1e6:.2f}M tokens"
    )
