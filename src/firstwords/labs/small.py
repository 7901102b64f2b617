"""Trainings of seconds, made of the parts of a real run: what the experiments share."""

import statistics
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

import torch

from firstwords import console, machine
from firstwords.data import corpora
from firstwords.data.rows import Batches, Rows
from firstwords.data.tokens import Counts, TokenStore, store_conversations, store_texts
from firstwords.distributed import Exchange, World
from firstwords.labs.lab import Setting
from firstwords.model import Transformer
from firstwords.optimizer import Optimizer
from firstwords.recipe import Recipe, StageConfig, model_config
from firstwords.stages.tokenizer import chat_texts, take
from firstwords.tokenizer import END_OF_TEXT, Tokenizer
from firstwords.training import Step, loss_function, torch_dtype, train

SHAPE = (2, 96, 2)  # layers, channels, heads
VOCAB_SIZE = 1024
SEQ_LEN, ROWS = 128, 16
TOKENIZER_BYTES = 400_000
BYTES_PER_TOKEN, TALK_TOKENS = 4, 50  # about; a conversation has rather more tokens
LAST = 20  # steps, whose mean loss is the loss "at the end"


def recipe(setting: Setting, steps: int, vocab_size: int = VOCAB_SIZE) -> Recipe:
    """Of a model that learns something within a minute."""
    stage = StageConfig(
        steps=setting.scaled(steps),
        batch_rows=ROWS,
        micro_rows=ROWS,
        seq_len=SEQ_LEN,
        warmup_steps=10,
    )
    return Recipe(
        n_threads=machine.physical_cores(),
        tokenizer_bytes=TOKENIZER_BYTES,
        model=model_config(SHAPE, vocab_size).model_copy(update={"max_seq_len": SEQ_LEN}),
        base=stage,
        mid=stage,
        sft=stage,
    )


class Trained(NamedTuple):
    model: Transformer
    steps: list[Step]

    @property
    def losses(self) -> list[float]:
        return [step.loss for step in self.steps]

    @property
    def loss(self) -> float:
        """At the end."""
        return statistics.fmean(self.losses[-LAST:])

    @property
    def update(self) -> float:
        """How far a step moves all weights together, by their own norm, in the mean."""
        return statistics.fmean(step.update for step in self.steps if step.update is not None)

    @property
    def seconds(self) -> float:
        return sum(step.seconds for step in self.steps)


def trained(recipe: Recipe, rows: Rows, label: str, model: Transformer | None = None) -> Trained:
    """Take the base stage's steps on `rows`, from `model` or from the beginning.

    Raises Diverged.
    """
    machine.setup(recipe.n_threads)
    model = model or Transformer(recipe.model).init_weights(recipe.seed)
    model.train()
    optimizer = Optimizer(model, recipe.optimizer, torch_dtype(recipe))
    batches = Batches(rows, recipe.base.batch_rows, recipe.seed)
    steps: list[Step] = []
    with console.progress(label, recipe.base.steps, "steps") as meter:

        def on_step(step: Step) -> bool:
            steps.append(step)
            meter.advance(1, f"loss {step.loss:.3f}")
            return True

        loss, alone = loss_function(model, recipe), Exchange(World(), model)
        train(loss, optimizer, batches, recipe.base, on_step, alone)
    return Trained(model.eval(), steps)


def random_model(seed: int = 0) -> Transformer:
    """Small, and random in all that starts at nought, so that its attention matters."""
    config = model_config((2, 48, 2), 64)
    model, generator = Transformer(config).init_weights(seed), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.2)
    return model.eval()


class Workshop:
    """A tokenizer, and starter curriculum encoded with it, in a directory of its own."""

    def __init__(self, directory: Path, vocab_size: int, tokenizer_bytes: int) -> None:
        self.directory = directory
        self._corpus = corpora.open_corpus(corpora.STARTER, "")
        documents = corpora.texts(self._corpus, "train", 0)
        chats, fifth = chat_texts(self._corpus, 0), tokenizer_bytes // 5
        sample = chain(take(documents, 4 * fifth), take(chats, fifth))
        self.tokenizer = Tokenizer.train(sample, vocab_size)
        self.pad = self.tokenizer.special(END_OF_TEXT)

    def text(self, split: corpora.Split, tokens: int) -> TokenStore:
        """About that many tokens of text, in the directory text-SPLIT."""
        documents = take(corpora.texts(self._corpus, split, 0), BYTES_PER_TOKEN * tokens)
        directory = self.directory / f"text-{split}"
        return store_texts(directory, documents, self.tokenizer, tokens, silent)

    def chat(self, split: corpora.Split, tokens: int) -> TokenStore:
        """About that many tokens of conversations, in the directory chat-SPLIT."""
        talks = corpora.conversations(self._corpus, split, 0)
        some = islice(talks, 1 + tokens // TALK_TOKENS)
        directory = self.directory / f"chat-{split}"
        return store_conversations(directory, some, self.tokenizer, tokens, silent)


@contextmanager
def workshop(
    vocab_size: int = VOCAB_SIZE, tokenizer_bytes: int = TOKENIZER_BYTES
) -> Iterator[Workshop]:
    with tempfile.TemporaryDirectory() as directory:
        yield Workshop(Path(directory), vocab_size, tokenizer_bytes)


def silent(counts: Counts) -> None:
    """The curriculum of a minute's training is encoded in seconds."""
