"""Token stores: the same stream however it is sharded, and however often encoding was cut off."""

import errno
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from firstwords.conversation import encode_conversations
from firstwords.data import tokens
from firstwords.data.tokens import Counts, TokenStore, store_conversations, store_texts, stored
from firstwords.tokenizer import END_OF_TEXT, Tokenizer

TEXTS = [f"Document {i}: the fox said hello {'é漢 ' * (i % 5)}\n" * (1 + i % 3) for i in range(40)]
TALKS = [
    [
        {"role": "user", "content": f"Is {i} a number?"},
        {"role": "assistant", "content": "Yes, it is. " * (1 + i % 4)},
    ]
    for i in range(40)
]
ALL = 10**9


class PlugPulled(Exception):
    pass


@pytest.fixture(params=["texts", "conversations"])
def kind(request: pytest.FixtureRequest) -> tuple[Any, list[Any]]:
    return (store_texts, TEXTS) if request.param == "texts" else (store_conversations, TALKS)


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "BATCH_DOCUMENTS", 4)
    monkeypatch.setattr(tokens, "SHARD_TOKENS", 100)


def quiet(counts: Counts) -> None:
    pass


def contents(directory: Path) -> dict[str, bytes]:
    files = (path for path in sorted(directory.rglob("*")) if path.is_file())
    return {str(path.relative_to(directory)): path.read_bytes() for path in files}


def expected_ids(tokenizer: Tokenizer) -> list[int]:
    start = tokenizer.special(END_OF_TEXT)
    return [token for text in TEXTS for token in (start, *tokenizer.encode(text))]


@pytest.mark.parametrize("shard_tokens", [1, 37, 500, 10**9])
@pytest.mark.parametrize("batch_documents", [1, 7, 512])
def test_the_stream_does_not_depend_on_shards_or_batches(
    shard_tokens: int,
    batch_documents: int,
    tiny_tokenizer: Tokenizer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tokens, "SHARD_TOKENS", shard_tokens)
    monkeypatch.setattr(tokens, "BATCH_DOCUMENTS", batch_documents)
    store = store_texts(tmp_path, TEXTS, tiny_tokenizer, ALL, quiet)
    wanted = expected_ids(tiny_tokenizer)
    assert store.ids(0, len(store)).tolist() == wanted
    assert store.mask(0, len(store)).all()
    assert store.counts == (len(TEXTS), len(wanted), sum(len(t.encode()) for t in TEXTS))
    assert store.text_bytes.tolist() == [len(t.encode()) for t in TEXTS]
    ends = np.cumsum(store.lengths)
    assert all(wanted[e - n] == wanted[0] for e, n in zip(ends, store.lengths, strict=True))


def test_any_slice_is_that_part_of_the_stream(
    tiny_tokenizer: Tokenizer, tmp_path: Path, small_batches: None
) -> None:
    store = store_texts(tmp_path, TEXTS, tiny_tokenizer, ALL, quiet)
    wanted = expected_ids(tiny_tokenizer)
    for start in range(0, len(store), 41):
        for stop in (start + 1, start + 97, len(store)):
            assert store.ids(start, min(stop, len(store))).tolist() == wanted[start:stop]


def test_conversations_are_stored_with_their_mask(
    tiny_tokenizer: Tokenizer, tmp_path: Path, small_batches: None
) -> None:
    store = store_conversations(tmp_path, TALKS, tiny_tokenizer, ALL, quiet)
    encoded = list(encode_conversations(tiny_tokenizer, TALKS))
    assert np.array_equal(store.ids(0, len(store)), np.concatenate([e.ids for e in encoded]))
    assert np.array_equal(store.mask(0, len(store)), np.concatenate([e.mask for e in encoded]))
    assert store.lengths.tolist() == [len(e.ids) for e in encoded]


def test_encoding_stops_soon_after_the_wanted_tokens(
    tiny_tokenizer: Tokenizer, tmp_path: Path, small_batches: None
) -> None:
    read = []

    def documents() -> Iterator[str]:
        for text in TEXTS:
            read.append(text)
            yield text

    store = store_texts(tmp_path, documents(), tiny_tokenizer, 300, quiet)
    longest_batch = 4 * max(len(tiny_tokenizer.encode(t)) + 1 for t in TEXTS)
    assert 300 <= len(store) < 300 + longest_batch
    assert len(read) < len(TEXTS)


