"""Archives that `tar` opens too: plain files one after the other, and nothing else.

The same files make the same bytes. Reading believes nothing: tarfile's own reader would follow
links and take extended headers of any length into memory, so only its code for a single header of
512 bytes is used. `.tar.zst` is compressed by pyarrow's zstd.
"""

import io
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol

import pyarrow as pa

from firstwords.errors import DamagedFile, UserError

BLOCK = tarfile.BLOCKSIZE
CHUNK = 1 << 20
LARGEST_USTAR = 8 << 30  # bytes; GNU's way of writing sizes has no such bound
ZSTD = b"\x28\xb5\x2f\xfd"  # how its files begin
ENDINGS = (".tar", ".tar.zst")


class Writable(Protocol):
    def write(self, data: bytes, /) -> object: ...


class Readable(Protocol):
    def read(self, size: int = ..., /) -> bytes: ...


class Member(NamedTuple):
    name: str
    size: int


@contextmanager
def written(file: BinaryIO, compressed: bool) -> Iterator[Writable]:
    """A stream into an open file, with the end of an archive after all that the block writes."""
    if not compressed:
        yield file
        file.write(bytes(2 * BLOCK))
        return
    # A stream of its own around the file, since closing the compressed one closes that too.
    with pa.CompressedOutputStream(pa.PythonFile(_Unclosed(file), "w"), "zstd") as stream:
        yield stream
        stream.write(bytes(2 * BLOCK))


class _Unclosed(io.RawIOBase):
    def __init__(self, file: BinaryIO) -> None:
        self.file = file

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        return self.file.write(data)  # type: ignore[call-overload]


def write_header(stream: Writable, member: Member) -> None:
    """Raises UserError if the name is too long for an archive."""
    info = tarfile.TarInfo(member.name)
    info.size = member.size
    ustar = member.size < LARGEST_USTAR
    try:
        header = info.tobuf(tarfile.USTAR_FORMAT if ustar else tarfile.GNU_FORMAT)
    except ValueError:
        header = b""
    if len(header) != BLOCK:  # more than one block would be extended headers
        raise UserError(f"{member.name}: the name is too long for an archive", "shorten it")
    stream.write(header)


def write_padding(stream: Writable, member: Member) -> None:
    stream.write(bytes(-member.size % BLOCK))


@contextmanager
def opened(path: Path) -> Iterator[Readable]:
    """The archive's bytes, uncompressed. Damage inside raises DamagedFile when it is read."""
    with path.open("rb") as file:
        compressed = file.read(len(ZSTD)) == ZSTD
        file.seek(0)
        try:
            yield pa.CompressedInputStream(file, "zstd") if compressed else file
        except (pa.ArrowException, EOFError) as error:
            raise DamagedFile(f"it cannot be uncompressed: {error}") from None


def read_header(stream: Readable) -> Member | None:
    """The next file's; None at the end of the archive. Raises DamagedFile."""
    block = read_exactly(stream, BLOCK)
    if block == bytes(BLOCK):
        rest = read_exactly(stream, BLOCK) + stream.read(CHUNK)  # tar fills up its last record
        if any(rest) or len(rest) > CHUNK:
            raise DamagedFile("something follows its end")
        return None
    try:
        info = tarfile.TarInfo.frombuf(block, "utf-8", "strict")
    except (tarfile.TarError, ValueError) as error:
        raise DamagedFile(f"a header is illegible: {error}") from None
    if info.type != tarfile.REGTYPE:
        raise DamagedFile(f"{info.name[:80]!r} is no plain file")
    if info.size < 0:
        raise DamagedFile(f"{info.name[:80]!r} has a size below 0")
    return Member(info.name, info.size)


def read_content(stream: Readable, member: Member, keep: Callable[[bytes], object]) -> None:
    """Hand the file's bytes on, piece by piece. Raises DamagedFile if it is cut off."""
    left = member.size
    while left:
        piece = read_exactly(stream, min(left, CHUNK))
        keep(piece)
        left -= len(piece)
    padding = -member.size % BLOCK
    if read_exactly(stream, padding) != bytes(padding):
        raise DamagedFile(f"something follows {member.name}")


def read_exactly(stream: Readable, size: int) -> bytes:
    pieces, left = [], size
    while left:
        piece = stream.read(left)
        if not piece:
            raise DamagedFile("it ends too early")
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)
