"""Corpora: every record once, in an order drawn from the seed; errors that name the place."""

import gzip
import io
import json
import re
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstwords.common.errors import UserError
from firstwords.data import formats, line_blocks
from firstwords.data.corpora import (
    MAX_EXTRA_BYTES,
    conversations,
    open_corpus,
    take_bytes,
    texts,
)

CHAT = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hello!"}]
SMALL = st.integers(1, 60)
# Hard to cut correctly: both kinds of line ends, spaces, characters of 1 to 4 bytes.
PLAIN = st.lists(
    st.one_of(
        st.sampled_from(
            ["\n", "\r\n", "\n\n", " ", "é", "漢字", "😀", "a" * 30, "<|endoftext|>\n"]
        ),
        st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8),
    ),
    max_size=40,
).map("".join)


@contextmanager
def sizes(block: int, max_line: int = 1 << 16, document: int = 6_000) -> Iterator[None]:
    """Inside this block, files are read with these sizes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(line_blocks, "BLOCK_BYTES", block)
        patch.setattr(formats, "LINE_BYTES", max_line)
        patch.setattr(formats, "DOCUMENT_CHARS", document)
        yield


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory for tests with many examples, each of which overwrites the previous files."""
    return tmp_path_factory.mktemp("corpora")


def both_splits(path: Path, seed: int = 0) -> list[str]:
    corpus = open_corpus(str(path), "--data")
    return [*texts(corpus, "train", seed), *texts(corpus, "val", seed)]


def write_jsonl(path: Path, records: list[Any]) -> Path:
    lines = "".join(json.dumps(record) + "\n" for record in records)
    path.write_bytes(gzip.compress(lines.encode()) if path.suffix == ".gz" else lines.encode())
    return path


def write_parquet(path: Path, row_group_size: int = 10, **columns: list[Any]) -> Path:
    pq.write_table(pa.table(columns), path, row_group_size=row_group_size)
    return path


def write_numbers(path: Path, numbers: range) -> Path:
    """Write a corpus of any format whose records are numbered."""
    records = [f"{path.name} {i}" for i in numbers]
    if path.suffix == ".parquet":
        return write_parquet(path, text=records)
    if ".jsonl" in path.name:
        return write_jsonl(path, [{"text": record} for record in records])
    raw = "\n<|endoftext|>\n".join(records).encode()
    path.write_bytes(gzip.compress(raw) if path.suffix == ".gz" else raw)
    return path


FORMATS = ["a.txt", "a.txt.gz", "a.jsonl", "a.jsonl.gz", "a.parquet"]


# --- every record once ----------------------------------------------------------------------------


@given(
    text=PLAIN,
    block=SMALL,
    max_line=st.integers(14, 60),  # long enough for <|endoftext|> and its line end
    document=SMALL,
    zipped=st.booleans(),
)
def test_every_character_of_a_text_file_is_read_once(
    folder: Path, text: str, block: int, max_line: int, document: int, zipped: bool
) -> None:
    path = folder / ("any.txt.gz" if zipped else "any.txt")
    path.write_bytes(gzip.compress(text.encode()) if zipped else text.encode())
    with sizes(block, max_line, document):
        read = "".join(both_splits(path))
    expected = text.replace("<|endoftext|>", "").replace("\ufeff", "")
    assert Counter("".join(read.split())) == Counter("".join(expected.split()))


@given(text=PLAIN, block=SMALL, document=SMALL)
def test_lines_of_a_text_file_are_not_cut(
    folder: Path, text: str, block: int, document: int
) -> None:
    path = folder / "lines.txt"
    path.write_bytes(f"{text}\n".encode())
    with sizes(block, document=document):
        read = "\n".join(both_splits(path))
    expected = re.sub(r"<\|endoftext\|>|\r\n?", "\n", text).replace("\ufeff", "")
    assert Counter(filter(None, map(str.strip, read.split("\n")))) == Counter(
        filter(None, map(str.strip, expected.split("\n")))
    )


