"""Finetune a run's model on a learner's conversations, mixed with those that it was trained on."""

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from firstwords.data import corpora
from firstwords.data.dataloader import MixedRows, PackedRows, Row, fill_row, split_conversation
from firstwords.data.token_store import TokenStore, store_conversations
from firstwords.inference.batch import answer_all
from firstwords.inference.decoder import Decoder
from firstwords.inference.engine import Engine
from firstwords.inference.sampling import GREEDY
from firstwords.labs.short_training import ignore_counts, train_on_rows
from firstwords.model import hf_format
from firstwords.model.transformer import Transformer
from firstwords.runs.datasets import load_tokenizer, open_conversations
from firstwords.runs.run import Run
from firstwords.tokenizer.bpe import Tokenizer
from firstwords.tokenizer.chat_format import Messages, encode_prompt

SLOTS, SAMPLING = 16, GREEDY.replace(max_tokens=48)
NO_LIMIT = 1 << 31  # tokens


class FinetunedModel(NamedTuple):
    """A model that answers conversations, and its tokenizer."""

    model: Transformer
    tokenizer: Tokenizer

    def answers(self, conversations: list[Messages]) -> list[str]:
        """Return the greedy answer to each conversation, which ends with a user's message."""
        prompts = [encode_prompt(self.tokenizer, messages) for messages in conversations]
        engine = Engine(Decoder(self.model, SLOTS))
        return [answer.text for answer in answer_all(engine, self.tokenizer, prompts, SAMPLING)]


def load_finetuned(run: Run) -> FinetunedModel:
    """Load the finetuned model of a run. Raises UserError if that stage is not finished."""
    checkpoint = run.finished_or_fail("sft")
    return FinetunedModel(hf_format.load_model(checkpoint.directory), load_tokenizer(run))


def run_conversations(run: Run, split: corpora.Split) -> Iterator[Messages]:
    """Yield the conversations that a run was trained on, or those held out."""
    corpus = open_conversations(run)
    return corpora.conversations(corpus, split, run.recipe.seed)


def finetune_on(
    run: Run,
    new: list[Messages],
    old: Iterable[Messages],
    replay_fraction: float,
    **stage_changes: float,
) -> FinetunedModel:
    """Finetune a run's model by its own sft stage with some changes; the run stays unchanged.

    `replay_fraction` of the rows are `old` conversations, the others repeat the `new` ones.
    """
    config = run.recipe.sft.replace(**stage_changes)
    recipe = run.recipe.replace(pretrain=config, compile=False)
    initial, n_rows = load_finetuned(run), config.steps * config.batch_size
    pad_id, n_old = initial.tokenizer.pad_id, round(n_rows * replay_fraction)
    with tempfile.TemporaryDirectory() as directory:

        def store(name: str, conversations: Iterable[Messages], n_tokens: int) -> TokenStore:
            path = Path(directory) / name
            return store_conversations(
                path, conversations, initial.tokenizer, n_tokens, ignore_counts
            )

        new_rows = SingleConversationRows(
            store("new", new, NO_LIMIT), config.seq_len, pad_id, n_rows - n_old
        )
        old_store = store("old", old, n_old * config.seq_len)
        old_rows = PackedRows(old_store, config.seq_len, pad_id, assistant_only=True)
        rows = MixedRows(new_rows, old_rows, n_old)
        trained = train_on_rows(recipe, rows, "finetuning", initial.model)
    return FinetunedModel(trained.model, initial.tokenizer)


class SingleConversationRows:
    """`n` rows with one conversation each, repeated in order.

    A conversation starts at the beginning of its row, as in a chat. In packed rows, which would
    always be the same few, the model would learn it together with the conversation before it.
    """

    def __init__(self, store: TokenStore, seq_len: int, pad_id: int, n: int) -> None:
        self.store, self.seq_len, self.pad_id, self.n = store, seq_len, pad_id, n
        ends = np.cumsum(store.lengths, dtype=np.int64)
        starts = ends - store.lengths
        self.segments = [
            segment
            for start, stop in zip(starts.tolist(), ends.tolist(), strict=True)
            for segment in split_conversation(start, stop, seq_len, context=True)
        ]

    def __len__(self) -> int:
        return self.n

    def row(self, index: int) -> Row:
        segment = self.segments[index % len(self.segments)]
        return fill_row(self.store, [segment], self.seq_len, self.pad_id, assistant_only=True)
