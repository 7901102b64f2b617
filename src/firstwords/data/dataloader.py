"""Rows of tokens, and batches as a pure function of (seed, step).

A *segment* is a run of consecutive tokens: its inputs are all but the last, its targets all but the
first. A row of `seq_len` inputs holds one segment or several, then padding. Segments are cut so
that every target is in exactly one of them: neighbors share one token, the last target of one and
the first input of the next.

Documents and conversations that share a row have nothing to do with each other, so a row says where
the one of each token starts, and attention goes back no further
(docs/lab-notebook.md#attention-within-documents).
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from firstwords.data.token_store import TokenStore

IGNORE_INDEX = -100  # target of a position without loss


class Segment(NamedTuple):
    """Tokens [start, stop) of a store. Targets before `first_target` are only context."""

    start: int
    stop: int
    first_target: int

    @property
    def n_inputs(self) -> int:
        return self.stop - self.start - 1


class Row(NamedTuple):
    """A row, as three int64 arrays (seq_len,)."""

    x_T: np.ndarray  # inputs
    y_T: np.ndarray  # targets
    start_T: np.ndarray  # the first token of the same document or conversation, by its place here


class Rows(Protocol):
    """Indexed rows."""

    def __len__(self) -> int: ...

    def row(self, index: int) -> Row: ...


class TextRows:
    """Rows of plain text: the documents of a store end to end, cut every `seq_len` tokens."""

    def __init__(self, store: TokenStore, seq_len: int, pad_id: int) -> None:
        self.store, self.seq_len, self.pad_id = store, seq_len, pad_id

    def __len__(self) -> int:
        return max(0, -(-(len(self.store) - 1) // self.seq_len))

    def row(self, index: int) -> Row:
        start = index * self.seq_len
        stop = min(start + self.seq_len + 1, len(self.store))
        segments = [Segment(start, stop, start + 1)]
        return fill_row(self.store, segments, self.seq_len, self.pad_id, assistant_only=False)


class PackedRows:
    """Rows of conversations: short ones packed whole, longer ones split into several segments.

    With `assistant_only`, only the assistant's tokens are targets. Segments without any are dropped
    (they would teach nothing), and the last segment of a long conversation starts earlier, with as
    much context as fits.
    """

    def __init__(self, store: TokenStore, seq_len: int, pad_id: int, assistant_only: bool) -> None:
        self.store, self.seq_len, self.pad_id = store, seq_len, pad_id
        self.assistant_only = assistant_only
        self.n_split = 0  # conversations that are longer than a row
        # Objects of half an hour's conversations would take 150 MB; these arrays take 20.
        numbers = chain.from_iterable(self._segments())
        segments_N3 = np.fromiter(numbers, dtype=np.int64).reshape(-1, 3)
        self._segments_N3, self._ends = pack_segments(segments_N3, seq_len)

    def _segments(self) -> Iterator[Segment]:
        """Yield the segments of all conversations, and count those that are longer than a row."""
        ends = np.cumsum(self.store.lengths, dtype=np.int64)
        starts = ends - self.store.lengths
        for start, stop in zip(map(int, starts), map(int, ends), strict=True):
            parts = split_conversation(start, stop, self.seq_len, context=self.assistant_only)
            self.n_split += len(parts) > 1
            yield from (s for s in parts if not self.assistant_only or self._has_target(s))

    def _has_target(self, segment: Segment) -> bool:
        return bool(self.store.mask(segment.first_target, segment.stop).any())

    def __len__(self) -> int:
        return len(self._ends) - 1

    def segments(self, index: int) -> list[Segment]:
        """Return the segments of a row, from left to right."""
        found_N3 = self._segments_N3[self._ends[index] : self._ends[index + 1]]
        return [Segment(*numbers) for numbers in found_N3.tolist()]

    def row(self, index: int) -> Row:
        segments = self.segments(index)
        return fill_row(self.store, segments, self.seq_len, self.pad_id, self.assistant_only)


def split_conversation(start: int, stop: int, seq_len: int, context: bool) -> list[Segment]:
    """Return segments of at most `seq_len` inputs in which each target of [start + 1, stop) occurs
    once.

    With `context`, every segment after the first starts early enough to fill a row.
    """
    segments = []
    first_target = start + 1
    while first_target < stop:
        end = min(first_target + seq_len, stop)
        begin = max(start, end - seq_len - 1) if context else first_target - 1
        segments.append(Segment(begin, end, first_target))
        first_target = end
    return segments


def pack_segments(segments_N3: np.ndarray, seq_len: int) -> tuple[np.ndarray, np.ndarray]:
    """Pack segments into rows by best-fit decreasing: the longest first, each into the fullest row
    that still has room for it.

    Returns the segments row after row, and where each row begins among them, with their number at
    the end.
    """
    n_inputs_N = segments_N3[:, 1] - segments_N3[:, 0] - 1
    order_N = np.argsort(-n_inputs_N, kind="stable")
    row_N = np.zeros(len(order_N), dtype=np.int64)  # of each segment, in this order
    n_rows = 0
    rows_by_room: list[list[int]] = [[] for _ in range(seq_len + 1)]
    rooms = 0  # bit r is set while some row has room for r inputs
    for i, n_inputs in enumerate(map(int, n_inputs_N[order_N])):
        fitting = rooms >> n_inputs
        if fitting:
            room = n_inputs + (fitting & -fitting).bit_length() - 1
            row = rows_by_room[room].pop()
            if not rows_by_room[room]:
                rooms &= ~(1 << room)
        else:
            row, room = n_rows, seq_len
            n_rows += 1
        row_N[i] = row
        room -= n_inputs
        rows_by_room[room].append(row)
        if room:
            rooms |= 1 << room
    by_row_N = order_N[np.argsort(row_N, kind="stable")]
    return segments_N3[by_row_N], np.cumsum([0, *np.bincount(row_N, minlength=n_rows)])


def fill_row(
    store: TokenStore,
    segments: Sequence[Segment],
    seq_len: int,
    pad_id: int,
    assistant_only: bool,
) -> Row:
    """Return a row that holds these segments.

    Padding, context and, with `assistant_only`, what the assistant did not write have the target
    IGNORE_INDEX. A document starts with the token that pads, end-of-text; every segment starts a
    conversation, or a part of one.
    """
    x_T = np.full(seq_len, pad_id, dtype=np.int64)
    y_T = np.full(seq_len, IGNORE_INDEX, dtype=np.int64)
    starts_T = np.zeros(seq_len, dtype=bool)
    offset = 0
    for segment in segments:
        ids = store.ids(segment.start, segment.stop).astype(np.int64)
        targets = ids[1:].copy()
        targets[: segment.first_target - segment.start - 1] = IGNORE_INDEX
        if assistant_only:
            targets[~store.mask(segment.start + 1, segment.stop)] = IGNORE_INDEX
        end = offset + segment.n_inputs
        x_T[offset:end], y_T[offset:end] = ids[:-1], targets
        starts_T[offset] = True
        offset = end
    places_T = np.where(starts_T | (x_T == pad_id), np.arange(seq_len), 0)
    return Row(x_T, y_T, np.maximum.accumulate(places_T))


def n_rows_for_fraction(n_other: int, fraction: float) -> int:
    """Return how many rows to add to `n_other` so that they are `fraction` of the total."""
    return round(n_other * fraction / (1 - fraction))


class MixedRows:
    """All rows of one source and the first `n_secondary` of another."""

    def __init__(self, primary: Rows, secondary: Rows, n_secondary: int) -> None:
        self.primary, self.secondary = primary, secondary
        self.n_secondary = min(n_secondary, len(secondary))

    def __len__(self) -> int:
        return len(self.primary) + self.n_secondary

    def row(self, index: int) -> Row:
        n = len(self.primary)
        return self.primary.row(index) if index < n else self.secondary.row(index - n)


class RepeatedTokenRows:
    """Rows of repeated random tokens, which teach a model to look back and nothing else.

    Half of the rows repeat one sequence again and again. The others concatenate a few short
    sequences in random order, so that the first token of one tells the rest. Only tokens that
    follow from earlier ones are targets. Row `index` is a pure function of (seed, index).
    """

    def __init__(self, vocab_size: int, seq_len: int, n: int, seed: int) -> None:
        self.vocab_size, self.seq_len, self.n, self.seed = vocab_size, seq_len, n, seed

    def __len__(self) -> int:
        return self.n

    def row(self, index: int) -> Row:
        random = np.random.default_rng([self.seed, index])
        n_tokens = self.seq_len + 1
        if random.random() < 0.5:
            lengths = random.integers(4, max(5, self.seq_len // 4), 1)
            order = np.zeros(n_tokens, dtype=np.int64)
        else:
            lengths = random.integers(2, 7, max(2, self.seq_len // 24))
            order = random.integers(len(lengths), size=n_tokens)
        sequences = [random.integers(self.vocab_size, size=n) for n in lengths]
        ids: list[int] = []
        targets: list[int] = []
        seen: set[int] = set()
        for number in order.tolist():
            first, *rest = sequences[number].tolist()
            ids += [first, *rest]
            # The first token is random; the rest follows from it once the sequence has occurred.
            targets += [IGNORE_INDEX, *(rest if number in seen else [IGNORE_INDEX] * len(rest))]
            seen.add(number)
            if len(ids) >= n_tokens:
                break
        return single_row(np.array(ids[: n_tokens - 1]), np.array(targets[1:n_tokens]))


def single_row(x_T: np.ndarray, y_T: np.ndarray) -> Row:
    """Return a row that is one sequence."""
    return Row(x_T, y_T, np.zeros_like(x_T))


class Batch(NamedTuple):
    """Rows for one step, as tensors (rows, seq_len)."""

    x_BT: Tensor  # inputs
    y_BT: Tensor  # targets
    start_BT: Tensor  # see Row
    w_BT: Tensor | None = None  # the weight of each target's loss, if it is not their mean

    def parts(self) -> list[Tensor]:
        """Return the tensors, without the weights if there are none."""
        return [part_BT for part_BT in self if part_BT is not None]


def single_sequences(x_BT: Tensor, y_BT: Tensor, w_BT: Tensor | None = None) -> Batch:
    """Return a batch with one sequence in each row."""
    return Batch(x_BT, y_BT, torch.zeros_like(x_BT), w_BT)


def stack_rows(rows: Rows, indices: Iterable[int]) -> Batch:
    """Return a batch of some rows."""
    fields = zip(*(rows.row(index) for index in indices), strict=True)
    return Batch(*(torch.from_numpy(np.stack(arrays)) for arrays in fields))


class PaddingRows:
    """Rows without a token or a target: nothing to learn."""

    def __init__(self, seq_len: int) -> None:
        self.seq_len = seq_len

    def __len__(self) -> int:
        return 1

    def row(self, index: int) -> Row:
        inputs = np.zeros(self.seq_len, dtype=np.int64)
        return single_row(inputs, np.full(self.seq_len, IGNORE_INDEX, dtype=np.int64))


class Batches(Protocol):
    """Batches by step. `metrics` describes the newest batch, and `summary` does so in a line of
    progress."""

    metrics: dict[str, Any]

    @property
    def summary(self) -> str: ...

    def batch(self, step: int) -> Batch: ...


class BatchSampler:
    """Batches as a pure function of (seed, step). Each epoch visits every row once, shuffled."""

    summary = ""

    def __init__(self, rows: Rows, batch_size: int, seed: int) -> None:
        self.rows, self.batch_size, self.seed = rows, batch_size, seed
        self.metrics: dict[str, Any] = {}
        self._epoch, self._order = -1, np.zeros(0, dtype=np.int64)

    def batch(self, step: int) -> Batch:
        """Return the batch of a step, `batch_size` rows."""
        first = step * self.batch_size
        return stack_rows(self.rows, (self._row_index(first + i) for i in range(self.batch_size)))

    def _row_index(self, position: int) -> int:
        """Return the row at a position in the sequence of all epochs."""
        epoch, place = divmod(position, len(self.rows))
        if epoch != self._epoch:
            order = np.random.default_rng([self.seed, epoch]).permutation(len(self.rows))
            self._epoch, self._order = epoch, order
        return int(self._order[place])
