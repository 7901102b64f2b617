"""Lab 5: a vocabulary of 512 against one of 8,192, trained for the same time."""

import math
import random
import statistics
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any, NamedTuple

from firstwords.data.dataloader import TextRows
from firstwords.data.token_store import TokenStore
from firstwords.evaluation.bits_per_byte import bits_per_byte
from firstwords.labs.folder import LabFolder
from firstwords.labs.lab import ExperimentResult, LabFinding, LabSettings, failed, info, passed
from firstwords.labs.random_config import random_config
from firstwords.labs.short_training import (
    LabData,
    ShortTraining,
    open_lab_data,
    short_recipe,
    train_on_rows,
)
from firstwords.model.size import matmul_parameters
from firstwords.model.transformer import Transformer
from firstwords.recipe import ModelConfig, Recipe

FILE = "measures.py"
VOCAB_SIZES = (512, 8192)
SECONDS = 40.0  # of training for each vocabulary
TIMED_STEPS, TIMED_ROUNDS = 6, 3
TOKENIZER_BYTES = 2_000_000  # less text does not have 8,192 frequent tokens
HELD_OUT_TOKENS = 40_000
N_TRIALS = 50


class Example(NamedTuple):
    """The arguments of a function, its expected result, and a hint if it is wrong."""

    arguments: tuple[Any, ...]
    expected: float
    hint: str


def exercise(folder: LabFolder) -> Iterator[LabFinding]:
    """Check the three functions of measures.py on random examples."""
    rng = random.Random(0)
    for name in ("bits_per_byte", "head_share", "uniform_loss"):
        function = folder.function(FILE, name)
        for _ in range(N_TRIALS):
            example = _random_examples(rng)[name]
            actual = function(*example.arguments)
            if not _is_close(actual, example.expected):
                arguments = ", ".join(map(_format_argument, example.arguments))
                text = f"{name}({arguments}) is {actual}, not {example.expected:.4f}"
                yield failed(text, example.hint)
                break
        else:
            yield passed(f"{name} is right for {N_TRIALS} examples")


def _random_examples(rng: random.Random) -> dict[str, Example]:
    """Return one example for each function."""
    nats, size, config = rng.uniform(0.5, 8), rng.uniform(1, 6), random_config(rng)
    head = config.n_embd * config.vocab_size / matmul_parameters(config)
    bits_hint = "to convert nats to bits divide by ln 2; then divide by the bytes of a token"
    head_hint = "q and o have n_head heads, k and v have n_kv_head; a table lookup is no product"
    uniform_hint = "every token has the probability 1 / vocab_size"
    return {
        "bits_per_byte": Example((nats, size), nats / math.log(2) / size, bits_hint),
        "head_share": Example((config,), head, head_hint),
        "uniform_loss": Example((config,), math.log(config.vocab_size), uniform_hint),
    }


def _is_close(actual: Any, expected: float) -> bool:
    return isinstance(actual, int | float) and math.isclose(actual, expected, rel_tol=1e-6)


def _format_argument(argument: float | ModelConfig) -> str:
    return f"{argument:.3f}" if isinstance(argument, float) else repr(argument)


class Contender(NamedTuple):
    """A vocabulary size with its data, recipe and held-out text."""

    data: LabData
    recipe: Recipe
    held_out: TokenStore

    @property
    def vocab_size(self) -> str:
        return f"{self.recipe.model.vocab_size:,}"

    @property
    def bytes_per_token(self) -> float:
        counts = self.held_out.counts
        return counts.text_bytes / (counts.tokens - counts.documents)

    def train(self, steps: int, label: str) -> ShortTraining:
        """Train from initial weights, on text that no step repeats."""
        stage = self.recipe.pretrain.replace(steps=max(2, steps))
        store = self.data.text("train", stage.tokens)
        rows = TextRows(store, stage.seq_len, self.data.pad_id)
        return train_on_rows(self.recipe.replace(pretrain=stage), rows, label)

    def held_out_bits(self, model: Transformer) -> float:
        """Return a model's bits per byte of held-out text."""
        seq_len, special = self.recipe.pretrain.seq_len, self.data.tokenizer.special_ids
        return bits_per_byte(model, self.held_out, seq_len, special).score


def experiment(folder: LabFolder, settings: LabSettings) -> Iterator[LabFinding | ExperimentResult]:
    """Train a model with each vocabulary for the same time, and compare bits per byte."""
    head_share = folder.function(FILE, "head_share")
    with ExitStack() as stack:
        contenders = [_make_contender(stack, settings, size) for size in VOCAB_SIZES]
        yield _compare("bytes", contenders, lambda c: f"{c.bytes_per_token:.2f}")
        yield _compare("head", contenders, lambda c: f"{head_share(c.recipe.model):.0%}")
        bits = {}
        step_times = _time_steps(contenders, settings)
        for contender, seconds in zip(contenders, step_times, strict=True):
            steps = round(settings.effort * SECONDS / seconds)
            run = contender.train(steps, f"vocabulary {contender.vocab_size}")
            tokens = len(run.steps) * contender.recipe.pretrain.batch_tokens
            yield info(
                f"{contender.vocab_size}: {run.seconds:.0f} s, {tokens:,} tokens, about "
                f"{tokens * contender.bytes_per_token / 1e6:.1f} MB of text; loss "
                f"{run.final_loss:.3f} nats per token"
            )
            bits[contender.vocab_size] = contender.held_out_bits(run.model)
        yield _compare("bits", contenders, lambda c: f"{bits[c.vocab_size]:.3f}")


def _make_contender(stack: ExitStack, settings: LabSettings, vocab_size: int) -> Contender:
    data = stack.enter_context(open_lab_data(vocab_size, settings.scaled(TOKENIZER_BYTES)))
    recipe = short_recipe(settings, 1, data.tokenizer.vocab_size)
    return Contender(data, recipe, data.text("val", settings.scaled(HELD_OUT_TOKENS)))


def _time_steps(contenders: list[Contender], settings: LabSettings) -> list[float]:
    """Return the median seconds of a step of each. They take turns, so that other load on the
    machine affects both."""
    seconds: list[list[float]] = [[] for _ in contenders]
    for _ in range(TIMED_ROUNDS):
        for contender, step_seconds in zip(contenders, seconds, strict=True):
            run = contender.train(settings.scaled(TIMED_STEPS), "timing steps")
            step_seconds += [step.seconds for step in run.steps[1:]]
    return [statistics.median(step_seconds) for step_seconds in seconds]


def _compare(
    name: str, contenders: list[Contender], value: Callable[[Contender], str]
) -> ExperimentResult:
    return ExperimentResult(
        name, ", ".join(f"{one.vocab_size}: {value(one)}" for one in contenders)
    )
