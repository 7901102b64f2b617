"""Start a run from the model of another one: find it, and copy it into the new run.

The copy makes the new run independent: it resumes to the same bytes after its source is gone.
"""

import re
import shutil
from pathlib import Path
from typing import NamedTuple

from firstwords.common import files
from firstwords.common.errors import DamagedFile, UserError
from firstwords.common.locks import is_locked
from firstwords.common.schema import check_json
from firstwords.recipe import STAGES, Stage
from firstwords.runs import registry
from firstwords.runs.checkpoints import (
    CHECKSUMS,
    WEIGHTS_FILES,
    Checkpoint,
    list_checkpoints,
    verify_checkpoint,
)
from firstwords.runs.manifest import Origin
from firstwords.runs.run import Run

NOT_COPIED = ("optimizer.safetensors", "training.json")


class SourceModel(NamedTuple):
    """The model of a finished stage of a run."""

    run: Run
    stage: Stage
    checkpoint: Checkpoint

    @property
    def origin(self) -> Origin:
        """What the new run records of it."""
        sums = check_json(dict[str, str], (self.checkpoint.directory / CHECKSUMS).read_bytes())
        return Origin(
            run=self.run.name,
            stage=self.stage,
            step=self.checkpoint.step,
            weights=sums["model.safetensors"],
            file_seed=self.run.file_seed,
        )


def split_origin(text: str) -> tuple[str, Stage | None]:
    """Split RUN or RUN:STAGE. Raises UserError for an unknown stage."""
    name, colon, wanted = text.partition(":")
    registry.check_name(name)
    stage = next((stage for stage in STAGES if stage == wanted), None)
    if colon and stage is None:
        raise UserError(
            f"--from {text} names no stage",
            f"use {', '.join(f'{name}:{stage}' for stage in STAGES)}, or {name} for the last one",
        )
    return name, stage


def find_source(text: str) -> SourceModel:
    """Find the model that RUN or RUN:STAGE names, by default that of the last finished stage.

    Raises UserError if there is none, it is damaged, or the run is being trained.
    """
    name, stage = split_origin(text)
    run = registry.open_run(name)
    if stage is None and is_locked(run.directory / "lock"):
        raise UserError(
            f"--from {name} is being trained now",
            f"wait for it, or name a finished stage, such as --from {name}:pretrain",
        )
    for candidate in [stage] if stage else reversed(run.recipe.stages):
        if found := run.finished(candidate):
            return SourceModel(run, candidate, found)
        listed = list_checkpoints(run.checkpoints(candidate))
        if listed and listed[0].step >= run.recipe.stage(candidate).steps:
            raise UserError(
                f"--from {text}: the weights of {candidate} are damaged",
                f"name another stage, or train it again: firstwords train --run {name}",
            )
    raise UserError(
        f"--from {text}: run {name} has not finished {stage or STAGES[0]}",
        f"first run: firstwords train --run {name}",
    )


def copy_start(directory: Path, origin: Origin) -> None:
    """Copy the weights and the tokenizer that a new run starts from into its directory, whole or
    not at all. Raises UserError if they changed since the run was planned."""
    source = find_source(f"{origin.run}:{origin.stage}")
    with files.atomic_directory(directory / "start") as new:
        copied = [
            path for path in source.checkpoint.directory.iterdir() if path.name not in NOT_COPIED
        ]
        for path in copied:
            shutil.copyfile(path, new / path.name)
        sums = {path.name: files.sha256_file(new / path.name) for path in copied}
        del sums[CHECKSUMS]
        files.write_json(new / CHECKSUMS, sums)
        if sums["model.safetensors"] != origin.weights:
            raise UserError(
                f"run {origin.run} changed while it was copied", "run the same command again"
            )


def start_weights(run: Run) -> Path:
    """Return the directory of the weights that a run starts from. Raises UserError if they are
    damaged."""
    try:
        verify_checkpoint(run.start, WEIGHTS_FILES)
    except DamagedFile as damage:
        origin = run.manifest.origin
        raise UserError(
            f"{run.start} is damaged ({damage})",
            f"start another run: firstwords train --from {origin.run}:{origin.stage}"
            if origin
            else "start another run",
        ) from None
    return run.start


def next_name(name: str) -> str:
    """Return the name of the run after another one: NAME-2 after NAME, NAME-3 after NAME-2."""
    match = re.fullmatch(r"(.+)-(\d{1,6})", name)
    return f"{match[1]}-{int(match[2]) + 1}" if match else f"{name}-2"
