"""What a run is and how good its model is, in a few figures, for lists of runs. Needs no torch.

A summary reads only small files and the last line of each stage's metrics, so a page may ask for it
every few seconds.
"""

import json
import os
import threading
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

from firstwords.common.errors import UserError
from firstwords.common.locks import is_locked
from firstwords.model.size import n_parameters
from firstwords.recipe import STAGES, Stage
from firstwords.runs import checkpoints, registry
from firstwords.runs.run import Run

STATES = ("training", "stopped", "finished", "broken")
LAST_LINE_BYTES = 4096  # at the end of a file of metrics: a line has about 200


class DirectorySize(NamedTuple):
    """The files of a directory: how many, the bytes they take on the disk, the newest change, and a
    number that is another one once any of them was written anew, whatever the clock said."""

    n_files: int
    disk_bytes: int
    changed: float
    version: int


class RunSummaries:
    """The summaries of runs, each computed again only after a file of the run has changed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[Path, tuple[DirectorySize, dict[str, Any]]] = {}

    def list(self, directories: list[Path]) -> list[dict[str, Any]]:
        """Return the summary of each run, in the given order."""
        with self._lock:
            found = {directory: self._summary(directory) for directory in directories}
            self._known = {path: self._known[path] for path in found}
        return [*found.values()]

    def _summary(self, directory: Path) -> dict[str, Any]:
        size = directory_size(directory)
        known = self._known.get(directory)
        if known is None or known[0] != size:
            known = size, _summarize(directory, size)
            self._known[directory] = known
        summary = known[1]
        is_training = summary["state"] == "stopped" and is_locked(directory / "lock")
        return summary | ({"state": "training"} if is_training else {})


def summarize(directory: Path) -> dict[str, Any]:
    """Return the summary of the run in a directory, also of one whose manifest is damaged."""
    return RunSummaries().list([directory])[0]


def _summarize(directory: Path, size: DirectorySize) -> dict[str, Any]:
    """Return the summary of a run as if no process worked on it."""
    basics = {"name": directory.name, "disk_bytes": size.disk_bytes}
    try:
        run = registry.open_run_directory(directory)
    except UserError as error:
        created = datetime.fromtimestamp(size.changed, timezone.utc).isoformat(timespec="seconds")
        return basics | {"state": "broken", "problem": error.problem, "created": created}
    finished = is_finished(run)
    steps = {stage: last_step(run, stage) for stage in run.recipe.stages}
    scores, recipe = newest_scores(run), run.recipe
    return {
        **basics,
        "created": run.manifest.created,
        "state": "finished" if finished else "stopped",
        "stage": next((stage for stage in reversed(recipe.stages) if steps[stage]), None),
        "progress": 1.0 if finished else _progress(run, steps),
        "data": run.manifest.sources.text_line,
        "chat_data": run.manifest.sources.chat_line,
        "origin": str(run.manifest.origin or ""),
        "personality": run.assistant_name(recipe.stages[-1]),
        "parameters": n_parameters(recipe.model),
        "context": recipe.model.max_seq_len,
        "tokens": sum(count * recipe.stage(stage).batch_tokens for stage, count in steps.items()),
        "seconds": run.total_seconds(),
        "budget_seconds": run.manifest.time,
        "seed": recipe.seed,
        **scores,
        "machine": machine_title(run.manifest.machine),
        "firstwords": run.manifest.firstwords,
    }


def is_finished(run: Run) -> bool:
    """Return whether the last stage has taken its last step and is evaluated. Checksums are left to
    who opens a checkpoint."""
    stage = run.recipe.stages[-1]
    listed = checkpoints.list_checkpoints(run.checkpoints(stage))
    was_trained = bool(listed) and listed[0].step >= run.recipe.stage(stage).steps
    return was_trained and run.evaluation(stage).is_file() and not run.evaluation_parts()


def _progress(run: Run, steps: dict[Stage, int]) -> float:
    """Return the share of the run's training tokens that it has been trained on."""
    stages = [(count, run.recipe.stage(stage)) for stage, count in steps.items()]
    done = sum(step * stage.batch_tokens for step, stage in stages)
    return done / sum(stage.tokens for _, stage in stages)


def last_step(run: Run, stage: Stage) -> int:
    """Return the newest step in the metrics of a stage, 0 without any."""
    try:
        with run.metrics(stage).open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - LAST_LINE_BYTES))
            lines = file.read().split(b"\n")
    except OSError:
        return 0
    for line in reversed(lines):
        try:
            return int(json.loads(line)["step"])
        except (ValueError, TypeError, KeyError):
            continue  # an empty or incomplete line: its writer may be at work
    return 0


def newest_scores(run: Run) -> dict[str, Any]:
    """Return the `exam` and `bits_per_byte` of the latest stage that has been evaluated."""
    evaluations = (run.read_evaluation(stage) for stage in reversed(STAGES))
    tasks: dict[str, Any] = next((found["tasks"] for found in evaluations if found), {})
    return {name: _score(tasks.get(name)) for name in ("exam", "bits_per_byte")}


def _score(task: dict[str, Any] | None) -> dict[str, Any] | None:
    return {name: task[name] for name in ("score", "ci95", "n")} if task else None


def machine_title(machine: dict[str, Any]) -> str:
    """Return the GPUs of a machine, or else its processor and number of cores."""
    if gpus := machine.get("gpus"):
        return ", ".join(str(gpu) for gpu in gpus)
    cores = f", {machine['cores']} cores" if "cores" in machine else ""
    return f"{machine['cpu']}{cores}" if "cpu" in machine else ""


def directory_size(directory: Path) -> DirectorySize:
    """Return the size of a directory with everything in it; files removed meanwhile are ignored."""
    n_files, n_bytes, changed = 0, 0, 0.0
    versions = set()
    for parent, _, names in os.walk(directory):
        for path in (Path(parent, name) for name in names):
            try:
                stat = path.lstat()
            except FileNotFoundError:
                continue
            n_files, n_bytes = n_files + 1, n_bytes + 512 * stat.st_blocks
            changed = max(changed, stat.st_mtime)
            versions.add((path, stat.st_ino, stat.st_mtime_ns, stat.st_size))
    return DirectorySize(n_files, n_bytes, changed, hash(frozenset(versions)))
