"""How fast the starter curriculum is made, on one core: MB/s of every kind and of the mixtures.

    python benchmarks/starter.py [--megabytes 4]

Beside it the speed of zlib (level 6) on the same text in the same run: the ratio is what can be
compared between machines. The goal is 5 MB/s for the mixtures on a current core.
"""

import argparse
import time
import zlib
from collections.abc import Callable

from firstwords.data.starter import (
    CONVERSATION_KINDS,
    DOCUMENT_KINDS,
    conversation,
    document,
)


def talk(index: int, kind: str | None = None) -> str:
    return "\n".join(m["content"] for m in conversation(0, index, kind).messages)


def page(index: int, kind: str | None = None) -> str:
    return document(0, index, kind).text


def measure(make: Callable[[int], str], n_bytes: float) -> tuple[float, float]:
    """MB/s of making, and of zlib on what was made. Tables and templates are read before."""
    for index in range(200):
        make(index)
    texts: list[str] = []
    made, index, start = 0, 0, time.perf_counter()
    while made < n_bytes:
        texts.append(make(index))
        made += len(texts[-1])
        index += 1
    seconds = time.perf_counter() - start
    raw = "\n".join(texts).encode()
    start = time.perf_counter()
    zlib.compress(raw, 6)
    return made / seconds / 1e6, len(raw) / (time.perf_counter() - start) / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=float, default=4.0)
    wanted = parser.parse_args().megabytes * 1e6
    rows: list[tuple[str, Callable[[int], str], float]] = [
        ("all documents", page, wanted),
        ("all conversations", talk, wanted),
    ]
    rows += [(k, lambda i, k=k: page(i, k), wanted / 10) for k in DOCUMENT_KINDS]  # type: ignore[misc]
    rows += [(k, lambda i, k=k: talk(i, k), wanted / 10) for k in CONVERSATION_KINDS]  # type: ignore[misc]
    print(f"{'kind':<20} {'MB/s':>6} {'zlib':>6} {'ratio':>6}")
    for name, make, n_bytes in rows:
        speed, peer = measure(make, n_bytes)
        print(f"{name:<20} {speed:6.1f} {peer:6.1f} {speed / peer:6.2f}")


if __name__ == "__main__":
    main()
