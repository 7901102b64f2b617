"""The runs of this machine: find, create, open and lock them. Needs no torch."""

import contextlib
import difflib
import errno
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import Timeout

from firstwords.common import console, disk, files, paths
from firstwords.common.errors import UserError
from firstwords.common.locks import exclusive_lock
from firstwords.common.schema import parse, read_document
from firstwords.runs.documents import read_or_none
from firstwords.runs.manifest import Manifest
from firstwords.runs.misplaced import move_misplaced_aside
from firstwords.runs.run import Run

MANIFEST_NAMES = ("run.json", "checkpoints/run.json")  # the manifest, and its copy
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
MIN_SIMILARITY = 0.6  # of a name to one that was meant: "frist" and "first" have 0.8


def runs_home() -> Path:
    """Return the directory that holds the runs."""
    return paths.home() / "runs"


def check_name(name: str) -> None:
    """Raise UserError unless the name is safe as the name of a directory."""
    if not NAME.fullmatch(name):
        printable = name[:80].encode("ascii", "backslashreplace").decode()
        raise UserError(
            f"the run name {printable} is not valid",
            "use letters, digits, dots and dashes, such as first or real-10m",
        )


@contextmanager
def lock_run(name: str) -> Iterator[Path]:
    """Lock the directory of a run against other processes, creating it if it is missing.

    A directory that this process cannot write to, such as that of a read-only disk, needs no lock:
    a finished run is read from it, and an unfinished one stops at its first file. Raises UserError
    if another process holds the lock.
    """
    check_name(name)
    directory = runs_home() / name
    _make_directory(directory)
    if not disk.is_writable(directory):
        yield directory
        return
    move_misplaced_aside(directory)
    try:
        with exclusive_lock(directory / "lock"):
            (directory / "lock").touch()  # when this process began, for status.py
            files.remove_temporaries(directory)
            yield directory
    except Timeout:
        raise UserError(
            f"--run {name} is in use by another process", "wait for it, or choose another name"
        ) from None


def _make_directory(directory: Path) -> None:
    try:
        files.make_directory(directory)
    except OSError as error:
        if error.errno not in (*disk.NOT_WRITABLE, errno.ENOTDIR, errno.EEXIST):
            raise
        raise UserError(
            f"cannot create the directory {directory} ({error.strerror})",
            "set FIRSTWORDS_HOME to a directory that you can write to",
        ) from None


def create_run(directory: Path, manifest: Manifest) -> Run:
    """Write the manifest of a new run into its directory, as the newest of all runs, and a copy
    beside its checkpoints."""
    # The clock may have been set back since the newest run was created.
    created = max(time.time(), max(_dates_of_runs().values(), default=0.0) + 1)
    for name in MANIFEST_NAMES:
        files.write_json(directory / name, manifest.model_dump())
        os.utime(directory / name, (created, created))
    return Run(directory, manifest)


def restore_manifest(run: Run) -> None:
    """Write the manifest or its copy again if it was lost since the run was opened."""
    for name in MANIFEST_NAMES:
        if not _holds_manifest(run.directory / name):
            files.write_json(run.directory / name, run.manifest.model_dump())


def _holds_manifest(path: Path) -> bool:
    try:
        parse(Manifest, read_document(path), path)
    except UserError:
        return False
    return True


def run_exists(directory: Path) -> bool:
    """Return whether a run was created in the directory."""
    return any((directory / name).exists() for name in MANIFEST_NAMES)


def open_run_directory(directory: Path) -> Run:
    """Open the run in a directory. Raises UserError if its manifest and the copy are damaged."""
    path, copy_path = (directory / name for name in MANIFEST_NAMES)
    try:
        return Run(directory, parse(Manifest, read_document(path), path))
    except UserError:
        copy = read_or_none(Manifest, copy_path)
        if copy is None:
            raise
    console.warn_once(f"{path} is missing or damaged; using its copy {copy_path}")
    return Run(directory, Manifest.model_validate(copy))


def list_runs() -> list[Path]:
    """Return the directories of all runs, the newest first. Copies that a file manager made, such
    as "first (1)", are ignored."""
    created = _dates_of_runs()
    return sorted(created, key=lambda directory: created[directory], reverse=True)


def _dates_of_runs() -> dict[Path, float]:
    created: dict[Path, float] = {}
    for name in reversed(MANIFEST_NAMES):
        for path in runs_home().glob(f"*/{name}"):
            directory = runs_home() / path.relative_to(runs_home()).parts[0]
            if NAME.fullmatch(directory.name):
                with contextlib.suppress(FileNotFoundError):  # removed meanwhile
                    created[directory] = path.stat().st_mtime
    return created


def open_run(name: str | None) -> Run:
    """Open a run, by default the newest. Raises UserError if there is none of that name."""
    directories = list_runs()
    if name is None:
        if not directories:
            raise UserError(f"there is no run in {runs_home()}", "create one: firstwords train")
        return open_run_directory(directories[0])
    return open_run_directory(find_directory(name))


def find_directory(name: str) -> Path:
    """Return the directory of a run, also of one whose manifest is damaged. Raises UserError if
    there is none of that name."""
    check_name(name)
    directory = runs_home() / name
    if not run_exists(directory):
        raise UserError(f"run {name} does not exist", _suggest(name, list_runs()))
    return directory


def _suggest(name: str, directories: list[Path]) -> str:
    """Return a hint that names the runs most like `name`, else all of them."""
    names = [path.name for path in directories]
    closest = difflib.get_close_matches(name, names, 3, MIN_SIMILARITY)
    if closest:
        return f"did you mean {' or '.join(closest)}?"
    return f"choose one of: {', '.join(names) or 'none yet'}"
