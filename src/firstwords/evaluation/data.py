"""Where the questions come from: a folder of files that are given, or were fetched before.

`firstwords eval --eval-data DIR` names one; otherwise it is `eval` in Firstwords' home.
"""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from firstwords import machine
from firstwords.errors import UserError

ENDINGS = (".jsonl", ".jsonl.gz", ".parquet")
Row = dict[str, Any]


class Absent(Exception):
    """There is no data for a benchmark; the text says which."""


class EvalData:
    """The files in a folder, by their names without the ending."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def has(self, name: str) -> bool:
        return self._path(name) is not None

    def rows(self, name: str, limit: int = 0) -> list[Row]:
        """The rows of a file in their order, or `limit` of them: always the same ones, from all
        over the file. Raises Absent if there is no such file, UserError if it cannot be read."""
        path = self._path(name)
        if path is None:
            raise Absent(f"{name}{ENDINGS[0]} (or {', '.join(ENDINGS[1:])})")
        try:
            rows = list(_read(path))
        except (OSError, ValueError, EOFError) as error:
            mend = "fetch it again: firstwords data fetch eval"
            raise UserError(f"cannot read {path} ({error})", mend) from None
        if not rows:
            raise UserError(f"{path} is empty", "fetch it again: firstwords data fetch eval")
        return [rows[index] for index in chosen(len(rows), limit)]

    def _path(self, name: str) -> Path | None:
        paths = (self.folder / f"{name}{ending}" for ending in ENDINGS)
        return next((path for path in paths if path.is_file()), None)


def chosen(n: int, limit: int) -> list[int]:
    """Which of `n` items are taken if `limit` are: all if it is 0, otherwise the first of an order
    that never changes, so that more items contain the fewer."""
    if not limit or limit >= n:
        return list(range(n))
    return sorted(np.random.default_rng(0).permutation(n)[:limit].tolist())


def _read(path: Path) -> Iterator[Row]:
    if path.suffix == ".parquet":
        yield from pq.read_table(path).to_pylist()
        return
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8") as file:
        for line in file:
            if line.strip():
                yield json.loads(line)


def home() -> Path:
    """The folder that `firstwords data fetch eval` fills."""
    return machine.home() / "eval"


def opened(folder: Path | None) -> EvalData:
    """The given folder, or Firstwords' own. Raises UserError if the given one is absent."""
    if folder is not None and not folder.is_dir():
        raise UserError(f"--eval-data {folder}", "no such directory")
    return EvalData(folder or home())
