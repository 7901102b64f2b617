"""Lab 7: generation without the KV cache says the same, and pays for it."""

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from firstwords import checkpoint, machine
from firstwords import run as runs
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
CONTEXT = 512
ROUNDS = 3


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
        if not isinstance(found, list) or [*map(int, found)] != expected:
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
    prompt = list(range(100, 100 + PROMPT))
    slower = {}
    for n in (FEW, setting.steps(SOME), setting.steps(MANY)):
        with_one = _seconds(lambda n=n: with_engine(model, prompt, n))
        without = _seconds(lambda n=n: generate(model, prompt, n))
        slower[n] = without / with_one
        yield told(
            f"{n} tokens: {with_one:.2f} s with the cache, {without:.2f} s without; "
            f"{with_cache(PROMPT, n):,} and {without_cache(PROMPT, n):,} tokens through the model"
        )
    *_, some, many = slower
    yield Outcome("few", f"{slower[FEW]:.1f} times")
    yield Outcome("many", f"{slower[many]:.1f} times")
    yield Outcome("growth", f"{many / some:.0f} times the tokens take ... times as long")
