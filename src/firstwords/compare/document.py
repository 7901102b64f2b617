"""The comparison of runs as one JSON document, which the terminal and the pages show.

The first run is the baseline: every list of `pairs` has one entry for each other run, the
difference to the first one.
"""

from typing import Any, NamedTuple

from firstwords.common.errors import UserError
from firstwords.compare.benchmarks import compare_benchmarks
from firstwords.compare.models import (
    answer_prompts,
    compare_bits_per_byte,
    default_prompts,
    held_out_text,
)
from firstwords.compare.verdict import find_notes, find_verdicts
from firstwords.inference.models import load_newest
from firstwords.recipe import REQUIRED_STAGES, STAGES, Stage
from firstwords.runs.checkpoints import list_checkpoints
from firstwords.runs.curves import Curves
from firstwords.runs.differences import run_differences
from firstwords.runs.run import Run
from firstwords.runs.summary import RunSummaries

METHODS = {
    "exam": "95 % intervals of paired differences of shares: adjusted Wald interval (Bonett and "
    "Price, 2012); p-values: exact McNemar test; parts are marked after Holm's correction",
    "bits_per_byte": "95 % interval of a bootstrap over documents, the same ones for both models",
    "answers": "greedy decoding: the most likely token each time",
}


class CompareRequest(NamedTuple):
    """The options of `firstwords compare`. Without `prompts` those of the growth samples are
    answered. Without `run_models` only files are read, which takes a second instead of many."""

    stage: Stage | None = None
    prompts: tuple[str, ...] | None = None
    run_models: bool = True


def compare_runs(runs: list[Run], request: CompareRequest) -> dict[str, Any]:
    """Compare a stage of two runs or more, by default the latest that all have; where that is sft,
    a run that continues with reinforcement learning is compared after it.

    Raises UserError if there are fewer than two different runs, or one has no checkpoint of the
    stage.
    """
    names = [run.name for run in runs]
    if len(set(names)) < 2 or len(set(names)) < len(names):
        raise UserError(
            "compare needs the names of two different runs", "list them: firstwords runs"
        )
    stage = request.stage or latest_common_stage(runs)
    stages = [_compared_stage(run, stage, request) for run in runs]
    document: dict[str, Any] = {
        "runs": RunSummaries().list([run.directory for run in runs]),
        "stage": stage,
        "stages": stages,
        "steps": [run.newest_of(own)[1].step for run, own in zip(runs, stages, strict=True)],
        "differences": [difference._asdict() for difference in run_differences(runs)],
        "benchmarks": compare_benchmarks(runs, stages),
        **(_run_models(runs, stages, request) if request.run_models else {}),
        "curves": [run_curves(run) for run in runs],
        "methods": METHODS,
    }
    return {"verdicts": find_verdicts(document), "notes": find_notes(document), **document}


def _run_models(runs: list[Run], stages: list[Stage], request: CompareRequest) -> dict[str, Any]:
    """Return the parts of the document that need the models."""
    models = [load_newest(run, stage) for run, stage in zip(runs, stages, strict=True)]
    prompts = default_prompts(stages[0]) if request.prompts is None else request.prompts
    return {
        "bits_per_byte": compare_bits_per_byte(models, held_out_text(runs)),
        "answers": answer_prompts(models, stages[0], prompts) if prompts else [],
    }


def _compared_stage(run: Run, common: Stage, request: CompareRequest) -> Stage:
    has_rl = common == "sft" and list_checkpoints(run.checkpoints("rl"))
    return "rl" if has_rl and request.stage is None else common


def latest_common_stage(runs: list[Run]) -> Stage:
    """Return the latest stage of which every run has a checkpoint. Raises UserError."""
    for run in runs:
        if not any(list_checkpoints(run.checkpoints(stage)) for stage in STAGES):
            raise UserError(
                f"run {run.name} has no checkpoint",
                f"to resume it, run: firstwords train --run {run.name}",
            )
    for stage in reversed(STAGES):
        if all(list_checkpoints(run.checkpoints(stage)) for run in runs):
            return stage
    names = " and ".join(run.name for run in runs)
    raise UserError(f"{names} have no stage in common", "resume the one that is behind")


def run_curves(run: Run) -> dict[str, Any]:
    """Return the loss of each stage and the bits per byte during training, over millions of
    tokens."""
    curves = Curves(run)
    return {
        "run": run.name,
        "loss": {
            stage: curves.points(stage, lambda step: step["loss"]) for stage in REQUIRED_STAGES
        },
        "bits_per_byte": [
            [
                float(curves.million_tokens(sample["stage"], sample["step"])),
                sample["bits_per_byte"]["score"],
            ]
            for sample in run.samples()
        ],
    }