def test_a_last_line_without_a_line_end_is_not_cut(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("first line\nthe last line of this file")
    with sizes(16):
        documents = both_splits(tmp_path / "a.txt")
    lines = [line for text in documents for line in text.split("\n")]
    assert sorted(lines) == ["first line", "the last line of this file"]


@given(
    records=st.lists(st.text(max_size=50), max_size=40),
    block=SMALL,
    escaped=st.booleans(),
    line_end=st.sampled_from(["\n", "\r\n", "\n\n", "\n  \n"]),
    final=st.booleans(),
    zipped=st.booleans(),
)
def test_every_json_line_is_read_once(
    folder: Path,
    records: list[str],
    block: int,
    escaped: bool,
    line_end: str,
    final: bool,
    zipped: bool,
) -> None:
    lines = [json.dumps({"text": record}, ensure_ascii=escaped) for record in records]
    raw = (line_end.join(lines) + (line_end if final else "")).encode()
    path = folder / ("any.jsonl.gz" if zipped else "any.jsonl")
    path.write_bytes(gzip.compress(raw) if zipped else raw)
    with sizes(block):
        assert sorted(both_splits(path)) == sorted(filter(str.strip, records))


@given(
    records=st.lists(st.text(max_size=20), max_size=40),
    group=st.integers(1, 50),
    large=st.booleans(),
)
def test_every_row_of_a_parquet_file_is_read_once(
    folder: Path, records: list[str], group: int, large: bool
) -> None:
    column = pa.array(records, pa.large_string() if large else pa.string())
    path = folder / "any.parquet"
    pq.write_table(pa.table({"id": range(len(records)), "text": column}), path, group)
    assert sorted(both_splits(path)) == sorted(filter(str.strip, records))


@pytest.mark.parametrize("name", FORMATS)
def test_every_fiftieth_record_is_held_out(name: str, tmp_path: Path) -> None:
    corpus = open_corpus(str(write_numbers(tmp_path / name, range(500))), "--data")
    train, val = list(texts(corpus, "train", 3)), list(texts(corpus, "val", 3))
    assert len(val) == 10
    assert sorted(train + val) == sorted(f"{name} {i}" for i in range(500))


def test_two_documents_give_one_to_each_split(tmp_path: Path) -> None:
    corpus = open_corpus(str(write_numbers(tmp_path / "two.jsonl", range(2))), "--data")
    assert len(list(texts(corpus, "train", 0))) == len(list(texts(corpus, "val", 0))) == 1


def test_a_directory_is_read_recursively(tmp_path: Path) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    for name in (*FORMATS, "deep/b.jsonl", "deep/er/c.parquet"):
        write_numbers(tmp_path / name, range(20))
    (tmp_path / "notes.docx").write_text("not data")
    records = both_splits(tmp_path)
    assert Counter(record.split()[0] for record in records) == {
        **dict.fromkeys(FORMATS, 20),
        "b.jsonl": 20,
        "c.parquet": 20,
    }
    assert len(set(records)) == len(records)


def test_conversations_are_read_from_every_format(tmp_path: Path) -> None:
    def chat(word: str) -> list[dict[str, str]]:
        return [{"role": "user", "content": word}, CHAT[1]]

    write_jsonl(tmp_path / "a.jsonl", [{"messages": chat(f"a{i}"), "id": i} for i in range(5)])
    write_jsonl(tmp_path / "b.jsonl.gz", [{"messages": chat(f"b{i}")} for i in range(5)])
    write_parquet(tmp_path / "c.parquet", messages=[chat(f"c{i}") for i in range(5)])
    corpus = open_corpus(str(tmp_path), "--chat-data")
    chats = [*conversations(corpus, "train", 0), *conversations(corpus, "val", 0)]
    assert sorted(messages[0]["content"] for messages in chats) == [
        f"{kind}{i}" for kind in "abc" for i in range(5)
    ]


def test_documents_of_plain_text_end_at_paragraphs(tmp_path: Path) -> None:
    paragraphs = [f"Paragraph {i}. " + "word " * 30 for i in range(100)]
    (tmp_path / "a.txt").write_text("\n\n".join(paragraphs))
    with sizes(1 << 20, document=500):
        documents = both_splits(tmp_path / "a.txt")
    assert sorted(p for document in documents for p in document.split("\n\n")) == sorted(paragraphs)
    assert all(500 <= len(document) < 900 for document in documents[:10])


# --- order ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.parquet"])
def test_the_order_depends_on_the_seed(name: str, tmp_path: Path) -> None:
    corpus = open_corpus(str(write_numbers(tmp_path / name, range(300))), "--data")
    with sizes(200, document=1):
        first, again, other = (list(texts(corpus, "train", seed)) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_files_are_read_in_proportion_to_their_length(tmp_path: Path) -> None:
    write_numbers(tmp_path / "long.jsonl", range(300))
    write_numbers(tmp_path / "short.jsonl", range(100))
    corpus = open_corpus(str(tmp_path), "--data")
    with sizes(100):
        beginning = [text.split()[0] for text in islice(texts(corpus, "train", 0), 100)]
    assert 20 <= beginning.count("short.jsonl") <= 30


def open_files() -> int:
    return len(list(Path("/dev/fd").iterdir()))


def test_many_files_are_read_a_few_at_a_time(tmp_path: Path) -> None:
    """More files than a process may open, and in an order that does not follow their names."""
    for i in range(200):
        write_parquet(tmp_path / f"{i:03d}.parquet", text=[f"{i} {row}" for row in range(3)])
    corpus = open_corpus(str(tmp_path), "--data")
    n_before, n_open, first = open_files(), [], []
    for text in texts(corpus, "train", 0):
        n_open.append(open_files() - n_before)
        first.append(int(text.split()[0]))
    assert max(n_open) <= 40
    assert len(set(first)) == 200
    assert len(first) == 588
    beginning = set(first[:90])
    assert min(beginning) < 50
    assert max(beginning) >= 150


@pytest.mark.parametrize("suffix", ["parquet", "jsonl"])
def test_files_of_one_block_are_interleaved(suffix: str, tmp_path: Path) -> None:
    for name in ("a", "b"):
        records = [f"{name} {i}" for i in range(100)]
        path = tmp_path / f"{name}.{suffix}"
        if suffix == "parquet":
            write_parquet(path, row_group_size=1000, text=records)
        else:
            write_jsonl(path, [{"text": record} for record in records])
    corpus = open_corpus(str(tmp_path), "--data")
    beginning = [text[0] for text in islice(texts(corpus, "train", 0), 50)]
    assert 15 <= beginning.count("a") <= 35


@pytest.mark.parametrize(
    "name",
    ["val.jsonl", "validation.jsonl", "chat_val.jsonl", "x-valid-01.jsonl", "VAL.jsonl"],
)
def test_validation_files_are_recognized_by_name(name: str, tmp_path: Path) -> None:
    write_numbers(tmp_path / "train.jsonl", range(120))
    write_numbers(tmp_path / name, range(30))
    corpus = open_corpus(str(tmp_path), "--data")
    train, val = list(texts(corpus, "train", 0)), list(texts(corpus, "val", 0))
    assert {text.split()[0] for text in train} == {"train.jsonl"}
    assert {text.split()[0] for text in val} == {name}
    assert (len(train), len(val)) == (120, 30)


@pytest.mark.parametrize("name", ["valentine.jsonl", "interval.jsonl", "approval_1.jsonl"])
def test_other_names_are_training_files(name: str, tmp_path: Path) -> None:
    write_numbers(tmp_path / "train.jsonl", range(10))
    write_numbers(tmp_path / name, range(10))
    assert open_corpus(str(tmp_path), "--data").validation_files == ()


def test_validation_files_are_recognized_after_a_dot(tmp_path: Path) -> None:
    write_numbers(tmp_path / "chat.train.jsonl", range(10))
    write_numbers(tmp_path / "chat.val.jsonl", range(10))
    assert len(open_corpus(str(tmp_path), "--data").validation_files) == 1


def test_a_single_file_is_training_data_whatever_its_name(tmp_path: Path) -> None:
    corpus = open_corpus(str(write_numbers(tmp_path / "val.jsonl", range(60))), "--data")
    assert len(list(texts(corpus, "train", 0))) == 58


@pytest.mark.parametrize("name", ["a.parquet", "a.jsonl", "a.jsonl.gz", "a.txt", "a.txt.gz"])
def test_text_bytes_is_the_uncompressed_size(name: str, tmp_path: Path) -> None:
    """A plan needs it to estimate the number of epochs."""
    path, documents = tmp_path / name, [f"{i} {'lorem ipsum ' * 40}" for i in range(400)]
    size = sum(map(len, documents))
    if name.endswith(".parquet"):
        other = ["a column that is not asked for " * 20] * len(documents)
        pq.write_table(pa.table({"text": documents, "other": other}), path, use_dictionary=False)
    else:
        lines = [json.dumps({"text": d}) if "jsonl" in name else d + "\n" for d in documents]
        raw = "\n".join(lines).encode()
        path.write_bytes(gzip.compress(raw) if name.endswith(".gz") else raw)
    corpus = open_corpus(str(path), "--data")
    assert corpus.text_bytes("text") == pytest.approx(0.98 * size, rel=0.05)


@pytest.mark.parametrize("sample", [1 << 10, 1 << 24])
@pytest.mark.parametrize("members", [[5000], [5000, 1], [1, 5000], [100] * 50, [5000, 0]])
def test_text_bytes_of_several_gzip_members(
    members: list[int], sample: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """cat, bgzip and pigz write such files; only the length of the last member is at the end."""
    monkeypatch.setattr(line_blocks, "GZIP_SAMPLE_BYTES", sample)
    line = json.dumps({"text": "the fox ran over the hill " * 9}).encode() + b"\n"
    (tmp_path / "a.jsonl.gz").write_bytes(b"".join(gzip.compress(line * n) for n in members))
    actual = 0.98 * len(line) * sum(members)
    assert open_corpus(str(tmp_path), "--data").text_bytes("text") == pytest.approx(actual, rel=0.6)
    if sample > actual:
        assert open_corpus(str(tmp_path), "--data").text_bytes("text") == pytest.approx(actual)


def test_text_bytes_excludes_validation_files(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"x" * 1000)
    (tmp_path / "val.txt").write_bytes(b"x" * 700)
    assert open_corpus(str(tmp_path), "--data").text_bytes("text") == 1000


def test_the_starter_curriculum_is_infinite() -> None:
    assert open_corpus("starter", "--data").text_bytes("text") == float("inf")


def test_the_starter_curriculum_needs_no_files_and_has_both_splits() -> None:
    corpus = open_corpus("starter", "--data")
    train, val = set(islice(texts(corpus, "train", 0), 30)), set(islice(texts(corpus, "val", 0), 3))
    assert corpus.is_starter
    assert not train & val
    assert len(list(islice(conversations(corpus, "train", 0), 3))) == 3


# --- errors ---------------------------------------------------------------------------------------


def failure(path: Path, chat: bool = False) -> str:
    """Return the error of reading the corpus to its end."""
    option = "--chat-data" if chat else "--data"
    with pytest.raises(UserError) as caught:  # noqa: PT012
        corpus = open_corpus(str(path), option)
        for split in ("train", "val"):
            for _ in conversations(corpus, split, 0) if chat else texts(corpus, split, 0):
                pass
    assert caught.value.hint
    assert "\n" not in str(caught.value)
    return str(caught.value)


def write_with_line(path: Path, number: int, line: bytes, good: bytes, n_lines: int = 60) -> Path:
    """Write a file of good lines, with this one at line `number` (from 1)."""
    lines = [good] * n_lines
    lines[number - 1] = line
    raw = b"\n".join(lines) + b"\n"
    path.write_bytes(gzip.compress(raw) if path.suffix == ".gz" else raw)
    return path


GOOD_TEXT = json.dumps({"text": "Once upon a time"}).encode()
GOOD_CHAT = json.dumps({"messages": CHAT}).encode()


@pytest.mark.parametrize("name", ["bad.jsonl", "bad.jsonl.gz"])
@pytest.mark.parametrize("number", [1, 2, 37, 60])
@pytest.mark.parametrize("block", [64, 500, 1 << 20])
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b'{"text": "half', "JSON"),
        (b'{"txt": "x"}', 'no "text" string (found: txt)'),
        (b'{"text": 3}', 'no "text" string'),
        (b'["text"]', "no object"),
        (b'{"text": "caf\xe9"}', "UTF-8"),
    ],
)
def test_an_error_names_the_line_of_text(
    name: str, number: int, block: int, line: bytes, expected: str, tmp_path: Path
) -> None:
    path = write_with_line(tmp_path / name, number, line, GOOD_TEXT)
    with sizes(block):
        message = failure(path)
    assert f"{path}, line {number} " in message
    assert expected in message


