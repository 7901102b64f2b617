"""Load the newest model of a run."""

from typing import NamedTuple

from firstwords.common import devices
from firstwords.model import hf_format
from firstwords.model.transformer import Transformer
from firstwords.recipe import Stage
from firstwords.runs.checkpoints import Checkpoint
from firstwords.runs.datasets import load_tokenizer
from firstwords.runs.run import Run
from firstwords.tokenizer.bpe import Tokenizer


class StageModel(NamedTuple):
    """The model of a stage of a run, on the device of its recipe."""

    stage: Stage
    checkpoint: Checkpoint
    model: Transformer
    tokenizer: Tokenizer


def load_newest(run: Run, stage: Stage | None = None) -> StageModel:
    """Load the newest checkpoint of a stage, by default of the latest stage that has one.

    Verifies its checksums. Raises UserError if there is none.
    """
    found, checkpoint = run.newest_of(stage)
    return StageModel(found, checkpoint, load_checkpoint(run, checkpoint), load_tokenizer(run))


def load_checkpoint(run: Run, checkpoint: Checkpoint) -> Transformer:
    """Load the model of a checkpoint, whose checksums are verified already."""
    device = devices.device_or_cpu(run.recipe.device)
    return hf_format.load_model(checkpoint.directory, device)
