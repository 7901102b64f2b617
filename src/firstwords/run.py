"""A run: one directory that holds everything about one model.

    run.json                            what the run is; written once
    tokenizer/tokenizer.json            the tokenizer, as Hugging Face's libraries open it
    tokenizer/stats.json                how well it compresses
    tokens/{text,chat}/{train,val}/     encoded corpora, in shards
    tokens/{text,chat}/{train,val}.source.json  what files they were encoded from
    checkpoints/{base,mid,sft}/         the newest two checkpoints of each stage, by step
    metrics/{base,mid,sft}.jsonl        a line for each step
    album/                              what the model made of the same prompts as it grew
    tensorboard/{base,mid,sft}/         the metrics once more, as TensorBoard reads them
    wandb/                              and as Weights & Biases does, with --track wandb
    evaluation/{base,mid,sft}.json      scores, samples, loss on answers
    evaluation/{base,mid,sft}.*.jsonl   every item of a benchmark, and what was answered
    evaluation/{base,mid,sft}.*.part.json  while an evaluation goes on, the parts that are done
    timings.json                        seconds and peak memory of each phase
    report.{md,html}                    all of it, to read
    lock                                held by the process that works on the run

What is done is read off these files; there is no other state to get out of step with them.
"""

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

from filelock import FileLock, Timeout
from pydantic import Field

from firstwords import checkpoint, console, files, machine
from firstwords.checkpoint import Checkpoint
from firstwords.distributed import World
from firstwords.errors import UserError
from firstwords.model import Transformer
from firstwords.recipe import STAGES, Fixed, Recipe, Stage, parse, read_document
from firstwords.tokenizer import Tokenizer
from firstwords.training import Step

# Told of a stage, of how to get a copy of its model (all processes ask together, the leader gets
# it), of its tokenizer and the steps done before, it hears of each step after.
Copier = Callable[[], Transformer | None]
Watcher = Callable[[Stage, Copier, Tokenizer, int], AbstractContextManager[Callable[[Step], None]]]


class Sources(Fixed):
    data: str = "starter"
    chat_data: str = "starter"


class Manifest(Fixed):
    """run.json."""

    firstwords: str  # the version that started the run
    created: str  # when, in UTC
    time: float = Field(gt=0)  # the budget in seconds
    sources: Sources  # where text and conversations come from: `data`, `chat_data`
    recipe: Recipe  # every hyper-parameter
    machine: dict[str, Any]  # processor, memory, system, versions
    predicted: dict[str, Any]  # what the plan expects; empty if a recipe was given


def now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


class Run:
    def __init__(self, directory: Path, manifest: Manifest) -> None:
        self.directory, self.manifest = directory, manifest
        self.watchers: list[Watcher] = []  # of its training
        self.world = World()  # the processes that work on it
        self._warned: set[str] = set()
        self._clock: tuple[str, float] | None = None  # the phase that is timed, and since when

    @property
    def name(self) -> str:
        return self.directory.name

    @property
    def recipe(self) -> Recipe:
        return self.manifest.recipe

    @property
    def tokenizer_path(self) -> Path:
        return self.directory / "tokenizer" / "tokenizer.json"

    @property
    def tokenizer_stats_path(self) -> Path:
        return self.directory / "tokenizer" / "stats.json"

    def tokens(self, kind: str, split: str) -> Path:
        return self.directory / "tokens" / kind / split

    def checkpoints(self, stage: Stage) -> Path:
        return self.directory / "checkpoints" / stage

    def metrics(self, stage: Stage) -> Path:
        return self.directory / "metrics" / f"{stage}.jsonl"

    def evaluation(self, stage: Stage) -> Path:
        return self.directory / "evaluation" / f"{stage}.json"

    def records(self, stage: Stage, task: str) -> Path:
        """What came of each item of a benchmark."""
        return self.directory / "evaluation" / f"{stage}.{task}.jsonl"

    def evaluation_part(self, stage: Stage, part: str) -> Path:
        return self.directory / "evaluation" / f"{stage}.{part}.part.json"

    def evaluation_parts(self) -> list[Path]:
        """Those that are there."""
        return sorted((self.directory / "evaluation").glob("*.part.json"))

    def newest(self, stage: Stage) -> Checkpoint | None:
        return checkpoint.newest(self.checkpoints(stage), self._warn_once)

    def _warn_once(self, text: str) -> None:
        if text not in self._warned:
            self._warned.add(text)
            console.warn(text)

    def finished(self, stage: Stage) -> Checkpoint | None:
        """The checkpoint after the stage's last step, if it has come that far."""
        found = self.newest(stage)
        return found if found and found.step >= self.recipe.stage(stage).steps else None

    def finished_or_fail(self, stage: Stage) -> Checkpoint:
        """Raises UserError that names the command to run first."""
        found = self.finished(stage)
        if found is None:
            command = {"base": "pretrain", "mid": "midtrain", "sft": "sft"}[stage]
            raise UserError(
                f"run {self.name} has not finished the stage {stage}",
                f"first run: firstwords {command} --run {self.name}",
            )
        return found

    def newest_of(self, stage: Stage | None) -> tuple[Stage, Checkpoint]:
        """The newest checkpoint of a stage; of the furthest one where none is named.

        Raises UserError.
        """
        for candidate in [stage] if stage else reversed(STAGES):
            if found := self.newest(candidate):
                return candidate, found
        raise UserError(
            f"run {self.name} has no checkpoint" + (f" of {stage}" if stage else ""),
            f"go on with it: firstwords train --run {self.name}",
        )

    def timings(self) -> dict[str, dict[str, float]]:
        path = self.directory / "timings.json"
        return files.read_json(path) if path.exists() else {}

    @contextmanager
    def timed(self, phase: str) -> Iterator[None]:
        """Add this block's wall time to the phase's, whether it ends well or not."""
        self._clock = phase, time.monotonic()
        try:
            yield
        finally:
            self.keep_time()
            self._clock = None

    def keep_time(self) -> None:
        """Add what a timed block has taken so far: from time to time, or a kill would lose it."""
        if self._clock is None or not self.world.leads:
            return
        (phase, since), now = self._clock, time.monotonic()
        self._clock = phase, now
        seconds, timings = now - since, self.timings()
        before = timings.get(phase, {"seconds": 0.0, "peak_memory": 0.0})
        timings[phase] = {
            "seconds": before["seconds"] + seconds,
            "peak_memory": max(before["peak_memory"], machine.peak_memory()),
        }
        files.write_json(self.directory / "timings.json", timings)


