"""The progress of a run, read from its files, also while another process is training it."""

import time
from typing import Any, NamedTuple

from firstwords.recipe import STAGES, Stage
from firstwords.runs import checkpoints, phases
from firstwords.runs.curves import Curves
from firstwords.runs.run import Run

RECENT_STEPS = 50  # over which speed and loss are averaged


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


def run_progress(run: Run) -> dict[str, Any]:
    """Return phases, current stage, curves and newest samples as a JSON document."""
    curves = Curves(run)
    stage = next((s for s in reversed(STAGES) if curves.metrics[s]), None)
    samples = run.samples()
    return {
        "run": run.name,
        "created": run.manifest.created,
        "phases": [_phase(run, phase) for phase in phases.PHASES],
        "stage": _current_stage(run, stage, curves.metrics[stage]) if stage else None,
        "curves": {
            stage: {
                "loss": curves.points(stage, lambda step: step["loss"]),
                "lr": curves.points(stage, lambda step: step["lr"]),
            }
            for stage in STAGES
        },
        "bits_per_byte": [_bits_per_byte(curves, sample) for sample in samples],
        "samples": samples[-1] if samples else None,
    }


def _phase(run: Run, phase: phases.Phase) -> dict[str, Any]:
    planned = run.manifest.predicted.get("phase_seconds", {})
    return {
        "name": phase.name,
        "title": phase.title,
        "done": _is_done(run, phase),
        "seconds": run.timings().get(phase.name, {}).get("seconds"),
        "planned_seconds": planned.get(phase.name),
    }


def _is_done(run: Run, phase: phases.Phase) -> bool:
    """Look only at the names of checkpoints: a page asks every two seconds, and verifying checksums
    that often would slow down the training it shows."""
    stage = next((stage for stage in STAGES if stage == phase.name), None)
    if stage is None:
        return phase.is_done(run)
    listed = checkpoints.list_checkpoints(run.checkpoints(stage))
    return bool(listed) and listed[0].step >= run.recipe.stage(stage).steps


def _current_stage(run: Run, stage: Stage, metrics: list[dict[str, Any]]) -> dict[str, Any]:
    recent = metrics[-RECENT_STEPS:]
    return {
        "name": stage,
        **stage_progress(run, stage, metrics)._asdict(),
        "loss": sum(step["loss"] for step in recent) / len(recent),
        "idle_seconds": time.time() - run.metrics(stage).stat().st_mtime,  # since the newest step
    }


def _bits_per_byte(curves: Curves, sample: dict[str, Any]) -> dict[str, Any]:
    stage: Stage = sample["stage"]
    position = float(curves.million_tokens(stage, sample["step"]))
    return {"stage": stage, "million_tokens": position, **sample["bits_per_byte"]}
