"""Encode batches of documents or conversations, with threads or with several processes.

Threads share Python's global lock, which encoding holds for a third of its time. Processes scale as
long as one of them can read fast enough (docs/lab-notebook.md#parallel-encoding). Batches keep the
order of the documents, so the tokens do not depend on the number of processes.
"""

import functools
import multiprocessing
import os
import signal
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np

from firstwords.tokenizer.bpe import END_OF_TEXT, Tokenizer
from firstwords.tokenizer.chat_format import Messages, encode_conversations

T = TypeVar("T", str, Messages)


class Counts(NamedTuple):
    """How much has been encoded."""

    documents: int
    tokens: int
    text_bytes: int  # UTF-8 bytes of the documents, without special tokens

    def plus(self, other: "Counts") -> "Counts":
        """Return the sums of both."""
        return Counts(*(a + b for a, b in zip(self, other, strict=True)))


class EncodedBatch(NamedTuple):
    """Encoded documents, end to end."""

    ids: np.ndarray  # (tokens,) uint16
    mask: np.ndarray  # (tokens,) bool: the targets of finetuning
    lengths: np.ndarray  # (documents,) uint32, tokens of each
    text_bytes: np.ndarray  # (documents,) uint32, UTF-8 bytes of each

    @property
    def counts(self) -> Counts:
        return Counts(len(self.lengths), len(self.ids), int(self.text_bytes.sum(dtype=np.int64)))


# Encodes a batch with a number of threads, or with None one for each core.
Encode = Callable[[Tokenizer, list[T], int | None], EncodedBatch]


def encode_texts(
    tokenizer: Tokenizer, texts: list[str], threads: int | None = None
) -> EncodedBatch:
    """Encode documents, each after an end-of-text token that marks its start."""
    start = tokenizer.special(END_OF_TEXT)
    encoded = tokenizer.encode_batch(texts, threads)
    ids = [np.array([start, *ids], dtype=np.uint16) for ids in encoded]
    masks = [np.ones(len(array), dtype=bool) for array in ids]
    return _concatenate(ids, masks, [len(text.encode()) for text in texts])


def encode_chats(
    tokenizer: Tokenizer, chats: list[Messages], threads: int | None = None
) -> EncodedBatch:
    """Encode conversations; the mask selects what the assistant wrote."""
    encoded = list(encode_conversations(tokenizer, chats, threads))
    sizes = [sum(len(m["content"].encode()) for m in messages) for messages in chats]
    return _concatenate([e.ids for e in encoded], [e.mask for e in encoded], sizes)


def _concatenate(ids: list[np.ndarray], masks: list[np.ndarray], sizes: list[int]) -> EncodedBatch:
    lengths = np.array([len(document) for document in ids], dtype=np.uint32)
    text_bytes = np.array(sizes, dtype=np.uint32)
    return EncodedBatch(np.concatenate(ids), np.concatenate(masks), lengths, text_bytes)


def encode_all(
    encode: Encode[T], tokenizer: Tokenizer, batches: Iterable[list[T]], processes: int
) -> Generator[EncodedBatch, None, None]:
    """Yield the encoded batches in order; several processes work a few batches ahead.

    Raises MemoryError if one of the processes was killed.
    """
    if processes == 1:
        yield from (encode(tokenizer, batch, None) for batch in batches)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tokenizer.json"
        tokenizer.save(path)
        pool = ProcessPoolExecutor(
            processes, multiprocessing.get_context("spawn"), _exit_with_parent
        )
        try:
            task = functools.partial(_encode, encode, path)
            yield from _in_order(pool, task, batches, ahead=2 * processes)
        except BrokenProcessPool:
            raise MemoryError("an encoding process was killed") from None
        finally:
            pool.shutdown(cancel_futures=True)


def _in_order(
    pool: ProcessPoolExecutor,
    task: Callable[[list[T]], EncodedBatch],
    batches: Iterable[list[T]],
    ahead: int,
) -> Generator[EncodedBatch, None, None]:
    """Yield the results in the order of the batches, with at most `ahead` + 1 in the pool."""
    waiting: deque[Future[EncodedBatch]] = deque()
    for batch in batches:
        with _sigint_blocked():
            waiting.append(pool.submit(task, batch))
        if len(waiting) > ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


@contextmanager
def _sigint_blocked() -> Iterator[None]:
    """Block Ctrl-C while a task may start a process.

    The terminal sends it to all processes, but only the parent must handle it. A new process
    inherits the blocked signal, and keeps it blocked.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


# --- functions that run in the processes of the pool ----------------------------------------------


def _encode(encode: Encode[Any], tokenizer: Path, batch: list[Any]) -> EncodedBatch:
    return encode(_load_tokenizer(tokenizer), batch, 1)


@functools.cache
def _load_tokenizer(path: Path) -> Tokenizer:
    return Tokenizer.load(path)


def _exit_with_parent() -> None:
    """End this process once its parent is gone, even if that was killed."""
    parent = multiprocessing.parent_process()

    def wait() -> None:
        if parent:
            parent.join()
            os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