def runs_home() -> Path:
    return machine.home() / "runs"


def check_name(name: str) -> None:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", name):
        shown = name[:80].encode("ascii", "backslashreplace").decode()
        raise UserError(
            f"--run {shown}",
            "use a name of letters, digits, dots and dashes, such as first or real-10m",
        )


@contextmanager
def locked(name: str) -> Iterator[Path]:
    """The directory of run `name`, held against every other process. Raises UserError."""
    check_name(name)
    directory = runs_home() / name
    _make_directory(directory)
    try:
        with FileLock(directory / "lock", timeout=0):
            files.remove_leftovers(directory)
            yield directory
    except Timeout:
        raise UserError(
            f"--run {name}",
            "another process is working on this run; wait for it or use another name",
        ) from None


def _make_directory(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except (PermissionError, NotADirectoryError, FileExistsError) as error:
        raise UserError(
            f"cannot make the directory {directory} ({error.strerror})",
            "set FIRSTWORDS_HOME to a directory that you can write to",
        ) from None


def create(directory: Path, manifest: Manifest) -> Run:
    files.write_json(directory / "run.json", manifest.model_dump())
    return Run(directory, manifest)


def exists(directory: Path) -> bool:
    return (directory / "run.json").exists()


def open_directory(directory: Path) -> Run:
    path = directory / "run.json"
    return Run(directory, parse(Manifest, read_document(path), path))


def started_runs() -> list[Path]:
    """The directories of all runs, the one that was started last first."""
    found = runs_home().glob("*/run.json")
    return [path.parent for path in sorted(found, key=lambda path: -path.stat().st_mtime)]


def open_run(name: str | None) -> Run:
    """An existing run; without a name the one that was started last. Raises UserError."""
    home, started = runs_home(), started_runs()
    if name is None:
        if not started:
            raise UserError(f"there is no run in {home}", "make one with: firstwords train")
        return open_directory(started[0])
    check_name(name)
    if not exists(home / name):
        known = ", ".join(path.name for path in started) or "none yet"
        raise UserError(f"--run {name}", f"no such run (there are: {known})")
    return open_directory(home / name)


def read_metrics(path: Path) -> list[dict[str, float]]:
    """Every whole line; a kill may have left half of the last one."""
    if not path.exists():
        return []
    metrics = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            metrics.append(json.loads(line))
        except ValueError:
            break
    return metrics


class Course(NamedTuple):
    """How a stage's training went: nats per target, and seconds spent in steps."""

    first_loss: float
    last_loss: float  # mean of the last 20 steps
    seconds: float


def course(metrics: list[dict[str, float]]) -> Course:
    last = [step["loss"] for step in metrics[-20:]]
    seconds = sum(step["seconds"] for step in metrics)
    return Course(metrics[0]["loss"], sum(last) / len(last), seconds)


def keep_metrics(path: Path, step: int) -> None:
    """Forget the steps after `step`: they are about to be taken again."""
    lines = [json.dumps(m) + "\n" for m in read_metrics(path) if m["step"] <= step]
    files.write_text(path, "".join(lines))
