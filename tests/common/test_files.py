"""Files are complete or absent, whenever the process is killed."""

import os
import shutil
from pathlib import Path

import pytest

from firstwords.common import files


class ProcessKilled(BaseException):
    pass


def names(directory: Path) -> list[str]:
    return sorted(str(p.relative_to(directory)) for p in directory.rglob("*"))


def test_a_file_is_replaced_atomically(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.txt"
    for text in ("old", "new"):
        with files.atomic_writer(path) as file:
            file.write(text.encode())
            assert not path.exists() or path.read_text() == "old"
        assert path.read_text() == text
    assert names(tmp_path) == ["new", "new/a.txt"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, ProcessKilled])
def test_an_error_while_writing_leaves_the_old_file(
    error: type[BaseException], tmp_path: Path
) -> None:
    files.write_text(tmp_path / "a.txt", "old")
    with pytest.raises(error), files.atomic_writer(tmp_path / "a.txt") as file:  # noqa: PT012
        file.write(b"partial")
        raise error
    assert (tmp_path / "a.txt").read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_a_file_is_flushed_before_it_is_renamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed = []

    def fsync(descriptor: int) -> None:
        flushed.append((os.fstat(descriptor).st_size, (tmp_path / "a.txt").exists()))

    monkeypatch.setattr(os, "fsync", fsync)
    files.write_text(tmp_path / "a.txt", "hello")
    assert flushed == [(5, False)]


def test_the_files_of_a_directory_are_flushed_before_it_is_renamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed = set()

    def fsync(descriptor: int) -> None:
        if not (tmp_path / "d").exists():
            flushed.add(os.fstat(descriptor).st_ino)

    monkeypatch.setattr(os, "fsync", fsync)
    with files.atomic_directory(tmp_path / "d") as new:
        (new / "deep").mkdir()
        (new / "deep" / "b").write_text("b")
        (new / "a").write_text("a")
    assert {(tmp_path / "d" / name).stat().st_ino for name in ("a", "deep/b")} <= flushed


def test_a_directory_is_replaced_atomically(tmp_path: Path) -> None:
    for name in ("old", "new"):
        with files.atomic_directory(tmp_path / "d") as new:
            (new / name).write_text(name)
            assert not (tmp_path / "d" / "new").exists()
        assert names(tmp_path) == ["d", f"d/{name}"]


def test_an_error_while_filling_a_directory_leaves_the_old_one(tmp_path: Path) -> None:
    with files.atomic_directory(tmp_path / "d") as new:
        (new / "a").write_text("old")
    with pytest.raises(ProcessKilled), files.atomic_directory(tmp_path / "d") as new:  # noqa: PT012
        (new / "a").write_text("partial")
        raise ProcessKilled
    assert names(tmp_path) == ["d", "d/a"]
    assert (tmp_path / "d" / "a").read_text() == "old"


def test_files_left_by_a_killed_process_are_not_reused(tmp_path: Path) -> None:
    (tmp_path / ".tmp-d").mkdir()
    (tmp_path / ".tmp-d" / "stale").write_text("x")
    with files.atomic_directory(tmp_path / "d") as new:
        (new / "a").write_text("a")
    assert names(tmp_path) == ["d", "d/a"]


def kill_while_removing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the removal of `path` fail after its first file."""
    rmtree = shutil.rmtree

    def partial(doomed: Path, *args: object, **kwargs: object) -> None:
        if doomed.exists() and (doomed == path or "removed" in doomed.name):
            next(doomed.iterdir()).unlink()
            raise ProcessKilled
        rmtree(doomed, *args, **kwargs)

    monkeypatch.setattr(shutil, "rmtree", partial)


def test_a_killed_removal_leaves_no_partial_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = tmp_path / "d"
    directory.mkdir()
    for name in ("a", "b"):
        (directory / name).write_text(name)
    with monkeypatch.context() as patch:
        kill_while_removing(directory, patch)
        with pytest.raises(ProcessKilled):
            files.remove_directory(directory)
    assert not directory.exists()
    directory.mkdir()
    files.remove_directory(directory)  # the leftovers of the first removal do not matter
    assert names(tmp_path) == []


def test_a_killed_replacement_leaves_no_partial_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with files.atomic_directory(tmp_path / "d") as new:
        for name in ("a", "b"):
            (new / name).write_text(name)
    with monkeypatch.context() as patch:
        kill_while_removing(tmp_path / "d", patch)
        with pytest.raises(ProcessKilled), files.atomic_directory(tmp_path / "d") as new:
            (new / "c").write_text("c")
    assert names(tmp_path / "d") in ([], ["a", "b"], ["c"])


def test_json_is_readable_and_loads_back(tmp_path: Path) -> None:
    value = {"name": "Grüße 漢字", "rates": [1.5, None]}
    files.write_json(tmp_path / "a.json", value)
    assert files.read_json(tmp_path / "a.json") == value
    assert "Grüße 漢字" in (tmp_path / "a.json").read_text(encoding="utf-8")


def test_the_checksum_is_sha256(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert files.sha256_file(tmp_path / "a") == (
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )
