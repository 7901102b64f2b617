"""Write a file of scalars that TensorBoard reads.

tensorboardX has a writer, too, but one that works in a thread of its own: a full disk ends only the
thread, and a clock that is set back by a month keeps it waiting for that month, while training
waits for it. This one writes in the thread that trains.
"""

import socket
import time
from pathlib import Path

from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.record_writer import RecordWriter
from tensorboardX.summary import scalar

FLUSH_SECONDS = 10.0  # between writes to the disk
FILE_VERSION = "brain.Event:2"
PREFIX = "events.out.tfevents."


class EventFile:
    """A new event file in a directory. Close it to write what is left."""

    def __init__(self, directory: Path, purge_step: int | None = None) -> None:
        """`purge_step`: the first step of this file; TensorBoard drops it and those after it from
        earlier files."""
        directory.mkdir(parents=True, exist_ok=True)
        name = f"{PREFIX}{_next_number(directory):010d}.{socket.gethostname()}"
        self._records = RecordWriter(str(directory / name))
        self._flushed_at = time.monotonic()
        self._write(Event(file_version=FILE_VERSION))
        if purge_step is not None:
            started = SessionLog(status=SessionLog.START)
            self._write(Event(step=purge_step, session_log=started))

    def add(self, values: dict[str, float], step: int) -> None:
        """Add the values of a step, by name."""
        for name, value in values.items():
            self._write(Event(step=step, summary=scalar(name, value)))
        if time.monotonic() - self._flushed_at > FLUSH_SECONDS:
            self._records.flush()
            self._flushed_at = time.monotonic()

    def close(self) -> None:
        self._records.close()

    def _write(self, event: Event) -> None:
        event.wall_time = time.time()
        self._records.write(event.SerializeToString())


def _next_number(directory: Path) -> int:
    """Return the Unix time, or the first number after those of the files there: TensorBoard reads
    files in the order of their names, and the clock may have been set back since the last one."""
    numbers = [
        path.name.removeprefix(PREFIX).split(".")[0] for path in directory.glob(f"{PREFIX}*")
    ]
    return max([int(time.time()), *(int(number) + 1 for number in numbers if number.isdigit())])
