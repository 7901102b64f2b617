"""Files as people have them: encodings, compression, names, folders, formats of other tools."""

import codecs
import csv
import functools
import gzip
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstwords.common.errors import UserError
from firstwords.data import streams
from firstwords.data.checks import check_conversations, check_text
from firstwords.data.corpora import Corpus, conversations, documents, open_corpus

CHAT = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]


def all_texts(path: Path) -> list[str]:
    corpus = open_corpus(str(path), "--data")
    return sorted(d.text for split in ("train", "val") for d in documents(corpus, split, 0))


def all_chats(path: Path) -> list[Any]:
    corpus = open_corpus(str(path), "--chat-data")
    return [chat for split in ("train", "val") for chat in conversations(corpus, split, 0)]


def write(path: Path, raw: bytes) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(raw)
    return path


def lines(*records: Any) -> bytes:
    return "".join(json.dumps(record) + "\n" for record in records).encode()


def zstd(raw: bytes) -> bytes:
    return bytes(pa.Codec("zstd").compress(raw, asbytes=True))


# --- encodings and compression --------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("name", ["a.txt", "A.TXT", "a.md", "a.jsonl", "a.json", "a.csv"])
@pytest.mark.parametrize("suffix", ["", ".gz", ".zst", ".ZST"])
def test_every_format_in_every_encoding(
    encoding: str, name: str, suffix: str, tmp_path: Path
) -> None:
    records = [{"text": "Größe 漢字"}, {"text": "b\nc"}]
    text = {
        "txt": "Größe 漢字\r\n<|endoftext|>\r\nb\r\nc\r\n",
        "jsonl": "\r\n".join(json.dumps(r, ensure_ascii=False) for r in records),
        "json": json.dumps(records, ensure_ascii=False, indent=1),
        "csv": 'text,n\nGröße 漢字,1\n"b\nc",2\n',
    }
    kind = name.lower().split(".")[1]
    raw = text["txt" if kind == "md" else kind].encode(encoding)
    packed = {"": raw, ".gz": gzip.compress(raw)}.get(suffix) or zstd(raw)
    assert all_texts(write(tmp_path / (name + suffix), packed)) == ["Größe 漢字", "b\nc"]


def test_joined_files_have_marks_within(tmp_path: Path) -> None:
    line = codecs.BOM_UTF8 + lines({"text": "a"})
    assert all_texts(write(tmp_path / "a.jsonl", line * 3)) == ["a"] * 3
    part = codecs.BOM_UTF8 + b"a\n<|endoftext|>\n"
    assert all_texts(write(tmp_path / "a.txt", part * 3)) == ["a"] * 3


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        ("The fox.\n".encode("utf-16-le"), "UTF-16 without a byte order mark"),
        (b"\0" * 5000, "NUL bytes"),
        ("The fox.\n".encode("utf-16")[:-1], "is not valid UTF-16"),
        (codecs.BOM_UTF32_LE + b"abcd", "is not valid UTF-32"),
    ],
)
def test_a_file_that_is_no_text_is_named(raw: bytes, problem: str, tmp_path: Path) -> None:
    for name in ("a.txt", "a.jsonl", "a.csv"):
        with pytest.raises(UserError, match=problem) as caught:
            all_texts(write(tmp_path / name, raw))
        assert str(tmp_path / name) in caught.value.problem


