"""What a learner has done: labs.json in $FIRSTWORDS_HOME."""

from pathlib import Path

from pydantic import Field

from firstwords import files, machine
from firstwords.errors import UserError
from firstwords.recipe import Fixed, parse, read_document


class State(Fixed):
    """Of one lab: when it was passed, and how many hints were taken."""

    passed: str | None = None
    hints: int = Field(default=0, ge=0)


class Progress(Fixed):
    labs: dict[str, State] = Field(default={})

    def of(self, number: int) -> State:
        return self.labs.get(str(number), State())


def _path() -> Path:
    return machine.home() / "labs.json"


def read() -> Progress:
    """Raises UserError if the file is not what it should be."""
    path = _path()
    if not path.exists():
        return Progress()
    found: Progress = parse(Progress, read_document(path), path)
    return found


def note(number: int, **changes: object) -> State:
    """Change what is known about a lab; return it."""
    before = read()
    state = before.of(number).model_copy(update=changes)
    path = _path()
    after = Progress(labs={**before.labs, str(number): state})
    try:
        files.write_json(path, after.model_dump(exclude_defaults=True))
    except (PermissionError, NotADirectoryError) as error:
        raise UserError(
            f"cannot write {path} ({error.strerror})",
            "set FIRSTWORDS_HOME to a directory that you can write to",
        ) from None
    return state
