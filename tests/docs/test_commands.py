"""Every command that README, the quickstart and the guides show works after README's first command:
in a clean clone, in its own environment, without a network."""

import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from clean_clone import CleanClone, Outcome
from documents import ROOT
from shown_commands import DOCUMENTS, NEEDS, ShownCommand, row_commands, shown_commands
from substitutions import Inputs, runs_to_copy, substitute

SHOWN = [command for document in DOCUMENTS for command in shown_commands(document)]
RUNNABLE = [command for command in SHOWN if not command.needs]
Outcomes = dict[ShownCommand, Outcome]


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CleanClone]:
    if not shutil.which("git") or not (ROOT / ".git").exists():
        pytest.skip("needs git and a clone")
    clone = CleanClone(tmp_path_factory.mktemp("commands"))
    clone.install()
    yield clone
    shutil.rmtree(clone.root)  # more than a gigabyte


@pytest.fixture(scope="module")
def trained(clone: CleanClone) -> Outcome:
    outcome = clone.train()
    assert outcome.code == 0, outcome.output
    return outcome


@pytest.fixture(scope="module")
def outcomes(clone: CleanClone, trained: Outcome) -> Outcomes:
    """The outcome of each command. As many documents run at a time as there are cores, those with
    the most commands first."""
    by_document: dict[str, list[ShownCommand]] = {}
    for command in RUNNABLE:
        by_document.setdefault(command.document, []).append(command)
    longest_first = sorted(by_document.values(), key=len, reverse=True)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found: Outcomes = {}
        for part in pool.map(lambda shown: clone.run_document(shown, trained), longest_first):
            found |= part
    return found


@pytest.mark.parametrize("command", SHOWN, ids=str)
def test_marks_are_known(command: ShownCommand) -> None:
    assert not command.needs or NEEDS.fullmatch(command.needs), f"unknown mark: {command.needs}"


def test_commands_are_found() -> None:
    assert {command.document for command in RUNNABLE} >= {"README.md", "docs/quickstart.md"}
    assert any(command.script == "firstwords serve" for command in RUNNABLE)


def test_rows_of_commands() -> None:
    row = "`firstwords trace A`, `--chat` too; `docker build .` <!-- needs: docker --> in `src` |"
    assert row_commands(row) == [
        ("firstwords trace A", ""),
        ("firstwords trace A --chat", ""),
        ("docker build .", "docker"),
    ]
    with pytest.raises(ValueError, match="not a whole command"):
        row_commands("`train --log-to wandb` |")


@pytest.mark.parametrize(
    ("shown", "runs", "copied"),
    [
        ("firstwords train --time 5m --run x", "firstwords train --time 60s --run x", {"x"}),
        (
            "firstwords train --set a=1 --run x",
            "firstwords train --set a=1 --run x --recipe R",
            set(),
        ),
        (
            "firstwords tokenizer --time 30m --run x",
            "firstwords tokenizer --run x --recipe R",
            set(),
        ),
        ("firstwords plan --time 1h", "firstwords plan --time 1h", set()),
        ("firstwords chat --run x", "firstwords chat --run x", {"x"}),
        ("firstwords eval --max-items 0", "firstwords eval --max-items 40", set()),
    ],
)
def test_substitutions(shown: str, runs: str, copied: set[str], tmp_path: Path) -> None:
    inputs = Inputs(tmp_path)
    assert substitute(shown, inputs, tmp_path).replace(str(inputs.recipe), "R") == runs
    assert runs_to_copy(shown) == copied


@pytest.mark.commands
def test_installation_from_scratch(clone: CleanClone) -> None:
    assert "installed in" in clone.installed.stderr
    assert "--time" in clone.installed.stdout


@pytest.mark.commands
def test_the_run_of_one_minute(clone: CleanClone, trained: Outcome) -> None:
    assert "installing" not in trained.output  # a second start installs nothing
    print(f"{trained.seconds:.1f} s, {trained.last_line}")
    assert (clone.checkout / "report.html").stat().st_size > 0
    assert (clone.checkout / "report.md").stat().st_size > 0


@pytest.mark.commands
def test_there_is_no_network(clone: CleanClone) -> None:
    if not clone.without_network:
        pytest.skip("no permission to remove the network: the commands run with it")
    listed = clone.execute("python -c 'import socket; print(socket.if_nameindex())'", clone.home)
    assert listed.output == "[(1, 'lo')]\n"


@pytest.mark.commands
@pytest.mark.parametrize("command", RUNNABLE, ids=str)
def test_command(command: ShownCommand, outcomes: Outcomes) -> None:
    outcome = outcomes[command]
    print(f"$ {command.script.strip()}\n{outcome.seconds:.1f} s, {outcome.last_line}")
    shown = f"{outcome.script}\n{outcome.output[-6000:]}"
    assert outcome.code == 0, shown
    assert "Traceback" not in outcome.output, shown
    assert not outcome.missing, f"{outcome.missing} missing after {shown}"


@pytest.mark.commands
def test_chromium_opens_the_pages(outcomes: Outcomes) -> None:
    if not (shutil.which("chromium") or shutil.which("chromium-browser")):
        pytest.skip("needs chromium")
    served = [outcome for outcome in outcomes.values() if "ask_server.py" in outcome.script]
    assert served
    assert all("page chat: answered" in outcome.output for outcome in served)


@pytest.mark.commands
@pytest.mark.usefixtures("outcomes")
def test_what_is_installed_is_used_even_if_it_is_not_known_to_fit(clone: CleanClone) -> None:
    with (clone.checkout / "pyproject.toml").open("a") as file:
        file.write("# another line\n")
    started = clone.start(*clone.without_network)
    assert started.returncode == 0, started.stderr
    assert "checking the packages" in started.stderr
