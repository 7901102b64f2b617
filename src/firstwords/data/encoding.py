"""Documents to tokens, a batch at a time: by this process and its threads, or by several processes.

Threads share Python's lock, which encoding holds for a third of its time; processes scale as far as
one of them can read (docs/lab-notebook.md). The order of the batches is that of the documents
however many encode them, so the tokens are the same.
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

from firstwords.conversation import Messages, encode_conversations
from firstwords.tokenizer import END_OF_TEXT, Tokenizer

T = TypeVar("T", str, Messages)


class Counts(NamedTuple):
    documents: int
    tokens: int
    text_bytes: int  # UTF-8 bytes of the documents, without special tokens

    def plus(self, other: "Counts") -> "Counts":
        return Counts(*(a + b for a, b in zip(self, other, strict=True)))


class Batch(NamedTuple):
    """Encoded documents end to end."""

    ids: np.ndarray  # (tokens,) uint16
    mask: np.ndarray  # (tokens,) bool: what finetuning learns to write
    lengths: np.ndarray  # (documents,) uint32
    text_bytes: np.ndarray  # (documents,) uint32

    @property
    def counts(self) -> Counts:
        return Counts(len(self.lengths), len(self.ids), int(self.text_bytes.sum(dtype=np.int64)))


Encode = Callable[[Tokenizer, list[T], int | None], Batch]  # with so many threads, or all cores


def encode_texts(tokenizer: Tokenizer, texts: list[str], threads: int | None = None) -> Batch:
    """Each document starts with the end-of-text token: "something new begins"."""
    start = tokenizer.special(END_OF_TEXT)
    encoded = tokenizer.encode_batch(texts, threads)
    ids = [np.array([start, *ids], dtype=np.uint16) for ids in encoded]
    masks = [np.ones(len(array), dtype=bool) for array in ids]
    return _joined(ids, masks, [len(text.encode()) for text in texts])


def encode_talks(tokenizer: Tokenizer, talks: list[Messages], threads: int | None = None) -> Batch:
    encoded = list(encode_conversations(tokenizer, talks, threads))
    sizes = [sum(len(m["content"].encode()) for m in messages) for messages in talks]
    return _joined([one.ids for one in encoded], [one.mask for one in encoded], sizes)


def _joined(ids: list[np.ndarray], masks: list[np.ndarray], sizes: list[int]) -> Batch:
    lengths = np.array([len(one) for one in ids], dtype=np.uint32)
    text_bytes = np.array(sizes, dtype=np.uint32)
    return Batch(np.concatenate(ids), np.concatenate(masks), lengths, text_bytes)


def encode_all(
    encode: Encode[T], tokenizer: Tokenizer, batches: Iterable[list[T]], processes: int
) -> Generator[Batch, None, None]:
    """All batches encoded, in their order, a few of them ahead of the one that is asked for."""
    if processes == 1:
        yield from (encode(tokenizer, batch, None) for batch in batches)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tokenizer.json"
        tokenizer.save(path)
        pool = ProcessPoolExecutor(
            processes, multiprocessing.get_context("spawn"), _follow_the_parent
        )
        try:
            task = functools.partial(_encode, encode, path)
            yield from _in_order(pool, task, batches, ahead=2 * processes)
        except BrokenProcessPool:
            raise MemoryError("a process that encodes was killed") from None
        finally:
            pool.shutdown(cancel_futures=True)


def _in_order(
    pool: ProcessPoolExecutor,
    task: Callable[[list[T]], Batch],
    batches: Iterable[list[T]],
    ahead: int,
) -> Generator[Batch, None, None]:
    waiting: deque[Future[Batch]] = deque()
    for batch in batches:
        with _no_interruption():
            waiting.append(pool.submit(task, batch))
        if len(waiting) > ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


@contextmanager
def _no_interruption() -> Iterator[None]:
    """A task may start a process. Ctrl-C, which a terminal sends to that too, is for this one
    alone: what is blocked here meanwhile stays blocked there."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


# --- in a process of the pool ---------------------------------------------------------------------


def _encode(encode: Encode[Any], tokenizer: Path, batch: list[Any]) -> Batch:
    return encode(_loaded(tokenizer), batch, 1)


@functools.cache
def _loaded(path: Path) -> Tokenizer:
    return Tokenizer.load(path)


def _follow_the_parent() -> None:
    """When the parent is gone, however that came, so is this."""
    parent = multiprocessing.parent_process()

    def wait() -> None:
        if parent:
            parent.join()
            os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
