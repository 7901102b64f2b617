"""The metrics of a stage as points of a curve, read while the file grows: each line only once."""

import os
from collections import deque
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from firstwords.common.errors import DamagedFile
from firstwords.common.schema import check_json
from firstwords.runs.documents import StepMetrics
from firstwords.runs.metrics import mean_rollouts

MAX_POINTS = 400  # of a stage's curve: more cannot be told apart on a screen
RECENT_STEPS = 50  # over which speed and loss are averaged


class Point(NamedTuple):
    """The means of successive steps."""

    n_steps: int
    step: int  # the last of them
    seconds: float  # of training up to that step
    loss: float
    lr: float
    rollouts: dict[str, Any]  # as `mean_rollouts` returns them


class LiveMetrics:
    """The points of a stage with so many planned steps. A point has a fixed place, so that only the
    last one changes while the stage is training."""

    def __init__(self, path: Path, planned_steps: int) -> None:
        self._path, self._steps_per_point = path, max(1, -(-planned_steps // MAX_POINTS))
        self._forget()

    def _forget(self) -> None:
        self.points: list[Point] = []
        self.recent: deque[dict[str, Any]] = deque(maxlen=RECENT_STEPS)
        self.seconds = 0.0
        self._rollouts: list[dict[str, Any]] = []  # steps of the last point that have rewards
        self.file_id = 0  # another one after the file was replaced; 0 without a file
        self._offset = 0

    def refresh(self) -> None:
        """Read the lines written since the last time. Training that is resumed replaces the file,
        which is then read again."""
        try:
            with self._path.open("rb") as file:
                self._read(file)
        except OSError:
            self._forget()

    def _read(self, file: BinaryIO) -> None:
        stat = os.fstat(file.fileno())
        if stat.st_ino != self.file_id or stat.st_size < self._offset:
            self._forget()
            self.file_id = stat.st_ino
        file.seek(self._offset)
        *lines, incomplete = file.read().split(b"\n")
        self._offset = file.tell() - len(incomplete)
        for line in lines:
            try:
                self._add(check_json(StepMetrics, line))
            except DamagedFile:
                continue  # reported by the commands that need every line

    def _add(self, step: dict[str, Any]) -> None:
        self.recent.append(step)
        self.seconds += step["seconds"]
        n, loss, lr = 0, 0.0, 0.0
        if self.points and self._place(self.points[-1].step) == self._place(step["step"]):
            n, _, _, loss, lr, _ = self.points.pop()
        else:
            self._rollouts = []
        if "reward" in step:
            self._rollouts.append(step)
        mean_loss = loss + (step["loss"] - loss) / (n + 1)
        mean_lr = lr + (step["lr"] - lr) / (n + 1)
        rollouts = mean_rollouts(self._rollouts)
        self.points.append(Point(n + 1, step["step"], self.seconds, mean_loss, mean_lr, rollouts))

    def _place(self, step: int) -> int:
        return (step - 1) // self._steps_per_point
