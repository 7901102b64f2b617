"""A learner's progress, stored in labs.json in $FIRSTWORDS_HOME."""

from pathlib import Path

from pydantic import Field

from firstwords.common import files, paths
from firstwords.common.errors import UserError
from firstwords.common.schema import FrozenModel, parse, read_document


class LabProgress(FrozenModel):
    """When a lab was passed (None: not yet), and how many of its hints were shown."""

    passed: str | None = None
    hints: int = Field(default=0, ge=0)


class LabsFile(FrozenModel):
    """The content of labs.json: the progress of each lab, by its number."""

    labs: dict[str, LabProgress] = Field(default={})

    def progress(self, number: int) -> LabProgress:
        return self.labs.get(str(number), LabProgress())


def read_progress() -> LabsFile:
    """Read labs.json. Raises UserError if it is damaged."""
    path = _path()
    if not path.exists():
        return LabsFile()
    labs: LabsFile = parse(LabsFile, read_document(path), path)
    return labs


def update_progress(number: int, **changes: object) -> LabProgress:
    """Change the progress of a lab, and return it. Raises UserError if labs.json is damaged or
    cannot be written."""
    before = read_progress()
    progress = before.progress(number).replace(**changes)
    path = _path()
    after = LabsFile(labs={**before.labs, str(number): progress})
    try:
        files.write_json(path, after.model_dump(exclude_defaults=True))
    except (PermissionError, NotADirectoryError) as error:
        raise UserError(
            f"cannot write {path} ({error.strerror})",
            "set FIRSTWORDS_HOME to a directory that you can write to",
        ) from None
    return progress


def _path() -> Path:
    return paths.home() / "labs.json"
