"""The manifest of fetched data: `contents.json`, with the size and SHA-256 of every file.

It is written before the first file is fetched, so it lists what should be present, and it pins the
revision: later shards come from the same one. Corpora are in $FIRSTWORDS_HOME/data/NAME, the
benchmarks' data in $FIRSTWORDS_HOME/eval.
"""

import functools
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from pydantic import AfterValidator, Field

from firstwords.common import console, files, paths
from firstwords.common.errors import UserError
from firstwords.common.schema import FrozenModel, parse, read_document
from firstwords.data.hub.catalogue import EVAL

MANIFEST_NAME = "contents.json"
HASHING_THREADS = 4
MAX_NAME_BYTES = 200  # of a part of a path; file systems allow 255

FileState = Literal["intact", "missing", "damaged"]


def safe_path(path: str) -> str:
    """Check that a path is relative and stays in its folder, since a manifest may come from another
    machine. Raises ValueError."""
    for part in path.split("/"):
        is_plain = part.isprintable() and "\\" not in part and len(part.encode()) <= MAX_NAME_BYTES
        if not is_plain or part in ("", ".", "..") or part.startswith(files.TEMPORARY):
            raise ValueError(f"{path[:80]!r} is not a plain relative path")
    return path


SafePath = Annotated[str, AfterValidator(safe_path)]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class FileEntry(FrozenModel):
    """A file of a fetched corpus."""

    path: SafePath  # in the folder
    bytes: int = Field(ge=0)
    sha256: Sha256
    held_out: bool = False  # never trained on
    source: str = ""  # its path in the repository, or its address


class CorpusManifest(FrozenModel):
    """The contents of a folder of fetched data."""

    origin: str  # the repository, or another source
    revision: str = ""
    files: tuple[FileEntry, ...]


class CorpusFiles(NamedTuple):
    """The files of a named corpus."""

    train: tuple[Path, ...]
    held_out: tuple[Path, ...]


def data_home() -> Path:
    """Return the directory of all fetched corpora."""
    return paths.home() / "data"


def corpus_folder(name: str) -> Path:
    """Return the folder of a named corpus, or of the benchmarks' data, whether it exists or not."""
    return paths.home() / EVAL if name == EVAL else data_home() / name


def fetch_command(name: str) -> str:
    """Return the command that fetches a corpus, or what is missing or damaged of it."""
    return f"firstwords data fetch {name}"


def read_manifest(folder: Path) -> CorpusManifest | None:
    """Return the manifest of a folder, or None if nothing was fetched there. Raises UserError if it
    is not valid."""
    path = folder / MANIFEST_NAME
    return parse(CorpusManifest, read_document(path), path) if path.is_file() else None


def write_manifest(folder: Path, manifest: CorpusManifest) -> None:
    """Write the manifest of a folder."""
    files.write_text(folder / MANIFEST_NAME, manifest_json(manifest))


def manifest_json(manifest: CorpusManifest) -> str:
    """Return the text of a manifest file."""
    return files.json_text(manifest.model_dump(exclude_defaults=True))


def list_fetched() -> list[str]:
    """Return the names of all data that was fetched or unpacked on this machine."""
    names = sorted(path.parent.name for path in data_home().glob(f"*/{MANIFEST_NAME}"))
    return names + [EVAL] * (paths.home() / EVAL / MANIFEST_NAME).is_file()


def locate_corpus(name: str) -> CorpusFiles | None:
    """Return the files of a fetched corpus, or None if it was not fetched.

    Checks sizes only. Raises UserError if a file is missing or damaged.
    """
    folder = corpus_folder(name)
    manifest = read_manifest(folder)
    if manifest is None:
        return None
    for entry in manifest.files:
        state = check_size(folder, entry)
        if state != "intact":
            raise UserError(
                f"{folder / entry.path} is {state}", f"fetch it again: {fetch_command(name)}"
            )
    train = tuple(folder / entry.path for entry in manifest.files if not entry.held_out)
    held_out = tuple(folder / entry.path for entry in manifest.files if entry.held_out)
    return CorpusFiles(train, held_out)


def check_size(folder: Path, entry: FileEntry) -> FileState:
    """Return the state of a file, judged by its size alone."""
    path = folder / entry.path
    if not path.is_file():
        return "missing"
    return "intact" if path.stat().st_size == entry.bytes else "damaged"


def check_file(folder: Path, entry: FileEntry) -> FileState:
    """Return the state of a file, judged by its SHA-256."""
    state = check_size(folder, entry)
    if state == "intact" and files.sha256_file(folder / entry.path) != entry.sha256:
        return "damaged"
    return state


def check_files(label: str, folder: Path, entries: Sequence[FileEntry]) -> Iterator[FileState]:
    """Yield the state of every file, in order; several threads read them."""
    megabytes = sum(entry.bytes for entry in entries) / 1e6
    with (
        ThreadPoolExecutor(HASHING_THREADS) as pool,
        console.progress(label, megabytes, "MB") as meter,
    ):
        states = pool.map(functools.partial(check_file, folder), entries)
        for entry, state in zip(entries, states, strict=True):
            meter.advance(entry.bytes / 1e6)
            yield state
