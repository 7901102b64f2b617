"""Fixtures: lab folders, and the command."""

from collections.abc import Callable
from pathlib import Path

import pytest
from lab_desk import LabDesk, lab_named

from firstwords.cli.main import run_command


@pytest.fixture
def desk(tmp_path: Path) -> Callable[[str], LabDesk]:
    return lambda name: LabDesk(lab_named(name), tmp_path)


@pytest.fixture
def lab_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """`firstwords lab ...` in `tmp_path`; returns exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        try:
            code = run_command(["lab", *arguments])
        except SystemExit as error:
            code = int(error.code or 0)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run
