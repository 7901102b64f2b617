"""Check a corpus before anything is trained on it, so that no run fails after an hour.

Fetched corpora were verified by their checksums, so only their first records are read.
"""

import functools
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

from firstwords.common import console
from firstwords.common.errors import UserError
from firstwords.data import corpora
from firstwords.data.corpora import SPLITS, Corpus, Split, take_bytes
from firstwords.data.formats import read_conversations, uncompressed_bytes
from firstwords.data.records import InvalidRecord
from firstwords.data.rows import Row

MAX_LISTED = 10
# Encoding, before the first step of training, finds what is wrong in the rest of the text.
MAX_TEXT_BYTES = 1e9
METER_STEP = 0.01  # of a file: showing the progress takes longer than reading a record


class TooManyProblems(Exception):
    """Enough problems were found to list them."""


class Problems:
    """What is wrong in a corpus, to be reported at once."""

    def __init__(self) -> None:
        self._found: dict[str, str] = {}  # what to do by problem

    def add(self, row: Row, problem: InvalidRecord) -> None:
        """Add a record that is not valid. Raises TooManyProblems."""
        self._add(f"{row.place()} {problem}", problem.hint)

    def count(self, records: Iterable[object]) -> int:
        """Return the number of records; an error that ends their file is added."""
        n_records = 0
        try:
            for _ in records:
                n_records += 1
        except UserError as error:
            self._add(error.problem, error.hint)
        return n_records

    def raise_all(self, source: str) -> None:
        """Raise UserError if there are any. Several are printed before, a line for each."""
        if not self._found:
            return
        problems = sorted(self._found, key=by_number)
        hints = set(self._found.values())
        hint = hints.pop() if len(hints) == 1 else "fix them"
        if len(problems) == 1:
            raise UserError(problems[0], hint)
        for problem in problems:
            console.say(problem)
        n = f"{MAX_LISTED} or more" if len(problems) >= MAX_LISTED else str(len(problems))
        raise UserError(f"{source} has {n} mistakes, which are listed above", hint)

    def _add(self, problem: str, hint: str) -> None:
        self._found[problem] = hint  # both splits may meet the same one
        if len(self._found) >= MAX_LISTED:
            raise TooManyProblems


def check_conversations(corpus: Corpus, option: str) -> None:
    """Read every conversation of the user's own files. Raises UserError for what is wrong in them,
    or if there are too few to train on some and to hold out some."""
    for part in corpus.parts:
        check_conversations(part.corpus, option)
    if corpus.parts:
        return
    source = f"{option} {corpus.name}"
    if not corpus.is_own:
        check_not_empty(source, lambda split: corpora.conversations(corpus, split, 0))
        return
    problems = Problems()
    sizes = {f: uncompressed_bytes(f, "messages") / 1e6 for f in corpus.all_files}
    n_train = n_held_out = 0
    try:
        with console.progress(f"checking {option}", sum(sizes.values()), "MB") as meter:
            for path, megabytes in sizes.items():
                n_records = problems.count(_read_all(path, problems, megabytes, meter))
                if path in corpus.validation_files:
                    n_held_out += n_records
                else:
                    n_train += n_records
    except TooManyProblems:
        pass
    problems.raise_all(source)
    if not corpus.validation_files:
        n_held_out = n_train - 1
    raise_if_empty(source, n_train > 0, n_held_out > 0)


def check_text(corpus: Corpus, option: str, seed: int, n_bytes: dict[Split, float]) -> None:
    """Read the text that a run reads, in the same order: of each split so many bytes.

    Raises UserError for what is wrong in it.
    """
    for part in corpus.parts:
        of_part = {split: part.weight * wanted for split, wanted in n_bytes.items()}
        check_text(part.corpus, option, seed, of_part)
    if corpus.parts:
        return
    if not corpus.is_own:
        return
    problems = Problems()
    try:
        for split, wanted in n_bytes.items():
            documents = corpora.documents(corpus, split, seed, problems.add)
            texts = (document.text for document in documents)
            limit = int(min(wanted, MAX_TEXT_BYTES, corpus.text_bytes("text")))
            with console.progress(f"checking {option} ({split})", limit / 1e6, "MB") as meter:
                problems.count(_metered(take_bytes(texts, limit), meter))
    except TooManyProblems:
        pass
    problems.raise_all(f"{option} {corpus.name}")


def check_has_text(corpus: Corpus, option: str) -> None:
    """Raise UserError unless every part of a corpus has text to train on and to hold out."""
    for part, _ in corpus.as_parts():
        check_not_empty(f"{option} {part.name}", functools.partial(corpora.texts, part, seed=0))


def check_not_empty(source: str, records: Callable[[Split], Iterator[object]]) -> None:
    """Raise UserError unless there is something to train on and something to hold out."""
    raise_if_empty(source, *(next(records(split), None) is not None for split in SPLITS))


def raise_if_empty(source: str, has_train: bool, has_held_out: bool) -> None:
    """Raise UserError unless a source has something in both splits."""
    if not (has_train and has_held_out):
        problem = f"{source} leaves nothing to hold out" if has_train else f"{source} is empty"
        raise UserError(problem, "give at least two documents or conversations")


def _read_all(
    path: Path, problems: Problems, megabytes: float, meter: console.Meter
) -> Iterator[object]:
    shown = 0.0
    for record in read_conversations(path, np.random.default_rng(0), problems.add):
        if record.progress - shown >= METER_STEP:
            meter.advance((record.progress - shown) * megabytes)
            shown = record.progress
        yield record.value


def _metered(texts: Iterable[str], meter: console.Meter) -> Iterator[object]:
    megabytes = 0.0
    for text in texts:
        megabytes += len(text) / 1e6
        if megabytes >= METER_STEP * meter.total:
            meter.advance(megabytes)
            megabytes = 0.0
        yield text


def by_number(text: str) -> list[tuple[int, str]]:
    """Return a key that sorts line 9 before line 10."""
    parts = re.split(r"(\d+)", text)
    return [(int(part) if part.isdecimal() else -1, part) for part in parts]
