"""Ctrl-C and SIGTERM, handled at a safe moment.

Files on disk are complete at any time, so most work may simply be abandoned; training first
finishes its step and saves. A second Ctrl-C stops at once, because a person is waiting. A second
SIGTERM does not: Slurm sends one to torchrun and its workers, and torchrun sends the workers
another.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from firstwords.common.errors import Interrupted


class StopSignal:
    """A request to stop. Within `deferred`, the first signal only sets `requested`; elsewhere, and
    at a second Ctrl-C, a signal raises Interrupted."""

    def __init__(self) -> None:
        self.requested = False
        self._deferred = False

    @contextmanager
    def listening(self) -> Iterator["StopSignal"]:
        """Handle SIGINT and SIGTERM within the block."""
        before = {s: signal.signal(s, self._handle) for s in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield self
        finally:
            for signal_number, handler in before.items():
                signal.signal(signal_number, handler)

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Within the block, note the first signal in `requested` instead of raising."""
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
