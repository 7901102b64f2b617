"""The checkpoints of a run, opened to be looked at."""

from firstwords import checkpoint
from firstwords.recipe import STAGES, Stage
from firstwords.run import Run
from firstwords.stages.common import load_tokenizer
from firstwords.xray.look import Subject

ALL = "all"


def subjects(run: Run, stage: str | None) -> list[Subject]:
    """The newest checkpoint of a stage, of every one that has some (`ALL`), or of the furthest.

    Raises UserError.
    """
    chosen = next((one for one in STAGES if one == stage), None)
    found = [run.newest_of(chosen)]
    if stage == ALL:
        found = [(one, newest) for one in STAGES if (newest := run.newest(one))]
    tokenizer = load_tokenizer(run)
    return [
        Subject(
            one, newest.step, steps(run, one), checkpoint.load_model(newest.directory), tokenizer
        )
        for one, newest in found
    ]


def steps(run: Run, stage: Stage) -> int:
    """Of the whole stage."""
    return run.recipe.stage(stage).steps
