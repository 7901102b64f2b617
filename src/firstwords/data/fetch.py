"""Fetch a named corpus: choose its shards, pin them, get what is not here."""

from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock, Timeout

from firstwords import console, machine
from firstwords.data import contents, hub
from firstwords.data.catalogue import Entry
from firstwords.data.contents import Contents, FileEntry
from firstwords.data.corpora import VALIDATION_NAME
from firstwords.data.download import Wanted, download
from firstwords.errors import UserError


class Fetched(NamedTuple):
    folder: Path
    files: int  # that are there now
    bytes: int
    new: int  # of the files


def fetch_corpus(name: str, entry: Entry, folder: Path, shards: int | None, jobs: int) -> Fetched:
    """All held-out files, and `shards` others or whatever more is here. Without a number, what was
    wanted before. Raises UserError."""
    with locked(folder):
        before = contents.read(folder)
        wanted = before if before and shards is None else _choose(entry, before, shards, folder)
        contents.write(folder, wanted)
        return get_missing(name, folder, wanted, jobs)


def get_missing(label: str, folder: Path, wanted: Contents, jobs: int) -> Fetched:
    """Fetch the files that are not here, or not whole."""
    found = list(contents.states(f"checking {label}", folder, wanted.files))
    missing = [f for f, state in zip(wanted.files, found, strict=True) if state != "whole"]
    if damaged := found.count("damaged"):
        console.warn(f"{damaged} of the files here are damaged; they are fetched again")
    asked = [
        Wanted(
            hub.url(wanted.origin, wanted.revision, f.source), folder / f.path, f.bytes, f.sha256
        )
        for f in missing
    ]
    check_disk(folder, sum((one.bytes or 0) - one.received for one in asked))
    if asked:
        download(f"fetching {label}", asked, jobs, hub.headers())
    total = sum(entry.bytes for entry in wanted.files)
    return Fetched(folder, len(wanted.files), total, len(missing))


def _choose(entry: Entry, before: Contents | None, shards: int | None, folder: Path) -> Contents:
    """What is to be here. The network is asked only if that is more than what is pinned."""
    wanted = min(shards or entry.shards, entry.all_shards)
    if before is None or sum(not file.held_out for file in before.files) < wanted:
        before = _listed(entry, before)
    train = [file for file in before.files if not file.held_out]
    chosen = [f for i, f in enumerate(train) if i < wanted or (folder / f.path).exists()]
    held_out = [file for file in before.files if file.held_out]
    return before.model_copy(update={"files": (*chosen, *held_out)})


def _listed(entry: Entry, before: Contents | None) -> Contents:
    """All files of the corpus, at the revision that is pinned or will be."""
    revision = before.revision if before else entry.revision
    if before and entry.revision not in (None, before.revision):
        console.warn(f"stays at revision {before.revision[:10]}, from which its first files are")
    listing = hub.listing(entry.repository, revision)
    held_out = [f for f in sorted(listing.files) if fnmatchcase(f.path, entry.held_out)]
    train = [f for f in sorted(listing.files) if fnmatchcase(f.path, entry.train)]
    found = [_entry(file, held_out=False) for file in train if file not in held_out]
    if not found:
        raise UserError(
            f"{entry.repository} has no file {entry.train} at revision {listing.revision}",
            "please report it",
        )
    found += [_entry(file, held_out=True) for file in held_out]
    return Contents(origin=entry.repository, revision=listing.revision, files=tuple(found))


def _entry(file: hub.HubFile, held_out: bool) -> FileEntry:
    """Held-out files say so in their names, for those who read the folder as any other."""
    name = Path(file.path).name
    if held_out and not VALIDATION_NAME.search(name):
        name = f"val-{name}"
    return FileEntry(
        path=name, bytes=file.bytes, sha256=file.sha256, held_out=held_out, source=file.path
    )


def check_disk(folder: Path, needed: float) -> None:
    free = machine.free_disk(folder)
    if needed > free:
        raise UserError(
            f"not enough disk: {console.size(needed)} more are needed, and {console.size(free)} "
            f"are free in {folder}",
            "free some space, or set FIRSTWORDS_HOME to a directory on another disk",
        )


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """The folder, held against every other process. Raises UserError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock", timeout=0):
            yield
    except Timeout:
        raise UserError(
            f"{folder} is being filled by another process", "wait for it to end"
        ) from None
    except (PermissionError, NotADirectoryError, FileExistsError) as error:
        raise UserError(
            f"cannot make the directory {folder} ({error.strerror})",
            "use another, or set FIRSTWORDS_HOME to a directory that you can write to",
        ) from None
