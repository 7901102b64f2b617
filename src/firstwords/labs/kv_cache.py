"""Lab 7: generation without the KV cache gives the same tokens, but costs more."""

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from firstwords.common import devices, hardware
from firstwords.inference.decoder import Decoder
from firstwords.inference.engine import Engine
from firstwords.inference.sampling import Sampling
from firstwords.labs.folder import LabFolder
from firstwords.labs.lab import ExperimentResult, LabFinding, LabSettings, failed, info, passed
from firstwords.labs.short_training import random_model
from firstwords.model.transformer import Transformer
from firstwords.planning.model_sizes import model_config

FILE = "generate.py"
N_TRIALS = 8
PROMPT_TOKENS = 16
SHAPE, VOCAB_SIZE = (4, 256, 4), 4096  # of the timed model; speed does not depend on its weights
CONTEXT, FEW_TOKENS, MANY_TOKENS = 512, 16, 320
TIMED_ROUNDS = 2


def exercise(folder: LabFolder) -> Iterator[LabFinding]:
    """Check the generation and the two counts."""
    yield _check_generation(folder.function(FILE, "generate_without_cache"))
    for name, expected, hint in (
        (
            "tokens_without_cache",
            count_without_cache,
            "prompt, prompt + 1, ... up to prompt + n - 1: what is their sum?",
        ),
        (
            "tokens_with_cache",
            count_with_cache,
            "the prompt, and all new tokens but the last",
        ),
    ):
        yield _check_count(name, folder.function(FILE, name), expected, hint)


def _check_generation(generate: Any) -> LabFinding:
    """Check that it returns the engine's tokens, and computes all tokens again for each."""
    model, rng = random_model(), random.Random(0)
    for _ in range(N_TRIALS):
        prompt = [rng.randrange(model.config.vocab_size) for _ in range(rng.randint(1, 20))]
        n = rng.randint(1, 24)
        with count_tokens(model) as counter:
            actual = generate(model, list(prompt), n)
        expected = generate_with_engine(model, prompt, n)
        if not isinstance(actual, list) or not all(isinstance(one, int) for one in actual):
            return failed(
                "generate_without_cache does not return a list of ints", "convert with int(tensor)"
            )
        if actual != expected:
            return failed(
                f"after {prompt} generate_without_cache returns {actual}, the engine {expected}",
                "return the new tokens without the prompt, each the argmax at the last position",
            )
        if counter[0] != count_without_cache(len(prompt), n):
            n_expected = count_without_cache(len(prompt), n)
            return failed(
                f"{counter[0]} tokens ran through the model, not {n_expected}",
                "for each new token run all tokens before it, without a cache",
            )
    return passed("generate_without_cache returns the engine's tokens")


def _check_count(name: str, count: Any, expected: Any, hint: str) -> LabFinding:
    for length, n in ((1, 1), (5, 1), (1, 5), (16, 16), (16, 240), (200, 50)):
        if (actual := count(length, n)) != expected(length, n):
            return failed(f"{name}({length}, {n}) is {actual}, not {expected(length, n)}", hint)
    return passed(f"{name} is right")


def count_without_cache(prompt_length: int, n: int) -> int:
    """Return the tokens that run through the model to generate `n` tokens without a cache."""
    return sum(range(prompt_length, prompt_length + n))


def count_with_cache(prompt_length: int, n: int) -> int:
    """Return the tokens that run through the model to generate `n` tokens with a cache."""
    return prompt_length + n - 1


@contextmanager
def count_tokens(model: Transformer) -> Iterator[list[int]]:
    """Count the tokens that run through `model` in this block, in a list of one number."""
    counter = [0]

    def add(module: object, inputs: tuple[torch.Tensor, ...], output: object) -> None:
        counter[0] += inputs[0].numel()

    handle = model.embed_tokens.register_forward_hook(add)
    try:
        yield counter
    finally:
        handle.remove()


def generate_with_engine(model: Transformer, prompt: list[int], n: int) -> list[int]:
    """Return the `n` greedy tokens after `prompt`, generated with the cache."""
    sampling = Sampling(temperature=0, max_tokens=n)
    return list(Engine(Decoder(model, slots=1)).generate(prompt, sampling))


def experiment(folder: LabFolder, settings: LabSettings) -> Iterator[LabFinding | ExperimentResult]:
    """Time generation with and without the cache."""
    devices.configure_torch(hardware.physical_cores())
    generate = folder.function(FILE, "generate_without_cache")
    config = model_config(SHAPE, VOCAB_SIZE).replace(max_seq_len=CONTEXT)
    model = Transformer(config).init_weights(0).eval()
    prompt = list(range(PROMPT_TOKENS))
    many = settings.scaled(MANY_TOKENS)
    few, half = FEW_TOKENS, many // 2
    with_cache, without_cache = {}, {}
    for n in (few, half, many):
        with_cache[n] = _time_generation(generate_with_engine, model, prompt, n)
        without_cache[n] = _time_generation(generate, model, prompt, n)
        yield info(
            f"{n} tokens: with the cache {with_cache[n]:.2f} s for "
            f"{count_with_cache(PROMPT_TOKENS, n):,} computed tokens; without it "
            f"{without_cache[n]:.2f} s for {count_without_cache(PROMPT_TOKENS, n):,}"
        )
    yield ExperimentResult("few", f"{without_cache[few] / with_cache[few]:.1f} times as long")
    yield ExperimentResult("many", f"{without_cache[many] / with_cache[many]:.1f} times as long")
    yield ExperimentResult(
        "twice",
        f"with the cache {with_cache[many] / with_cache[half]:.1f} times as long, "
        f"without it {without_cache[many] / without_cache[half]:.1f} times",
    )


def _time_generation(generate: Any, model: Transformer, prompt: list[int], n: int) -> float:
    """Return the shortest time of some rounds: other programs can only make it longer."""
    times = []
    for _ in range(TIMED_ROUNDS):
        start = time.perf_counter()
        generate(model, prompt, n)
        times.append(time.perf_counter() - start)
    return min(times)
