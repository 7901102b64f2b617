"""Which checkpoints of a stage are on disk, and whether they are whole. Needs no torch."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from firstwords.common import files
from firstwords.common.errors import DamagedFile

KEEP = 2  # checkpoints of each stage


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


def verify_checkpoint(directory: Path) -> None:
    """Raise DamagedFile if a file is missing or differs from its checksum."""
    try:
        sums: dict[str, str] = files.read_json(directory / "checksums.json")
    except (OSError, ValueError):
        raise DamagedFile("checksums.json is unreadable") from None
    for name, expected in sums.items():
        path = directory / name
        if not path.is_file():
            raise DamagedFile(f"{name} is missing")
        if files.sha256_file(path) != expected:
            raise DamagedFile(f"{name} does not match its checksum")


def list_checkpoints(directory: Path) -> list[Checkpoint]:
    """Return all checkpoints in `directory`, newest first, damaged or not."""
    found = [Checkpoint(path, int(path.name)) for path in directory.glob("[0-9]*") if path.is_dir()]
    return sorted(found, key=lambda checkpoint: -checkpoint.step)
