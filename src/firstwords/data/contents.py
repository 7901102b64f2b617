"""What a folder of fetched data holds: `contents.json`, with the size and SHA-256 of every file.

It is written before the first file is fetched, so it says what ought to be there, and it pins the
revision: later shards come from the same one. Corpora stand in $FIRSTWORDS_HOME/data/NAME, the
benchmarks' data in $FIRSTWORDS_HOME/eval.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from pydantic import AfterValidator, Field

from firstwords import console, files, machine
from firstwords.data.catalogue import EVAL
from firstwords.errors import UserError
from firstwords.recipe import Fixed, parse, read_document

NAME = "contents.json"
HASHING_THREADS = 4


def safe_path(path: str) -> str:
    """A relative path that stays in its folder. Contents may come from another machine."""
    for part in path.split("/"):
        plain = part.isprintable() and "\\" not in part and len(part.encode()) <= 200
        if not plain or part in ("", ".", "..") or part.startswith(files.TEMPORARY):
            raise ValueError(f"{path[:80]!r} is no plain relative path")
    return path


SafePath = Annotated[str, AfterValidator(safe_path)]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class FileEntry(Fixed):
    path: SafePath  # in the folder
    bytes: int = Field(ge=0)
    sha256: Sha256
    held_out: bool = False  # never trained on
    source: str = ""  # its path in the repository, where that is another


class Contents(Fixed):
    origin: str  # the repository, or what else the files are from
    revision: str = ""
    files: tuple[FileEntry, ...]


def data_home() -> Path:
    return machine.home() / "data"


def folder_of(name: str) -> Path:
    """Where the corpus of that name is, or will be."""
    return machine.home() / EVAL if name == EVAL else data_home() / name


def read(folder: Path) -> Contents | None:
    """None if the folder holds nothing that was fetched. Raises UserError if it is illegible."""
    path = folder / NAME
    return parse(Contents, read_document(path), path) if path.is_file() else None


def write(folder: Path, contents: Contents) -> None:
    files.write_text(folder / NAME, rendered(contents))


def rendered(contents: Contents) -> str:
    return files.json_text(contents.model_dump(exclude_defaults=True))


def present() -> list[str]:
    """The names of all that has been fetched or unpacked here."""
    found = sorted(path.parent.name for path in data_home().glob(f"*/{NAME}"))
    return found + [EVAL] * (machine.home() / EVAL / NAME).is_file()


class Located(NamedTuple):
    """The files of a named corpus, those that are trained on apart from the others."""

    train: tuple[Path, ...]
    held_out: tuple[Path, ...]


def locate(name: str) -> Located | None:
    """None if there is no such corpus here. Raises UserError if part of it is missing."""
    folder = folder_of(name)
    contents = read(folder)
    if contents is None:
        return None
    for entry in contents.files:
        if state_by_size(folder, entry) != "whole":
            raise UserError(f"{folder / entry.path} is not whole", mend(name))
    chosen = [[folder / f.path for f in contents.files if f.held_out is h] for h in (False, True)]
    return Located(tuple(chosen[0]), tuple(chosen[1]))


def mend(name: str) -> str:
    return f"firstwords data fetch {name}"


State = Literal["whole", "missing", "damaged"]


def state_by_size(folder: Path, entry: FileEntry) -> State:
    path = folder / entry.path
    if not path.is_file():
        return "missing"
    return "whole" if path.stat().st_size == entry.bytes else "damaged"


def state(folder: Path, entry: FileEntry) -> State:
    """As `state_by_size`, but the bytes are read."""
    known = state_by_size(folder, entry)
    if known == "whole" and files.sha256_of(folder / entry.path) != entry.sha256:
        return "damaged"
    return known


def states(label: str, folder: Path, entries: Sequence[FileEntry]) -> Iterator[State]:
    """The state of every file, in order; all their bytes are read, by several threads."""
    megabytes = sum(entry.bytes for entry in entries) / 1e6
    with (
        ThreadPoolExecutor(HASHING_THREADS) as pool,
        console.progress(label, megabytes, "MB") as meter,
    ):
        check: Callable[[FileEntry], State] = lambda entry: state(folder, entry)  # noqa: E731
        for entry, found in zip(entries, pool.map(check, entries), strict=True):
            meter.advance(entry.bytes / 1e6)
            yield found
