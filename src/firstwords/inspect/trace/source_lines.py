"""Find the line of our code at which an operation happens: file, line number, function, code."""

import inspect
import linecache
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import firstwords

PACKAGE = Path(firstwords.__file__).parent
TRACE_PACKAGE = Path(__file__).parent


@dataclass(frozen=True)
class SourceLine:
    """A line of code. `file` is relative to the directory of the package, `code` is stripped."""

    file: str
    line: int
    function: str
    code: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line} {self.function}"


def first_line(function: Callable[..., Any]) -> SourceLine:
    """Return the line at which a function's definition begins."""
    path = Path(inspect.getsourcefile(function) or "")
    line = inspect.getsourcelines(function)[1]
    return _source_line(path, line, function.__qualname__)


def walk_stack(frame: FrameType | None) -> Iterator[tuple[FrameType, bool]]:
    """Yield the frames from `frame` outwards, innermost first, and whether each is in Firstwords.

    The frames of this package are left out, and those of comprehensions: the function around them
    follows.
    """
    while frame is not None:
        path = Path(frame.f_code.co_filename)
        if TRACE_PACKAGE not in path.parents and not frame.f_code.co_name.startswith("<"):
            yield frame, PACKAGE in path.parents
        frame = frame.f_back


def current_line(frame: FrameType) -> SourceLine:
    """Return the line that a frame is executing."""
    return _source_line(Path(frame.f_code.co_filename), frame.f_lineno, qualified_name(frame))


def qualified_name(frame: FrameType) -> str:
    """Return the `__qualname__` of a frame's function; frames have it from Python 3.11 on."""
    owner = frame.f_locals.get("self")
    name = frame.f_code.co_name
    return name if owner is None else f"{type(owner).__name__}.{name}"


def _source_line(path: Path, line: int, function: str) -> SourceLine:
    code = linecache.getline(str(path), line).strip()
    return SourceLine(path.relative_to(PACKAGE.parent).as_posix(), line, function, code)