def test_only_a_store_that_was_encoded_to_its_end_counts_as_stored(
    tiny_tokenizer: Tokenizer, tmp_path: Path, small_batches: None
) -> None:
    def cut_off() -> Iterator[str]:
        yield from TEXTS[:30]
        raise PlugPulled

    assert stored(tmp_path) is None
    with pytest.raises(PlugPulled):
        store_texts(tmp_path, cut_off(), tiny_tokenizer, ALL, quiet)
    assert stored(tmp_path) is None
    made = store_texts(tmp_path, TEXTS, tiny_tokenizer, ALL, quiet)
    found = stored(tmp_path)
    assert found is not None
    assert found.counts == made.counts


@pytest.mark.parametrize("after", [0, 1, 9, 23, 39])
def test_a_cut_off_read_continues_to_the_same_bytes(
    after: int, kind: Any, tiny_tokenizer: Tokenizer, tmp_path: Path, small_batches: None
) -> None:
    store, records = kind
    store(tmp_path / "whole", records, tiny_tokenizer, ALL, quiet)

    def cut_off() -> Iterator[Any]:
        yield from records[:after]
        raise PlugPulled

    with pytest.raises(PlugPulled):
        store(tmp_path / "cut", cut_off(), tiny_tokenizer, ALL, quiet)
    assert "complete.json" not in contents(tmp_path / "cut")
    store(tmp_path / "cut", records, tiny_tokenizer, ALL, quiet)
    assert contents(tmp_path / "cut") == contents(tmp_path / "whole")


def test_being_cut_off_again_and_again_still_ends_with_the_same_bytes(
    kind: Any, tiny_tokenizer: Tokenizer, tmp_path: Path, small_batches: None
) -> None:
    store, records = kind
    store(tmp_path / "whole", records, tiny_tokenizer, ALL, quiet)
    reports = []

    def two_batches_at_a_time(counts: Counts) -> None:
        reports.append(counts.tokens)
        if len(reports) >= 5:
            reports.clear()
            raise PlugPulled

    for _ in range(50):
        try:
            store(tmp_path / "cut", records, tiny_tokenizer, ALL, two_batches_at_a_time)
            break
        except PlugPulled:
            reports.clear()
    else:
        pytest.fail("no progress between interruptions")
    assert contents(tmp_path / "cut") == contents(tmp_path / "whole")


def test_a_full_disk_leaves_no_half_shard_and_encoding_continues(
    tiny_tokenizer: Tokenizer,
    tmp_path: Path,
    small_batches: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store_texts(tmp_path / "whole", TEXTS, tiny_tokenizer, ALL, quiet)
    save, saved = np.save, []

    def full(path: Path, array: np.ndarray) -> None:
        saved.append(path)
        if len(saved) == 10:
            raise OSError(errno.ENOSPC, "No space left on device")
        save(path, array)

    with monkeypatch.context() as patch:
        patch.setattr(np, "save", full)
        with pytest.raises(OSError, match="No space"):
            store_texts(tmp_path / "cut", TEXTS, tiny_tokenizer, ALL, quiet)
    assert [path.name for path in (tmp_path / "cut").iterdir()] != []
    assert not list((tmp_path / "cut").glob(".tmp-*"))
    store_texts(tmp_path / "cut", TEXTS, tiny_tokenizer, ALL, quiet)
    assert contents(tmp_path / "cut") == contents(tmp_path / "whole")


def test_progress_counts_what_was_done_before(
    tiny_tokenizer: Tokenizer, tmp_path: Path, small_batches: None
) -> None:
    def cut_off() -> Iterator[str]:
        yield from TEXTS[:30]
        raise PlugPulled

    with pytest.raises(PlugPulled):
        store_texts(tmp_path, cut_off(), tiny_tokenizer, ALL, quiet)
    seen: list[Counts] = []
    store_texts(tmp_path, TEXTS, tiny_tokenizer, ALL, seen.append)
    assert seen[0].documents > 0
    assert seen == sorted(seen)
    assert seen[-1] == TokenStore(tmp_path).counts


def test_no_records_make_an_empty_store(tiny_tokenizer: Tokenizer, tmp_path: Path) -> None:
    store = store_texts(tmp_path, [], tiny_tokenizer, ALL, quiet)
    assert len(store) == 0
    assert store.counts == (0, 0, 0)
