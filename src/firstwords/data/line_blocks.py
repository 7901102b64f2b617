"""Blocks of whole lines of a file, about a megabyte each and in shuffled order.

A reader that stops early has read a sample from all over the file, and only its share of the bytes.
gzip files are the exception: they can be read only from the start, so their blocks keep the file's
order.
"""

import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from firstwords.common.errors import UserError

BLOCK_BYTES = 1 << 20


class LineBlock(NamedTuple):
    """Whole lines of a file, with their position in it.

    `start_fraction` and `end_fraction` are the fractions of the file read before and after this
    block. `first_line` is None where reading started in the middle of the file.
    """

    path: Path
    raw: bytes
    start_fraction: float
    end_fraction: float
    start: int  # offset in bytes
    first_line: int | None  # counted from 1

    def progress(self, fraction: float) -> float:
        """Return the fraction of the file read once this fraction of the block is read."""
        return self.start_fraction + (self.end_fraction - self.start_fraction) * fraction

    def line_number(self, newlines: int) -> int:
        """Return the number in the file of the line after `newlines` line breaks of this block."""
        first_line = self.first_line or _count_newlines(self.path, self.start) + 1
        return first_line + newlines

    def decode(self, raw: bytes, newlines: int) -> str:
        """Decode a part of the block that starts after `newlines` line breaks.

        Raises UserError that names the first line that is not UTF-8.
        """
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError as error:
            line = self.line_number(newlines + raw.count(b"\n", 0, error.start))
            raise UserError(
                f"{self.path}, line {line} is not UTF-8 (byte 0x{raw[error.start]:02x})",
                "convert the file, for instance with iconv",
            ) from None


def line_blocks(
    path: Path, rng: np.random.Generator, max_line_bytes: int | None
) -> Iterator[LineBlock]:
    """Yield every block of a file once, in an order drawn from `rng`.

    With `max_line_bytes`, longer lines may be cut into several. Raises UserError for a damaged gzip
    file.
    """
    if path.suffix == ".gz":
        yield from _gzip_blocks(path, max_line_bytes)
        return
    size = path.stat().st_size
    n_blocks = max(1, -(-size // BLOCK_BYTES))
    with path.open("rb") as file:
        for n_read, index in enumerate(rng.permutation(n_blocks).tolist()):
            start = _line_start(file, index * BLOCK_BYTES, size, max_line_bytes)
            end = _line_start(file, (index + 1) * BLOCK_BYTES, size, max_line_bytes)
            file.seek(start)
            raw = file.read(end - start)
            yield LineBlock(path, raw, n_read / n_blocks, (n_read + 1) / n_blocks, start, None)


def _line_start(file: io.BufferedReader, offset: int, size: int, max_line_bytes: int | None) -> int:
    """Return the first position at or after `offset` where a line starts.

    With `max_line_bytes`, a longer line is cut after a space or else between two characters.
    """
    if offset == 0 or offset >= size:
        return min(offset, size)
    file.seek(offset - 1)
    if max_line_bytes is None:
        file.readline()
        return file.tell()
    ahead = file.read(max_line_bytes)
    if len(ahead) < max_line_bytes and b"\n" not in ahead:
        return size  # the last line of the file
    return offset - 1 + _cut_position(ahead)


def _cut_position(text: bytes) -> int:
    """Return where to cut a text: after its first line break or else space, or between two UTF-8
    characters."""
    for separator in (b"\n", b" "):
        index = text.find(separator)
        if index >= 0:
            return index + 1
    position = 1
    while position < len(text) and text[position] & 0xC0 == 0x80:  # inside a UTF-8 character
        position += 1
    return position


def _count_newlines(path: Path, end: int) -> int:
    """Return the number of line breaks in the first `end` bytes."""
    with path.open("rb") as file:
        newlines = 0
        while end > 0 and (chunk := file.read(min(BLOCK_BYTES, end))):
            newlines += chunk.count(b"\n")
            end -= len(chunk)
        return newlines


def _gzip_blocks(path: Path, max_line_bytes: int | None) -> Iterator[LineBlock]:
    size = max(1, path.stat().st_size)
    line, start_fraction, pending = 1, 0.0, b""
    with path.open("rb") as raw, gzip.open(raw) as file:
        while True:
            try:
                chunk = file.read(BLOCK_BYTES)
            except (OSError, EOFError, zlib.error) as error:
                raise UserError(
                    f"{path} is not a complete gzip file ({error})", "copy or compress it again"
                ) from None
            pending += chunk
            end = pending.rfind(b"\n") + 1 if chunk else len(pending)
            if chunk and not end and max_line_bytes and len(pending) > max_line_bytes:
                end = len(pending) - max_line_bytes + _cut_position(pending[-max_line_bytes:])
            if end:
                end_fraction = min(1.0, raw.tell() / size)
                yield LineBlock(path, pending[:end], start_fraction, end_fraction, 0, line)
                line += pending.count(b"\n", 0, end)
                start_fraction, pending = end_fraction, pending[end:]
            if not chunk:
                return
