"""Where Firstwords keeps its files, and how much room there is."""

import os
import shutil
from pathlib import Path

from platformdirs import user_cache_path


def home() -> Path:
    """Return $FIRSTWORDS_HOME, by default a directory in the platform's cache directory."""
    chosen = os.environ.get("FIRSTWORDS_HOME")
    return Path(chosen).expanduser().absolute() if chosen else user_cache_path("firstwords")


def compile_cache() -> Path:
    """Return the directory of compiled code, shared by all runs."""
    return home() / "compiled"


def free_disk(directory: Path) -> int:
    """Return the bytes free on the disk where `directory` is or will be."""
    existing = next(path for path in (directory, *directory.parents) if path.exists())
    return shutil.disk_usage(existing).free
