"""Encoded corpora on disk, in shards of token ids of which training reads a row at a time.

A shard is a directory of NumPy files: `ids` (uint16, all documents end to end), `mask` (bool, the
targets of finetuning), `lengths` (uint32, tokens of each document) and `text_bytes` (uint32, UTF-8
bytes of each document without special tokens), with its counts and the SHA-256 of each file in
`shard.json`. Every shard appears complete or not at all, so an interrupted encoding resumes after
the last one: documents stored before are read again (some 100 MB/s) but not encoded again. Opening
a store verifies its shards (about 1 GB/s); from the first damaged one on they are encoded again.
"""

import functools
import io
import re
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from itertools import islice, takewhile
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from firstwords.common import console, files
from firstwords.common.errors import DamagedFile
from firstwords.common.schema import FrozenModel, check_json
from firstwords.data.encoding import (
    Counts,
    Encode,
    EncodedBatch,
    encode_all,
    encode_chats,
    encode_texts,
)
from firstwords.tokenizer.bpe import Tokenizer
from firstwords.tokenizer.chat_format import Messages

SHARD_TOKENS = 2_000_000
BATCH_DOCUMENTS = 512
BATCH_CHARS = 2_000_000
MAX_OPEN_ARRAYS = 64  # of a store; some systems allow a process no more than 256 open files
COMPLETE = "complete.json"  # present once everything is encoded
SHARD_NAME = re.compile(r"\d{5,}")
T = TypeVar("T", str, Messages)


class CountsFile(FrozenModel):
    """complete.json: the counts of the whole store."""

    documents: int
    tokens: int
    text_bytes: int


class ShardFile(CountsFile):
    """shard.json: the counts of a shard, and the SHA-256 of its other files by name."""

    sha256: dict[str, str]


