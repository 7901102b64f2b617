"""Read and write archives that `tar` can open too: plain files one after another, nothing else.

The same files give the same bytes. Reading trusts nothing: tarfile's own reader would follow links
and load extended headers of any length into memory, so this module uses only its parser for a
single header of 512 bytes. `.tar.zst` is compressed by pyarrow's zstd.
"""

import io
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol

from firstwords.common.errors import DamagedFile, UserError

TAR_BLOCK_BYTES = tarfile.BLOCKSIZE
CHUNK_BYTES = 1 << 20
MAX_USTAR_BYTES = 8 << 30  # of a file; GNU's encoding of sizes has no such limit
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
ARCHIVE_SUFFIXES = (".tar", ".tar.zst")


class Writable(Protocol):
    def write(self, data: bytes, /) -> object: ...


class Readable(Protocol):
    def read(self, size: int = ..., /) -> bytes: ...


class Member(NamedTuple):
    """A file of an archive."""

    name: str
    size: int


@contextmanager
def archive_writer(file: BinaryIO, compressed: bool) -> Iterator[Writable]:
    """Open a stream into a file; when the block ends, the end of the archive is written."""
    if not compressed:
        yield file
        file.write(bytes(2 * TAR_BLOCK_BYTES))
        return
    import pyarrow as pa

    # Closing the compressed stream also closes the one below it, which must not be the file.
    with pa.CompressedOutputStream(pa.PythonFile(_KeepOpen(file), "w"), "zstd") as stream:
        yield stream
        stream.write(bytes(2 * TAR_BLOCK_BYTES))


class _KeepOpen(io.RawIOBase):
    def __init__(self, file: BinaryIO) -> None:
        self.file = file

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        return self.file.write(data)  # type: ignore[call-overload]


def write_header(stream: Writable, member: Member) -> None:
    """Write the header of a file. Raises UserError if its name is too long."""
    info = tarfile.TarInfo(member.name)
    info.size = member.size
    is_small = member.size < MAX_USTAR_BYTES
    try:
        header = info.tobuf(tarfile.USTAR_FORMAT if is_small else tarfile.GNU_FORMAT)
    except ValueError:
        header = b""
    if len(header) != TAR_BLOCK_BYTES:  # more than one block would be extended headers
        raise UserError(f"{member.name} is too long a name for an archive", "shorten it")
    stream.write(header)


def write_padding(stream: Writable, member: Member) -> None:
    """Fill up the last block of a file."""
    stream.write(bytes(-member.size % TAR_BLOCK_BYTES))


@contextmanager
def archive_reader(path: Path) -> Iterator[Readable]:
    """Open an archive as a stream of uncompressed bytes.

    Raises DamagedFile inside the block if the compressed data is damaged.
    """
    with path.open("rb") as file:
        is_compressed = file.read(len(ZSTD_MAGIC)) == ZSTD_MAGIC
        file.seek(0)
        if not is_compressed:
            yield file
            return
        import pyarrow as pa

        try:
            yield pa.CompressedInputStream(file, "zstd")
        except (pa.ArrowException, EOFError) as error:
            raise DamagedFile(f"cannot uncompress it: {error}") from None


def read_header(stream: Readable) -> Member | None:
    """Read the next header; None at the end of the archive. Raises DamagedFile."""
    block = read_exactly(stream, TAR_BLOCK_BYTES)
    if block == bytes(TAR_BLOCK_BYTES):
        rest = read_exactly(stream, TAR_BLOCK_BYTES) + stream.read(CHUNK_BYTES)  # tar pads the end
        if any(rest) or len(rest) > CHUNK_BYTES:
            raise DamagedFile("it has data after its end")
        return None
    try:
        info = tarfile.TarInfo.frombuf(block, "utf-8", "strict")
    except (tarfile.TarError, ValueError) as error:
        raise DamagedFile(f"a header is not valid: {error}") from None
    if info.type != tarfile.REGTYPE:
        raise DamagedFile(f"{info.name[:80]!r} is not a regular file")
    if info.size < 0:
        raise DamagedFile(f"{info.name[:80]!r} has a negative size")
    return Member(info.name, info.size)


def read_content(stream: Readable, member: Member, on_chunk: Callable[[bytes], object]) -> None:
    """Pass the content of a file to `on_chunk`, chunk by chunk. Raises DamagedFile if it is cut
    off."""
    remaining = member.size
    while remaining:
        chunk = read_exactly(stream, min(remaining, CHUNK_BYTES))
        on_chunk(chunk)
        remaining -= len(chunk)
    padding = -member.size % TAR_BLOCK_BYTES
    if read_exactly(stream, padding) != bytes(padding):
        raise DamagedFile(f"{member.name} is not padded with zeros")


def read_exactly(stream: Readable, size: int) -> bytes:
    """Read `size` bytes. Raises DamagedFile if the stream ends before."""
    chunks, remaining = [], size
    while remaining:
        chunk = stream.read(remaining)
        if not chunk:
            raise DamagedFile("it is cut off")
        chunks.append(chunk)
        remaining -= len(chunk)
    return b"".join(chunks)
