"""Find the data files in a folder of a user, and say what is left out."""

import functools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from firstwords.common import console
from firstwords.common.errors import UserError
from firstwords.common.paths import escape_undecodable
from firstwords.data import streams
from firstwords.data.chat_exports import is_chat_archive
from firstwords.data.file_types import file_format
from firstwords.data.telegram import is_telegram

# What systems leave in folders, besides names that start with a dot.
SYSTEM_NAMES = {"__MACOSX", "lost+found", "System Volume Information", "$RECYCLE.BIN"}
DESCRIPTIONS = {"readme.md", "license.md"}  # they are about the data
MAX_LISTED = 4


def find_files(folder: Path, option: str) -> list[Path]:
    """Return the data files in a folder and the folders in it, sorted by path.

    Raises UserError for files and folders that cannot be read.
    """
    found: list[Path] = []
    left_out: list[str] = []
    for path, is_data in _walk(folder, option):
        if is_data:
            found.append(path)
        else:
            left_out.append(str(path.relative_to(folder)))
    if left_out:
        _note_left_out(option, folder, tuple(sorted(left_out)))
    for path in found:
        check_readable(path, option)
    return sorted(found)


def check_readable(path: Path, option: str) -> None:
    """Raise UserError for a file that may not be read, or whose name cannot be stored."""
    if escape_undecodable(path) != str(path):
        raise UserError(
            f"{option} {escape_undecodable(path)} has a name that is not UTF-8", "rename it"
        )
    if not os.access(path, os.R_OK, effective_ids=os.access in os.supports_effective_ids):
        _cannot_read(option, PermissionError(0, "Permission denied", str(path)))


def _walk(folder: Path, option: str) -> Iterator[tuple[Path, bool]]:
    """Yield every file, and whether it is data; of the folders only those that are left out."""
    visited = set()
    walk = os.walk(folder, onerror=functools.partial(_cannot_read, option), followlinks=True)
    for directory, folders, names in walk:
        status = Path(directory).stat()
        if (status.st_dev, status.st_ino) in visited:  # a link to a folder that was read
            folders.clear()
            continue
        visited.add((status.st_dev, status.st_ino))
        hidden = [name for name in folders if _is_hidden(name)]
        yield from ((Path(directory, name), False) for name in hidden)
        folders[:] = sorted(set(folders) - set(hidden))
        yield from ((path := Path(directory, name), _is_data(path)) for name in names)


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name in SYSTEM_NAMES


def _is_data(path: Path) -> bool:
    """Return whether a file in a folder is data. A JSON file is if it holds an array: others are
    settings and descriptions. A zip archive is if it holds a chat."""
    if _is_hidden(path.name) or path.name.lower() in DESCRIPTIONS or not path.is_file():
        return False
    found = file_format(path)
    if found == "json":
        first, _ = next(streams.text_pieces(path), ("", 0.0))
        return first.lstrip().startswith("[") or is_telegram(path)
    return is_chat_archive(path) if found == "zip" else found is not None


def _cannot_read(option: str, error: OSError) -> NoReturn:
    raise UserError(
        f"{option}: {escape_undecodable(error.filename)} cannot be read ({error.strerror})",
        "change its permissions, or move it elsewhere",
    )


@functools.cache  # say it once, however often the folder is read
def _note_left_out(option: str, folder: Path, names: tuple[str, ...]) -> None:
    listed = ", ".join(escape_undecodable(name) for name in names[:MAX_LISTED])
    more = f" and {len(names) - MAX_LISTED:,} more" if len(names) > MAX_LISTED else ""
    console.warn(
        f"{option} {folder}: leaving out {listed}{more} (hidden, or not data of a known type)"
    )
