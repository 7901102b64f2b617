"""Fetch a named corpus: choose its shards, pin them in a manifest, download what is missing."""

from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

from filelock import Timeout

from firstwords.common import console, paths
from firstwords.common.errors import UserError
from firstwords.common.locks import exclusive_lock
from firstwords.common.units import format_size
from firstwords.data.file_types import is_validation_name
from firstwords.data.hub import api, manifest
from firstwords.data.hub.catalogue import CatalogueEntry
from firstwords.data.hub.download import RemoteFile, download_files
from firstwords.data.hub.manifest import CorpusManifest, FileEntry


class FetchResult(NamedTuple):
    """What a folder holds after fetching."""

    folder: Path
    n_files: int
    bytes: int
    n_new: int  # files fetched now


def fetch_corpus(
    name: str, entry: CatalogueEntry, folder: Path, shards: int | None, jobs: int
) -> FetchResult:
    """Fetch all held-out files and at least `shards` training files of a corpus.

    Without a number of shards, fetch what the previous call pinned, or else the default number.
    Raises UserError.
    """
    with folder_lock(folder):
        pinned = manifest.read_manifest(folder)
        if pinned is None or shards is not None:
            pinned = _choose_files(entry, pinned, shards, folder)
        manifest.write_manifest(folder, pinned)
        return fetch_missing(name, folder, pinned, jobs)


def fetch_missing(label: str, folder: Path, pinned: CorpusManifest, jobs: int) -> FetchResult:
    """Fetch the files of a manifest that are missing or damaged."""
    states = list(manifest.check_files(f"checking {label}", folder, pinned.files))
    missing = [f for f, state in zip(pinned.files, states, strict=True) if state != "intact"]
    if n_damaged := states.count("damaged"):
        console.warn(f"{n_damaged} damaged files are fetched again")
    remote_files = [
        RemoteFile(
            api.file_url(pinned.origin, pinned.revision, f.source),
            folder / f.path,
            f.bytes,
            f.sha256,
        )
        for f in missing
    ]
    check_disk_space(folder, sum((r.bytes or 0) - r.received_bytes for r in remote_files))
    if remote_files:
        download_files(f"fetching {label}", remote_files, jobs, api.request_headers())
    total_bytes = sum(file.bytes for file in pinned.files)
    return FetchResult(folder, len(pinned.files), total_bytes, len(missing))


def _choose_files(
    entry: CatalogueEntry, pinned: CorpusManifest | None, shards: int | None, folder: Path
) -> CorpusManifest:
    """Return the manifest with that many training files, and any others that are in the folder.

    Uses the network only if that is more than is pinned.
    """
    n_shards = min(shards or entry.shards, entry.all_shards)
    if pinned is None or sum(not file.held_out for file in pinned.files) < n_shards:
        pinned = _list_files(entry, pinned)
    train = [file for file in pinned.files if not file.held_out]
    chosen = [f for i, f in enumerate(train) if i < n_shards or (folder / f.path).exists()]
    held_out = [file for file in pinned.files if file.held_out]
    return pinned.replace(files=(*chosen, *held_out))


def _list_files(entry: CatalogueEntry, pinned: CorpusManifest | None) -> CorpusManifest:
    """Return all files of a corpus, at the pinned revision or else the one of the catalogue."""
    revision = pinned.revision if pinned else entry.revision
    if pinned and entry.revision not in (None, pinned.revision):
        console.warn(f"using revision {pinned.revision[:10]}, like the files fetched before")
    listing = api.list_dataset_files(entry.repository, revision)
    held_out = [f for f in sorted(listing.files) if fnmatchcase(f.path, entry.held_out)]
    train = [f for f in sorted(listing.files) if fnmatchcase(f.path, entry.train)]
    entries = [_file_entry(file, held_out=False) for file in train if file not in held_out]
    if not entries:
        raise UserError(
            f"{entry.repository} has no file {entry.train} at revision {listing.revision}",
            "report it",
        )
    entries += [_file_entry(file, held_out=True) for file in held_out]
    return CorpusManifest(origin=entry.repository, revision=listing.revision, files=tuple(entries))


def _file_entry(file: api.HubFile, held_out: bool) -> FileEntry:
    """Return the entry of a file. Held-out files get a name that marks them as validation data, in
    case the folder is read as a plain directory."""
    name = Path(file.path).name
    if held_out and not is_validation_name(name):
        name = f"val-{name}"
    return FileEntry(
        path=name, bytes=file.bytes, sha256=file.sha256, held_out=held_out, source=file.path
    )


def check_disk_space(folder: Path, needed_bytes: float) -> None:
    """Raise UserError if the disk of a folder has less free space than needed."""
    free_bytes = paths.free_disk(folder)
    if needed_bytes > free_bytes:
        raise UserError(
            f"not enough disk space in {folder}: {format_size(needed_bytes)} needed, "
            f"{format_size(free_bytes)} free",
            "free some space, or set FIRSTWORDS_HOME to a directory on another disk",
        )


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Create a folder and lock it against other processes. Raises UserError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with exclusive_lock(folder / ".lock"):
            yield
    except Timeout:
        raise UserError(
            f"{folder} is in use by another process", "wait until it has finished"
        ) from None
    except (PermissionError, NotADirectoryError, FileExistsError) as error:
        raise UserError(
            f"cannot create the directory {folder} ({error.strerror})",
            "use another one, or set FIRSTWORDS_HOME to a directory that you can write to",
        ) from None
