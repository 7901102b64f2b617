"""Which files go into a bundle, and where they stand there."""

import io
import re
from pathlib import Path
from typing import BinaryIO, NamedTuple

from firstwords import console, files
from firstwords.data import catalogue, contents, corpora
from firstwords.data.catalogue import EVAL
from firstwords.data.contents import Contents, FileEntry
from firstwords.data.corpora import HUB, Corpus
from firstwords.errors import UserError
from firstwords.run import Run, Sources

AGAIN = "give the same command again"


def unit_of(path: str) -> str:
    """The directory that is put in place as a whole: data/NAME, eval or runs/NAME."""
    parts = path.split("/")
    return "/".join(parts[: 1 if parts[0] == EVAL else 2])


def in_a_unit(path: str) -> str:
    """A path that has a place in $FIRSTWORDS_HOME. Raises ValueError for any other."""
    if path.split("/")[0] not in ("data", EVAL, "runs") or path == unit_of(path):
        raise ValueError(f"{path[:80]!r} has no place in $FIRSTWORDS_HOME")
    return path


class Item(NamedTuple):
    """A file to be packed, or the text of one; its SHA-256 where it is known from before, and the
    command that mends it if it has another."""

    path: str  # in $FIRSTWORDS_HOME
    content: Path | bytes
    sha256: str = ""
    mend: str = AGAIN

    @property
    def bytes(self) -> int:
        return len(self.content) if isinstance(self.content, bytes) else self.content.stat().st_size

    def open(self) -> BinaryIO:
        content = self.content
        return io.BytesIO(content) if isinstance(content, bytes) else content.open("rb")


class Packing:
    """The items, by their paths."""

    def __init__(self) -> None:
        self.items: dict[str, Item] = {}
        self._names: dict[str, str] = {}  # of directories of one's own, by where they are

    def sorted(self) -> list[Item]:
        return [self.items[path] for path in sorted(self.items)]

    def hashed(self) -> list[Item]:
        """All items, sorted. Those whose SHA-256 is not known are read for it."""
        unread = [item for item in self.sorted() if not item.sha256]
        with console.progress("reading", sum(i.bytes for i in unread) / 1e6, "MB") as meter:
            for item in unread:
                with item.open() as file:
                    self.items[item.path] = item._replace(sha256=files.sha256_of_stream(file))
                meter.advance(item.bytes / 1e6)
        return self.sorted()

    def add_source(self, source: str | None, option: str) -> str | None:
        """The files of a source of text or conversations. Returns what it is called over there."""
        if source is None:
            return None
        corpus = corpora.open_corpus(source, option)
        if corpus.is_starter:
            return corpus.name
        if source.startswith(HUB):
            self.add_named(source.removeprefix(HUB))
            return source
        if corpus.name not in self._names:
            self._names[corpus.name] = self._free_name(corpus.name)
            self._add_own(corpus, self._names[corpus.name])
        return HUB + self._names[corpus.name]

    def add_named(self, name: str) -> None:
        """What has been fetched under that name, as it was then."""
        folder, mend = contents.folder_of(name), contents.mend(name)
        there = contents.read(folder)
        if there is None:
            raise UserError(f"{name} is not here", f"first run: {mend}")
        place = EVAL if name == EVAL else f"data/{name}"
        for entry in there.files:
            if contents.state_by_size(folder, entry) != "whole":
                raise UserError(f"{folder / entry.path} is not whole", mend)
            self._add(Item(f"{place}/{entry.path}", folder / entry.path, entry.sha256, mend))
        self._add(Item(f"{place}/{contents.NAME}", contents.rendered(there).encode()))

    def add_run(self, run: Run, sources: Sources) -> None:
        """All of a run so far, with its sources by their names over there."""
        for path in run.directory.rglob("*"):
            inside = path.relative_to(run.directory).as_posix()
            if path.is_file() and inside != "lock":
                self._add(Item(f"runs/{run.name}/{inside}", path))
        manifest = run.manifest.model_copy(update={"sources": sources})
        text = files.json_text(manifest.model_dump())
        self._add(Item(f"runs/{run.name}/run.json", text.encode()))

    def _add(self, item: Item) -> None:
        try:
            in_a_unit(contents.safe_path(item.path))
        except ValueError as error:
            raise UserError(f"cannot pack {item.path} ({error})", "rename it") from None
        self.items[item.path] = item

    def _add_own(self, corpus: Corpus, name: str) -> None:
        """Files that are not fetched: with contents, they are read there as if they were."""
        at = Path(corpus.name)
        base = at if at.is_dir() else at.parent
        entries = []
        paths = [*corpus.files, *corpus.validation_files]
        with console.progress(f"reading {name}", len(paths), "files") as meter:
            for path in paths:
                inside, sha256 = path.relative_to(base).as_posix(), files.sha256_of(path)
                self._add(Item(f"data/{name}/{inside}", path, sha256))
                entries.append(
                    FileEntry(
                        path=inside,
                        bytes=path.stat().st_size,
                        sha256=sha256,
                        held_out=path in corpus.validation_files,
                    )
                )
                meter.advance(1)
        made = Contents(origin=f"bundled as {name}", files=tuple(entries))
        self._add(Item(f"data/{name}/{contents.NAME}", contents.rendered(made).encode()))

    def _free_name(self, source: str) -> str:
        name = re.sub(r"[^A-Za-z0-9_-]+", "-", Path(source).name.split(".")[0]).strip("-") or "text"
        while name in (*catalogue.entries(), EVAL, *self._names.values()):
            name = f"own-{name}"
        return name
