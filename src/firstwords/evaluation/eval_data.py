"""The benchmarks' data: files in a directory, which `firstwords data fetch eval` downloads.

`firstwords eval --eval-data DIR` names another directory; the default is `eval` in the Firstwords
home.
"""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from firstwords.common import paths
from firstwords.common.errors import UserError

ENDINGS = (".jsonl", ".jsonl.gz", ".parquet")
FETCH_HINT = "fetch it again with firstwords data fetch eval"
Row = dict[str, Any]


class MissingData(Exception):
    """The data of a benchmark is missing; the message names the file."""


class EvalData:
    """The data files in a directory, by name without the ending. A directory in it counts as a
    file with the rows of all its files, in the order of their names."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def has(self, name: str) -> bool:
        """Return whether the file is in the directory."""
        return self._path(name) is not None

    def rows(self, name: str, limit: int = 0) -> list[Row]:
        """Return the rows of a file in order, or a fixed sample of `limit` from all over the file.

        Raises MissingData without such a file, UserError if it is empty or cannot be read.
        """
        path = self._path(name)
        if path is None:
            raise MissingData(f"{name}{ENDINGS[0]} (or {', '.join(ENDINGS[1:])})")
        try:
            parts = _data_files(path) if path.is_dir() else [path]
            rows = [row for part in parts for row in _read(part)]
        except (OSError, ValueError, EOFError) as error:
            raise UserError(f"cannot read {path} ({error})", FETCH_HINT) from None
        if not rows:
            raise UserError(f"{path} is empty", FETCH_HINT)
        return [rows[index] for index in sample_indices(len(rows), limit)]

    def _path(self, name: str) -> Path | None:
        candidates = (self.folder / f"{name}{ending}" for ending in ENDINGS)
        file = next((path for path in candidates if path.is_file()), None)
        folder = self.folder / name
        return file or (folder if folder.is_dir() else None)


def _data_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.name.endswith(ENDINGS))


def sample_indices(n: int, limit: int) -> list[int]:
    """Return a fixed sample of `limit` of `n` indices, sorted; all for 0. A larger sample contains
    every smaller one."""
    if not limit or limit >= n:
        return list(range(n))
    return sorted(np.random.default_rng(0).permutation(n)[:limit].tolist())


def _read(path: Path) -> Iterator[Row]:
    if path.suffix == ".parquet":
        import pyarrow.parquet as pq  # takes 40 MB of memory

        yield from pq.read_table(path).to_pylist()
        return
    open_text = gzip.open if path.suffix == ".gz" else open
    with open_text(path, "rt", encoding="utf-8") as file:
        for line in file:
            if line.strip():
                yield json.loads(line)


def eval_data_home() -> Path:
    """Return the directory that `firstwords data fetch eval` downloads to."""
    return paths.home() / "eval"


def open_eval_data(folder: Path | None) -> EvalData:
    """Return the data in `folder`, or in the Firstwords home. Raises UserError if `folder` does not
    exist."""
    if folder is not None and not folder.is_dir():
        raise UserError(
            f"--eval-data {folder} is not a directory",
            "name one with the benchmarks' data, or leave it out",
        )
    return EvalData(folder or eval_data_home())
