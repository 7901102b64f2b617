"""Desks to work at, and the command."""

from collections.abc import Callable
from pathlib import Path

import pytest
from desk import Desk, lab_named

from firstwords.cli import run_command


@pytest.fixture
def desk(tmp_path: Path) -> Callable[[str], Desk]:
    return lambda name: Desk(lab_named(name), tmp_path)


@pytest.fixture
def lab_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """`firstwords lab ...` in the directory of the desks: exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        try:
            code = run_command(["lab", *arguments])
        except SystemExit as leaving:
            code = int(leaving.code or 0)
        said = capsys.readouterr()
        return code, said.out, said.err

    return run