@pytest.mark.parametrize("number", [1, 37])
@pytest.mark.parametrize("block", [64, 1 << 20])
@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([], "at least one message"),
        ("hello", 'no list of "messages" (found: a string)'),
        ([*CHAT, CHAT[1]], "message 3 is from the assistant instead of the user"),
        ([CHAT[1]], "message 1 is from the assistant instead of the user"),
        ([CHAT[0]], "last message is not from the assistant"),
        ([{"role": "system", "content": "x"}], "last message is not from the assistant"),
        ([CHAT[0], {"role": "robot", "content": "x"}], "message 2 has the role 'robot'"),
        ([CHAT[0], {"role": "assistant", "content": " "}], "message 2 has no text"),
        ([CHAT[0], {"role": "assistant"}], "message 2 has no text"),
        ([CHAT[0], "hello"], "message 2 is not an object"),
    ],
)
def test_an_error_names_the_line_of_a_conversation(
    number: int, block: int, messages: Any, expected: str, tmp_path: Path
) -> None:
    line = json.dumps({"messages": messages}).encode()
    path = write_with_line(tmp_path / "chat.jsonl", number, line, GOOD_CHAT)
    with sizes(block):
        message = failure(path, chat=True)
    assert f"{path}, line {number} has an invalid conversation: " in message or messages == "hello"
    assert expected in message


