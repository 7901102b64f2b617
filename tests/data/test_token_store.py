"""Token stores: shards and interruptions do not change the stream of tokens."""

import errno
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from firstwords.data import token_store
from firstwords.data.token_store import (
    Counts,
    TokenStore,
    open_store,
    store_conversations,
    store_texts,
)
from firstwords.tokenizer.bpe import END_OF_TEXT, Tokenizer
from firstwords.tokenizer.chat_format import encode_conversations

TEXTS = [f"Document {i}: the fox said hello {'é漢 ' * (i % 5)}\n" * (1 + i % 3) for i in range(40)]
CHATS = [
    [
        {"role": "user", "content": f"Is {i} a number?"},
        {"role": "assistant", "content": "Yes, it is. " * (1 + i % 4)},
    ]
    for i in range(40)
]
ALL = 10**9


class ProcessKilled(Exception):
    pass


@pytest.fixture(params=["texts", "conversations"])
def kind(request: pytest.FixtureRequest) -> tuple[Any, list[Any]]:
    return (store_texts, TEXTS) if request.param == "texts" else (store_conversations, CHATS)


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_store, "BATCH_DOCUMENTS", 4)
    monkeypatch.setattr(token_store, "SHARD_TOKENS", 100)


def quiet(counts: Counts) -> None:
    pass


def contents_of(directory: Path) -> dict[str, bytes]:
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
    monkeypatch.setattr(token_store, "SHARD_TOKENS", shard_tokens)
    monkeypatch.setattr(token_store, "BATCH_DOCUMENTS", batch_documents)
    store = store_texts(tmp_path, TEXTS, tiny_tokenizer, ALL, quiet)
    expected = expected_ids(tiny_tokenizer)
    assert store.ids(0, len(store)).tolist() == expected
    assert store.mask(0, len(store)).all()
    assert store.counts == (len(TEXTS), len(expected), sum(len(t.encode()) for t in TEXTS))
    assert store.text_bytes.tolist() == [len(t.encode()) for t in TEXTS]
    ends = np.cumsum(store.lengths)
    assert all(expected[e - n] == expected[0] for e, n in zip(ends, store.lengths, strict=True))


def test_a_slice_can_span_shards(
    tiny_tokenizer: Tokenizer, tmp_path: Path, small_batches: None
) -> None:
    store = store_texts(tmp_path, TEXTS, tiny_tokenizer, ALL, quiet)
    expected = expected_ids(tiny_tokenizer)
    for start in range(0, len(store), 41):
        for stop in (start + 1, start + 97, len(store)):
            assert store.ids(start, min(stop, len(store))).tolist() == expected[start:stop]


def test_a_store_of_many_shards_keeps_few_files_open(
    tiny_tokenizer: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_batches: None
) -> None:
    monkeypatch.setattr(token_store, "MAX_OPEN_ARRAYS", 2)
    monkeypatch.setattr(token_store, "SHARD_TOKENS", 1)
    store = store_texts(tmp_path, TEXTS, tiny_tokenizer, ALL, quiet)
    n_before = len(list(Path("/dev/fd").iterdir()))
    parts = [store.ids(start, start + 1)[0] for start in range(len(store))]
    masks = [store.mask(start, start + 1)[0] for start in range(len(store))]
    assert parts == expected_ids(tiny_tokenizer)
    assert all(masks)
    assert len(list(Path("/dev/fd").iterdir())) <= n_before + 2


def test_conversations_are_stored_with_their_mask(
    tiny_tokenizer: Tokenizer, tmp_path: Path, small_batches: None
) -> None:
    store = store_conversations(tmp_path, CHATS, tiny_tokenizer, ALL, quiet)
    encoded = list(encode_conversations(tiny_tokenizer, CHATS))
    assert np.array_equal(store.ids(0, len(store)), np.concatenate([e.ids for e in encoded]))
    assert np.array_equal(store.mask(0, len(store)), np.concatenate([e.mask for e in encoded]))
    assert store.lengths.tolist() == [len(e.ids) for e in encoded]


