"""Fixtures: lab folders, the labs' small model, and the command."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from lab_desk import SHORT, LabDesk, lab_named

from firstwords.cli.main import run_command
from firstwords.common import hardware
from firstwords.labs.lab import LabSettings
from firstwords.labs.small_model_run import open_trained_run


@pytest.fixture(autouse=True)
def _one_core(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let experiments train in one thread. With one for each core in every process of pytest, the
    threads would mostly wait for each other."""
    monkeypatch.setattr(hardware, "physical_cores", lambda: 1)


@pytest.fixture
def desk(tmp_path: Path) -> Callable[[str], LabDesk]:
    return lambda name: LabDesk(lab_named(name), tmp_path)


@pytest.fixture(scope="session")
def home_of_short_training(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the labs' small model, trained for a fiftieth of its steps."""
    home = tmp_path_factory.mktemp("labs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FIRSTWORDS_HOME", str(home))
        patch.setattr(hardware, "physical_cores", lambda: 1)
        open_trained_run(LabSettings(effort=SHORT))
    return home


@pytest.fixture
def short_training(home: Path, home_of_short_training: Path) -> None:
    """Let the labs' small model be in the test's home, so that the test need not train it."""
    shutil.copytree(home_of_short_training / "labs", home / "labs")


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
