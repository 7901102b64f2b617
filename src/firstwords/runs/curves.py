"""The metrics of a run as curves over the tokens trained on, also while the run is training."""

from collections.abc import Callable
from typing import Any

import numpy as np

from firstwords.recipe import Stage
from firstwords.runs.metrics import read_metrics
from firstwords.runs.run import Run

MAX_POINTS = 300  # of a curve: more cannot be told apart on a screen


class Curves:
    """The metrics of all stages, on one axis of tokens: each stage starts where the one before
    ends."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.metrics: dict[Stage, list[dict[str, Any]]] = {
            stage: read_metrics(run.metrics(stage)) for stage in run.recipe.stages
        }
        self.first_tokens: dict[Stage, int] = {}
        n_tokens = 0
        for stage in run.recipe.stages:
            self.first_tokens[stage] = n_tokens
            n_tokens += run.recipe.stage(stage).tokens

    def million_tokens(self, stage: Stage, steps: Any) -> Any:
        """Return the position on the axis, in millions of tokens, after `steps` of a stage (a
        number or an array)."""
        batch_tokens = self.run.recipe.stage(stage).batch_tokens
        return (self.first_tokens[stage] + steps * batch_tokens) / 1e6

    def line(self, stage: Stage, value: Callable[[dict[str, Any]], Any]) -> tuple[Any, Any]:
        """Return the x and y arrays of a stage's curve. `value` returns a step's y, or None to skip
        the step. Longer curves are averaged over up to MAX_POINTS groups of steps."""
        pairs = [(step["step"], value(step)) for step in self.metrics[stage]]
        points = np.array([pair for pair in pairs if pair[1] is not None], dtype=float)
        if not len(points):
            return np.array([]), np.array([])
        groups = np.array_split(points, min(MAX_POINTS, len(points)))
        steps, values = np.array([group.mean(axis=0) for group in groups]).T
        return self.million_tokens(stage, steps), values

    def points(self, stage: Stage, value: Callable[[dict[str, Any]], Any]) -> list[list[float]]:
        """Return the same curve as [x, y] pairs, for JSON."""
        xs, ys = self.line(stage, value)
        return [[float(x), float(y)] for x, y in zip(xs, ys, strict=True)]
