"""Rows and batches: every target once an epoch, nothing twice, nothing lost."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from firstwords.data.rows import (
    Batches,
    EchoRows,
    JoinedRows,
    PackedRows,
    Piece,
    TextRows,
    cut_conversation,
    pack,
)
from firstwords.data.tokens import store_conversations
from firstwords.model import IGNORE
from firstwords.tokenizer import IM_END, Tokenizer

PAD = 60_000
SEQ_LEN = st.integers(1, 24)
LENGTHS = st.lists(st.integers(2, 80), min_size=1, max_size=12)


class MemoryStore:
    """A token store in memory whose ids are positions, so that every target can be told apart."""

    def __init__(self, lengths: list[int], mask: list[bool] | None = None) -> None:
        self.lengths = np.array(lengths, dtype=np.uint32)
        self._ids = np.arange(sum(lengths), dtype=np.uint16)
        self._mask = np.ones(len(self._ids), bool) if mask is None else np.array(mask, bool)

    def __len__(self) -> int:
        return len(self._ids)

    def ids(self, start: int, stop: int) -> np.ndarray:
        return self._ids[start:stop]

    def mask(self, start: int, stop: int) -> np.ndarray:
        return self._mask[start:stop]

    @property
    def firsts(self) -> set[int]:
        return set(np.cumsum([0, *self.lengths[:-1].tolist()]).tolist())


class NumberedRows:
    """Row i is full of i."""

    def __init__(self, n: int) -> None:
        self.n = n

    def __len__(self) -> int:
        return self.n

    def row(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        assert 0 <= index < self.n
        return np.full(2, index, dtype=np.int64), np.full(2, index, dtype=np.int64)


@st.composite
def masked_stores(draw: st.DrawFn) -> MemoryStore:
    lengths = draw(LENGTHS)
    mask: list[bool] = []
    for length in lengths:  # runs of user and assistant; the first token is never the assistant's
        speaks = False
        of_conversation = [False]
        while len(of_conversation) < length:
            of_conversation += [speaks] * draw(st.integers(1, 30))
            speaks = not speaks
        mask += of_conversation[:length]
    return MemoryStore(lengths, mask)


def all_rows(rows: TextRows | PackedRows, seq_len: int) -> list[tuple[list[int], list[int]]]:
    found = []
    for index in range(len(rows)):
        x_T, y_T = rows.row(index)
        assert x_T.shape == y_T.shape == (seq_len,)
        assert x_T.dtype == y_T.dtype == np.int64
        found.append((x_T.tolist(), y_T.tolist()))
    return found


def targets(rows: list[tuple[list[int], list[int]]]) -> list[int]:
    return [y for _, ys in rows for y in ys if y != IGNORE]


def assert_aligned(rows: list[tuple[list[int], list[int]]]) -> None:
    for xs, ys in rows:
        for x, y in zip(xs, ys, strict=True):
            assert y in (x + 1, IGNORE), "a target is the token after its input"
        used = [x for x in xs if x != PAD]
        assert xs[: len(used)] == used, "padding stands after the pieces"
        assert any(y != IGNORE for y in ys), "a row without a target teaches nothing"


# --- text -----------------------------------------------------------------------------------------


@given(n=st.integers(0, 200), seq_len=SEQ_LEN)
def test_text_rows_have_every_token_but_the_first_as_target_once_in_order(
    n: int, seq_len: int
) -> None:
    rows = all_rows(TextRows(MemoryStore([n]), seq_len, PAD), seq_len)
    assert targets(rows) == list(range(1, n))
    assert_aligned(rows)


@given(n=st.integers(2, 200), seq_len=SEQ_LEN)
def test_text_rows_pad_only_the_end_of_the_last_row(n: int, seq_len: int) -> None:
    rows = all_rows(TextRows(MemoryStore([n]), seq_len, PAD), seq_len)
    for xs, ys in rows[:-1]:
        assert PAD not in xs
        assert IGNORE not in ys
    xs, ys = rows[-1]
    assert [x == PAD for x in xs] == [y == IGNORE for y in ys]
    assert sum(x == PAD for xs, _ in rows for x in xs) == len(rows) * seq_len - (n - 1)


# --- conversations --------------------------------------------------------------------------------


@given(lengths=LENGTHS, seq_len=SEQ_LEN)
def test_unmasked_rows_have_every_token_but_each_conversations_first_as_target_once(
    lengths: list[int], seq_len: int
) -> None:
    store = MemoryStore(lengths)
    rows = all_rows(PackedRows(store, seq_len, PAD, masked=False), seq_len)
    assert sorted(targets(rows)) == [i for i in range(len(store)) if i not in store.firsts]
    assert_aligned(rows)
    for xs, ys in rows:
        assert [x == PAD for x in xs] == [y == IGNORE for y in ys]


@given(store=masked_stores(), seq_len=SEQ_LEN)
def test_masked_rows_have_every_masked_token_as_target_once_and_no_other(
    store: MemoryStore, seq_len: int
) -> None:
    rows = all_rows(PackedRows(store, seq_len, PAD, masked=True), seq_len)
    wanted = np.flatnonzero(store.mask(0, len(store))).tolist()
    assert sorted(targets(rows)) == wanted
    assert_aligned(rows)


@given(store=masked_stores(), seq_len=SEQ_LEN)
def test_conversations_longer_than_a_row_are_counted(store: MemoryStore, seq_len: int) -> None:
    longer = sum(length - 1 > seq_len for length in store.lengths.tolist())
    for masked in (False, True):
        assert PackedRows(store, seq_len, PAD, masked).n_split == longer


@given(length=st.integers(2, 300), start=st.integers(0, 1000), seq_len=SEQ_LEN)
def test_pieces_of_a_conversation_cover_its_targets_once_and_fit(
    length: int, start: int, seq_len: int
) -> None:
    stop = start + length
    for context in (False, True):
        pieces = cut_conversation(start, stop, seq_len, context)
        covered = [t for p in pieces for t in range(p.first_target, p.stop)]
        assert covered == list(range(start + 1, stop))
        for piece in pieces:
            assert start <= piece.start < piece.first_target < piece.stop <= stop
            assert 1 <= piece.inputs <= seq_len
        assert len(pieces) == -(-(length - 1) // seq_len)


@given(length=st.integers(2, 300), seq_len=SEQ_LEN)
def test_with_context_every_piece_of_a_long_conversation_fills_its_row(
    length: int, seq_len: int
) -> None:
    pieces = cut_conversation(0, length, seq_len, context=True)
    if length - 1 > seq_len:
        assert {piece.inputs for piece in pieces} == {seq_len}


def test_a_conversation_of_ten_rows_is_cut_into_ten_pieces_and_nothing_hangs() -> None:
    store = MemoryStore([16 * 10 + 1, 5])
    rows = PackedRows(store, 16, PAD, masked=False)
    assert (len(rows), rows.n_split) == (11, 1)


def test_context_is_input_but_not_target_again() -> None:
    store = MemoryStore([13])
    rows = all_rows(PackedRows(store, 8, PAD, masked=True), 8)
    assert rows == [
        (list(range(8)), list(range(1, 9))),
        (list(range(4, 12)), [IGNORE] * 4 + [9, 10, 11, 12]),
    ]


def test_a_piece_without_any_assistant_token_is_left_out_of_masked_rows() -> None:
    mask = [False] * 20 + [True] * 5
    assert len(PackedRows(MemoryStore([25], mask), 8, PAD, masked=True)) == 1
    assert len(PackedRows(MemoryStore([25], mask), 8, PAD, masked=False)) == 3


@given(
    sizes=st.lists(st.integers(1, 24), max_size=40),
    seq_len=st.integers(24, 40),
)
def test_packing_keeps_every_piece_once_in_rows_that_could_not_be_merged(
    sizes: list[int], seq_len: int
) -> None:
    pieces = [Piece(100 * i, 100 * i + size + 1, 100 * i + 1) for i, size in enumerate(sizes)]
    rows = pack(pieces, seq_len)
    assert sorted(p for row in rows for p in row) == sorted(pieces)
    filled = sorted(sum(p.inputs for p in row) for row in rows)
    assert all(0 < n <= seq_len for n in filled)
    if len(filled) > 1:
        assert filled[0] + filled[1] > seq_len


def test_targets_of_masked_rows_are_the_assistants_words(
    tiny_tokenizer: Tokenizer, tmp_path: Path
) -> None:
    talks = [
        [
            {"role": "user", "content": f"What is {a} times 3?"},
            {"role": "assistant", "content": f"It is {3 * a}."},
            {"role": "user", "content": "And is the fox old?"},
            {"role": "assistant", "content": f"The fox is {a} years old."},
        ]
        for a in range(9)
    ]
    store = store_conversations(tmp_path, talks, tiny_tokenizer, 10**9, lambda counts: None)
    rows = PackedRows(store, 200, 0, masked=True)
    said: Counter[str] = Counter()
    for index in range(len(rows)):
        _, y_T = rows.row(index)
        text = tiny_tokenizer.decode(y_T[y_T != IGNORE].tolist())
        said.update(text.split(IM_END)[:-1])
        assert text.endswith(IM_END)
    assert said == Counter(m["content"] for t in talks for m in t if m["role"] == "assistant")


# --- joined rows and batches ----------------------------------------------------------------------


@pytest.mark.parametrize(("n", "taken"), [(0, 0), (2, 2), (4, 4), (9, 4)])
def test_joined_rows_are_all_of_one_and_the_first_of_the_other(n: int, taken: int) -> None:
    chat, text = NumberedRows(3), NumberedRows(4)
    rows = JoinedRows(chat, text, n)
    assert [int(rows.row(i)[0][0]) for i in range(len(rows))] == [0, 1, 2, *range(taken)]


def order(batches: Batches, steps: range) -> list[int]:
    return [int(i) for step in steps for i in batches.batch(step)[0][:, 0]]


@given(n=st.integers(1, 20), batch_rows=st.integers(1, 9), seed=st.integers(0, 2**31))
def test_every_row_comes_once_an_epoch(n: int, batch_rows: int, seed: int) -> None:
    seen = order(Batches(NumberedRows(n), batch_rows, seed), range(-(-3 * n // batch_rows)))
    for epoch in range(3):
        assert sorted(seen[epoch * n : (epoch + 1) * n]) == list(range(n))


@given(
    steps=st.lists(st.integers(0, 40), min_size=1, max_size=15),
    n=st.integers(1, 20),
    batch_rows=st.integers(1, 9),
)
def test_a_batch_depends_on_seed_and_step_alone(steps: list[int], n: int, batch_rows: int) -> None:
    used = Batches(NumberedRows(n), batch_rows, seed=7)
    for step in steps:
        x_BT, y_BT = used.batch(step)
        fresh_x, fresh_y = Batches(NumberedRows(n), batch_rows, seed=7).batch(step)
        assert torch.equal(x_BT, fresh_x)
        assert torch.equal(y_BT, fresh_y)
        assert x_BT.shape == (batch_rows, 2)


def test_epochs_and_seeds_have_orders_of_their_own() -> None:
    first = order(Batches(NumberedRows(50), 10, seed=1), range(10))
    assert first[:50] != first[50:]
    assert first != order(Batches(NumberedRows(50), 10, seed=2), range(10))
    assert first[:50] != list(range(50))


# --- echo rows ------------------------------------------------------------------------------------


@given(index=st.integers(0, 10**6), seq_len=st.integers(8, 300), vocab=st.integers(300, 5000))
def test_every_target_of_an_echo_can_be_found_in_what_came_before(
    index: int, seq_len: int, vocab: int
) -> None:
    x_T, y_T = EchoRows(vocab, seq_len, 1, seed=2).row(index)
    assert x_T.shape == y_T.shape == (seq_len,)
    assert x_T.min() >= 0
    assert x_T.max() < vocab
    targets = np.flatnonzero(y_T != IGNORE)
    assert all(y_T[at] == x_T[at + 1] for at in targets if at + 1 < seq_len)
    found = sum(
        any(x_T[k] == x_T[at] and x_T[k + 1] == y_T[at] for k in range(at)) for at in targets
    )
    assert found == len(targets)


def test_echoes_ask_much_and_depend_on_seed_and_index_alone() -> None:
    rows = EchoRows(500, 128, 64, seed=1)
    share = np.mean([(rows.row(i)[1] != IGNORE).mean() for i in range(len(rows))])
    assert 0.5 < share < 0.9
    assert np.array_equal(rows.row(5)[0], EchoRows(500, 128, 9, seed=1).row(5)[0])
    assert not np.array_equal(rows.row(5)[0], rows.row(6)[0])
    assert not np.array_equal(rows.row(5)[0], EchoRows(500, 128, 64, seed=2).row(5)[0])
