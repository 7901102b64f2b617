"""Slow work beside the event loop."""

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


async def run_in_thread(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Call a function in a thread and return its result, or raise what it raised.

    What an event loop cannot pass on is raised as a RuntimeError: StopIteration, and a panic in a
    library written in Rust, which is no Exception.
    """

    def call() -> R:
        try:
            return function(*args, **kwargs)
        except BaseException as error:
            if isinstance(error, Exception) and not isinstance(error, StopIteration):
                raise
            raise RuntimeError(repr(error)) from error

    return await asyncio.to_thread(call)
