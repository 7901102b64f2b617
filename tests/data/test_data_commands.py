"""`firstwords data show`, `check` and `convert`: what they print, and their exit codes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from firstwords.cli.main import run_command
from firstwords.common.units import format_size
from firstwords.data import recognition, review

pytestmark = pytest.mark.usefixtures("home")
Command = Callable[..., tuple[int, str, str]]

HI = {"role": "user", "content": "Hi"}
HELLO = {"role": "assistant", "content": "Hello"}
CHAT = {"messages": [HI, HELLO]}


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    """Run a subcommand of `firstwords data`; return its exit code, stdout and stderr."""

    def run(*arguments: str | Path) -> tuple[int, str, str]:
        code = run_command(["data", *map(str, arguments)])
        return code, *capsys.readouterr()

    return run


def write(path: Path, *records: Any) -> Path:
    lines = (record if isinstance(record, str) else json.dumps(record) for record in records)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


# --- show -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "records", "layout", "counted"),
    [
        ("a.jsonl", [CHAT, CHAT], "messages: role and content", "2 conversations with 4 messages"),
        (
            "a.jsonl",
            [
                {
                    "conversations": [
                        {"from": "human", "value": "Hi"},
                        {"from": "gpt", "value": "Hey"},
                    ]
                }
            ],
            "ShareGPT: from and value",
            "1 conversations with 2 messages (1 user, 1 assistant)",
        ),
        ("a.jsonl", [{"instruction": "Hi", "output": "Hey"}], "Alpaca", "1 conversations"),
        ("a.csv", ["Question;Answer", "Hi;Hey"], "pairs: question and answer", "1 conversations"),
        ("a.jsonl", [{"text": "One."}, {"text": "Two."}], "text", "2 documents"),
        ("a.md", ["# One", "Two."], "Markdown", "1 documents"),
        ("a.html", ["<p>One"], "HTML page", "1 documents"),
        ("a.jsonl", [CHAT, CHAT, {"messages": []}], "", "1 are not valid"),
    ],
)
def test_show_says_what_a_file_is(
    name: str, records: list[Any], layout: str, counted: str, command: Command, tmp_path: Path
) -> None:
    path = write(tmp_path / name, *records)
    code, out, _ = command("show", path, "--n", "1")
    assert code == 0
    assert f"{name}: " in out
    assert layout in out
    assert counted in out


def test_show_as_json(command: Command, tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", CHAT, CHAT, {"messages": [HI, HI]})
    code, out, _ = command("show", path, "--json")
    shown = json.loads(out)
    assert code == 0
    assert shown["samples"] == [CHAT]
    file = shown["recognised"].pop("files")[0]
    assert shown["recognised"] == {
        "holds": "conversations",
        "bytes": path.stat().st_size,
        "conversations": 2,
        "invalid": 1,
        "roles": {"user": 2, "assistant": 2},
        "is_estimate": False,
    }
    assert file["columns"] == ["messages"]


def test_show_estimates_what_a_large_file_has(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recognition, "MAX_COUNTED_BYTES", 2_000)
    write(tmp_path / "a.jsonl", *[CHAT] * 100)
    write(tmp_path / "b.jsonl", *[CHAT] * 100)
    _, out, _ = command("show", tmp_path, "--json")
    found = json.loads(out)["recognised"]
    assert found["is_estimate"]
    assert found["conversations"] == pytest.approx(200, rel=0.05)


def test_show_names_the_people_of_a_chat(command: Command, tmp_path: Path) -> None:
    path = write(tmp_path / "chat.txt", "31.12.23, 21:41 - Ada: Hi", "31.12.23, 21:42 - Ben: Hey")
    code, out, _ = command("show", path)
    assert code == 0
    assert "people: Ada (1 messages), Ben (1 messages)" in out
    assert f"firstwords data convert {path} --assistant Ada --out chat.jsonl" in out


def test_a_folder_of_text_and_conversations_is_refused(command: Command, tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", CHAT)
    write(tmp_path / "b.txt", "text")
    code, _, err = command("show", tmp_path)
    assert code == 2
    assert "holds conversations (a.jsonl) and text (b.txt)" in err


# --- check ----------------------------------------------------------------------------------------


def test_check_lists_every_problem_with_its_line(command: Command, tmp_path: Path) -> None:
    long = {"messages": [HI, {"role": "assistant", "content": "word " * 400}]}
    path = write(
        tmp_path / "a.jsonl",
        *(CHAT, "{", {"messages": [HI, HI]}, CHAT, long),
        *(
            {"messages": [HI, {"role": "assistant", "content": " "}]},
            {"messages": [{"content": ""}]},
        ),
    )
    code, out, _ = command("check", path)
    assert code == 1
    problems = [
        ("error", 2, "is not valid JSON"),
        ("error", 3, "message 2 is from the user instead of the assistant"),
        ("note", 4, f"repeats the conversation of {path}, line 1"),
        ("note", 5, "is longer than the context: "),
        ("error", 6, "message 2 has no text (its content is empty)"),
        ("error", 7, 'message 1 has no "role"'),
    ]
    lines = out.splitlines()
    for line, (level, number, text) in zip(lines, problems, strict=False):
        assert line.startswith(f"{level}: {path}, line {number} ")
        assert text in line
    size = format_size(path.stat().st_size)
    assert lines[6:9] == [f"valid conversations: 3 ({size})", "errors: 4", "duplicates: 1"]
    assert lines[9].endswith("planned model (estimated): 1 (33.3%)")
    found = json.loads(command("check", path, "--json")[1])
    assert found["errors"] == 4
    assert found["context"]["share_longer"] == pytest.approx(1 / 3)
    assert [p["cause"] for p in found["problems"]].count("invalid") == 4


def test_check_of_a_clean_source(command: Command, tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", CHAT)
    write(tmp_path / "b.jsonl", {"messages": [HI, {**HELLO, "content": "Hey"}]})
    code, out, _ = command("check", tmp_path)
    assert code == 0
    assert "error:" not in out
    assert "valid conversations: 2" in out


@pytest.mark.parametrize(
    ("name", "raw", "problem"),
    [
        ("a.txt", b"One.\n\ncaf\xe9\n", "a.txt, line 3 is not UTF-8 (byte 0xe9)"),
        ("a.jsonl", b'{"text": "a"}\n{"text": "caf\xe9"}\n', "a.jsonl, line 2 is not UTF-8"),
        ("a.jsonl", b'{"text": "a"}\n{"text": 5}\n', "a.jsonl, line 2 has no"),
        ("a.txt", b"", "nothing to train on"),
        ("a.jsonl", b"", "nothing to train on"),
        ("a.jsonl", b"\0" * 5000, "a.jsonl has many NUL bytes"),
        ("a.txt", b"%PDF-1.4", "a.txt is a PDF file, not text"),
        ("a.epub", b"PK\3\4cut off", "a.epub is not a complete EPUB file"),
    ],
)
def test_check_of_what_cannot_be_read(
    name: str, raw: bytes, problem: str, command: Command, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(raw)
    code, out, err = command("check", tmp_path / name)
    assert code in (1, 2)
    assert problem in out + err


def test_duplicate_documents_are_noted(command: Command, tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", "One.", "<|endoftext|>", "Two.", "<|endoftext|>", "One.")
    code, out, _ = command("check", path)
    assert code == 0
    assert f"note: {path}, line 5 repeats the document of {path}, line 1" in out


def test_check_finds_lines_past_the_first_block(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("firstwords.data.line_blocks.BLOCK_BYTES", 100)
    monkeypatch.setattr(review, "MAX_LISTED", 3)
    path = write(tmp_path / "a.jsonl", *[CHAT] * 50, "{")
    code, out, _ = command("check", path)
    assert code == 1
    assert f"note: {path}, line 4 repeats the conversation of {path}, line 1" in out
    assert f"{path}, line 5 repeats" not in out
    assert "note: 46 more (--json lists all)" in out
    assert f"error: {path}, line 51 is not valid JSON" in out


@pytest.mark.parametrize("arguments", [["check", "starter"], ["check", "missing.jsonl"]])
def test_what_check_refuses(arguments: list[str], command: Command) -> None:
    code, _, err = command(*arguments)
    assert code == 2
    assert err.count("\n") == 1


# --- convert --------------------------------------------------------------------------------------


def test_convert_says_what_it_wrote(command: Command, tmp_path: Path) -> None:
    path = write(tmp_path / "chat.txt", "31.12.23, 21:41 - Ada: Hi", "31.12.23, 21:42 - Ben: Hey")
    out = tmp_path / "out.jsonl"
    code, _, err = command("convert", path, "--assistant", "Ben", "--out", out)
    assert code == 0
    assert f"wrote 1 conversations to {out}" in err
    assert f"firstwords train --chat-data {out}" in err
    code, _, err = command("convert", path, "--out", out)
    assert code == 2
    assert "add --assistant with one of: Ada, Ben" in err


@pytest.mark.parametrize("name", ["convert", "notes"])
def test_only_json_lines_are_written(command: Command, tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.txt"
    path.write_text("Ben plays the harp.\n")
    code, _, err = command(name, path, "--out", tmp_path / "out.csv")
    assert code == 2
    assert "out.csv is no .jsonl file" in " ".join(err.split())
    assert command(name, path, "--out", tmp_path / "out.JSONL")[0] == 0


def test_columns_that_are_not_two(command: Command, tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "x,y", "1,2")
    code, _, err = command("convert", path, "--columns", "x", "--out", tmp_path / "o.jsonl")
    assert code == 2
    assert "'x' is not two columns" in err
