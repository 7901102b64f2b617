"""How far a run has come, read off its files while another process may be at work on it."""

from typing import Any

from firstwords import album, pipeline
from firstwords.recipe import STAGES, Stage
from firstwords.report.curves import Curves
from firstwords.run import Run, read_metrics

RECENT = 50  # steps


def progress(run: Run) -> dict[str, Any]:
    """One JSON document: phases, the stage at work, curves, the newest page of the album."""
    curves = Curves(run)
    stage = next((s for s in reversed(STAGES) if curves.metrics[s]), None)
    return {
        "run": run.name,
        "created": run.manifest.created,
        "phases": [_phase(run, phase) for phase in pipeline.PHASES],
        "stage": _stage(run, stage) if stage else None,
        "curves": {
            stage: {
                "loss": curves.points(stage, lambda step: step["loss"]),
                "lr": curves.points(stage, lambda step: step["lr"]),
            }
            for stage in STAGES
        },
        "bits_per_byte": [_bits(curves, page) for page in album.pages(run)],
        "samples": next(iter(reversed(album.pages(run))), None),
    }


def _phase(run: Run, phase: pipeline.Phase) -> dict[str, Any]:
    planned = run.manifest.predicted.get("phase_seconds", {})
    return {
        "name": phase.name,
        "title": phase.title,
        "done": phase.done(run),
        "seconds": run.timings().get(phase.name, {}).get("seconds"),
        "planned_seconds": planned.get(phase.name),
    }


def _stage(run: Run, stage: Stage) -> dict[str, Any]:
    """The stage that took the newest step."""
    metrics = read_metrics(run.metrics(stage))
    recent = metrics[-RECENT:]
    seconds = sum(step["seconds"] for step in recent) / len(recent)
    config = run.recipe.stage(stage)
    return {
        "name": stage,
        "step": int(metrics[-1]["step"]),
        "steps": config.steps,
        "loss": sum(step["loss"] for step in recent) / len(recent),
        "tokens_per_second": config.batch_tokens / seconds,
        "seconds_left": (config.steps - metrics[-1]["step"]) * seconds,
        "written": run.metrics(stage).stat().st_mtime,
    }


def _bits(curves: Curves, page: dict[str, Any]) -> dict[str, Any]:
    stage: Stage = page["stage"]
    millions = curves.millions(stage, page["step"])
    return {"stage": stage, "millions": float(millions), **page["bits_per_byte"]}
