"""Where in our code something happens: file, line and function, of the code at hand."""

import inspect
import linecache
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import firstwords

PACKAGE = Path(firstwords.__file__).parent
HERE = Path(__file__).parent


@dataclass(frozen=True)
class Place:
    """`file` begins with the package's name, `code` is the line as it stands there."""

    file: str
    line: int
    function: str
    code: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line} {self.function}"


def place_of(function: Callable[..., Any]) -> Place:
    """Where a function of ours begins."""
    path = Path(inspect.getsourcefile(function) or "")
    line = inspect.getsourcelines(function)[1]
    return _place(path, line, function.__qualname__)


def frames_of_ours(frame: FrameType | None) -> Iterator[tuple[FrameType, bool]]:
    """The frames from `frame` outwards, innermost first, and whether each is in a file of ours: not
    those of this package, and of a comprehension only the function that it stands in."""
    while frame is not None:
        path = Path(frame.f_code.co_filename)
        if HERE not in path.parents and not frame.f_code.co_name.startswith("<"):
            yield frame, PACKAGE in path.parents
        frame = frame.f_back


def place_in(frame: FrameType) -> Place:
    """The line that a frame is at."""
    return _place(Path(frame.f_code.co_filename), frame.f_lineno, function_of(frame))


def function_of(frame: FrameType) -> str:
    """As in `__qualname__`, which frames have from Python 3.11 on only."""
    owner = frame.f_locals.get("self")
    name = frame.f_code.co_name
    return name if owner is None else f"{type(owner).__name__}.{name}"


def _place(path: Path, line: int, function: str) -> Place:
    code = linecache.getline(str(path), line).strip()
    return Place(path.relative_to(PACKAGE.parent).as_posix(), line, function, code)
