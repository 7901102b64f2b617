"""Blocks of whole lines of a file, about a megabyte each and in shuffled order.

A reader that stops early has read a sample from all over the file, and only its share of the bytes.
Compressed files and files in UTF-16 or UTF-32 are the exception: they can be read only from the
start, so their blocks keep the file's order.
"""

import codecs
import io
import itertools
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from firstwords.common.errors import UserError
from firstwords.data import streams

BLOCK_BYTES = 1 << 20
MAX_LINE_BYTES = 1 << 29  # a longer line does not fit the memory of a small machine several times
GZIP_SAMPLE_BYTES = 1 << 24
GZIP_WBITS = 31  # zlib's code for the format of gzip


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

    @property
    def is_first(self) -> bool:
        """Whether the block is the beginning of the file."""
        return self.start == 0 and self.first_line in (None, 1)

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
    path: Path, rng: np.random.Generator | None, max_line_bytes: int | None
) -> Iterator[LineBlock]:
    """Yield every block of a file once, in an order drawn from `rng`, or else in that of the file.

    With `max_line_bytes`, longer lines may be cut into several. Raises UserError for a file that is
    damaged or not text.
    """
    if streams.is_streamed(path):
        yield from _streamed_blocks(path, max_line_bytes)
        return
    size = path.stat().st_size
    n_blocks = max(1, -(-size // BLOCK_BYTES))
    with path.open("rb") as file:
        starts = _LineStarts(file, size, max_line_bytes)
        first_line = None if rng else 1
        order = rng.permutation(n_blocks).tolist() if rng else range(n_blocks)
        for n_read, index in enumerate(order):
            start, end = starts.of_block(index), starts.of_block(index + 1)
            if end - start > MAX_LINE_BYTES:
                raise _line_too_long(path, _count_newlines(path, (index + 1) * BLOCK_BYTES) + 1)
            file.seek(start)
            raw = file.read(end - start)
            if start == 0:
                raw = raw.removeprefix(codecs.BOM_UTF8)
            read, after = n_read / n_blocks, (n_read + 1) / n_blocks
            yield LineBlock(path, raw, read, after, start, first_line)
            if first_line:
                first_line += raw.count(b"\n")


class _LineStarts:
    """Finds the first line that starts in each block of a file.

    Blocks inside a long line are remembered, so that the line is searched for its end only once.
    """

    def __init__(self, file: io.BufferedReader, size: int, max_line_bytes: int | None) -> None:
        self.file, self.size, self.max_line_bytes = file, size, max_line_bytes
        self._known: dict[int, int] = {}

    def of_block(self, index: int) -> int:
        """Return the first position in or after the block where a line starts.

        With `max_line_bytes`, a longer line is cut after a space or else between two characters.
        """
        offset = index * BLOCK_BYTES
        if offset == 0 or offset >= self.size:
            return min(offset, self.size)
        if self.max_line_bytes is None:
            return self._after_line(index)
        self.file.seek(offset - 1)
        ahead = self.file.read(self.max_line_bytes)
        if len(ahead) < self.max_line_bytes and b"\n" not in ahead:
            return self.size  # the last line of the file
        return offset - 1 + _cut_position(ahead)

    def _after_line(self, first: int) -> int:
        """Return where the line ends that the block continues."""
        index = first
        while index not in self._known:
            self.file.seek(index * BLOCK_BYTES - 1)
            line = self.file.readline(BLOCK_BYTES)
            if line.endswith(b"\n") or len(line) < BLOCK_BYTES:
                self._known[index] = index * BLOCK_BYTES - 1 + len(line)
                break
            index += 1
        end = self._known[index]
        self._known.update(dict.fromkeys(range(first, index), end))
        return end


def _line_too_long(path: Path, line: int) -> UserError:
    return UserError(
        f"{path}, line {line} is longer than {MAX_LINE_BYTES / 1e6:,.0f} MB",
        "split its text into several lines",
    )


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


def _streamed_blocks(path: Path, max_line_bytes: int | None) -> Iterator[LineBlock]:
    line, start_fraction, end_fraction, pending, n_pending = 1, 0.0, 0.0, [b""], 0
    for chunk in itertools.chain(streams.byte_chunks(path, BLOCK_BYTES), [None]):
        if chunk:
            pending.append(chunk.raw)
            n_pending += len(chunk.raw)
            end_fraction = chunk.fraction
            if b"\n" not in chunk.raw and n_pending <= (max_line_bytes or MAX_LINE_BYTES):
                continue
        text = b"".join(pending)
        end = text.rfind(b"\n") + 1 if chunk else len(text)
        if chunk and not end:
            if not max_line_bytes:
                raise _line_too_long(path, line)
            end = len(text) - max_line_bytes + _cut_position(text[-max_line_bytes:])
        pending, n_pending = [text[end:]], len(text) - end
        if end:
            yield LineBlock(path, text[:end], start_fraction, end_fraction, 0, line)
            line += text.count(b"\n", 0, end)
            start_fraction = end_fraction


def uncompressed_gzip_bytes(path: Path) -> int:
    """Return about how many bytes a gzip file holds: exactly if it is small.

    Its last four bytes have the length of its last member modulo 4 GiB, which is that of the file
    only if it has a single member. So they are believed only if they agree with the compression of
    the file's beginning.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        try:
            n_compressed, n_bytes = _sample_gzip(file)
        except zlib.error:
            return size  # reported when it is read
        if n_compressed == size:
            return n_bytes
        file.seek(-4, io.SEEK_END)
        length = int.from_bytes(file.read(4), "little")
    estimate = n_bytes * size / n_compressed
    length += max(0, round((estimate - length) / 2**32)) * 2**32
    return length if estimate / 2 < length < 2 * estimate else round(estimate)


def _sample_gzip(file: io.BufferedReader) -> tuple[int, int]:
    """Decompress the beginning of a gzip file; return the bytes read and those they hold."""
    decoder, compressed, n_bytes = zlib.decompressobj(GZIP_WBITS), b"", 0
    while n_bytes < GZIP_SAMPLE_BYTES and (compressed := compressed or file.read(BLOCK_BYTES)):
        n_bytes += len(decoder.decompress(compressed, BLOCK_BYTES))
        compressed = decoder.unconsumed_tail
        if decoder.eof:  # the next member follows, perhaps after zeros that fill a block
            compressed = decoder.unused_data.lstrip(b"\0")
            decoder = zlib.decompressobj(GZIP_WBITS)
    return file.tell() - len(compressed), n_bytes
