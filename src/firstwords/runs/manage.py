"""Rename and remove runs, but never one that another process works on."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from firstwords.common import files
from firstwords.common.errors import UserError
from firstwords.common.locks import is_locked
from firstwords.runs import registry


def rename_run(name: str, new_name: str) -> Path:
    """Rename a run, and return its new directory. Raises UserError if it is in use, or the new name
    is taken."""
    directory = registry.find_directory(name)
    target = free_directory(new_name)
    with _unused(directory):
        directory.rename(target)
        files.flush_directory(target.parent)
    return target


def free_directory(name: str) -> Path:
    """Return the directory that a run of this name would have. Raises UserError if it exists."""
    registry.check_name(name)
    directory = registry.runs_home() / name
    if directory.exists():
        raise UserError(f"run {name} already exists", "choose another name, or rename that one")
    return directory


def remove_run(directory: Path) -> None:
    """Remove a run. Raises UserError if it is in use."""
    with _unused(directory):
        files.remove_directory(directory)


def check_unused(directory: Path) -> None:
    """Raise UserError if a process works on the run."""
    if is_locked(directory / "lock"):
        raise UserError(f"run {directory.name} is in use by another process", "stop that one first")


@contextmanager
def _unused(directory: Path) -> Iterator[None]:
    """Keep other processes from working on a run during the block."""
    check_unused(directory)
    with registry.lock_run(directory.name):
        yield