def test_one_nul_byte_is_text(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", b"a long line with one \0 in it and words after it")
    assert all_texts(path) == ["a long line with one \0 in it and words after it"]


def test_a_zstd_file_that_is_cut_off_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl.zst", zstd(lines({"text": "a"}) * 999)[:-9])
    with pytest.raises(UserError, match=r"a\.jsonl\.zst is not a complete zstd file"):
        all_texts(path)


def test_the_size_of_a_zstd_file_is_estimated(tmp_path: Path) -> None:
    words = np.random.default_rng(0).integers(0, 999, 600_000).astype(str).tolist()
    raw = " ".join(words).encode()
    path = write(tmp_path / "a.txt.zst", zstd(raw))
    assert streams.unpacked_zstd_bytes(path) == pytest.approx(len(raw), rel=0.25)


# --- JSON arrays and tables -----------------------------------------------------------------------


@given(
    records=st.lists(st.text(max_size=30), max_size=20),
    indent=st.sampled_from([None, 1]),
    piece=st.integers(1, 40),
)
def test_a_json_array_is_read_in_pieces(
    records: list[str], indent: int | None, piece: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.json"
    path.write_text(json.dumps([{"text": r, "n": [1, {}]} for r in records], indent=indent))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streams, "CHUNK_BYTES", piece)
        assert all_texts(path) == sorted(filter(str.strip, records))


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('[{"text": "a"}, {"text": ]', "after record 1"),
        ('[{"text": "a"}, {"text": "b"', "after record 1"),
        ('{"text": "a"}\n{"text": "b"}', "is not a JSON array"),
        ("", "is not a JSON array"),
        ('[{"text": "a"}, {"body": "b"}]', "record 2 has no"),
        ('[{"text": "a"}, {"text": "\\ud800"}]', "record 2 has .ud800, half of a surrogate"),
        ("[" * 100_000, "not valid JSON"),
    ],
)
def test_a_wrong_json_array_is_named(text: str, place: str, tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", text.encode())
    with pytest.raises(UserError, match=place) as caught:
        all_texts(path)
    assert str(path) in caught.value.problem


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("id;body\n1;a\n", r'no "text" column \(found: id, body\)'),
        ("id,text\n1,a\n2\n", r'line 3 has no "text" string \(found: null\)'),
        ('id,text\n1,"' + "a" * 300, "line 2 is not valid CSV"),
    ],
)
def test_a_wrong_csv_file_is_named(
    text: str,
    place: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    monkeypatch.setattr("firstwords.data.rows.MAX_CSV_FIELD_CHARS", 200)
    request.addfinalizer(functools.partial(csv.field_size_limit, csv.field_size_limit()))
    with pytest.raises(UserError, match=place):
        all_texts(write(tmp_path / "a.csv", text.encode()))


@pytest.mark.parametrize(
    ("values", "found"),
    [
        (["a", None], "row 2 has no .* null"),
        (pa.array([b"a"]), "row 1 has no .* binary data"),
        ([["a"]], "row 1 has no .* a list"),
    ],
)
def test_a_wrong_row_of_a_parquet_file_is_named(values: Any, found: str, tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": values}), tmp_path / "a.parquet")
    with pytest.raises(UserError, match=found):
        all_texts(tmp_path / "a.parquet")


# --- conversations of other tools -----------------------------------------------------------------


@pytest.mark.parametrize(
    "record",
    [
        {"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}]},
        {"conversations": CHAT},
        {"messages": json.dumps(CHAT)},
        {"messages": [{"role": "system", "content": ""}, *CHAT]},
        {"messages": [m | {"content": [{"type": "text", "text": m["content"]}]} for m in CHAT]},
        {"messages": [CHAT[0] | {"name": "me"}, CHAT[1]], "id": 1},
        {"instruction": "Hi", "input": "", "output": "Hello"},
    ],
)
def test_conversations_of_other_tools_are_read(record: dict[str, Any], tmp_path: Path) -> None:
    assert all_chats(write(tmp_path / "a.jsonl", lines(record))) == [CHAT]
    assert all_chats(write(tmp_path / "a.json", b"[" + lines(record) + b"]")) == [CHAT]
    pq.write_table(
        pa.table({key: [value] for key, value in record.items()}), tmp_path / "a.parquet"
    )
    assert all_chats(tmp_path / "a.parquet") == [CHAT]


@pytest.mark.parametrize(
    ("record", "found"),
    [
        ({"prompt": "Hi", "reply": "Hello"}, "found: prompt, reply"),
        ({"messages": None}, "found: null"),
        ({"messages": [{"author": "me", "text": "Hi"}]}, 'no "role" \\(found: author, text\\)'),
        ({"messages": [{"role": "user", "content": None}]}, "its content is null"),
        ({"messages": [{"role": "user", "content": 5}]}, "its content is a number"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "image_url"),
        ({"messages": [{"role": ["user"], "content": "Hi"}]}, "the role"),
        ({"conversations": [{"from": "robot", "value": "Hi"}]}, "the role 'robot'"),
        ({"instruction": "Hi", "output": "Hello", "history": [["a", "b"]]}, "history"),
        (["Hi"], "a list, no object"),
    ],
)
def test_an_error_says_what_a_conversation_has(record: Any, found: str, tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", lines({"messages": CHAT}, record))
    with pytest.raises(UserError, match=found) as caught:
        all_chats(path)
    assert f"{path}, line 2 " in caught.value.problem


# --- folders --------------------------------------------------------------------------------------


def test_a_folder_says_what_it_leaves_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = lines({"text": "a"}) * 3
    for name in ("A.JSONL", "._A.jsonl", "README.md", "b.docx", "settings.json"):
        write(tmp_path / name, text)
    write(tmp_path / ".ipynb_checkpoints" / "A.jsonl", text)
    (tmp_path / "loop").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "pipe.txt")
    for _ in range(2):
        assert all_texts(tmp_path) == ["a"] * 3
    noted = capsys.readouterr().err
    assert noted.count("\n") == 1
    left_out = "._A.jsonl, .ipynb_checkpoints, README.md, b.docx and 2 more"
    assert f"leaving out {left_out}" in noted


def test_a_link_to_a_folder_is_followed(tmp_path: Path) -> None:
    write(tmp_path / "far" / "a.txt", b"a")
    (tmp_path / "near").mkdir()
    (tmp_path / "near" / "link").symlink_to(tmp_path / "far")
    assert all_texts(tmp_path / "near") == ["a"]


@pytest.fixture
def unprivileged() -> Iterator[Path]:
    """A folder, while this process is not root."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o777)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield folder
    finally:
        os.seteuid(user)
        shutil.rmtree(folder)


@pytest.mark.parametrize("locked", ["b", "b/b.txt"])
def test_what_cannot_be_read_is_named(locked: str, unprivileged: Path) -> None:
    for name in "ab":
        write(unprivileged / name / f"{name}.txt", b"text")
    (unprivileged / locked).chmod(0)
    try:
        for path in (unprivileged, unprivileged / "b" / "b.txt"):
            with pytest.raises(UserError, match="Permission denied"):
                open_corpus(str(path), "--data")
    finally:
        (unprivileged / locked).chmod(0o700)


def test_a_name_that_is_not_utf8_is_an_error(tmp_path: Path) -> None:
    write(tmp_path / os.fsdecode(b"caf\xe9.txt"), b"text")
    with pytest.raises(UserError, match=r"caf\\xe9\.txt has a name that is not UTF-8"):
        open_corpus(str(tmp_path), "--data")


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("/dev/null", "is no file but a pipe or a device"),
        ("~nobodyhere/a.txt", "a user who does not exist"),
        ("a" * 300 + ".txt", "File name too long"),
    ],
)
def test_a_path_that_cannot_be_is_named(source: str, problem: str) -> None:
    with pytest.raises(UserError, match=problem):
        open_corpus(source, "--data")


def test_a_pipe_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.txt")
    with pytest.raises(UserError, match="can be read only once; write its content into a file"):
        open_corpus(str(tmp_path / "a.txt"), "--data")


def test_a_removed_current_directory_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(UserError, match="the current directory was removed"):
        open_corpus("a.txt", "--data")


# --- checks before training -----------------------------------------------------------------------


def corpus_of(tmp_path: Path, *records: Any) -> Corpus:
    return open_corpus(str(write(tmp_path / "a.jsonl", lines(*records))), "--data")


def test_the_last_line_is_checked(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path, *[{"messages": CHAT}] * 600, {"messages": CHAT[:1]})
    with pytest.raises(UserError, match="line 601 has an invalid conversation"):
        check_conversations(corpus, "--chat-data")


@pytest.mark.parametrize(("n_bad", "listed"), [(3, "3 mistakes"), (40, "10 or more mistakes")])
def test_several_mistakes_are_listed_at_once(
    n_bad: int, listed: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = {"messages": CHAT, "text": "a"}
    corpus = corpus_of(tmp_path, *[good, {"other": 1}] * n_bad)
    for check in (
        lambda: check_conversations(corpus, "--data"),
        lambda: check_text(corpus, "--data", 0, {"train": 1e6}),
    ):
        with pytest.raises(UserError, match=listed):
            check()
        printed = capsys.readouterr().err.splitlines()
        assert len(printed) >= min(n_bad, 10) - 1
        assert f"{tmp_path}/a.jsonl, line 2 has no" in printed[0]
        assert f"{tmp_path}/a.jsonl, line 4 has no" in printed[1]


@pytest.mark.parametrize(("n_chats", "problem"), [(0, "is empty"), (1, "nothing to hold out")])
def test_too_few_conversations_are_an_error(n_chats: int, problem: str, tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path, *[{"messages": CHAT}] * n_chats)
    with pytest.raises(UserError, match=problem):
        check_conversations(corpus, "--chat-data")


def test_documents_without_text_are_not_read(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", lines({"text": ""}, {"text": " \n"}, {"text": "a"}))
    assert all_texts(path) == ["a"]


def test_text_is_checked_as_far_as_a_run_reads_it(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path, *[{"text": "word"}] * 100, {"text": None})
    check_text(corpus, "--data", 0, {"train": 50})
    with pytest.raises(UserError, match="line 101 has no"):
        check_text(corpus, "--data", 0, {"train": 1e6})
