"""A lesson for a run's finetuned model: conversations of one's own, beside those it came from."""

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from firstwords import checkpoint
from firstwords.conversation import Messages, encode_prompt
from firstwords.data import corpora
from firstwords.data.rows import JoinedRows, PackedRows, Rows
from firstwords.data.tokens import store_conversations
from firstwords.inference.batch import answer_all
from firstwords.inference.decoder import Decoder
from firstwords.inference.engine import Engine
from firstwords.labs.small import silent, trained
from firstwords.model import Transformer
from firstwords.run import Run
from firstwords.stages.common import load_tokenizer, padding
from firstwords.tokenizer import Tokenizer

SLOTS, MAX_TOKENS = 16, 48
ALL = 1 << 31  # tokens


class Pupil(NamedTuple):
    model: Transformer
    tokenizer: Tokenizer

    def answers(self, talks: list[Messages]) -> list[str]:
        """The likeliest answer to each conversation, which ends with the user's message."""
        prompts = [encode_prompt(self.tokenizer, talk) for talk in talks]
        engine = Engine(Decoder(self.model, min(SLOTS, len(prompts))))
        return [one.text for one in answer_all(engine, self.tokenizer, prompts, MAX_TOKENS)]


def pupil(run: Run) -> Pupil:
    """The finetuned model of a run. Raises UserError if it is not finished."""
    found = run.finished_or_fail("sft")
    return Pupil(checkpoint.load_model(found.directory), load_tokenizer(run))


def old_talks(run: Run, split: corpora.Split) -> Iterator[Messages]:
    """The conversations that the run learned from, or those held out."""
    corpus = corpora.open_corpus(run.manifest.sources.chat_data, "--chat-data")
    return corpora.conversations(corpus, split, run.recipe.seed)


def taught(
    run: Run, new: list[Messages], old: Iterable[Messages], replay: float, **stage: float
) -> Pupil:
    """The run's model after a stage like its finetuning, with these changes to it. A share of
    `replay` of the rows are `old` conversations, the others `new` ones over and over."""
    config = run.recipe.sft.model_copy(update=stage)
    made = run.recipe.model_copy(update={"base": config, "compile": False})
    n_rows, start = config.steps * config.batch_rows, pupil(run)
    n_old = round(n_rows * replay)
    with tempfile.TemporaryDirectory() as directory:

        def rows(name: str, talks: Iterable[Messages], tokens: int) -> PackedRows:
            path = Path(directory) / name
            store = store_conversations(path, talks, start.tokenizer, tokens, silent)
            return PackedRows(store, config.seq_len, padding(start.tokenizer), masked=True)

        again = Again(rows("new", new, ALL), n_rows - n_old)
        mixed = JoinedRows(again, rows("old", old, n_old * config.seq_len), n_old)
        return Pupil(trained(made, mixed, "lesson", start.model).model, start.tokenizer)


class Again:
    """`n` rows: those of a source, over and over."""

    def __init__(self, rows: Rows, n: int) -> None:
        self.rows, self.n = rows, n

    def __len__(self) -> int:
        return self.n

    def row(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        return self.rows.row(index % len(self.rows))
