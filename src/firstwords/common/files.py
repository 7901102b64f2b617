"""Write files atomically and durably: each is complete or absent, also after a power cut.

Everything is written under a temporary name in the same directory, flushed to the disk and renamed;
then the directory is flushed, which makes the new name durable. A process killed at any moment
leaves the old file or the new one, never a part of one. What was written first is on the disk
first, so a file may refer to any that was written before it.
"""

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from firstwords.common.errors import DamagedFile, UserError

TEMPORARY = ".tmp-"
# Errors of file systems that cannot flush a directory, and of directories without read permission.
CANNOT_FLUSH = (errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.ENOSYS, errno.EACCES)


@contextmanager
def atomic_writer(path: Path) -> Iterator[BinaryIO]:
    """Open a temporary file that replaces `path` when the block ends without an error."""
    make_directory(path.parent)
    temporary = path.with_name(TEMPORARY + path.name)
    try:
        with temporary.open("wb") as file:
            yield file
        commit(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def atomic_directory(path: Path) -> Iterator[Path]:
    """Create a temporary directory that replaces `path` when the block ends without an error."""
    make_directory(path.parent)
    temporary = path.with_name(TEMPORARY + path.name)
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        yield temporary
        commit_directory(temporary, path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def commit(temporary: Path, path: Path) -> None:
    """Flush a file that was written under a temporary name, and rename it to `path`.

    In a temporary directory it is only renamed, since `commit_directory` flushes all files.
    """
    if path.parent.name.startswith(TEMPORARY):
        temporary.replace(path)
        return
    _flush(temporary)
    temporary.replace(path)
    flush_directory(path.parent)


def commit_directory(temporary: Path, path: Path) -> None:
    """Flush a directory with everything in it, and rename it to `path`, which it replaces."""
    flush_tree(temporary)
    if path.exists():
        remove_directory(path)
    temporary.rename(path)
    flush_directory(path.parent)


def make_directory(path: Path) -> None:
    """Create a directory and its missing parents durably."""
    missing = [parent for parent in (path, *path.parents) if not parent.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for created in reversed(missing):
        flush_directory(created.parent)


def remove_directory(path: Path) -> None:
    """Remove a directory; a process killed meanwhile leaves no part of it under its name."""
    doomed = path.with_name(TEMPORARY + "removed-" + path.name)
    shutil.rmtree(doomed, ignore_errors=True)
    path.rename(doomed)
    flush_directory(path.parent)
    shutil.rmtree(doomed, ignore_errors=True)


def remove_temporaries(directory: Path) -> None:
    """Remove what killed processes left under temporary names.

    No other process may be writing to the directory.
    """
    for path in list(directory.rglob(f"{TEMPORARY}*")):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def flush_tree(directory: Path) -> None:
    """Write a directory with everything in it to the disk."""
    for parent, _, names in os.walk(directory):
        for name in names:
            _flush(Path(parent, name))
        flush_directory(Path(parent))


def _flush(path: Path) -> None:
    """Write the content of a file to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def flush_directory(path: Path) -> None:
    """Write the names in a directory to the disk, where the file system can."""
    try:
        _flush(path)
    except OSError as error:
        if error.errno not in CANNOT_FLUSH:
            raise


def write_text(path: Path, text: str) -> None:
    """Write a file of UTF-8 text atomically."""
    with atomic_writer(path) as file:
        file.write(text.encode())


@contextmanager
def output_for(option: str, path: Path) -> Iterator[None]:
    """Raise UserError if this block cannot write to the path that the user gave to an option."""
    try:
        yield
    except (PermissionError, NotADirectoryError, IsADirectoryError, FileExistsError) as error:
        raise UserError(
            f"{option} {path} cannot be written ({error.strerror})", "choose another path"
        ) from None


def write_output(option: str, path: Path, text: str) -> None:
    """Write text to the path that the user gave to an option. Raises UserError if that fails."""
    with output_for(option, path):
        write_text(path, text)


def write_json(path: Path, value: Any) -> None:
    """Write an indented JSON document atomically."""
    write_text(path, json_text(value))


def json_text(value: Any) -> str:
    """Return an indented JSON document."""
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def write_json_lines(path: Path, values: Iterable[Any]) -> None:
    """Write one JSON value per line, atomically."""
    write_text(path, "".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values))


def append_line(path: Path, line: str) -> None:
    """Add a line to a file, durably. If a kill cut the last line short, that line ends first, so
    that it does not damage the new one."""
    make_directory(path.parent)
    with path.open("ab+") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 1))
        start = b"" if file.read(1) in (b"", b"\n") else b"\n"
        file.write(start + line.encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def read_json_lines(path: Path) -> list[Any]:
    """Return the JSON value of each line."""
    # Only line feeds end a line: a JSON string may hold other line separators, such as U+2028.
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def read_json(path: Path) -> Any:
    """Return the value of a JSON document."""
    return json.loads(path.read_text(encoding="utf-8"))


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file as hexadecimal digits."""
    with path.open("rb") as file:
        return sha256_stream(file)


def sha256_stream(file: BinaryIO) -> str:
    """Return the SHA-256 of the rest of an open file as hexadecimal digits."""
    digest = hashlib.sha256()
    while chunk := file.read(1 << 20):
        digest.update(chunk)
    return digest.hexdigest()


def verify_sha256(path: Path, sha256: str) -> None:
    """Raise DamagedFile if a file is missing, cannot be read or differs from its checksum."""
    try:
        actual = sha256_file(path)
    except (FileNotFoundError, IsADirectoryError):
        raise DamagedFile(f"{path.name} is missing") from None
    except OSError as error:
        raise DamagedFile(f"{path.name} cannot be read ({error.strerror})") from None
    if actual != sha256:
        raise DamagedFile(f"{path.name} does not match its checksum")
