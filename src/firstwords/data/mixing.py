"""Mix several sources by weight: `--chat-data family.jsonl:0.3 --chat-data starter:0.7`.

A source's weight is its share of the bytes. The next record is that of the source which is farthest
behind its share, so every prefix of the mixture has the shares, but for a record of each source.
The order is a pure function of the streams and the weights.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from firstwords.common.errors import UserError

WEIGHTED = re.compile(r"(?P<source>.+):(?P<weight>\d+(?:\.\d*)?|\.\d+)")
HINT = "give shares, such as --chat-data family.jsonl:0.3 --chat-data starter:0.7"
MIN_WEIGHT = 0.001
SourceSpec = str | tuple[str, ...]  # SRC, or several SRC:WEIGHT
T = TypeVar("T")


class Weighted(NamedTuple):
    """A source as it was given, and its weight."""

    source: str
    weight: float


def parse_weights(sources: Sequence[str], option: str) -> list[Weighted]:
    """Split SRC:WEIGHT. Weights are relative if every source has one; sources without a weight
    share what the others leave of 1. Returns weights with a sum of 1. Raises UserError."""
    found = [split_weight(source) for source in sources]
    names = [source for source, _ in found]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise UserError(f"{option} {twice} is given twice", "leave one of them out")
    given = sum(weight for _, weight in found if weight is not None)
    missing = sum(weight is None for _, weight in found)
    if missing and given >= 1:
        source = next(source for source, weight in found if weight is None)
        raise UserError(f"the weights of {option} leave nothing for {source}", HINT)
    rest, total = (1 - given) / max(1, missing), 1.0 if missing else given or 1.0
    weighted = [Weighted(name, (rest if w is None else w) / total) for name, w in found]
    if small := next((source for source, weight in weighted if weight < MIN_WEIGHT), None):
        raise UserError(f"{option} {small} has a share below {MIN_WEIGHT:.1%}", "leave it out")
    return weighted


def split_weight(source: str) -> tuple[str, float | None]:
    """Return a source without its weight, and the weight if there is one. A path may have a colon
    and a number at its end, too."""
    match = WEIGHTED.fullmatch(source)
    if match is None or match["source"] == "hub" or _exists(source):
        return source, None
    return match["source"], float(match["weight"])


def _exists(source: str) -> bool:
    try:
        return Path(source).exists()
    except (OSError, ValueError):  # no name of a file
        return False


def refuse_weight(source: str, option: str) -> None:
    """Raise UserError if a source that is not part of a mixture has a weight."""
    name, weight = split_weight(source)
    if weight is not None:
        raise UserError(
            f"{option} {name} has a weight, but no other source",
            f"leave out :{source.rpartition(':')[2]}, or add {option} starter:1",
        )


def format_weighted(source: str, weight: float) -> str:
    """Return SRC:WEIGHT, as `split_weight` reads it."""
    return f"{source}:{weight:.4g}"


def format_source(source: SourceSpec) -> str:
    """Return a source or a mixture in one line."""
    return source if isinstance(source, str) else " + ".join(source)


def mix(
    streams: Sequence[Callable[[], Iterator[T]]],
    weights: Sequence[float],
    size: Callable[[T], int],
    repeat: bool,
) -> Iterator[T]:
    """Yield the records of streams, so that each has its share of the sizes.

    With `repeat`, a stream that ends starts again; otherwise the others continue without it.
    """
    opened = [stream() for stream in streams]
    taken = [0] * len(streams)
    waiting = list(range(len(streams)))
    while waiting:
        i = min(waiting, key=lambda i: taken[i] / weights[i])
        record = next(opened[i], None)
        if record is None and repeat:
            opened[i] = streams[i]()
            record = next(opened[i], None)
        if record is None:
            waiting.remove(i)
            continue
        taken[i] += max(1, size(record))
        yield record
