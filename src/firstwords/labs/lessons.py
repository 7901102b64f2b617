"""A lesson for a run's finetuned model: conversations of one's own, beside those it came from."""

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from firstwords import checkpoint
from firstwords.conversation import Messages, encode_prompt
from firstwords.data import corpora
from firstwords.data.rows import JoinedRows, PackedRows, cut_conversation, fill_row
from firstwords.data.tokens import TokenStore, store_conversations
from firstwords.inference.batch import answer_all
from firstwords.inference.decoder import Decoder
from firstwords.inference.engine import Engine
from firstwords.inference.sampling import GREEDY
from firstwords.labs.small import silent, trained
from firstwords.model import Transformer
from firstwords.run import Run
from firstwords.stages.common import load_tokenizer, padding
from firstwords.tokenizer import Tokenizer

SLOTS, SAMPLING = 16, GREEDY.model_copy(update={"max_tokens": 48})
ALL = 1 << 31  # tokens


class Pupil(NamedTuple):
    model: Transformer
    tokenizer: Tokenizer

    def answers(self, talks: list[Messages]) -> list[str]:
        """The likeliest answer to each conversation, which ends with the user's message."""
        prompts = [encode_prompt(self.tokenizer, talk) for talk in talks]
        engine = Engine(Decoder(self.model, SLOTS))
        return [one.text for one in answer_all(engine, self.tokenizer, prompts, SAMPLING)]


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
    start, n_rows = pupil(run), config.steps * config.batch_rows
    pad, n_old = padding(start.tokenizer), round(n_rows * replay)
    with tempfile.TemporaryDirectory() as directory:

        def store(name: str, talks: Iterable[Messages], tokens: int) -> TokenStore:
            path = Path(directory) / name
            return store_conversations(path, talks, start.tokenizer, tokens, silent)

        alone = Alone(store("new", new, ALL), config.seq_len, pad, n_rows - n_old)
        rest = store("old", old, n_old * config.seq_len)
        mixed = JoinedRows(alone, PackedRows(rest, config.seq_len, pad, masked=True), n_old)
        return Pupil(trained(made, mixed, "lesson", start.model).model, start.tokenizer)


class Alone:
    """`n` rows of one conversation each, over and over: as it stands when it is asked for, at the
    beginning. In packed rows, always the same, what stands before would be learned with it."""

    def __init__(self, store: TokenStore, seq_len: int, pad: int, n: int) -> None:
        self.store, self.seq_len, self.pad, self.n = store, seq_len, pad, n
        ends = np.cumsum(store.lengths, dtype=np.int64)
        starts = ends - store.lengths
        self.pieces = [
            piece
            for start, stop in zip(starts.tolist(), ends.tolist(), strict=True)
            for piece in cut_conversation(start, stop, seq_len, context=True)
        ]

    def __len__(self) -> int:
        return self.n

    def row(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        piece = self.pieces[index % len(self.pieces)]
        return fill_row(self.store, [piece], self.seq_len, self.pad, masked=True)