def test_encoding_stops_at_the_first_batch_with_enough_tokens(
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


def test_only_a_complete_store_can_be_opened(
    tiny_tokenizer: Tokenizer, tmp_path: Path, small_batches: None
) -> None:
    def interrupted() -> Iterator[str]:
        yield from TEXTS[:30]
        raise ProcessKilled

    assert open_store(tmp_path) is None
    with pytest.raises(ProcessKilled):
        store_texts(tmp_path, interrupted(), tiny_tokenizer, ALL, quiet)
    assert open_store(tmp_path) is None
    created = store_texts(tmp_path, TEXTS, tiny_tokenizer, ALL, quiet)
    opened = open_store(tmp_path)
    assert opened is not None
    assert opened.counts == created.counts


@pytest.mark.parametrize("after", [0, 1, 9, 23, 39])
def test_resuming_after_a_failed_read_gives_the_same_bytes(
    after: int, kind: Any, tiny_tokenizer: Tokenizer, tmp_path: Path, small_batches: None
) -> None:
    store, records = kind
    store(tmp_path / "whole", records, tiny_tokenizer, ALL, quiet)

    def interrupted() -> Iterator[Any]:
        yield from records[:after]
        raise ProcessKilled

    with pytest.raises(ProcessKilled):
        store(tmp_path / "cut", interrupted(), tiny_tokenizer, ALL, quiet)
    assert "complete.json" not in contents_of(tmp_path / "cut")
    store(tmp_path / "cut", records, tiny_tokenizer, ALL, quiet)
    assert contents_of(tmp_path / "cut") == contents_of(tmp_path / "whole")


def test_many_interruptions_give_the_same_bytes(
    kind: Any, tiny_tokenizer: Tokenizer, tmp_path: Path, small_batches: None
) -> None:
    store, records = kind
    store(tmp_path / "whole", records, tiny_tokenizer, ALL, quiet)
    reports = []

    def two_batches_at_a_time(counts: Counts) -> None:
        reports.append(counts.tokens)
        if len(reports) >= 5:
            reports.clear()
            raise ProcessKilled

    for _ in range(50):
        try:
            store(tmp_path / "cut", records, tiny_tokenizer, ALL, two_batches_at_a_time)
            break
        except ProcessKilled:
            reports.clear()
    else:
        pytest.fail("no progress between interruptions")
    assert contents_of(tmp_path / "cut") == contents_of(tmp_path / "whole")


def test_a_full_disk_leaves_no_partial_shard_and_encoding_resumes(
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
    assert contents_of(tmp_path / "cut") == contents_of(tmp_path / "whole")


def test_progress_includes_earlier_shards(
    tiny_tokenizer: Tokenizer, tmp_path: Path, small_batches: None
) -> None:
    def interrupted() -> Iterator[str]:
        yield from TEXTS[:30]
        raise ProcessKilled

    with pytest.raises(ProcessKilled):
        store_texts(tmp_path, interrupted(), tiny_tokenizer, ALL, quiet)
    seen: list[Counts] = []
    store_texts(tmp_path, TEXTS, tiny_tokenizer, ALL, seen.append)
    assert seen[0].documents > 0
    assert seen == sorted(seen)
    assert seen[-1] == TokenStore(tmp_path).counts


def test_no_records_make_an_empty_store(tiny_tokenizer: Tokenizer, tmp_path: Path) -> None:
    store = store_texts(tmp_path, [], tiny_tokenizer, ALL, quiet)
    assert len(store) == 0
    assert store.counts == (0, 0, 0)


# --- damage ---------------------------------------------------------------------------------------


def damaged_stores(directory: Path) -> Iterator[str]:
    """Damage a store in one way at a time, and yield its description."""
    last = max(directory.glob("[0-9]*"))
    for path in [directory / "complete.json", *sorted(last.iterdir())]:
        content = path.read_bytes()
        path.write_bytes(content[:-3] + bytes([content[-3] ^ 1]) + content[-2:])
        yield f"{path.name}: bit flipped"
        path.unlink()
        yield f"{path.name}: deleted"


def test_any_damage_is_noticed_and_encoded_again(
    kind: Any,
    tiny_tokenizer: Tokenizer,
    tmp_path: Path,
    small_batches: None,
) -> None:
    store, records = kind
    store(tmp_path, records, tiny_tokenizer, ALL, quiet)
    whole = contents_of(tmp_path)
    for damage in damaged_stores(tmp_path):
        opened = open_store(tmp_path)
        store(tmp_path, records, tiny_tokenizer, ALL, quiet)
        assert contents_of(tmp_path) == whole, damage
        assert opened is None, damage


def test_shards_before_a_damaged_one_are_not_encoded_again(
    tiny_tokenizer: Tokenizer, tmp_path: Path, small_batches: None
) -> None:
    store_texts(tmp_path, TEXTS, tiny_tokenizer, ALL, quiet)
    written = (tmp_path / "00001" / "ids.npy").stat().st_mtime_ns
    (tmp_path / "00002" / "ids.npy").unlink()
    store_texts(tmp_path, TEXTS, tiny_tokenizer, ALL, quiet)
    assert (tmp_path / "00001" / "ids.npy").stat().st_mtime_ns == written


def test_a_copied_shard_is_ignored(
    tiny_tokenizer: Tokenizer, tmp_path: Path, small_batches: None
) -> None:
    store = store_texts(tmp_path, TEXTS, tiny_tokenizer, ALL, quiet)
    for name in ("00000 (1)", "00000 copy", ".DS_Store"):
        shutil.copytree(tmp_path / "00000", tmp_path / name)
    opened = open_store(tmp_path)
    assert opened is not None
    assert len(opened) == len(store)