class ArrayFile:
    """A NumPy file of one dimension, of which parts are read.

    A memory map would count as this process's memory once it has been read.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb", buffering=0)
        weakref.finalize(self, self._file.close)
        version = np.lib.format.read_magic(self._file)
        if version != (1, 0):
            raise ValueError(f"{path} has version {version} of NumPy's format, not (1, 0)")
        *_, self._dtype = np.lib.format.read_array_header_1_0(self._file)
        self._start = self._file.tell()

    def read(self, start: int, stop: int) -> np.ndarray:
        """Return the elements [start, stop); the array cannot be written to."""
        self._file.seek(self._start + start * self._dtype.itemsize)
        return np.frombuffer(self._file.read((stop - start) * self._dtype.itemsize), self._dtype)


class TokenStore:
    """The shards of a directory as one stream of tokens."""

    def __init__(self, directory: Path) -> None:
        self._shards = shards = _list_shards(directory)
        counts = [_sum_counts([shard]) for shard in shards]
        self.counts = functools.reduce(Counts.plus, counts, Counts(0, 0, 0))
        self._starts = np.cumsum([0] + [shard.tokens for shard in counts])
        self._open = functools.lru_cache(MAX_OPEN_ARRAYS)(ArrayFile)
        self.lengths = _load_all(shards, "lengths.npy")
        self.text_bytes = _load_all(shards, "text_bytes.npy")

    def __len__(self) -> int:
        return int(self._starts[-1])

    def ids(self, start: int, stop: int) -> np.ndarray:
        """Return the token ids [start, stop), uint16."""
        return self._slice("ids.npy", start, stop)

    def mask(self, start: int, stop: int) -> np.ndarray:
        """Return which of the tokens [start, stop) are targets of finetuning."""
        return self._slice("mask.npy", start, stop)

    def _slice(self, name: str, start: int, stop: int) -> np.ndarray:
        shard = int(np.searchsorted(self._starts, start, side="right")) - 1
        parts = []
        while start < stop:
            base = int(self._starts[shard])
            end = min(stop, int(self._starts[shard + 1]))
            parts.append(self._open(self._shards[shard] / name).read(start - base, end - base))
            start, shard = end, shard + 1
        return parts[0] if len(parts) == 1 else np.concatenate(parts)


def open_store(directory: Path) -> TokenStore | None:
    """Return the store in a directory, or None if its encoding is not complete or damaged."""
    if not (directory / COMPLETE).exists():
        return None
    try:
        total = _read(CountsFile, directory / COMPLETE)
        shards = _list_shards(directory)
        for shard in shards:
            _verify_shard(shard)
        if _sum_counts(shards)._asdict() != total:
            raise DamagedFile("a shard is missing")
    except DamagedFile as damage:
        console.warn_once(f"{directory} is damaged ({damage}); encoding the damaged part again")
        return None
    return TokenStore(directory)


def store_texts(
    directory: Path,
    documents: Iterable[str],
    tokenizer: Tokenizer,
    n_tokens: int,
    on_progress: Callable[[Counts], None],
    processes: int = 1,
) -> TokenStore:
    """Encode documents until `n_tokens` are stored or none is left.

    Resumes after the last shard that an interrupted call wrote.
    """
    return _store(directory, documents, encode_texts, tokenizer, n_tokens, on_progress, processes)


def store_conversations(
    directory: Path,
    conversations: Iterable[Messages],
    tokenizer: Tokenizer,
    n_tokens: int,
    on_progress: Callable[[Counts], None],
    processes: int = 1,
) -> TokenStore:
    """Encode conversations until `n_tokens` are stored or none is left.

    Resumes after the last shard that an interrupted call wrote.
    """
    return _store(
        directory, conversations, encode_chats, tokenizer, n_tokens, on_progress, processes
    )


def _store(
    directory: Path,
    records: Iterable[T],
    encode: Encode[T],
    tokenizer: Tokenizer,
    n_tokens: int,
    on_progress: Callable[[Counts], None],
    processes: int,
) -> TokenStore:
    shards = _keep_undamaged_shards(directory)
    counts, number = _sum_counts(shards), len(shards)
    on_progress(counts)
    batches = _batches(islice(iter(records), counts.documents, None))
    open_shard: list[EncodedBatch] = []
    in_shard = Counts(0, 0, 0)
    with closing(encode_all(encode, tokenizer, batches, processes)) as encoded:
        while counts.tokens + in_shard.tokens < n_tokens and (batch := next(encoded, None)):
            open_shard.append(batch)
            in_shard = in_shard.plus(batch.counts)
            on_progress(counts.plus(in_shard))
            if in_shard.tokens >= SHARD_TOKENS:
                _write_shard(directory / f"{number:05d}", open_shard, in_shard)
                counts, number = counts.plus(in_shard), number + 1
                open_shard, in_shard = [], Counts(0, 0, 0)
    if open_shard:
        _write_shard(directory / f"{number:05d}", open_shard, in_shard)
        counts = counts.plus(in_shard)
    files.write_json(directory / COMPLETE, counts._asdict())
    return TokenStore(directory)


def _batches(records: Iterable[T]) -> Iterator[list[T]]:
    """Group records, bounded in number and in text: a single document may be a whole book."""
    batch: list[T] = []
    chars = 0
    for record in records:
        batch.append(record)
        chars += len(record) if isinstance(record, str) else sum(len(m["content"]) for m in record)
        if len(batch) == BATCH_DOCUMENTS or chars >= BATCH_CHARS:
            yield batch
            batch, chars = [], 0
    if batch:
        yield batch


def _write_shard(directory: Path, batches: list[EncodedBatch], counts: Counts) -> None:
    with files.atomic_directory(directory) as shard:
        for name, arrays in zip(EncodedBatch._fields, zip(*batches, strict=True), strict=True):
            _save(shard / f"{name}.npy", np.concatenate(arrays))
        sums = {path.name: files.sha256_file(path) for path in sorted(shard.iterdir())}
        files.write_json(shard / "shard.json", {**counts._asdict(), "sha256": sums})


def _save(path: Path, array: np.ndarray) -> None:
    """Save an array, and keep the errno of a failure: np.save(path) drops it when the disk is
    full."""
    buffer = io.BytesIO()
    np.save(buffer, array)
    path.write_bytes(buffer.getbuffer())


def _load_all(shards: list[Path], name: str) -> np.ndarray:
    parts = [np.load(shard / name) for shard in shards]
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.uint32)


def _list_shards(directory: Path) -> list[Path]:
    """Return the directories of all shards in order, damaged or not."""
    return sorted(path for path in directory.glob("*") if SHARD_NAME.fullmatch(path.name))


def _keep_undamaged_shards(directory: Path) -> list[Path]:
    """Return the shards before the first damaged or missing one, and remove all others."""
    shards = _list_shards(directory)
    kept = list(takewhile(_is_undamaged, shards))
    kept = [shard for number, shard in enumerate(kept) if int(shard.name) == number]
    (directory / COMPLETE).unlink(missing_ok=True)
    for shard in shards[len(kept) :]:
        files.remove_directory(shard)
    return kept


def _is_undamaged(shard: Path) -> bool:
    try:
        _verify_shard(shard)
    except DamagedFile:
        return False
    return True


def _verify_shard(shard: Path) -> None:
    """Read every file of a shard. Raises DamagedFile."""
    sums = _read(ShardFile, shard / "shard.json")["sha256"]
    for name in EncodedBatch._fields:
        files.verify_sha256(shard / f"{name}.npy", sums.get(f"{name}.npy", ""))


def _read(kind: type[FrozenModel], path: Path) -> Any:
    try:
        return check_json(kind, path.read_bytes())
    except (OSError, DamagedFile) as error:
        raise DamagedFile(f"{path.parent.name}/{path.name} is unreadable") from error


def _sum_counts(shards: list[Path]) -> Counts:
    total = Counts(0, 0, 0)
    for shard in shards:
        counts = _read(ShardFile, shard / "shard.json")
        total = total.plus(Counts(*(counts[name] for name in Counts._fields)))
    return total
