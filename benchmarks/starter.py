"""Measure how fast the starter curriculum is generated, in MB/s on one core, for every kind.

    python benchmarks/starter.py [--megabytes 4]

It also compresses the same text with zlib (level 6) in the same run. The ratio of the two speeds
can be compared between machines. The goal is 5 MB/s for the mixtures on a current core.
"""

import argparse
import time
import zlib
from collections.abc import Callable
from functools import partial

from firstwords.data.starter import CONVERSATION_KINDS, DOCUMENT_KINDS, conversation, document


def conversation_text(index: int, kind: str | None = None) -> str:
    return "\n".join(m["content"] for m in conversation(0, index, kind).messages)


def document_text(index: int, kind: str | None = None) -> str:
    return document(0, index, kind).text


def measure(make: Callable[[int], str], n_bytes: float) -> tuple[float, float]:
    """Return the MB/s of generating text and of compressing it with zlib.

    Tables and templates are read before the measurement.
    """
    for index in range(200):
        make(index)
    texts: list[str] = []
    generated, start = 0, time.perf_counter()
    while generated < n_bytes:
        texts.append(make(len(texts)))
        generated += len(texts[-1])
    seconds = time.perf_counter() - start
    raw = "\n".join(texts).encode()
    start = time.perf_counter()
    zlib.compress(raw, 6)
    return generated / seconds / 1e6, len(raw) / (time.perf_counter() - start) / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--megabytes", type=float, default=4.0, help="text for each mixture")
    n_bytes = parser.parse_args().megabytes * 1e6
    rows: list[tuple[str, Callable[[int], str], float]] = [
        ("all documents", document_text, n_bytes),
        ("all conversations", conversation_text, n_bytes),
    ]
    rows += [(kind, partial(document_text, kind=kind), n_bytes / 10) for kind in DOCUMENT_KINDS]
    rows += [
        (kind, partial(conversation_text, kind=kind), n_bytes / 10) for kind in CONVERSATION_KINDS
    ]
    print(f"{'kind':<20} {'MB/s':>6} {'zlib':>6} {'ratio':>6}")
    for name, make, size in rows:
        speed, zlib_speed = measure(make, size)
        print(f"{name:<20} {speed:6.1f} {zlib_speed:6.1f} {speed / zlib_speed:6.2f}")


if __name__ == "__main__":
    main()
