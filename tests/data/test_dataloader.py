"""Rows and batches: every target exactly once in an epoch."""

from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from firstwords.data.dataloader import (
    IGNORE_INDEX,
    BatchSampler,
    MixedRows,
    PackedRows,
    RepeatedTokenRows,
    Row,
    Segment,
    TextRows,
    pack_segments,
    single_row,
    split_conversation,
)
from firstwords.data.token_store import store_conversations
from firstwords.tokenizer.bpe import IM_END, Tokenizer

PAD = 60_000
SEQ_LEN = st.integers(1, 24)
LENGTHS = st.lists(st.integers(2, 80), min_size=1, max_size=12)


class MemoryStore:
    """A token store in memory whose ids are positions, so that every target is unique."""

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
    """Rows whose values are their own index."""

    def __init__(self, n: int) -> None:
        self.n = n

    def __len__(self) -> int:
        return self.n

    def row(self, index: int) -> Row:
        assert 0 <= index < self.n
        return single_row(*[np.full(2, index, dtype=np.int64)] * 2)


@st.composite
def masked_stores(draw: st.DrawFn) -> MemoryStore:
    lengths = draw(LENGTHS)
    mask: list[bool] = []
    for length in lengths:  # turns of user and assistant; the first token is never the assistant's
        is_assistant = False
        turns = [False]
        while len(turns) < length:
            turns += [is_assistant] * draw(st.integers(1, 30))
            is_assistant = not is_assistant
        mask += turns[:length]
    return MemoryStore(lengths, mask)


def all_rows(rows: TextRows | PackedRows, seq_len: int) -> list[tuple[list[int], list[int]]]:
    result = []
    for index in range(len(rows)):
        x_T, y_T, start_T = rows.row(index)
        assert x_T.shape == y_T.shape == start_T.shape == (seq_len,)
        assert x_T.dtype == y_T.dtype == start_T.dtype == np.int64
        result.append((x_T.tolist(), y_T.tolist()))
    return result


def targets(rows: list[tuple[list[int], list[int]]]) -> list[int]:
    return [y for _, ys in rows for y in ys if y != IGNORE_INDEX]


def assert_aligned(rows: list[tuple[list[int], list[int]]]) -> None:
    for xs, ys in rows:
        for x, y in zip(xs, ys, strict=True):
            assert y in (x + 1, IGNORE_INDEX), "a target is the token after its input"
        used = [x for x in xs if x != PAD]
        assert xs[: len(used)] == used, "padding is at the end of a row"
        assert any(y != IGNORE_INDEX for y in ys), "a row without a target teaches nothing"


# --- text -----------------------------------------------------------------------------------------


@given(n=st.integers(0, 200), seq_len=SEQ_LEN)
def test_text_rows_have_each_target_once_in_order(n: int, seq_len: int) -> None:
    rows = all_rows(TextRows(MemoryStore([n]), seq_len, PAD), seq_len)
    assert targets(rows) == list(range(1, n))
    assert_aligned(rows)


@given(n=st.integers(2, 200), seq_len=SEQ_LEN)
def test_text_rows_pad_only_the_end_of_the_last_row(n: int, seq_len: int) -> None:
    rows = all_rows(TextRows(MemoryStore([n]), seq_len, PAD), seq_len)
    for xs, ys in rows[:-1]:
        assert PAD not in xs
        assert IGNORE_INDEX not in ys
    xs, ys = rows[-1]
    assert [x == PAD for x in xs] == [y == IGNORE_INDEX for y in ys]
    assert sum(x == PAD for xs, _ in rows for x in xs) == len(rows) * seq_len - (n - 1)


# --- conversations --------------------------------------------------------------------------------


@given(lengths=LENGTHS, seq_len=SEQ_LEN)
def test_packed_rows_have_each_target_once(lengths: list[int], seq_len: int) -> None:
    store = MemoryStore(lengths)
    rows = all_rows(PackedRows(store, seq_len, PAD, assistant_only=False), seq_len)
    assert sorted(targets(rows)) == [i for i in range(len(store)) if i not in store.firsts]
    assert_aligned(rows)
    for xs, ys in rows:
        assert [x == PAD for x in xs] == [y == IGNORE_INDEX for y in ys]


@given(store=masked_stores(), seq_len=SEQ_LEN)
def test_assistant_only_rows_have_each_assistant_target_once(
    store: MemoryStore, seq_len: int
) -> None:
    rows = all_rows(PackedRows(store, seq_len, PAD, assistant_only=True), seq_len)
    expected = np.flatnonzero(store.mask(0, len(store))).tolist()
    assert sorted(targets(rows)) == expected
    assert_aligned(rows)


