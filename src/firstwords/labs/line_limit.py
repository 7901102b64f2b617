"""Stop endless loops in a learner's code."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


class LineLimitExceeded(Exception):
    """The learner's code runs far too long."""


@contextmanager
def limit_lines(max_lines: int, what: str) -> Iterator[None]:
    """Raise LineLimitExceeded in Python code that executes more than `max_lines` lines in this
    block, at the line where it is. Lines, unlike seconds, are the same on every machine."""
    n_lines = 0

    def count(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal n_lines
        n_lines += event == "line"
        if n_lines > max_lines:
            raise LineLimitExceeded(f"{what} does not end")
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        yield
    finally:
        sys.settrace(before)
