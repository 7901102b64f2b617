"""Where Firstwords keeps its files, and how much room there is."""

import os
import re
import shutil
from pathlib import Path

from platformdirs import user_cache_path

from firstwords.common.errors import UserError


def home() -> Path:
    """Return $FIRSTWORDS_HOME, by default a directory in the platform's cache directory.
    Raises UserError."""
    chosen = os.environ.get("FIRSTWORDS_HOME")
    if chosen:
        return user_path(chosen, "FIRSTWORDS_HOME").absolute()
    try:
        return user_cache_path("firstwords")
    except RuntimeError:  # neither $HOME nor an entry in the list of users
        raise UserError(
            "this user has no home directory",
            "set FIRSTWORDS_HOME to a directory that you can write to",
        ) from None


def user_path(text: str, option: str) -> Path:
    """Return the path that a user gave to an option, with `~` expanded.

    Raises UserError for a path that no file can have, or that may not be looked at.
    """
    if escape_undecodable(text) != text:
        raise UserError(f"{option} {escape_undecodable(text)} is not UTF-8", "rename the file")
    try:
        path = Path(text).expanduser()
        _check_directory(path)
        path.stat()
    except RuntimeError:  # ~NAME
        raise UserError(
            f"{option} {text} is in the home directory of a user who does not exist",
            "write the whole path; ./~x is a file named ~x",
        ) from None
    except (FileNotFoundError, NotADirectoryError):
        pass
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UserError(
            f"{option} {_shortened(text)} cannot be used ({reason})", "choose another path"
        ) from None
    return path


def _check_directory(path: Path) -> None:
    """Raise UserError for a relative path where there is no current directory."""
    try:
        path.absolute()
    except FileNotFoundError:
        raise UserError("the current directory was removed", "change to another one") from None


def escape_undecodable(path: Path | str) -> str:
    """Return a path as text; what is not UTF-8 in it is escaped."""
    escaped = re.sub("[\udc80-\udcff]", lambda match: f"\\x{ord(match[0]) - 0xDC00:02x}", str(path))
    return escaped.encode("utf-8", "backslashreplace").decode()


def _shortened(text: str) -> str:
    return text if len(text) <= 100 else f"{text[:60]}…{text[-30:]}"


def compile_cache() -> Path:
    """Return the directory of compiled code, shared by all runs."""
    return home() / "compiled"


def free_disk(directory: Path) -> int:
    """Return the bytes free on the disk where `directory` is or will be."""
    existing = next(path for path in (directory, *directory.parents) if path.exists())
    return shutil.disk_usage(existing).free
