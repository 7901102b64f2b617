"""A disk that refuses to be written to: one line, or a note where the output is optional."""

import errno
import os
import resource
from pathlib import Path

import numpy as np
import pytest

from firstwords.common import disk


@pytest.mark.parametrize("number", disk.FAILURES)
def test_a_failure_names_the_file_and_the_way_on(number: int) -> None:
    line = disk.explain(OSError(number, os.strerror(number), "/data/run.json"))
    assert line is not None
    assert "(/data/run.json); " in line
    assert "then run the same command again" in line
    assert disk.explain(OSError(number, os.strerror(number))) is not None  # without a name


def test_an_array_that_numpy_cannot_write_is_reported(tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with (tmp_path / "a").open("wb") as file:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
        try:
            with pytest.raises(OSError, match="requested and") as caught:
                np.zeros(10_000).tofile(file)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "the size limit" in str(disk.explain(caught.value))


def test_other_errors_are_not_the_disks() -> None:
    assert disk.explain(FileNotFoundError(errno.ENOENT, "No such file or directory", "a")) is None
    assert disk.explain(OSError("no number")) is None


@pytest.mark.parametrize("number", [*disk.NOT_WRITABLE, errno.EISDIR, errno.ENOTDIR])
def test_optional_output_is_left_out_with_a_note(
    number: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with disk.optional_output("the answers"):
        raise OSError(number, os.strerror(number), "/data/x.jsonl")
    note = capsys.readouterr().err
    assert "the answers are not saved" in note
    assert "/data/x.jsonl" in note


def test_a_full_disk_stops_optional_output_too(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="full"), disk.optional_output("the answers"):
        raise OSError(errno.ENOSPC, "the disk is full")