@pytest.mark.parametrize("number", [1, 41])
@pytest.mark.parametrize("block", [50, 1 << 20])
def test_an_error_names_the_line_of_plain_text_that_is_not_utf8(
    number: int, block: int, tmp_path: Path
) -> None:
    path = write_with_line(tmp_path / "a.txt", number, b"caf\xe9 au lait", b"An ordinary line.")
    with sizes(block, max_line=40):
        message = failure(path)
    assert f"{path}, line {number} is not UTF-8" in message
    assert "0xe9" in message


def test_a_truncated_gzip_file_is_an_error(tmp_path: Path) -> None:
    path = write_with_line(tmp_path / "a.jsonl.gz", 1, GOOD_TEXT, GOOD_TEXT)
    path.write_bytes(path.read_bytes()[:-12])
    assert f"{path} is not a complete gzip file" in failure(path)


def test_a_file_that_is_not_gzip_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(GOOD_TEXT)
    assert f"{path} is not a complete gzip file" in failure(path)


@pytest.mark.parametrize("keep", [0, 4, 200])
def test_a_damaged_parquet_file_is_an_error(keep: int, tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "a.parquet", text=["hello"] * 50)
    path.write_bytes(path.read_bytes()[:keep])
    assert f"{path} is not a readable Parquet file" in failure(path)


