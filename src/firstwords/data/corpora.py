"""Open a source of text or conversations and stream its records.

A source is `starter`, a file, a directory of files, or `hub:NAME` for a corpus fetched before.
Several sources, each with a weight, are a mixture (`mixing.py`).

Memory does not grow with the corpus. Files are read side by side in proportion to their sizes (of
many, a few in shuffled order at a time), each in shuffled blocks of about a megabyte. So any prefix
of the stream is a fair sample of the whole, and a run that needs a hundredth of a corpus reads
about a hundredth of it. The order is a pure function of the files and the seed.
"""

import functools
import math
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

import numpy as np

from firstwords.common.errors import UserError
from firstwords.common.paths import user_path
from firstwords.data import folders, starter
from firstwords.data.file_types import KNOWN_FILES, file_format, is_validation_name
from firstwords.data.formats import (
    Document,
    OnProblem,
    Record,
    raise_problem,
    read_conversations,
    read_text,
    skip_problem,
    uncompressed_bytes,
)
from firstwords.data.hub import catalogue, manifest
from firstwords.data.mixing import (
    SourceSpec,
    format_source,
    format_weighted,
    mix,
    parse_weights,
    refuse_weight,
)
from firstwords.data.records import Kind
from firstwords.data.starter.personality import Personality
from firstwords.tokenizer.chat_format import Messages

STARTER = "starter"
HUB_PREFIX = "hub:"
HOLD_OUT_EVERY = 50  # one record in this many is held out where no file is named as validation data

# Files read side by side. Some systems allow a process no more than 256 open files, and each has a
# block of its file in memory.
MAX_OPEN_FILES = 32
# A document up to this size is taken whole where a number of bytes is wanted.
MAX_EXTRA_BYTES = 8_000

Split = Literal["train", "val"]
SPLITS: tuple[Split, ...] = ("train", "val")
T = TypeVar("T")


class Corpus(NamedTuple):
    """The files of a source. The starter curriculum has none: it is generated. A mixture has the
    files of its parts."""

    name: str
    files: tuple[Path, ...]
    validation_files: tuple[Path, ...]
    parts: tuple["Part", ...] = ()
    seed: int | None = None  # of the order of files and so of what is held out, if not the run's
    personality: Personality | None = None  # as which the starter conversations speak

    def with_seed(self, seed: int) -> "Corpus":
        """Return the corpus with its files in the order of a seed, whatever that of the run is."""
        parts = tuple(part._replace(corpus=part.corpus.with_seed(seed)) for part in self.parts)
        return self._replace(parts=parts, seed=seed)

    @property
    def source(self) -> SourceSpec:
        """What `open_corpus` opens this corpus from."""
        return tuple(part.name for part in self.parts) or self.name

    @property
    def is_starter(self) -> bool:
        """Whether the corpus is the starter curriculum and nothing else."""
        return self.name == STARTER

    @property
    def has_starter(self) -> bool:
        """Whether the corpus or a part of it is the starter curriculum."""
        return any(part.corpus.is_starter for part in self.as_parts())

    @property
    def is_own(self) -> bool:
        """Whether the files are the user's own, neither generated nor fetched."""
        return not self.is_starter and not self.name.startswith(HUB_PREFIX)

    def as_parts(self) -> tuple["Part", ...]:
        """Return the parts of a mixture; any other corpus is its own only part."""
        return self.parts or (Part(self, 1.0),)

    @property
    def all_files(self) -> tuple[Path, ...]:
        return (*self.files, *self.validation_files)

    def text_bytes(self, kind: Kind) -> float:
        """Return about how many uncompressed bytes of training data the corpus has.

        The starter curriculum is infinite. A mixture lasts as long as the part that lasts longest,
        since the others are repeated. Raises UserError if a file cannot be read.
        """
        if self.parts:
            return max(part.corpus.text_bytes(kind) / part.weight for part in self.parts)
        if self.is_starter:
            return math.inf
        fraction = 1.0 if self.validation_files else 1 - 1 / HOLD_OUT_EVERY
        return fraction * sum(uncompressed_bytes(path, kind) for path in self.files)


