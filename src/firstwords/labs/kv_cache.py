"""Lab 7: generation without the KV cache says the same, and pays for it."""

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from firstwords import machine
from firstwords.inference.decoder import Decoder
from firstwords.inference.engine import Engine
from firstwords.inference.sampling import Sampling
from firstwords.labs.folder import Folder
from firstwords.labs.lab import Finding, Outcome, Setting, right, told, wrong
from firstwords.labs.small import random_model
from firstwords.model import Transformer
from firstwords.recipe import model_config

FILE = "generate.py"
TRIALS = 8
PROMPT = 16  # tokens
SHAPE, VOCAB_SIZE = (4, 256, 4), 4096  # of the model that is timed: speed does not ask for weights
CONTEXT, FEW, MANY = 512, 16, 320
ROUNDS = 2


def exercise(folder: Folder) -> Iterator[Finding]:
    yield _same(folder.function(FILE, "generate_without_cache"))
    for name, expected, hint in (
        (
            "tokens_without_cache",
            without_cache,
            "prompt, prompt + 1, ... up to prompt + n - 1: what is their sum?",
        ),
        ("tokens_with_cache", with_cache, "the prompt, and of the new tokens all but the last"),
    ):
        yield _counted(name, folder.function(FILE, name), expected, hint)


def _same(generate: Any) -> Finding:
    """Whether it says what the engine says, and really takes every token through again."""
    model, rng = random_model(), random.Random(0)
    for _ in range(TRIALS):
        prompt = [rng.randrange(model.config.vocab_size) for _ in range(rng.randint(1, 20))]
        n = rng.randint(1, 24)
        with counting(model) as count:
            found = generate(model, list(prompt), n)
        expected = with_engine(model, prompt, n)
        if not isinstance(found, list) or not all(isinstance(one, int) for one in found):
            return wrong("generate_without_cache gives no list of numbers", "int(tensor) is one")
        if found != expected:
            return wrong(
                f"after {prompt} generate_without_cache says {found}, the engine {expected}",
                "the new tokens alone, without the prompt; each the argmax at the last place",
            )
        if count[0] != without_cache(len(prompt), n):
            return wrong(
                f"{count[0]} tokens went through the model, not {without_cache(len(prompt), n)}",
                "each new token asks for all before it once more: no cache, nothing left out",
            )
    return right("generate_without_cache says what the engine says, token for token")


def _counted(name: str, count: Any, expected: Any, hint: str) -> Finding:
    for length, n in ((1, 1), (5, 1), (1, 5), (16, 16), (16, 240), (200, 50)):
        if (found := count(length, n)) != expected(length, n):
            return wrong(f"{name}({length}, {n}) is {found}, not {expected(length, n)}", hint)
    return right(f"{name} is right")


def without_cache(prompt_length: int, n: int) -> int:
    return sum(range(prompt_length, prompt_length + n))


def with_cache(prompt_length: int, n: int) -> int:
    return prompt_length + n - 1


@contextmanager
def counting(model: Transformer) -> Iterator[list[int]]:
    """Count the tokens that go through `model` in this block, in a list of one number."""
    count = [0]

    def add(module: object, arguments: tuple[torch.Tensor, ...], output: object) -> None:
        count[0] += arguments[0].numel()

    handle = model.embed_tokens.register_forward_hook(add)
    try:
        yield count
    finally:
        handle.remove()


def with_engine(model: Transformer, prompt: list[int], n: int) -> list[int]:
    sampling = Sampling(temperature=0, max_tokens=n)
    return list(Engine(Decoder(model, slots=1)).generate(prompt, sampling))


def experiment(folder: Folder, setting: Setting) -> Iterator[Finding | Outcome]:
    machine.setup(machine.physical_cores())
    generate = folder.function(FILE, "generate_without_cache")
    config = model_config(SHAPE, VOCAB_SIZE).model_copy(update={"max_seq_len": CONTEXT})
    model = Transformer(config).init_weights(0).eval()
    prompt = list(range(PROMPT))
    few, half, many = FEW, setting.scaled(MANY) // 2, setting.scaled(MANY)
    cached, full = {}, {}
    for n in (few, half, many):
        cached[n] = _seconds(with_engine, model, prompt, n)
        full[n] = _seconds(generate, model, prompt, n)
        yield told(
            f"{n} tokens: with the cache {cached[n]:.2f} s, {with_cache(PROMPT, n):,} through the "
            f"model; without it {full[n]:.2f} s, {without_cache(PROMPT, n):,}"
        )
    yield Outcome("few", f"{full[few] / cached[few]:.1f} times as long")
    yield Outcome("many", f"{full[many] / cached[many]:.1f} times as long")
    yield Outcome(
        "twice",
        f"with the cache {cached[many] / cached[half]:.1f} times as long, "
        f"without it {full[many] / full[half]:.1f} times",
    )


def _seconds(generate: Any, model: Transformer, prompt: list[int], n: int) -> float:
    """The least of some: other programs can only make it longer."""
    taken = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        generate(model, prompt, n)
        taken.append(time.perf_counter() - started)
    return min(taken)
