"""Ctrl-C and SIGTERM, at a moment that suits.

Everything on disk is whole at any time, so most work may simply be left. Training first finishes
its step and saves. A second Ctrl-C is a person who will not wait for that; a second SIGTERM is not:
Slurm sends one to torchrun and to its workers, and torchrun sends them another.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from firstwords.errors import Interrupted


class Stop:
    """Set by the first signal inside `deferred`; raises Interrupted anywhere else, or at a
    second Ctrl-C."""

    def __init__(self) -> None:
        self.requested = False
        self._deferred = False

    @contextmanager
    def listening(self) -> Iterator["Stop"]:
        before = {s: signal.signal(s, self._handle) for s in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield self
        finally:
            for signal_number, handler in before.items():
                signal.signal(signal_number, handler)

    @contextmanager
    def deferred(self) -> Iterator[None]:
        self._deferred = True
        try:
            yield
        finally:
            self._deferred = False

    def _handle(self, signal_number: int, frame: FrameType | None) -> None:
        if self._deferred and (signal_number == signal.SIGTERM or not self.requested):
            self.requested = True
            return
        raise Interrupted(signal.Signals(signal_number).name)
