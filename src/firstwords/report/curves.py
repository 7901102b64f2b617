"""A run's metrics as curves over the tokens read, of a run that is still training as well."""

from collections.abc import Callable
from typing import Any

import numpy as np

from firstwords.recipe import STAGES, Stage
from firstwords.run import Run, read_metrics

POINTS = 300  # of a curve
Steps = list[dict[str, Any]]


class Curves:
    """A run's metrics, the stages after each other over the tokens read."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.metrics: dict[Stage, Steps] = {s: read_metrics(run.metrics(s)) for s in STAGES}
        self.starts: dict[Stage, int] = {}
        tokens = 0
        for stage in STAGES:
            self.starts[stage] = tokens
            tokens += run.recipe.stage(stage).tokens

    def millions(self, stage: Stage, steps: Any) -> Any:
        """Of tokens, after these steps of a stage."""
        return (self.starts[stage] + steps * self.run.recipe.stage(stage).batch_tokens) / 1e6

    def line(self, stage: Stage, of: Callable[[dict[str, Any]], Any]) -> tuple[Any, Any]:
        """A figure of the steps that have it: means of stretches, so that a thousand steps can be
        seen."""
        pairs = [(step["step"], of(step)) for step in self.metrics[stage]]
        found = np.array([pair for pair in pairs if pair[1] is not None], dtype=float)
        if not len(found):
            return np.array([]), np.array([])
        parts = np.array_split(found, min(POINTS, len(found)))
        steps, values = np.array([part.mean(axis=0) for part in parts]).T
        return self.millions(stage, steps), values

    def points(self, stage: Stage, of: Callable[[dict[str, Any]], Any]) -> list[list[float]]:
        """The same as pairs of numbers."""
        xs, values = self.line(stage, of)
        return [[float(x), float(value)] for x, value in zip(xs, values, strict=True)]
