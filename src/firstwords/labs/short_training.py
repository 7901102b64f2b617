"""Short trainings for the experiments, made of the parts of a real run."""

import statistics
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

import torch

from firstwords.common import console, devices, hardware
from firstwords.data import corpora
from firstwords.data.corpora import chat_texts, take_bytes
from firstwords.data.dataloader import BatchSampler, Rows
from firstwords.data.token_store import Counts, TokenStore, store_conversations, store_texts
from firstwords.labs.lab import LabSettings
from firstwords.model.transformer import Transformer
from firstwords.planning.model_sizes import model_config
from firstwords.recipe import Recipe, StageConfig
from firstwords.tokenizer.bpe import Tokenizer
from firstwords.training.loop import Step, train
from firstwords.training.setup import build

SHAPE = (2, 96, 2)  # layers, channels, heads
VOCAB_SIZE = 1024
SEQ_LEN, BATCH_SIZE = 128, 16
TOKENIZER_BYTES = 400_000
BYTES_PER_TOKEN = 4  # about
TOKENS_PER_CONVERSATION = 50  # the starter's conversations have rather more
FINAL_STEPS = 20  # steps over which the final loss is averaged


def short_recipe(settings: LabSettings, steps: int, vocab_size: int = VOCAB_SIZE) -> Recipe:
    """Return the recipe of a model that learns something within a minute."""
    stage = StageConfig(
        steps=settings.scaled(steps),
        batch_size=BATCH_SIZE,
        micro_batch_size=BATCH_SIZE,
        seq_len=SEQ_LEN,
        warmup_steps=10,
    )
    return Recipe(
        n_threads=hardware.physical_cores(),
        tokenizer_bytes=TOKENIZER_BYTES,
        model=model_config(SHAPE, vocab_size).replace(max_seq_len=SEQ_LEN),
        pretrain=stage,
        midtrain=stage,
        sft=stage,
    )


class ShortTraining(NamedTuple):
    """A trained model, and the metrics of its steps."""

    model: Transformer
    steps: list[Step]

    @property
    def losses(self) -> list[float]:
        return [step.loss for step in self.steps]

    @property
    def final_loss(self) -> float:
        """Mean loss of the last steps."""
        return statistics.fmean(self.losses[-FINAL_STEPS:])

    @property
    def update_norm(self) -> float:
        """Mean norm of a step's update, relative to the weights."""
        return statistics.fmean(
            step.update_norm for step in self.steps if step.update_norm is not None
        )

    @property
    def seconds(self) -> float:
        return sum(step.seconds for step in self.steps)


def train_on_rows(
    recipe: Recipe, rows: Rows, label: str, model: Transformer | None = None
) -> ShortTraining:
    """Take the pretraining steps of a recipe on `rows`, from `model` or from initial weights.

    Raises Diverged.
    """
    devices.configure_torch(recipe.n_threads)
    state = build(recipe, model)
    state.model.train()
    batches = BatchSampler(rows, recipe.pretrain.batch_size, recipe.seed)
    steps: list[Step] = []
    with console.progress(label, recipe.pretrain.steps, "steps") as meter:
        for step in train(state, batches, recipe.pretrain):
            steps.append(step)
            meter.advance(1, f"loss {step.loss:.3f}")
    return ShortTraining(state.model.eval(), steps)


def random_model(seed: int = 0) -> Transformer:
    """Return a small model whose weights are all random, also those that start at zero, so that its
    attention affects the output."""
    config = model_config((2, 48, 2), 64)
    model, generator = Transformer(config).init_weights(seed), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.2)
    return model.eval()


class LabData:
    """A tokenizer, and parts of the starter curriculum encoded with it, in a directory."""

    def __init__(self, directory: Path, vocab_size: int, tokenizer_bytes: int) -> None:
        self.directory = directory
        self._corpus = corpora.open_corpus(corpora.STARTER, "")
        documents = corpora.texts(self._corpus, "train", 0)
        chats, fifth = chat_texts(self._corpus, 0), tokenizer_bytes // 5
        sample = chain(take_bytes(documents, 4 * fifth), take_bytes(chats, fifth))
        self.tokenizer = Tokenizer.train(sample, vocab_size)
        self.pad_id = self.tokenizer.pad_id

    def text(self, split: corpora.Split, n_tokens: int) -> TokenStore:
        """Encode about `n_tokens` of text, in the directory text-SPLIT."""
        documents = take_bytes(corpora.texts(self._corpus, split, 0), BYTES_PER_TOKEN * n_tokens)
        directory = self.directory / f"text-{split}"
        return store_texts(directory, documents, self.tokenizer, n_tokens, ignore_counts)

    def chat(self, split: corpora.Split, n_tokens: int) -> TokenStore:
        """Encode about `n_tokens` of conversations, in the directory chat-SPLIT."""
        conversations = corpora.conversations(self._corpus, split, 0)
        some = islice(conversations, 1 + n_tokens // TOKENS_PER_CONVERSATION)
        directory = self.directory / f"chat-{split}"
        return store_conversations(directory, some, self.tokenizer, n_tokens, ignore_counts)


@contextmanager
def open_lab_data(
    vocab_size: int = VOCAB_SIZE, tokenizer_bytes: int = TOKENIZER_BYTES
) -> Iterator[LabData]:
    """Train a tokenizer; the data encoded with it is removed after the block."""
    with tempfile.TemporaryDirectory() as directory:
        yield LabData(Path(directory), vocab_size, tokenizer_bytes)


def ignore_counts(counts: Counts) -> None:
    """Show no progress: the data of a lab is encoded in seconds."""
