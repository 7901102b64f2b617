"""Which checkpoints of a stage are on disk, and whether they are whole. Needs no torch."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from firstwords.common import files
from firstwords.common.errors import DamagedFile
from firstwords.common.schema import check_json

KEEP = 2  # checkpoints of each stage
CHECKPOINT_NAME = re.compile(r"\d{7,}")  # the step; a copy, such as "0000010 (1)", has another
CHECKSUMS = "checksums.json"
WEIGHTS_FILES = ("model.safetensors", "config.json", "tokenizer.json")
REQUIRED_FILES = (*WEIGHTS_FILES, "optimizer.safetensors", "training.json")


class Checkpoint(NamedTuple):
    """A checkpoint's directory and the number of steps taken before it was saved."""

    directory: Path
    step: int


def newest_checkpoint(directory: Path, warn: Callable[[str], None]) -> Checkpoint | None:
    """Return the newest undamaged checkpoint in `directory`; call `warn` for each damaged one."""
    found = list_checkpoints(directory)
    for checkpoint in found:
        try:
            verify_checkpoint(checkpoint.directory)
        except DamagedFile as damage:
            rest = (
                "starting the stage again" if checkpoint is found[-1] else "using the previous one"
            )
            warn(f"{checkpoint.directory} is damaged ({damage}); {rest}")
            continue
        return checkpoint
    return None


def remove_checkpoints_after(directory: Path, step: int) -> None:
    """Remove checkpoints newer than `step`: they are damaged, and training is about to repeat
    them."""
    for checkpoint in list_checkpoints(directory):
        if checkpoint.step > step:
            files.remove_directory(checkpoint.directory)


def verify_checkpoint(directory: Path, required: Sequence[str] = REQUIRED_FILES) -> None:
    """Raise DamagedFile if a file is missing or differs from its checksum."""
    try:
        sums: dict[str, str] = check_json(dict[str, str], (directory / CHECKSUMS).read_bytes())
    except (OSError, DamagedFile):
        raise DamagedFile("checksums.json is unreadable") from None
    for name in required:
        if name not in sums:
            raise DamagedFile(f"checksums.json has no {name}")
    for name, expected in sums.items():
        files.verify_sha256(directory / name, expected)


def list_checkpoints(directory: Path) -> list[Checkpoint]:
    """Return all checkpoints in `directory`, newest first, damaged or not. Other files and
    directories, such as copies that a file manager made, are ignored."""
    found = [
        Checkpoint(path, int(path.name))
        for path in directory.glob("[0-9]*")
        if CHECKPOINT_NAME.fullmatch(path.name) and path.is_dir()
    ]
    return sorted(found, key=lambda checkpoint: -checkpoint.step)