def test_an_error_lists_the_columns_of_a_parquet_file(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "a.parquet", content=["hello"], id=[1])
    assert f'{path} has no "text" column (found: content, id)' in failure(path)
    assert f'{path} has no "messages" column' in failure(path, chat=True)


def test_a_parquet_column_without_strings_is_an_error(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "a.parquet", text=[1, 2])
    assert f'{path}, row 1 has no "text" string (found: a number)' in failure(path)


def test_an_error_shows_the_conversation_in_a_parquet_file(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "a.parquet", messages=[CHAT, [CHAT[1]]])
    assert "message 1 is from the assistant" in failure(path, chat=True)
    assert str(path) in failure(path, chat=True)


def test_plain_text_has_no_conversations(tmp_path: Path) -> None:
    path = write_numbers(tmp_path / "a.txt", range(3))
    assert f"{path} is plain text, which holds no conversations" in failure(path, chat=True)


@pytest.mark.parametrize("source", ["nowhere", "nowhere.txt", "hub:wikipedia"])
def test_an_error_names_the_option_of_a_missing_source(source: str) -> None:
    with pytest.raises(UserError, match=f"--data {source} does not exist"):
        open_corpus(source, "--data")


def test_an_unknown_file_type_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.docx").write_bytes(b"letter")
    assert ".jsonl, .json" in failure(tmp_path / "a.docx")
    assert "has no data files" in failure(tmp_path)


def test_a_directory_without_training_files_is_an_error(tmp_path: Path) -> None:
    write_numbers(tmp_path / "val.jsonl", range(3))
    assert "add a training file" in failure(tmp_path)


