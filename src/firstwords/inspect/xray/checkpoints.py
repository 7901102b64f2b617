"""Load the checkpoints of a run that an X-ray inspects."""

from firstwords.inspect.xray.inspect_run import InspectedModel
from firstwords.model import hf_format
from firstwords.recipe import STAGES
from firstwords.runs.datasets import load_tokenizer
from firstwords.runs.run import Run

ALL_STAGES = "all"


def load_checkpoints(run: Run, stage: str | None) -> list[InspectedModel]:
    """Load the newest checkpoint of a stage, of every stage that has one (`ALL_STAGES`), or of the
    latest stage (None).

    Raises UserError if there is no checkpoint.
    """
    chosen = next((name for name in STAGES if name == stage), None)
    checkpoints = [run.newest_of(chosen)]
    if stage == ALL_STAGES:
        checkpoints = [(name, newest) for name in STAGES if (newest := run.newest(name))]
    tokenizer = load_tokenizer(run)
    return [
        InspectedModel(
            name,
            checkpoint.step,
            run.recipe.stage(name).steps,
            hf_format.load_model(checkpoint.directory),
            tokenizer,
        )
        for name, checkpoint in checkpoints
    ]
