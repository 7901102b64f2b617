"""TensorBoard's files are complete, in order, and fail in the thread that trains."""

import resource
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from firstwords.training import event_file
from firstwords.training.event_file import EventFile

MONTH = 31 * 24 * 3600


def losses(directory: Path) -> list[tuple[int, float]]:
    module = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = module.EventAccumulator(str(directory))
    events.Reload()
    return [(event.step, event.value) for event in events.Scalars("loss")]


def test_a_clock_that_is_set_back_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start, jumps = time.time(), iter([0, 0, -MONTH, MONTH, -2 * MONTH])
    monkeypatch.setattr(time, "time", lambda: start + next(jumps, -3 * MONTH))
    with closing(EventFile(tmp_path)) as events:
        for step in (1, 2, 3):
            events.add({"loss": float(step)}, step)
    with closing(EventFile(tmp_path, purge_step=3)) as events:  # the run resumes after step 2
        for step in (3, 4):
            events.add({"loss": step + 0.5}, step)
    assert losses(tmp_path) == [(1, 1.0), (2, 2.0), (3, 3.5), (4, 4.5)]


def test_a_failure_to_write_is_raised_where_the_values_are_added(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_file, "FLUSH_SECONDS", 0.0)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    events, threads = EventFile(tmp_path), threading.active_count()
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            events.add({"loss": 1.0}, 1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        events.close()
    assert threading.active_count() == threads