class Part(NamedTuple):
    """A part of a mixture, and its share of the bytes."""

    corpus: Corpus
    weight: float

    @property
    def name(self) -> str:
        return format_weighted(self.corpus.name, self.weight)


def open_corpus(source: SourceSpec, option: str) -> Corpus:
    """Find the files of a source or of a mixture. Raises UserError that names the option it was
    given to."""
    if isinstance(source, str):
        refuse_weight(source, option)
        return _open_source(source, option)
    parts = tuple(
        Part(_open_source(name, option), weight) for name, weight in parse_weights(source, option)
    )
    return Corpus(
        format_source(tuple(part.name for part in parts)),
        tuple(file for part in parts for file in part.corpus.files),
        tuple(file for part in parts for file in part.corpus.validation_files),
        parts,
    )


def _open_source(source: str, option: str) -> Corpus:
    if source == STARTER:
        return Corpus(STARTER, (), ())
    if not source.strip():
        raise UserError(f"{option} is empty", "use starter, a file or a directory")
    if source.startswith(HUB_PREFIX):
        return _open_fetched(source, option)
    path = user_path(source, option).absolute()
    if path.is_dir():
        return _open_folder(path, source, option)
    if not path.exists():
        raise UserError(
            f"{option} {source} does not exist",
            "use starter, a file, a directory or hub:NAME (see firstwords data list)",
        )
    if not path.is_file():
        raise UserError(
            f"{option} {source} is no file but a pipe or a device, which can be read only once",
            "write its content into a file first (.gz and .zst files are read as they are)",
        )
    if file_format(path) is None:
        raise UserError(f"{option} {source} has an unknown file type", f"use {KNOWN_FILES}")
    folders.check_readable(path, option)
    return Corpus(str(path), (path,), ())


def with_personality(corpus: Corpus, personality: Personality | None) -> Corpus:
    """Return the corpus with this personality in its starter conversations."""
    parts = tuple(
        part._replace(corpus=with_personality(part.corpus, personality)) for part in corpus.parts
    )
    return corpus._replace(parts=parts, personality=personality)


def _open_folder(folder: Path, source: str, option: str) -> Corpus:
    files = folders.find_files(folder, option)
    if not files:
        raise UserError(f"{option} {source} has no data files", f"add files: {KNOWN_FILES}")
    validation = tuple(p for p in files if is_validation_name(p.name))
    training = tuple(p for p in files if not is_validation_name(p.name))
    if not training:
        raise UserError(
            f"{option} {source} has only files named as validation data", "add a training file"
        )
    return Corpus(str(folder), training, validation)


def _open_fetched(source: str, option: str) -> Corpus:
    """Find the files of a named corpus on this machine, without using the network."""
    name = source.removeprefix(HUB_PREFIX)
    is_listed = name in catalogue.load_catalogue()
    is_known = is_listed or name in manifest.list_fetched()
    corpus_files = manifest.locate_corpus(name) if is_known else None
    if corpus_files is None and is_listed:
        raise UserError(
            f"{option} {source} was not fetched yet", f"first run: {manifest.fetch_command(name)}"
        )
    if corpus_files is None:
        raise UserError(
            f"{option} {source} does not exist", "list the known corpora with firstwords data list"
        )
    return Corpus(source, corpus_files.train, corpus_files.held_out)


def texts(corpus: Corpus, split: Split, seed: int) -> Iterator[str]:
    """Yield the text of each document of a split."""
    return (document.text for document in documents(corpus, split, seed))


def documents(
    corpus: Corpus, split: Split, seed: int, on_problem: OnProblem = raise_problem
) -> Iterator[Document]:
    """Yield the documents of a split.

    A corpus with validation files holds those out, any other every 50th document. In a mixture each
    part holds out its own.
    """
    if corpus.parts:
        return _mix(
            corpus,
            split,
            lambda part: documents(part, split, seed, on_problem),
            lambda document: len(document.text.encode()),
        )
    if corpus.is_starter:
        return _generate(lambda index: Document(*starter.document(seed, index)), split)
    read = functools.partial(read_text, on_problem=on_problem)
    return _read_split(corpus, split, seed, read)


