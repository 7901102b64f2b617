"""How long a run will still take: its plan, corrected by what its phases took so far."""

from typing import Any, NamedTuple

MIN_PLANNED_SECONDS = 30  # of the phases begun; below, they say too little about the others


class PhaseTime(NamedTuple):
    """The time of a phase. `left` is its estimate from its own speed, if it has one."""

    done: bool
    seconds: float  # so far
    planned: float | None
    left: float | None = None


def seconds_left(times: list[PhaseTime]) -> list[float | None]:
    """Return the estimate for each phase; None if neither a plan nor a speed tells."""
    factor = _actual_per_planned(times)
    return [_left(time, factor) for time in times]


def _left(time: PhaseTime, factor: float) -> float | None:
    if time.done:
        return 0.0
    if time.left is not None:
        return time.left
    return None if time.planned is None else max(0.0, factor * time.planned - time.seconds)


def _actual_per_planned(times: list[PhaseTime]) -> float:
    known = [time for time in times if time.planned and (time.done or time.left is not None)]
    planned = sum(time.planned or 0.0 for time in known)
    if planned < MIN_PLANNED_SECONDS:
        return 1.0
    return sum(time.seconds + (time.left or 0.0) for time in known) / planned


def total(values: list[Any]) -> float | None:
    """Return the sum of the values, or None if one of them is not known."""
    return None if None in values else float(sum(values))
