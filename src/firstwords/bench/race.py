"""The time-to-quality race: how few bits per byte pretraining reaches in a given time.

The tokenizer is trained beforehand; then the clock starts. Measuring, choosing a model, encoding,
compiling and training all happen inside the time; measuring what came of it does not. With a new
`FIRSTWORDS_HOME` nothing is known or compiled from before.
"""

import shutil
import time
from typing import Any

from firstwords import console, forecast, machine, measure
from firstwords.bench.pretraining import alone, bits_per_byte, opened, pretrain, tokenizer_of
from firstwords.data.corpora import open_corpus
from firstwords.forecast import Data, data_of
from firstwords.model import matmul_parameters
from firstwords.plan import (
    MEMORY_SHARE,
    MOST_EPOCHS,
    RESERVE,
    choose_model,
    draft_recipe,
    flops_of,
    timed,
)
from firstwords.recipe import Recipe
from firstwords.signals import Stop


def race(source: str, seconds: float, seed: int, stop: Stop) -> dict[str, Any]:
    """Pretrain for `seconds` on `source`, and measure. Raises UserError."""
    text, chat = open_corpus(source, "--data"), open_corpus("starter", "--chat-data")
    directory = machine.home() / "race"
    shutil.rmtree(directory, ignore_errors=True)
    unknown = measure.Settings(
        n_threads=1, dtype="float32", halves=0, flops_per_second=1.0, matmul_gflops={}, tried={}
    )
    shape = alone(draft_recipe(seconds, seed, unknown, text.is_starter), 1.0)
    first = opened(directory / "tokenizer", shape, text.name)
    tokenizer_of(first, stop)
    started = time.monotonic()
    known = measure.settings(seconds)
    machine.setup(known.n_threads)
    draft = draft_recipe(seconds, seed, known, text.is_starter)
    data = data_of(text, chat, draft.model.vocab_size)

    def planned(recipe: Recipe) -> Recipe:
        speed = known.flops_per_second / flops_of(recipe)
        return alone(recipe, tokens_in(seconds, speed, data))

    room = MEMORY_SHARE * machine.memory_in_reach()
    recipe, speed = timed(choose_model(draft, data, room, planned), seconds)
    left = seconds - (time.monotonic() - started)
    recipe = alone(recipe, tokens_in(left, speed, data))
    run = opened(directory / "run", recipe, text.name)
    tokenizer_of(run, stop, first)
    pretrain(run, stop)
    taken = time.monotonic() - started
    return {
        "source": text.name,
        "machine": machine.describe(),
        "seconds": seconds,
        "seconds_taken": taken,
        "tokens": recipe.base.tokens,
        "tokens_per_second_measured": speed,
        "recipe": recipe.model_dump(),
        "matmul_parameters": matmul_parameters(recipe.model),
        "bits_per_byte": bits_per_byte(run, None if text.is_starter else 0),
    }


def tokens_in(seconds: float, tokens_per_second: float, data: Data) -> float:
    """Tokens to encode and to train on in that time."""
    of_token = 1 / tokens_per_second + 1 / forecast.ENCODED_PER_SECOND[data.kind]
    start = forecast.STAGE_START + forecast.COMPILED_START
    tokens = ((1 - RESERVE) * seconds - start) / of_token
    return max(1.0, min(tokens, MOST_EPOCHS * data.text_tokens))


def describe(result: dict[str, Any]) -> str:
    model, bits = result["recipe"]["model"], result["bits_per_byte"]
    low, high = bits["ci95"]
    return (
        f"{bits['score']:.4f} bits per byte ({low:.4f} to {high:.4f}) of {bits['n']:,} held-out "
        f"documents after {console.duration(result['seconds_taken'])} of "
        f"{console.duration(result['seconds'])}: {model['n_layer']} layers x {model['n_embd']}, "
        f"vocabulary {model['vocab_size']:,}, {result['tokens'] / 1e6:.2f}M tokens"
    )