@given(store=masked_stores(), seq_len=SEQ_LEN)
def test_conversations_longer_than_a_row_are_counted(store: MemoryStore, seq_len: int) -> None:
    longer = sum(length - 1 > seq_len for length in store.lengths.tolist())
    for assistant_only in (False, True):
        assert PackedRows(store, seq_len, PAD, assistant_only).n_split == longer


@given(length=st.integers(2, 300), start=st.integers(0, 1000), seq_len=SEQ_LEN)
def test_segments_of_a_conversation_cover_its_targets_once_and_fit(
    length: int, start: int, seq_len: int
) -> None:
    stop = start + length
    for context in (False, True):
        segments = split_conversation(start, stop, seq_len, context)
        covered = [t for p in segments for t in range(p.first_target, p.stop)]
        assert covered == list(range(start + 1, stop))
        for segment in segments:
            assert start <= segment.start < segment.first_target < segment.stop <= stop
            assert 1 <= segment.n_inputs <= seq_len
        assert len(segments) == -(-(length - 1) // seq_len)


@given(length=st.integers(2, 300), seq_len=SEQ_LEN)
def test_with_context_each_segment_of_a_long_conversation_fills_a_row(
    length: int, seq_len: int
) -> None:
    segments = split_conversation(0, length, seq_len, context=True)
    if length - 1 > seq_len:
        assert {segment.n_inputs for segment in segments} == {seq_len}


def test_a_conversation_of_ten_rows_is_split_into_ten_segments() -> None:
    store = MemoryStore([16 * 10 + 1, 5])
    rows = PackedRows(store, 16, PAD, assistant_only=False)
    assert (len(rows), rows.n_split) == (11, 1)


def test_context_tokens_are_inputs_but_not_targets() -> None:
    store = MemoryStore([13])
    rows = all_rows(PackedRows(store, 8, PAD, assistant_only=True), 8)
    assert rows == [
        (list(range(8)), list(range(1, 9))),
        (list(range(4, 12)), [IGNORE_INDEX] * 4 + [9, 10, 11, 12]),
    ]


def test_segments_without_assistant_tokens_are_dropped_from_assistant_only_rows() -> None:
    mask = [False] * 20 + [True] * 5
    assert len(PackedRows(MemoryStore([25], mask), 8, PAD, assistant_only=True)) == 1
    assert len(PackedRows(MemoryStore([25], mask), 8, PAD, assistant_only=False)) == 3


@given(
    sizes=st.lists(st.integers(1, 24), max_size=40),
    seq_len=st.integers(24, 40),
)
def test_packing_keeps_every_segment_and_no_two_rows_could_be_merged(
    sizes: list[int], seq_len: int
) -> None:
    segments = [Segment(100 * i, 100 * i + size + 1, 100 * i + 1) for i, size in enumerate(sizes)]
    packed_N3, ends = pack_segments(np.array(segments, dtype=np.int64).reshape(-1, 3), seq_len)
    packed = [Segment(*numbers) for numbers in packed_N3.tolist()]
    rows = [packed[start:end] for start, end in pairwise(ends)]
    assert sorted(packed) == sorted(segments)
    assert ends[-1] == len(segments)
    filled = sorted(sum(p.n_inputs for p in row) for row in rows)
    assert all(0 < n <= seq_len for n in filled)
    if len(filled) > 1:
        assert filled[0] + filled[1] > seq_len


def test_assistant_only_targets_are_the_assistants_messages(
    tiny_tokenizer: Tokenizer, tmp_path: Path
) -> None:
    chats = [
        [
            {"role": "user", "content": f"What is {a} times 3?"},
            {"role": "assistant", "content": f"It is {3 * a}."},
            {"role": "user", "content": "And is the fox old?"},
            {"role": "assistant", "content": f"The fox is {a} years old."},
        ]
        for a in range(9)
    ]
    store = store_conversations(tmp_path, chats, tiny_tokenizer, 10**9, lambda counts: None)
    rows = PackedRows(store, 200, 0, assistant_only=True)
    messages: Counter[str] = Counter()
    for index in range(len(rows)):
        y_T = rows.row(index).y_T
        text = tiny_tokenizer.decode(y_T[y_T != IGNORE_INDEX].tolist())
        messages.update(text.split(IM_END)[:-1])
        assert text.endswith(IM_END)
    assert messages == Counter(
        m["content"] for chat in chats for m in chat if m["role"] == "assistant"
    )


def test_a_token_attends_to_its_own_document_or_conversation_alone() -> None:
    document = MemoryStore([12])
    document.ids(0, 12)[[0, 3, 9]] = PAD  # where documents start
    assert TextRows(document, 8, PAD).row(0).start_T.tolist() == [0, 0, 0, 3, 3, 3, 3, 3]
    assert TextRows(document, 8, PAD).row(1).start_T.tolist() == [0, 1, 1, 3, 4, 5, 6, 7]
    conversations = MemoryStore([5, 4])
    row = PackedRows(conversations, 10, PAD, assistant_only=False).row(0)
    assert row.start_T.tolist() == [0, 0, 0, 0, 4, 4, 4, 7, 8, 9]


# --- mixed rows and batches -----------------------------------------------------------------------


@pytest.mark.parametrize(("n", "taken"), [(0, 0), (2, 2), (4, 4), (9, 4)])
def test_mixed_rows_are_all_of_the_primary_and_the_first_of_the_secondary(
    n: int, taken: int
) -> None:
    chat, text = NumberedRows(3), NumberedRows(4)
    rows = MixedRows(chat, text, n)
    assert [int(rows.row(i).x_T[0]) for i in range(len(rows))] == [0, 1, 2, *range(taken)]


def order(batches: BatchSampler, steps: range) -> list[int]:
    return [int(i) for step in steps for i in batches.batch(step).x_BT[:, 0]]


@given(n=st.integers(1, 20), batch_size=st.integers(1, 9), seed=st.integers(0, 2**31))
def test_every_row_occurs_once_in_an_epoch(n: int, batch_size: int, seed: int) -> None:
    seen = order(BatchSampler(NumberedRows(n), batch_size, seed), range(-(-3 * n // batch_size)))
    for epoch in range(3):
        assert sorted(seen[epoch * n : (epoch + 1) * n]) == list(range(n))


@given(
    steps=st.lists(st.integers(0, 40), min_size=1, max_size=15),
    n=st.integers(1, 20),
    batch_size=st.integers(1, 9),
)
def test_a_batch_depends_on_seed_and_step_alone(steps: list[int], n: int, batch_size: int) -> None:
    used = BatchSampler(NumberedRows(n), batch_size, seed=7)
    for step in steps:
        batch = used.batch(step)
        fresh = BatchSampler(NumberedRows(n), batch_size, seed=7).batch(step)
        assert all(map(torch.equal, batch.parts(), fresh.parts()))
        assert batch.x_BT.shape == (batch_size, 2)


def test_epochs_and_seeds_have_different_orders() -> None:
    first = order(BatchSampler(NumberedRows(50), 10, seed=1), range(10))
    assert first[:50] != first[50:]
    assert first != order(BatchSampler(NumberedRows(50), 10, seed=2), range(10))
    assert first[:50] != list(range(50))


# --- rows of repeated tokens ----------------------------------------------------------------------


@given(index=st.integers(0, 10**6), seq_len=st.integers(8, 300), vocab=st.integers(300, 5000))
def test_each_target_of_a_repeated_row_follows_from_earlier_tokens(
    index: int, seq_len: int, vocab: int
) -> None:
    x_T, y_T, start_T = RepeatedTokenRows(vocab, seq_len, 1, seed=2).row(index)
    assert x_T.shape == y_T.shape == start_T.shape == (seq_len,)
    assert not start_T.any()
    assert x_T.min() >= 0
    assert x_T.max() < vocab
    targets = np.flatnonzero(y_T != IGNORE_INDEX)
    assert all(y_T[i] == x_T[i + 1] for i in targets if i + 1 < seq_len)
    for i in targets:
        assert any(x_T[k] == x_T[i] and x_T[k + 1] == y_T[i] for k in range(i))


def test_repeated_rows_have_many_targets_and_depend_on_seed_and_index_alone() -> None:
    rows = RepeatedTokenRows(500, 128, 64, seed=1)
    fraction = np.mean([(rows.row(i).y_T != IGNORE_INDEX).mean() for i in range(len(rows))])
    assert 0.5 < fraction < 0.9
    assert np.array_equal(rows.row(5).x_T, RepeatedTokenRows(500, 128, 9, seed=1).row(5).x_T)
    assert not np.array_equal(rows.row(5).x_T, rows.row(6).x_T)
    assert not np.array_equal(rows.row(5).x_T, RepeatedTokenRows(500, 128, 64, seed=2).row(5).x_T)
