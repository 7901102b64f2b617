"""The files that /docs/ shows: the documents and pictures in docs/, and the files of the repository
that the documents link to. Nothing else of the repository is served.

In a wheel, the documents are inside the package, which is where src/firstwords/ of their links is.
"""

import os
import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from firstwords.common.documents import PACKAGE, find_documents

PICTURES = {".png": "image/png", ".svg": "image/svg+xml"}
LINK = re.compile(r"\]\(([^)#\s:]+)[^)]*\)")  # a relative link, without its anchor
TITLE = re.compile(r"^# (.+)$", re.MULTILINE)


class Entry(NamedTuple):
    """A page in the contents."""

    title: str
    url: str  # relative to /docs/


class Library:
    """The documentation. The address of a document is its path in docs/, that of another file is
    its path in the repository after "source/"."""

    def __init__(self, root: Path) -> None:
        self.root, self.docs = root, root / "docs"
        self.source = root / "src" / "firstwords"

    @cached_property
    def files(self) -> dict[str, Path]:
        """The files that can be opened, by address."""
        own = [p for p in self.docs.rglob("*") if p.suffix in (".md", *PICTURES)]
        linked: dict[Path, None] = dict.fromkeys(own)
        waiting = [path for path in own if path.suffix == ".md"]
        while waiting:
            for target in self._linked_files(waiting.pop()):
                if target not in linked:
                    linked[target] = None
                    waiting += [target] if target.suffix == ".md" else []
        return {self.url_of(path): path for path in linked}

    def url_of(self, path: Path) -> str:
        """Return the address of a file, relative to /docs/."""
        if path.is_relative_to(self.docs):
            return path.relative_to(self.docs).as_posix()
        if path.is_relative_to(self.root):
            return f"source/{path.relative_to(self.root).as_posix()}"
        return f"source/src/firstwords/{path.relative_to(PACKAGE).as_posix()}"

    def linked_file(self, document: Path, target: str) -> Path | None:
        """Return the file that a link without its anchor leads to, or None if there is none."""
        path = Path(os.path.normpath(document.parent / target))
        if not self.source.exists() and path.is_relative_to(self.source):
            path = PACKAGE / path.relative_to(self.source)
        elif not path.is_relative_to(self.root):
            return None
        return path if path.is_file() else None

    def _linked_files(self, document: Path) -> Iterator[Path]:
        for target in LINK.findall(document.read_text(encoding="utf-8")):
            path = self.linked_file(document, target)
            if path is not None:
                yield path

    @cached_property
    def contents(self) -> list[tuple[str, list[Entry]]]:
        """The sections of the navigation in mkdocs.yml, with their pages."""
        settings = yaml.safe_load((self.root / "mkdocs.yml").read_text(encoding="utf-8"))
        return [
            (title, [entry for item in items for entry in self._entries(item)])
            for section in settings["nav"]
            for title, items in section.items()
        ]

    def _entries(self, item: Any) -> list[Entry]:
        """Return the pages of an item: {title: file}, or a README for all pages of its folder."""
        if isinstance(item, dict):
            return [Entry(title, url) for title, url in item.items()]
        folder = (self.docs / item).parent
        others = sorted(path for path in folder.glob("*.md") if path.name != "README.md")
        return [
            Entry(self.title_of(path), self.url_of(path)) for path in [self.docs / item, *others]
        ]

    def title_of(self, path: Path) -> str:
        """Return the first heading of a document, or the path of another file."""
        text = path.read_text(encoding="utf-8") if path.suffix == ".md" else ""
        found = TITLE.search(text)
        return found[1] if found else self.url_of(path).removeprefix("source/")


def find_library() -> Library | None:
    """Return the documentation that is installed with the package, or None."""
    root = find_documents()
    return None if root is None else Library(root)