def test_a_lone_surrogate_is_an_error_or_replaced(tmp_path: Path) -> None:
    path = write_with_line(tmp_path / "a.jsonl", 5, b'{"text": "a \\ud800 b"}', GOOD_TEXT)
    with suppress(UserError):
        for text in both_splits(path):
            text.encode()


def test_deeply_nested_json_is_an_error(tmp_path: Path) -> None:
    path = write_with_line(tmp_path / "a.jsonl", 5, b"[" * 100_000, GOOD_TEXT)
    assert f"{path}, line 5" in failure(path)


# --- memory ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.txt", "a.txt.gz"])
def test_a_very_long_line_is_cut(name: str, tmp_path: Path) -> None:
    raw = ("漢" * 4000).encode()
    (tmp_path / name).write_bytes(gzip.compress(raw) if name.endswith(".gz") else raw)
    with sizes(300, max_line=100):
        assert max(len(text.encode()) for text in both_splits(tmp_path / name)) <= 600


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.parquet"])
@pytest.mark.parametrize("text", ["word", "two words ", "line\n", "漢"])
def test_a_long_document_is_cut_without_loss(name: str, text: str, tmp_path: Path) -> None:
    """The parts of a book are documents, so that one of them can be held out."""
    whole, path = text * 1000, tmp_path / name
    if name.endswith("parquet"):
        write_parquet(path, text=[whole])
    else:
        write_jsonl(path, [{"text": whole}])
    corpus = open_corpus(str(path), "--data")
    with sizes(300), pytest.MonkeyPatch.context() as patch:
        patch.setattr(formats, "MAX_DOCUMENT_CHARS", 900)
        held_out = list(texts(corpus, "val", 0))
        training = list(texts(corpus, "train", 0))
    assert len(held_out) == 1
    assert max(map(len, training)) <= 900
    assert "".join([training[0], *held_out, *training[1:]]) == whole


def test_a_long_line_is_searched_for_its_end_only_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", [{"text": "a" * n} for n in (1, 500_000, 1)])
    read = 0
    readline = io.BufferedReader.readline

    class Counting(io.BufferedReader):
        def readline(self, size: int | None = -1, /) -> bytes:
            nonlocal read
            line = readline(self, size)
            read += len(line)
            return line

    monkeypatch.setattr(Path, "open", lambda path, mode: Counting(io.FileIO(path)))
    with sizes(1000):
        assert [len(text) for text in both_splits(path)].count(500_000) == 1
    assert read < 2 * 500_000 * 2  # both splits


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
def test_a_line_that_does_not_fit_memory_is_an_error(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line_blocks, "MAX_LINE_BYTES", 10_000)
    path = write_jsonl(tmp_path / name, [{"text": "a" * n} for n in (1, 20_000, 1)])
    with sizes(1000):
        assert f"{path}, line 2 is longer than" in failure(path)


@given(lengths=st.lists(st.integers(0, 30_000), max_size=9), n_bytes=st.integers(1, 40_000))
def test_a_number_of_bytes_is_taken(lengths: list[int], n_bytes: int) -> None:
    taken = list(take_bytes(("é" * length for length in lengths), n_bytes))
    size = len("".join(taken).encode())
    total = 2 * sum(lengths)
    assert min(total, n_bytes) - 1 <= size
    assert size < n_bytes + MAX_EXTRA_BYTES
    assert all(len(text) == length for text, length in zip(taken[:-1], lengths, strict=False))


def test_held_out_bytes_of_a_book_are_limited() -> None:
    assert sum(map(len, take_bytes(["a" * 500, "b" * 1_000_000], 1000))) == 1000


@pytest.mark.slow
def test_a_large_text_file_is_streamed(tmp_path: Path) -> None:
    path = tmp_path / "large.txt"
    paragraph = (
        b"The quick brown fox jumps over the lazy dog again and again, all day.\n" * 40 + b"\n"
    )
    with path.open("wb") as file:
        for _ in range(200_000_000 // len(paragraph)):
            file.write(paragraph)
    corpus = open_corpus(str(path), "--data")
    tracemalloc.start()
    chars = sum(len(text) for text in texts(corpus, "train", 0))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert chars > 190_000_000
    assert peak < 30_000_000
