"""Collect the files of a bundle, with their paths on the other machine."""

import io
import re
from pathlib import Path
from typing import BinaryIO, NamedTuple

from firstwords.bundle.manifest import check_in_unit
from firstwords.common import console, files
from firstwords.common.errors import UserError
from firstwords.data import corpora
from firstwords.data.corpora import HUB_PREFIX, Corpus
from firstwords.data.hub import catalogue, manifest
from firstwords.data.hub.catalogue import EVAL
from firstwords.data.hub.manifest import CorpusManifest, FileEntry
from firstwords.data.mixing import SourceSpec, format_weighted
from firstwords.runs import registry
from firstwords.runs.manifest import Sources
from firstwords.runs.run import Run


class BundleItem(NamedTuple):
    """A file to pack, or its content. `sha256` is empty until it is known."""

    path: str  # in $FIRSTWORDS_HOME of the other machine
    content: Path | bytes
    sha256: str = ""
    hint: str = "run the same command again"  # what to do if the SHA-256 differs

    @property
    def bytes(self) -> int:
        return len(self.content) if isinstance(self.content, bytes) else self.content.stat().st_size

    def open(self) -> BinaryIO:
        content = self.content
        return io.BytesIO(content) if isinstance(content, bytes) else content.open("rb")


class BundleContents:
    """The files of a bundle by their paths."""

    def __init__(self) -> None:
        self.items: dict[str, BundleItem] = {}
        self._names: dict[str, str] = {}  # given to the user's own data, by path

    def sorted(self) -> list[BundleItem]:
        """Return the items, sorted by path."""
        return [self.items[path] for path in sorted(self.items)]

    def hashed(self) -> list[BundleItem]:
        """Return the items, sorted by path; files without a known SHA-256 are read for it."""
        unread = [item for item in self.sorted() if not item.sha256]
        with console.progress("reading", sum(i.bytes for i in unread) / 1e6, "MB") as meter:
            for item in unread:
                with item.open() as file:
                    self.items[item.path] = item._replace(sha256=files.sha256_stream(file))
                meter.advance(item.bytes / 1e6)
        return self.sorted()

    def add_source(self, source: SourceSpec | None, option: str) -> SourceSpec | None:
        """Add the files of a source or mixture, and return its name on the other machine."""
        if source is None:
            return None
        corpus = corpora.open_corpus(source, option)
        if corpus.parts:
            names = [(self._add_corpus(part.corpus), part.weight) for part in corpus.parts]
            return tuple(format_weighted(name, weight) for name, weight in names)
        return self._add_corpus(corpus)

    def _add_corpus(self, corpus: Corpus) -> str:
        if corpus.is_starter:
            return corpus.name
        if corpus.name.startswith(HUB_PREFIX):
            self.add_fetched(corpus.name.removeprefix(HUB_PREFIX))
            return corpus.name
        if corpus.name not in self._names:
            self._names[corpus.name] = self._free_name(corpus.name)
            self._add_own_files(corpus, self._names[corpus.name])
        return HUB_PREFIX + self._names[corpus.name]

    def add_fetched(self, name: str) -> None:
        """Add the files that were fetched under a name. Raises UserError if one is missing or
        damaged."""
        folder, command = manifest.corpus_folder(name), manifest.fetch_command(name)
        fetched = manifest.read_manifest(folder)
        if fetched is None:
            raise UserError(f"{name} was not fetched", f"first run: {command}")
        target = EVAL if name == EVAL else f"data/{name}"
        hint = f"fetch it again: {command}"
        for entry in fetched.files:
            state = manifest.check_size(folder, entry)
            if state != "intact":
                raise UserError(f"{folder / entry.path} is {state}", hint)
            path = f"{target}/{entry.path}"
            self._add(BundleItem(path, folder / entry.path, entry.sha256, hint))
        text = manifest.manifest_json(fetched)
        self._add(BundleItem(f"{target}/{manifest.MANIFEST_NAME}", text.encode()))

    def add_run(self, run: Run, sources: Sources) -> None:
        """Add all files of a run, with the names that its sources have on the other machine."""
        for path in run.directory.rglob("*"):
            relative = path.relative_to(run.directory).as_posix()
            if path.is_file() and relative not in ("lock", *registry.MANIFEST_NAMES):
                self._add(BundleItem(f"runs/{run.name}/{relative}", path))
        run_manifest = run.manifest.replace(sources=sources)
        text = files.json_text(run_manifest.model_dump())
        self._add(BundleItem(f"runs/{run.name}/run.json", text.encode()))

    def _add(self, item: BundleItem) -> None:
        try:
            check_in_unit(manifest.safe_path(item.path))
        except ValueError as error:
            raise UserError(f"cannot pack {item.path} ({error})", "rename it") from None
        self.items[item.path] = item

    def _add_own_files(self, corpus: Corpus, name: str) -> None:
        """Add the user's own files with a manifest, so that they can be read like fetched ones."""
        source = Path(corpus.name)
        base = source if source.is_dir() else source.parent
        entries = []
        paths = [*corpus.files, *corpus.validation_files]
        with console.progress(f"reading {name}", len(paths), "files") as meter:
            for path in paths:
                relative, sha256 = path.relative_to(base).as_posix(), files.sha256_file(path)
                self._add(BundleItem(f"data/{name}/{relative}", path, sha256))
                entries.append(
                    FileEntry(
                        path=relative,
                        bytes=path.stat().st_size,
                        sha256=sha256,
                        held_out=path in corpus.validation_files,
                    )
                )
                meter.advance(1)
        own = CorpusManifest(origin=f"bundled as {name}", files=tuple(entries))
        text = manifest.manifest_json(own)
        self._add(BundleItem(f"data/{name}/{manifest.MANIFEST_NAME}", text.encode()))

    def _free_name(self, source: str) -> str:
        name = re.sub(r"[^A-Za-z0-9_-]+", "-", Path(source).name.split(".")[0]).strip("-") or "text"
        while name in (*catalogue.load_catalogue(), EVAL, *self._names.values()):
            name = f"own-{name}"
        return name
