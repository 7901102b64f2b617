"""Rows of tokens, and batches as a pure function of (seed, step).

A *piece* is a stretch of consecutive tokens: its inputs are all but the last, its targets all but
the first. A row of `seq_len` inputs holds one piece or several, and padding after them. Pieces are
cut so that every target stands in exactly one of them: neighbours share one token, the target of
the one and the first input of the other.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from firstwords.data.tokens import TokenStore
from firstwords.model import IGNORE


class Piece(NamedTuple):
    """Tokens [start, stop) of a store; targets before `first_target` are only context."""

    start: int
    stop: int
    first_target: int

    @property
    def inputs(self) -> int:
        return self.stop - self.start - 1


class Rows(Protocol):
    """`row(i)` gives the inputs and targets of row i: two (seq_len,) int64 arrays."""

    def __len__(self) -> int: ...

    def row(self, index: int) -> tuple[np.ndarray, np.ndarray]: ...


class TextRows:
    """A store cut into rows end to end, documents following each other."""

    def __init__(self, store: TokenStore, seq_len: int, pad: int) -> None:
        self.store, self.seq_len, self.pad = store, seq_len, pad

    def __len__(self) -> int:
        return max(0, -(-(len(self.store) - 1) // self.seq_len))

    def row(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        start = index * self.seq_len
        stop = min(start + self.seq_len + 1, len(self.store))
        return fill_row(self.store, [Piece(start, stop, start + 1)], self.seq_len, self.pad, False)


class PackedRows:
    """Conversations packed whole into rows; longer ones are cut into several pieces.

    With `masked`, only the assistant's tokens are targets; then pieces without any are left out
    (they would teach nothing), and the last piece of a long conversation reaches back for as much
    context as fits.
    """

    def __init__(self, store: TokenStore, seq_len: int, pad: int, masked: bool) -> None:
        self.store, self.seq_len, self.pad, self.masked = store, seq_len, pad, masked
        ends = np.cumsum(store.lengths, dtype=np.int64)
        starts = ends - store.lengths
        pieces: list[Piece] = []
        self.n_split = 0
        for start, stop in zip(starts.tolist(), ends.tolist(), strict=True):
            cut = cut_conversation(start, stop, seq_len, context=masked)
            self.n_split += len(cut) > 1
            pieces += [p for p in cut if not masked or self._has_target(p)]
        self.rows = pack(pieces, seq_len)

    def _has_target(self, piece: Piece) -> bool:
        return bool(self.store.mask(piece.first_target, piece.stop).any())

    def __len__(self) -> int:
        return len(self.rows)

    def row(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        return fill_row(self.store, self.rows[index], self.seq_len, self.pad, self.masked)


def cut_conversation(start: int, stop: int, seq_len: int, context: bool) -> list[Piece]:
    """Pieces of at most `seq_len` inputs that cover the targets [start + 1, stop) once each."""
    pieces = []
    first_target = start + 1
    while first_target < stop:
        end = min(first_target + seq_len, stop)
        begin = max(start, end - seq_len - 1) if context else first_target - 1
        pieces.append(Piece(begin, end, first_target))
        first_target = end
    return pieces


def pack(pieces: Sequence[Piece], seq_len: int) -> list[list[Piece]]:
    """Best-fit decreasing: the longest piece first, into the fullest row that still has room."""
    rows: list[list[Piece]] = []
    with_room: list[list[int]] = [[] for _ in range(seq_len + 1)]  # room -> rows that have it
    rooms = 0  # a set as bits: bit r stands while some row has room r
    for piece in sorted(pieces, key=lambda p: -p.inputs):
        fitting = rooms >> piece.inputs
        if fitting:
            room = piece.inputs + (fitting & -fitting).bit_length() - 1
            row = with_room[room].pop()
            if not with_room[room]:
                rooms &= ~(1 << room)
        else:
            rows.append([])
            row, room = len(rows) - 1, seq_len
        rows[row].append(piece)
        left = room - piece.inputs
        with_room[left].append(row)
        if left:
            rooms |= 1 << left
    return rows


def fill_row(
    store: TokenStore, pieces: Sequence[Piece], seq_len: int, pad: int, masked: bool
) -> tuple[np.ndarray, np.ndarray]:
    x_T = np.full(seq_len, pad, dtype=np.int64)
    y_T = np.full(seq_len, IGNORE, dtype=np.int64)
    at = 0
    for piece in pieces:
        ids = store.ids(piece.start, piece.stop).astype(np.int64)
        targets = ids[1:].copy()
        targets[: piece.first_target - piece.start - 1] = IGNORE
        if masked:
            targets[~store.mask(piece.start + 1, piece.stop)] = IGNORE
        x_T[at : at + piece.inputs] = ids[:-1]
        y_T[at : at + piece.inputs] = targets
        at += piece.inputs
    return x_T, y_T


def rows_beside(n: int, share: float) -> int:
    """How many rows, put beside `n` others, are `share` of all of them."""
    return round(n * share / (1 - share))


class JoinedRows:
    """All rows of one source and the first `n` of another."""

    def __init__(self, all_of: Rows, first_of: Rows, n: int) -> None:
        self.all_of, self.first_of, self.n = all_of, first_of, min(n, len(first_of))

    def __len__(self) -> int:
        return len(self.all_of) + self.n

    def row(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        n = len(self.all_of)
        return self.all_of.row(index) if index < n else self.first_of.row(index - n)


class EchoRows:
    """Random tokens that come again: rows on which a model learns to look back, and nothing else.

    Half of the rows repeat one stretch over and over. The others draw from a handful of short
    stretches in any order: from the first token of one, the rest must be found. Only what can be
    found is a target. Row `index` is a pure function of (seed, index).
    """

    def __init__(self, vocab_size: int, seq_len: int, n: int, seed: int) -> None:
        self.vocab_size, self.seq_len, self.n, self.seed = vocab_size, seq_len, n, seed

    def __len__(self) -> int:
        return self.n

    def row(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        random = np.random.default_rng([self.seed, index])
        length = self.seq_len + 1
        if random.random() < 0.5:
            lengths = random.integers(4, max(5, self.seq_len // 4), 1)
            order = np.zeros(length, dtype=np.int64)
        else:
            lengths = random.integers(2, 7, max(2, self.seq_len // 24))
            order = random.integers(len(lengths), size=length)
        stretches = [random.integers(self.vocab_size, size=n) for n in lengths]
        ids: list[int] = []
        targets: list[int] = []
        seen: set[int] = set()
        for number in order.tolist():
            first, *rest = stretches[number].tolist()
            ids += [first, *rest]
            # Which stretch comes next cannot be known, and the rest only if it has been there.
            targets += [IGNORE, *(rest if number in seen else [IGNORE] * len(rest))]
            seen.add(number)
            if len(ids) >= length:
                break
        return np.array(ids[: length - 1]), np.array(targets[1:length])


def stack(rows: Rows, indices: Iterable[int]) -> tuple[Tensor, Tensor]:
    """Inputs and targets of some rows, both (number of rows, seq_len)."""
    filled = [rows.row(index) for index in indices]
    x_BT, y_BT = (torch.from_numpy(np.stack(arrays)) for arrays in zip(*filled, strict=True))
    return x_BT, y_BT


class Batches:
    """Batch `step` of a run with `seed`. Every row comes once an epoch, in an order of its own."""

    def __init__(self, rows: Rows, batch_rows: int, seed: int) -> None:
        self.rows, self.batch_rows, self.seed = rows, batch_rows, seed
        self._epoch, self._order = -1, np.zeros(0, dtype=np.int64)

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Inputs and targets, both (batch_rows, seq_len)."""
        first = step * self.batch_rows
        return stack(self.rows, (self._index(first + i) for i in range(self.batch_rows)))

    def _index(self, number: int) -> int:
        epoch, place = divmod(number, len(self.rows))
        if epoch != self._epoch:
            order = np.random.default_rng([self.seed, epoch]).permutation(len(self.rows))
            self._epoch, self._order = epoch, order
        return int(self._order[place])
