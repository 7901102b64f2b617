"""How far a run has come, read off its files while another process may be at work on it."""

from typing import Any, NamedTuple

from firstwords import album, checkpoint, pipeline
from firstwords.recipe import STAGES, Stage
from firstwords.report.curves import Curves
from firstwords.run import Run

RECENT = 50  # steps, for the speed


class Pace(NamedTuple):
    """How a stage goes on, by its last steps."""

    step: int
    steps: int
    tokens_per_second: float
    seconds_left: float


def pace(run: Run, stage: Stage, metrics: list[dict[str, Any]]) -> Pace:
    """Of a stage that has these metrics, one step at least."""
    config, recent = run.recipe.stage(stage), metrics[-RECENT:]
    seconds = sum(step["seconds"] for step in recent) / len(recent)
    step = int(metrics[-1]["step"])
    return Pace(step, config.steps, config.batch_tokens / seconds, (config.steps - step) * seconds)


def progress(run: Run) -> dict[str, Any]:
    """One JSON document: phases, the stage at work, curves, the newest page of the album."""
    curves = Curves(run)
    stage = next((s for s in reversed(STAGES) if curves.metrics[s]), None)
    pages = album.pages(run)
    return {
        "run": run.name,
        "created": run.manifest.created,
        "phases": [_phase(run, phase) for phase in pipeline.PHASES],
        "stage": _stage(run, stage, curves.metrics[stage]) if stage else None,
        "curves": {
            stage: {
                "loss": curves.points(stage, lambda step: step["loss"]),
                "lr": curves.points(stage, lambda step: step["lr"]),
            }
            for stage in STAGES
        },
        "bits_per_byte": [_bits(curves, page) for page in pages],
        "samples": pages[-1] if pages else None,
    }


def _phase(run: Run, phase: pipeline.Phase) -> dict[str, Any]:
    planned = run.manifest.predicted.get("phase_seconds", {})
    return {
        "name": phase.name,
        "title": phase.title,
        "done": _is_done(run, phase),
        "seconds": run.timings().get(phase.name, {}).get("seconds"),
        "planned_seconds": planned.get(phase.name),
    }


def _is_done(run: Run, phase: pipeline.Phase) -> bool:
    """By the names of checkpoints alone: whoever watches asks every two seconds, and checksums of
    all of them would take from the training that is watched."""
    stage = next((stage for stage in STAGES if stage == phase.name), None)
    if stage is None:
        return phase.done(run)
    found = checkpoint.newest_first(run.checkpoints(stage))
    return bool(found) and found[0].step >= run.recipe.stage(stage).steps


def _stage(run: Run, stage: Stage, metrics: list[dict[str, Any]]) -> dict[str, Any]:
    """The stage that took the newest step."""
    recent = metrics[-RECENT:]
    return {
        "name": stage,
        **pace(run, stage, metrics)._asdict(),
        "loss": sum(step["loss"] for step in recent) / len(recent),
        "written": run.metrics(stage).stat().st_mtime,
    }


def _bits(curves: Curves, page: dict[str, Any]) -> dict[str, Any]:
    stage: Stage = page["stage"]
    millions = curves.millions(stage, page["step"])
    return {"stage": stage, "millions": float(millions), **page["bits_per_byte"]}
