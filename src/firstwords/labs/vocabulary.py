"""Lab 5: a vocabulary of 512 against one of 8,192, in the same time."""

import math
import random
import statistics
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any, NamedTuple

from firstwords.data.rows import TextRows
from firstwords.data.tokens import TokenStore
from firstwords.evaluation.bits_per_byte import bits_per_byte
from firstwords.labs.drawn import random_config
from firstwords.labs.folder import Folder
from firstwords.labs.lab import Finding, Outcome, Setting, right, told, wrong
from firstwords.labs.small import Trained, Workshop, recipe, trained, workshop
from firstwords.model import Transformer, matmul_parameters
from firstwords.recipe import ModelConfig, Recipe

FILE = "measures.py"
SIZES = (512, 8192)
SECONDS = 40.0  # of training, for each
PACE_STEPS, ROUNDS = 6, 3
TOKENIZER_BYTES = 2_000_000  # less text has not so many different words
HELD_OUT = 40_000  # tokens
TRIALS = 50


class Example(NamedTuple):
    arguments: tuple[Any, ...]
    expected: float
    hint: str


def exercise(folder: Folder) -> Iterator[Finding]:
    rng = random.Random(0)
    for name in ("bits_per_byte", "head_share", "uniform_loss"):
        function = folder.function(FILE, name)
        for _ in range(TRIALS):
            example = _examples(rng)[name]
            found = function(*example.arguments)
            if not _near(found, example.expected):
                said = ", ".join(map(_in_words, example.arguments))
                text = f"{name}({said}) is {found}, not {example.expected:.4f}"
                yield wrong(text, example.hint)
                break
        else:
            yield right(f"{name} is right for {TRIALS} examples")


def _examples(rng: random.Random) -> dict[str, Example]:
    """One for each function."""
    nats, size, config = rng.uniform(0.5, 8), rng.uniform(1, 6), random_config(rng)
    head = config.n_embd * config.vocab_size / matmul_parameters(config)
    uniform = math.log(config.vocab_size)
    bits_hint = "nats to bits: divide by ln 2; then spread a token's bits over its bytes"
    head_hint = "q and o have n_head heads, k and v have n_kv_head; a lookup is no product"
    return {
        "bits_per_byte": Example((nats, size), nats / math.log(2) / size, bits_hint),
        "head_share": Example((config,), head, head_hint),
        "uniform_loss": Example((config,), uniform, "every token has the share 1 / vocab_size"),
    }


def _near(found: Any, expected: float) -> bool:
    return isinstance(found, int | float) and math.isclose(found, expected, rel_tol=1e-6)


def _in_words(argument: float | ModelConfig) -> str:
    return f"{argument:.3f}" if isinstance(argument, float) else repr(argument)


class Contender(NamedTuple):
    shop: Workshop
    recipe: Recipe
    held_out: TokenStore

    @property
    def size(self) -> str:
        return f"{self.recipe.model.vocab_size:,}"

    @property
    def bytes_per_token(self) -> float:
        counts = self.held_out.counts
        return counts.text_bytes / (counts.tokens - counts.documents)

    def trained(self, steps: int, label: str) -> Trained:
        """From the beginning, on text that it has not seen before at any step."""
        stage = self.recipe.base.model_copy(update={"steps": max(2, steps)})
        store = self.shop.text("train", stage.tokens)
        rows = TextRows(store, stage.seq_len, self.shop.pad)
        return trained(self.recipe.model_copy(update={"base": stage}), rows, label)

    def bits(self, model: Transformer) -> float:
        seq_len, special = self.recipe.base.seq_len, self.shop.tokenizer.special_ids
        return bits_per_byte(model, self.held_out, seq_len, special).score


def experiment(folder: Folder, setting: Setting) -> Iterator[Finding | Outcome]:
    head_share = folder.function(FILE, "head_share")
    with ExitStack() as stack:
        contenders = [_contender(stack, setting, size) for size in SIZES]
        yield _compared("bytes", contenders, lambda c: f"{c.bytes_per_token:.2f}")
        yield _compared("head", contenders, lambda c: f"{head_share(c.recipe.model):.0%}")
        bits = {}
        for contender, pace in zip(contenders, _paces(contenders, setting), strict=True):
            steps = round(setting.effort * SECONDS / pace)
            run = contender.trained(steps, f"vocabulary {contender.size}")
            tokens = len(run.steps) * contender.recipe.base.batch_tokens
            yield told(
                f"{contender.size}: {run.seconds:.0f} s, {tokens:,} tokens, about "
                f"{tokens * contender.bytes_per_token / 1e6:.1f} MB of text; loss {run.loss:.3f} "
                "nats per token"
            )
            bits[contender.size] = contender.bits(run.model)
        yield _compared("bits", contenders, lambda c: f"{bits[c.size]:.3f}")


def _contender(stack: ExitStack, setting: Setting, size: int) -> Contender:
    shop = stack.enter_context(workshop(size, setting.scaled(TOKENIZER_BYTES)))
    made = recipe(setting, 1, shop.tokenizer.vocab_size)
    return Contender(shop, made, shop.text("val", setting.scaled(HELD_OUT)))


def _paces(contenders: list[Contender], setting: Setting) -> list[float]:
    """Seconds that a step of each takes. They take turns, since machines are busy at times."""
    seconds: list[list[float]] = [[] for _ in contenders]
    for _ in range(ROUNDS):
        for contender, of_steps in zip(contenders, seconds, strict=True):
            run = contender.trained(setting.scaled(PACE_STEPS), "measuring")
            of_steps += [step.seconds for step in run.steps[1:]]
    return [statistics.median(of_steps) for of_steps in seconds]


def _compared(name: str, contenders: list[Contender], value: Callable[[Contender], str]) -> Outcome:
    return Outcome(name, ", ".join(f"{one.size}: {value(one)}" for one in contenders))