def conversations(
    corpus: Corpus, split: Split, seed: int, on_problem: OnProblem | None = None
) -> Iterator[Messages]:
    """Yield the conversations of a split, all of them valid.

    Users cannot edit a dataset that they fetched, so what is not valid in one is skipped.
    """
    if corpus.parts:
        return _mix(
            corpus,
            split,
            lambda part: conversations(part, split, seed),
            lambda messages: sum(len(message["content"].encode()) for message in messages),
        )
    if corpus.is_starter:
        return _generate(
            lambda index: [
                dict(message)
                for message in starter.conversation(
                    seed, index, personality=corpus.personality
                ).messages
            ],
            split,
        )
    on_problem = on_problem or (raise_problem if corpus.is_own else skip_problem)
    read = functools.partial(read_conversations, on_problem=on_problem)
    return _read_split(corpus, split, seed, read)


def chat_texts(corpus: Corpus, seed: int) -> Iterator[str]:
    """Yield the text of every training message."""
    for messages in conversations(corpus, "train", seed):
        yield from (message["content"] for message in messages)


def take_bytes(texts: Iterable[str], n_bytes: int) -> Iterator[str]:
    """Yield texts until their UTF-8 bytes add up to `n_bytes`.

    The last one is cut if it is longer than an ordinary document.
    """
    for text in texts:
        if n_bytes <= 0:
            return
        raw = text.encode()
        if len(raw) > max(n_bytes, MAX_EXTRA_BYTES):
            text = raw[: max(n_bytes, 4)].decode(errors="ignore")  # at least one character
        n_bytes -= len(raw)
        yield text


def _mix(
    corpus: Corpus,
    split: Split,
    read: Callable[[Corpus], Iterator[T]],
    size: Callable[[T], int],
) -> Iterator[T]:
    """Mix the parts of a corpus. Parts that are too small for their share are repeated in training;
    nothing is measured twice."""
    streams = [functools.partial(read, part.corpus) for part in corpus.parts]
    return mix(streams, [part.weight for part in corpus.parts], size, repeat=split == "train")


def _is_held_out(index: int) -> bool:
    """Hold out every 50th record from the second on, so that two records give one to each split."""
    return index % HOLD_OUT_EVERY == 1


def _generate(make: Callable[[int], T], split: Split) -> Iterator[T]:
    index = 0
    while True:
        if _is_held_out(index) == (split == "val"):
            yield make(index)
        index += 1


def _read_split(
    corpus: Corpus,
    split: Split,
    seed: int,
    read: Callable[[Path, np.random.Generator], Iterator[Record]],
) -> Iterator[Any]:
    seed = seed if corpus.seed is None else corpus.seed
    if corpus.validation_files:
        files = corpus.validation_files if split == "val" else corpus.files
        yield from _interleave(files, seed, read)
        return
    for index, record in enumerate(_interleave(corpus.files, seed, read)):
        if _is_held_out(index) == (split == "val"):
            yield record


def _interleave(
    files: tuple[Path, ...],
    seed: int,
    read: Callable[[Path, np.random.Generator], Iterator[Record]],
) -> Iterator[Any]:
    """Yield the next record of the file of which the smallest fraction has been read.

    Of many files, MAX_OPEN_FILES are read to their ends before others are opened.
    """
    order = list(range(len(files)))
    if len(files) > MAX_OPEN_FILES:
        order = np.random.default_rng(seed).permutation(len(files)).tolist()
    for first in range(0, len(files), MAX_OPEN_FILES):
        opened = order[first : first + MAX_OPEN_FILES]
        streams = {i: read(files[i], np.random.default_rng([seed, i])) for i in opened}
        progress = [(0.0, i) for i in opened]
        while progress:
            progress.sort()
            _, i = progress.pop(0)
            record = next(streams[i], None)
            if record is not None:
                yield record.value
                progress.append((record.progress, i))
