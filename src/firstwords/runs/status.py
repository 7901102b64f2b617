"""The progress of a run, read from its files, also while another process is training it.

A page asks every two seconds on the machine that trains, so a file is read again only after it
changed, and no checksum is computed.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from firstwords.common.locks import is_locked
from firstwords.recipe import STAGES, Stage
from firstwords.runs import checkpoints, phases
from firstwords.runs.documents import Sample, read_or_none
from firstwords.runs.live_metrics import RECENT_STEPS, LiveMetrics, Point
from firstwords.runs.metrics import mean_rollouts
from firstwords.runs.run import Run
from firstwords.runs.time_left import PhaseTime, seconds_left, total

# On a file system without locks, a run counts as running for so long after a file of it changed.
QUIET_SECONDS = 30


class StageProgress(NamedTuple):
    """The newest step of a stage, and its speed over the last steps."""

    step: int
    steps: int
    tokens_per_second: float
    seconds_left: float


def stage_progress(run: Run, stage: Stage, metrics: list[dict[str, Any]]) -> StageProgress:
    """Return the progress of a stage from its metrics, which need at least one step."""
    config, recent = run.recipe.stage(stage), metrics[-RECENT_STEPS:]
    seconds_per_step = sum(step["seconds"] for step in recent) / len(recent)
    step = int(metrics[-1]["step"])
    return StageProgress(
        step=step,
        steps=config.steps,
        tokens_per_second=config.batch_tokens / seconds_per_step,
        seconds_left=(config.steps - step) * seconds_per_step,
    )


class RunProgress:
    """The progress of a run; keeps what it has read."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self._files = FileCache()
        self._metrics = {
            stage: LiveMetrics(run.metrics(stage), run.recipe.stage(stage).steps)
            for stage in run.recipe.stages
        }
        self._phases_of_run = phases.phases_of(run)

    def document(self, revision: str = "", start: int = 0) -> dict[str, Any]:
        """Return phases, times, current stage, scores and curve as a JSON document.

        The curve has the points from index `start` on, which a client that has the others asks for
        with the `revision` of its document. With another revision it has all points.
        """
        for metrics in self._metrics.values():
            metrics.refresh()
        run, samples = self.run, self.samples()
        described = self._phases()
        stage = next((s for s in reversed(self._metrics) if self._metrics[s].recent), None)
        return {
            "run": run.name,
            "created": run.manifest.created,
            "state": self._state(described),
            "seconds": sum(phase["seconds"] for phase in described),
            "seconds_left": total([phase["seconds_left"] for phase in described]),
            "budget_seconds": run.manifest.time,
            "phases": described,
            "stage": self._stage(stage) if stage else None,
            "curve": self._curve(revision, start),
            "bits_per_byte": [
                {"stage": sample["stage"], "step": sample["step"], **sample["bits_per_byte"]}
                for sample in samples
            ],
            "forecast": run.manifest.predicted.get("bits_per_byte"),
            "scores": {stage: found for stage in self._metrics if (found := self._scores(stage))},
            "n_samples": len(samples),
        }

    def samples(self) -> list[dict[str, Any]]:
        """Return all samples written during training, in the order of training."""
        paths = (self.run.directory / "samples").glob("[!.]*-*.json")
        read = [self._files.get(path, lambda path: read_or_none(Sample, path)) for path in paths]
        found = [sample for sample in read if sample]
        return sorted(found, key=lambda page: (STAGES.index(page["stage"]), page["step"]))

    # --- phases ---------------------------------------------------------------------------------

    def _phases(self) -> list[dict[str, Any]]:
        done = [self._is_done(phase.name) for phase in self._phases_of_run]
        current = done.index(False) if False in done else None
        times = [
            self._time(phase.name, done[index], index == current)
            for index, phase in enumerate(self._phases_of_run)
        ]
        return [
            {
                "name": phase.name,
                "title": phase.title,
                "done": done[index],
                "current": index == current,
                "seconds": times[index].seconds,
                "seconds_left": left,
                "planned_seconds": times[index].planned,
                **self._work(phase.name),
            }
            for (index, phase), left in zip(
                enumerate(self._phases_of_run), seconds_left(times), strict=True
            )
        ]

    def _is_done(self, name: str) -> bool:
        run = self.run
        if name == "tokenizer":
            return run.tokenizer_path.is_file() and run.tokenizer_stats_path.is_file()
        if name == "evaluation":
            evaluated = all(run.evaluation(stage).is_file() for stage in run.recipe.stages)
            return evaluated and not run.evaluation_parts()
        stage = next(stage for stage in STAGES if stage == name)
        listed = checkpoints.list_checkpoints(run.checkpoints(stage))
        return bool(listed) and listed[0].step >= run.recipe.stage(stage).steps

    def _time(self, name: str, done: bool, current: bool) -> PhaseTime:
        planned = self.run.manifest.predicted.get("phase_seconds", {}).get(name)
        timings = self._files.get(self.run.timings_path, lambda path: self.run.timings()) or {}
        recorded = timings.get(name, {}).get("seconds", 0.0)
        seconds = recorded + (self._unrecorded_seconds() if current else 0.0)
        left = None if done else self._stage_seconds_left(name)
        return PhaseTime(done, seconds, planned, left)

    def _unrecorded_seconds(self) -> float:
        """Return the seconds since times were recorded or the process began, which touched the
        lock; 0 if no process works on the run."""
        lock = self.run.directory / "lock"
        if not is_locked(lock):
            return 0.0
        return max(0.0, time.time() - max(map(modified, (self.run.timings_path, lock))))

    def _stage_seconds_left(self, name: str) -> float | None:
        """Return the estimate of a stage from its speed, or from that of the stage before."""
        stage = next((stage for stage in STAGES if stage == name), None)
        if stage is None:
            return None
        if recent := list(self._metrics[stage].recent):
            return stage_progress(self.run, stage, recent).seconds_left
        if self.run.manifest.predicted:
            return None  # the plan knows better
        begun = next((s for s in reversed(self._metrics) if self._metrics[s].recent), None)
        if begun is None:
            return None
        before = stage_progress(self.run, begun, list(self._metrics[begun].recent))
        return self.run.recipe.stage(stage).tokens / before.tokens_per_second

    def _work(self, name: str) -> dict[str, Any]:
        """Return how much a phase has to do and has done, in steps or parts."""
        if name == "evaluation":
            return {"parts": [path.name.removesuffix(".part.json") for path in self._parts()]}
        stage = next((stage for stage in STAGES if stage == name), None)
        if stage is None:
            return {}
        config, metrics = self.run.recipe.stage(stage), self._metrics[stage]
        step = metrics.recent[-1]["step"] if metrics.recent else 0
        return {
            "step": step,
            "steps": config.steps,
            "tokens": config.tokens,
            "training_seconds": metrics.seconds,
        }

    def _parts(self) -> list[Path]:
        return sorted(self.run.evaluation_parts(), key=modified)

    # --- the rest of the document ---------------------------------------------------------------

    def _state(self, described: list[dict[str, Any]]) -> str:
        if all(phase["done"] for phase in described):
            return "finished"
        directory = self.run.directory
        if is_locked(directory / "lock"):
            return "running"
        paths = [*map(self.run.metrics, STAGES), self.run.timings_path, directory / "evaluation"]
        idle = time.time() - max(map(modified, paths))
        return "running" if idle < QUIET_SECONDS else "stopped"

    def _stage(self, stage: Stage) -> dict[str, Any]:
        recent = list(self._metrics[stage].recent)
        return {
            "name": stage,
            **stage_progress(self.run, stage, recent)._asdict(),
            "loss": sum(step["loss"] for step in recent) / len(recent),
            **mean_rollouts(recent),
        }

    def _curve(self, revision: str, start: int) -> dict[str, Any]:
        """Return the points of all stages in one list."""
        own = "-".join(str(metrics.file_id) for metrics in self._metrics.values())
        points = [
            curve_point(index, point)
            for index, metrics in enumerate(self._metrics.values())
            for point in metrics.points
        ]
        first = start if revision == own and start <= len(points) else 0
        return {"revision": own, "start": first, "points": points[first:]}

    def _scores(self, stage: Stage) -> dict[str, Any] | None:
        path = self.run.evaluation(stage)
        evaluation = self._files.get(path, lambda path: self.run.read_evaluation(stage))
        if not evaluation:
            return None
        return {
            name: {key: task[key] for key in ("title", "score", "ci95", "n")}
            for name, task in evaluation["tasks"].items()
            if "score" in task
        }


def curve_point(stage: int, point: Point) -> list[Any]:
    """Return a point as a JSON list: index of the stage, step, training seconds within the stage,
    loss, learning rate, and in reinforcement learning the means of its rollouts."""
    numbers = [stage, point.step, round(point.seconds, 2), round(point.loss, 5), round(point.lr, 5)]
    return [*numbers, point.rollouts] if point.rollouts else numbers


class FileCache:
    """Values read from files, each read again only after its file has changed."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[tuple[int, int, int], Any]] = {}

    def get(self, path: Path, read: Callable[[Path], Any]) -> Any:
        """Return the value of a file, None if there is no file."""
        try:
            stat = path.stat()
        except OSError:
            return None
        version = (stat.st_ino, stat.st_size, stat.st_mtime_ns)
        if path not in self._known or self._known[path][0] != version:
            self._known[path] = version, read(path)
        return self._known[path][1]


def modified(path: Path) -> float:
    """Return when a file was last changed, 0 if it does not exist."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
