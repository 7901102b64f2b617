"""Read a file of text as a stream of UTF-8, whatever its compression and encoding.

A byte order mark says which of UTF-8, UTF-16 and UTF-32 a file is in, and is no part of its text.
Without one, a file is UTF-8.
"""

import codecs
import gzip
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from firstwords.common.errors import UserError
from firstwords.data import chat_zip

COMPRESSIONS = {".gz": "gzip file", ".zst": "zstd file", ".zip": "zip archive"}
# The longer marks first: that of UTF-32 starts with that of UTF-16.
BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# The first bytes of files that are no text, and what they are.
SIGNATURES = {
    b"%PDF-": "a PDF file",
    b"PK\x03\x04": "a zip archive (as .epub, .docx or .xlsx)",
    b"\x1f\x8b\x08": "a gzip file",
    b"(\xb5/\xfd": "a zstd file",
}
HEAD_BYTES = 4096
CHUNK_BYTES = 1 << 20


class Chunk(NamedTuple):
    """A piece of a file's text in UTF-8, and the fraction of the file read with it."""

    raw: bytes
    fraction: float


def compression(path: Path) -> str:
    """Return the suffix of a compressed file, or nothing."""
    suffix = path.suffix.lower()
    return suffix if suffix in COMPRESSIONS else ""


def is_streamed(path: Path) -> bool:
    """Return whether a file can be read only from its start: it is compressed, or not in UTF-8.

    Raises UserError for a file that is not text.
    """
    if compression(path):
        return True
    with path.open("rb") as file:
        return _encoding(path, file.read(HEAD_BYTES)) != "utf-8"


def byte_chunks(path: Path, n_bytes: int = CHUNK_BYTES) -> Iterator[Chunk]:
    """Yield the text of a file in UTF-8, in pieces of about `n_bytes`.

    Raises UserError for a file that is damaged, not text or not in the encoding of its byte order
    mark.
    """
    chunks = _unpacked_chunks(path, n_bytes)
    first = next(chunks, None)
    if first is None:
        return
    encoding = _encoding(path, first.raw[:HEAD_BYTES])
    if encoding == "utf-8":
        yield Chunk(first.raw.removeprefix(codecs.BOM_UTF8), first.fraction)
        yield from chunks
        return
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        yield Chunk(decoder.decode(first.raw).encode(), first.fraction)
        for chunk in chunks:
            yield Chunk(decoder.decode(chunk.raw).encode(), chunk.fraction)
        decoder.decode(b"", final=True)
    except UnicodeError as error:
        raise UserError(
            f"{path} is not valid {encoding.upper()}, which its byte order mark says ({error})",
            "convert the file to UTF-8, for instance with iconv",
        ) from None


def text_pieces(path: Path) -> Iterator[tuple[str, float]]:
    """Yield the text of a file in pieces, each with the fraction of the file read.

    Raises UserError as `byte_chunks`, and for text that is not UTF-8.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for chunk in byte_chunks(path):
            yield decoder.decode(chunk.raw), chunk.fraction
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path} is not UTF-8 (byte 0x{error.object[error.start]:02x})",
            "convert the file, for instance with iconv",
        ) from None


def unpacked_zstd_bytes(path: Path) -> int:
    """Estimate the size of a zstd file's content from its first megabyte."""
    size = path.stat().st_size
    with path.open("rb") as raw, closing(_open_unpacked(path, raw)) as file:
        n_bytes = len(file.read(CHUNK_BYTES))
        return n_bytes if n_bytes < CHUNK_BYTES else int(n_bytes * size / min(size, raw.tell()))


def _encoding(path: Path, head: bytes) -> str:
    for mark, encoding in BYTE_ORDER_MARKS:
        if head.startswith(mark):
            return encoding
    for signature, kind in SIGNATURES.items():
        if head.startswith(signature):
            raise UserError(
                f"{path} is {kind}, not text", "give its name the right ending, or unpack it"
            )
    if head.count(0) > len(head) // 4:
        raise UserError(
            f"{path} has many NUL bytes, as binary files have, and UTF-16 without a byte order "
            f"mark",
            "use a text file; from UTF-16, convert it with: iconv -f UTF-16LE -t UTF-8",
        )
    return "utf-8"


def _unpacked_chunks(path: Path, n_bytes: int) -> Iterator[Chunk]:
    size, kind = max(1, path.stat().st_size), compression(path)
    with path.open("rb") as raw, closing(_open_unpacked(path, raw)) as file:
        while True:
            try:
                chunk = file.read(n_bytes)
            except (OSError, EOFError, zlib.error, zipfile.BadZipFile) as error:
                if not kind:
                    raise
                raise UserError(
                    f"{path} is not a complete {COMPRESSIONS[kind]} ({error})",
                    "copy or compress it again",
                ) from None
            if not chunk:
                return
            yield Chunk(chunk, min(1.0, raw.tell() / size))


def _open_unpacked(path: Path, raw: BinaryIO) -> Any:
    kind = compression(path)
    if kind == ".gz":
        return gzip.open(raw)
    if kind == ".zip":
        return chat_zip.open_chat(path, raw)
    if not kind:
        return raw
    import pyarrow as pa  # takes 40 MB of memory

    return pa.CompressedInputStream(raw, "zstd")
