"""The metrics of training steps: metrics/STAGE.jsonl, one JSON object per step."""

import json
from pathlib import Path
from typing import Any, NamedTuple

from firstwords.common import files
from firstwords.runs.documents import StepMetrics, read_valid_lines

ROLLOUT_METRICS = ("reward", "answer_tokens", "mixed_groups", "divergence")


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Return the metrics of every step. Damaged lines are left out."""
    return read_valid_lines(StepMetrics, path)


def read_rollouts(path: Path) -> list[dict[str, Any]]:
    """Return the metrics of the steps of reinforcement learning that record their rewards."""
    return [step for step in read_metrics(path) if "reward" in step]


def mean_rollouts(steps: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the means of what reinforcement learning records beside the loss; nothing for other
    stages."""
    steps = [step for step in steps if "reward" in step]
    if not steps:
        return {}
    kinds = sorted({kind for step in steps for kind in step["rewards"]})
    by_kind = {kind: [s["rewards"][kind] for s in steps if kind in s["rewards"]] for kind in kinds}
    return {
        **{name: sum(step[name] for step in steps) / len(steps) for name in ROLLOUT_METRICS},
        "rewards": {kind: sum(found) / len(found) for kind, found in by_kind.items()},
    }


class LossSummary(NamedTuple):
    """First and last loss of a stage in nats per target, and the time of its steps."""

    first_loss: float
    last_loss: float  # mean of the last 20 steps
    seconds: float
    seconds_per_step: float


def summarize_loss(metrics: list[dict[str, Any]]) -> LossSummary | None:
    """Summarize the metrics of a stage; None if they are missing."""
    if not metrics:
        return None
    last = [step["loss"] for step in metrics[-20:]]
    seconds = sum(step["seconds"] for step in metrics)
    return LossSummary(metrics[0]["loss"], sum(last) / len(last), seconds, seconds / len(metrics))


def truncate_metrics(path: Path, step: int) -> int:
    """Remove the steps after `step`, which training is about to repeat.

    Returns how many of the steps up to `step` are missing: their file was lost or damaged.
    """
    lines = [json.dumps(m) + "\n" for m in read_metrics(path) if m["step"] <= step]
    files.write_text(path, "".join(lines))
    return step - len(lines)
