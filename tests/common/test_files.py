"""Files are complete or absent, whenever the process is killed."""

import contextlib
import errno
import os
import random
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from power_cuts import FATES, KEPT, LOST, SimulatedDisk

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


def test_a_file_is_flushed_before_it_is_renamed_and_its_directory_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed = []

    def fsync(descriptor: int) -> None:
        flushed.append((os.fstat(descriptor).st_ino, (tmp_path / "a.txt").exists()))

    monkeypatch.setattr(os, "fsync", fsync)
    files.write_text(tmp_path / "a.txt", "hello")
    file, directory = ((tmp_path / name).stat().st_ino for name in ("a.txt", "."))
    assert flushed == [(file, False), (directory, True)]


@pytest.mark.parametrize("code", [errno.EINVAL, errno.EIO])
def test_a_directory_that_cannot_be_flushed_is_no_error_but_a_failing_disk_is(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fsync(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", fsync)
    fails = pytest.raises(OSError, match=os.strerror(code))
    with contextlib.nullcontext() if code == errno.EINVAL else fails:
        files.write_text(tmp_path / "a.txt", "hello")
    assert (tmp_path / "a.txt").read_text() == "hello"


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


# --- power cuts -----------------------------------------------------------------------------------


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SimulatedDisk]:
    (tmp_path / "disk").mkdir()
    disk = SimulatedDisk(tmp_path / "disk")
    monkeypatch.setattr(os, "fsync", disk.fsync)
    yield disk
    disk.close()


def contents(directory: Path) -> dict[str, bytes]:
    """Return the content of every file without a temporary name."""
    found = {str(p.relative_to(directory)): p for p in directory.rglob("*") if p.is_file()}
    return {name: p.read_bytes() for name, p in found.items() if files.TEMPORARY not in name}


def write_directory(path: Path) -> None:
    with files.atomic_directory(path) as new:
        (new / "deep").mkdir()
        (new / "deep" / "b").write_bytes(b"written without flushing")
        files.write_text(new / "a", "new")


@pytest.mark.parametrize(
    "change",
    [
        lambda root: files.write_text(root / "old.txt", "replaced"),
        lambda root: files.write_text(root / "made" / "for" / "it.txt", "new"),
        lambda root: write_directory(root / "made" / "directory"),
        lambda root: files.remove_directory(root / "old"),
    ],
    ids=["replaced file", "new file", "new directory", "removed directory"],
)
def test_a_power_cut_leaves_the_old_state_or_the_new_one(
    change: Callable[[Path], None], disk: SimulatedDisk, tmp_path: Path
) -> None:
    root, rng, survivors = tmp_path / "disk", random.Random(0), []
    files.write_text(root / "old.txt", "old")
    write_directory(root / "old")
    old = contents(root)

    def cut() -> None:
        for fate in (lambda: LOST, lambda: KEPT, *[lambda: rng.choice(FATES)] * 10):
            path = disk.survivors(tmp_path / f"survivors{len(survivors)}", fate)
            survivors.append(contents(path))

    disk.on_sync = cut
    change(root)
    assert contents(disk.survivors(tmp_path / "done", lambda: LOST)) == contents(root)
    for found in survivors:
        assert found in (old, contents(root))


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
