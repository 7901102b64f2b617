"""The phases of a run, in order, and which of them its files say are done. Needs no torch."""

from collections.abc import Callable
from typing import NamedTuple

from firstwords.recipe import STAGES, Stage
from firstwords.runs.run import Run


class Phase(NamedTuple):
    """A phase of `train`: its name in files and options, its title, and whether it is done."""

    name: str
    title: str
    is_done: Callable[[Run], bool]


def is_evaluated(run: Run) -> bool:
    """Return whether every stage is evaluated completely."""
    return (
        all(run.read_evaluation(stage) for stage in run.recipe.stages)
        and not run.evaluation_parts()
    )


def _stage(stage: Stage, title: str) -> Phase:
    return Phase(stage, title, lambda run: bool(run.finished(stage)))


PHASES = (
    Phase("tokenizer", "Tokenizer", Run.has_tokenizer),
    _stage("pretrain", "Pretraining"),
    _stage("midtrain", "Midtraining"),
    _stage("sft", "Supervised finetuning"),
    _stage("rl", "Reinforcement learning"),
    Phase("evaluation", "Evaluation", is_evaluated),
)


def phases_of(run: Run) -> list[Phase]:
    """Return the phases of a run: all, but for the stages that it leaves out."""
    left_out = set(STAGES) - set(run.recipe.stages)
    return [phase for phase in PHASES if phase.name not in left_out]


def unfinished(run: Run) -> list[Phase]:
    """Return the phases that are still to do, in order."""
    return [phase for phase in phases_of(run) if not phase.is_done(run)]


def seconds_left(run: Run, phase: Phase) -> float:
    """Estimate the seconds that this phase and those after it will take.

    The plan's estimate, times the ratio of actual to planned time in the phases before. 0 if the
    run has no plan, or nothing is left to do.
    """
    planned, actual = run.manifest.predicted.get("phase_seconds", {}), run.timings()
    phases = phases_of(run)
    index = phases.index(phase)
    before = [p.name for p in phases[:index] if p.name in planned and p.name in actual]
    planned_before = sum(planned[name] for name in before)
    ratio = 1.0
    if planned_before > 30:
        ratio = sum(actual[name]["seconds"] for name in before) / planned_before
    left = [p.name for p in phases[index:] if p.name in planned and not p.is_done(run)]
    spent = actual.get(phase.name, {"seconds": 0.0})["seconds"] if left else 0.0
    return max(0.0, ratio * sum(planned[name] for name in left) - spent)
