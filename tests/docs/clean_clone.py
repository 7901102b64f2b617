"""A clean clone with its own environment and a run of one minute, where shown commands run.

Each document has a copy of the home directory, so that documents run beside each other.
"""

import os
import re
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from documents import ROOT
from shown_commands import ShownCommand
from substitutions import Inputs, runs_to_copy, substitute
from waiting import LIMIT_SECONDS

RUN = "hello"  # the name in README's first screen
TRAIN = f"bash scripts/local_cpu_train.sh --time 60s --run {RUN}"
RUNS = Path(".cache", "firstwords", "runs")
WRITTEN = re.compile(r"(?:--out|--html|slurm init|>) ([^\s<>&]+)")
LOOPBACK_ONLY = 'ip link set lo up && exec "$@"'


class Outcome(NamedTuple):
    """How a command ended, and which files that it names are missing or empty."""

    script: str
    code: int
    output: str
    seconds: float
    missing: list[str]

    @property
    def last_line(self) -> str:
        return next((line for line in self.output.splitlines()[::-1] if line.strip()), "")


class CleanClone:
    """The clone, and the home directory of its user."""

    def __init__(self, root: Path) -> None:
        self.root, self.checkout = root, root / "a clean clone"
        self.home, self.inputs = root / "a user's home", Inputs(root)
        self.without_network = network_remover()

    def install(self) -> None:
        """Clone the checkout, with its uncommitted changes, and install its packages."""
        self.home.mkdir()
        self.inputs.write()
        git = ["git", "-c", "safe.directory=*"]
        _check([*git, "clone", "--quiet", str(ROOT), str(self.checkout)])
        changes = _check([*git, "-C", str(ROOT), "diff", "--binary", "HEAD"])
        if changes:
            _check([*git, "-C", str(self.checkout), "apply"], input=changes)
        self.installed = self.start()
        assert self.installed.returncode == 0, self.installed.stderr[-4000:]

    def start(self, *prefix: str) -> "subprocess.CompletedProcess[str]":
        """Start README's first command for its help; it installs what is missing."""
        return subprocess.run(
            [*prefix, "bash", "scripts/local_cpu_train.sh", "--help"],
            cwd=self.checkout,
            capture_output=True,
            text=True,
            timeout=LIMIT_SECONDS,
            check=False,
        )

    def train(self) -> Outcome:
        """Make the run of one minute, without the network. Then let a plan benchmark the machine,
        once for all copies of this home."""
        trained = self.execute(TRAIN, self.home)
        self.execute("firstwords plan --time 30m", self.home)
        return trained

    def run_document(
        self, commands: Sequence[ShownCommand], trained: Outcome
    ) -> dict[ShownCommand, Outcome]:
        """Run the commands of one document in their order, in a home of their own. The command
        that made the run of one minute has that outcome."""
        home = self.root / commands[0].document.replace("/", " ")
        shutil.copytree(self.home, home)
        runs, outcomes = home / RUNS, {}
        for command in commands:
            for name in runs_to_copy(command.script):
                if not (runs / name).exists():
                    shutil.copytree(runs / RUN, runs / name)
            script = substitute(command.script, self.inputs, runs).strip()
            outcomes[command] = trained if script == TRAIN else self.execute(script, home)
        return outcomes

    def execute(self, script: str, home: Path) -> Outcome:
        """Run a script in the clone, without the network. It reads the line "Hello"."""
        started = time.monotonic()
        path = f"{self.checkout / '.venv' / 'bin'}:{os.environ['PATH']}"
        done = subprocess.run(
            [*self.without_network, "bash", "-euo", "pipefail", "-c", script],
            cwd=self.checkout,
            env=_kept_environment() | {"PATH": path, "HOME": str(home)},
            input="Hello\n",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=LIMIT_SECONDS,
            check=False,
        )
        missing = [name for name in WRITTEN.findall(script) if _is_empty(self.checkout / name)]
        return Outcome(script, done.returncode, done.stdout, time.monotonic() - started, missing)


def network_remover() -> list[str]:
    """Return the command that runs another one with no network but this computer; [] if that is
    not permitted."""
    for option in ("-n", "-rn"):
        prefix = ["unshare", option, "sh", "-c", LOOPBACK_ONLY, "sh"]
        if shutil.which("unshare") and _works([*prefix, "true"]):
            return prefix
    return []


def _kept_environment() -> dict[str, str]:
    """Return the variables that a command inherits: none that points to another environment."""
    return {name: os.environ[name] for name in ("LANG", "LC_ALL", "TMPDIR") if name in os.environ}


def _works(command: list[str]) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _is_empty(path: Path) -> bool:
    if path.is_dir():
        return not any(path.iterdir())
    return not path.exists() or path.stat().st_size == 0


def _check(command: list[str], **options: Any) -> bytes:
    done = subprocess.run(command, capture_output=True, check=False, **options)
    assert done.returncode == 0, (done.stdout + done.stderr).decode(errors="replace")[-4000:]
    return bytes(done.stdout)
