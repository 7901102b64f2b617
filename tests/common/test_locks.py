"""Locks on file systems that have none."""

import errno
import fcntl
import os
from pathlib import Path

import pytest

from firstwords.common.locks import exclusive_lock


@pytest.mark.parametrize("name", ["ENOLCK", "EOPNOTSUPP", "EIO"])
def test_a_file_system_without_locks_gives_a_note(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    number = getattr(errno, name)

    def flock(descriptor: int, operation: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)
    entered = False
    with exclusive_lock(tmp_path / "lock"):
        entered = True
    assert entered
    note = capsys.readouterr().err
    assert note.count("\n") == 1
    assert os.strerror(number) in note


def test_other_errors_of_the_block_and_the_lock_are_raised(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError), exclusive_lock(tmp_path / "file" / "lock"):  # noqa: PT011
        pass
    with pytest.raises(OSError, match="mine"), exclusive_lock(tmp_path / "lock"):
        raise OSError(errno.EIO, "mine")
