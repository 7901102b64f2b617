"""Encoded corpora on disk: shards of token ids that are memory-mapped for training.

A shard is a directory of NumPy files: `ids` (uint16, all documents end to end), `mask` (bool, the
tokens that finetuning learns to write), `lengths` (uint32, tokens of each document) and
`text_bytes` (uint32, its UTF-8 bytes without special tokens), with its counts in `shard.json`.
Shards appear whole, one after the other, so an interrupted encoding goes on after the last one:
what was stored is read once more (some 100 MB/s), but not encoded.
"""

import io
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np

from firstwords import files
from firstwords.conversation import Messages
from firstwords.data.encoding import Batch, Counts, Encode, encode_all, encode_talks, encode_texts
from firstwords.tokenizer import Tokenizer

SHARD_TOKENS = 2_000_000
COMPLETE = "complete.json"
BATCH_DOCUMENTS = 512
BATCH_CHARS = 2_000_000
T = TypeVar("T", str, Messages)


class TokenStore:
    """All shards of a directory as one stream of tokens."""

    def __init__(self, directory: Path) -> None:
        shards = _shards(directory)
        self.counts = _total(shards)
        self._ids = [np.load(shard / "ids.npy", mmap_mode="r") for shard in shards]
        self._mask = [np.load(shard / "mask.npy", mmap_mode="r") for shard in shards]
        self._starts = np.cumsum([0] + [len(ids) for ids in self._ids])
        self.lengths = _joined(shards, "lengths.npy")
        self.text_bytes = _joined(shards, "text_bytes.npy")

    def __len__(self) -> int:
        return int(self._starts[-1])

    def ids(self, start: int, stop: int) -> np.ndarray:
        return self._slice(self._ids, start, stop)

    def mask(self, start: int, stop: int) -> np.ndarray:
        return self._slice(self._mask, start, stop)

    def _slice(self, arrays: list[np.ndarray], start: int, stop: int) -> np.ndarray:
        first = int(np.searchsorted(self._starts, start, side="right")) - 1
        parts = []
        while start < stop:
            base = int(self._starts[first])
            end = min(stop, int(self._starts[first + 1]))
            parts.append(arrays[first][start - base : end - base])
            start, first = end, first + 1
        return parts[0] if len(parts) == 1 else np.concatenate(parts)


def stored(directory: Path) -> TokenStore | None:
    """The store in `directory`, if all of it has been encoded."""
    return TokenStore(directory) if (directory / COMPLETE).exists() else None


def store_texts(
    directory: Path,
    documents: Iterable[str],
    tokenizer: Tokenizer,
    wanted: int,
    on_progress: Callable[[Counts], None],
    processes: int = 1,
) -> TokenStore:
    """Encode documents until `wanted` tokens are stored or none is left."""
    return _store(directory, documents, encode_texts, tokenizer, wanted, on_progress, processes)


def store_conversations(
    directory: Path,
    conversations: Iterable[Messages],
    tokenizer: Tokenizer,
    wanted: int,
    on_progress: Callable[[Counts], None],
    processes: int = 1,
) -> TokenStore:
    """Encode conversations until `wanted` tokens are stored or none is left."""
    return _store(directory, conversations, encode_talks, tokenizer, wanted, on_progress, processes)


def _store(
    directory: Path,
    records: Iterable[T],
    encode: Encode[T],
    tokenizer: Tokenizer,
    wanted: int,
    on_progress: Callable[[Counts], None],
    processes: int,
) -> TokenStore:
    shards = _shards(directory)
    counts, number = _total(shards), len(shards)
    on_progress(counts)
    batches = _batches(islice(iter(records), counts.documents, None))
    open_shard: list[Batch] = []
    in_shard = Counts(0, 0, 0)
    with closing(encode_all(encode, tokenizer, batches, processes)) as encoded:
        while counts.tokens + in_shard.tokens < wanted and (batch := next(encoded, None)):
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
    """Lists of records, bounded in number and in text: a document may be a whole book."""
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


def _write_shard(directory: Path, batches: list[Batch], counts: Counts) -> None:
    with files.replacing_directory(directory) as shard:
        for name, arrays in zip(Batch._fields, zip(*batches, strict=True), strict=True):
            _save(shard / f"{name}.npy", np.concatenate(arrays))
        files.write_json(shard / "shard.json", counts._asdict())


def _save(path: Path, array: np.ndarray) -> None:
    """np.save, whose own writing forgets why it failed (a full disk has an errno)."""
    buffer = io.BytesIO()
    np.save(buffer, array)
    path.write_bytes(buffer.getbuffer())


def _joined(shards: list[Path], name: str) -> np.ndarray:
    parts = [np.load(shard / name) for shard in shards]
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.uint32)


def _shards(directory: Path) -> list[Path]:
    return sorted(path.parent for path in directory.glob("[0-9]*/shard.json"))


def _total(shards: list[Path]) -> Counts:
    total = Counts(0, 0, 0)
    for shard in shards:
        total = total.plus(Counts(**files.read_json(shard / "shard.json")))
    return total
