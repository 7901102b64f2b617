"""What the site needs beyond docs/: pages of the files that documents link to.

A document in docs/ links to the code as to any file, `../../src/firstwords/model.py`, which works
on disk and on a forge. The site has no such files; so each one that is linked to becomes a page
under source/, and the links are led there. `model.py#Transformer.loss` leads to where that name is
defined; elsewhere it opens the file. README.md and CONTRIBUTING.md become pages in the same way.
"""

import ast
import os.path
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
# A fenced block, which is passed over; what is folded away, in which Markdown is to be read as
# elsewhere; or the target of a relative link.
PLACE = re.compile(
    r"^(?P<fence>```+).*?^(?P=fence)\s*$"
    r"|^(?P<fold><details>)"
    r"|(?<=\]\()(?P<path>[^)#\s:]+)(?:#(?P<anchor>[^)\s]+))?(?=\))",
    re.MULTILINE | re.DOTALL,
)
LANGUAGES = {".py": "python", ".sh": "bash", ".toml": "toml", ".yml": "yaml", ".json": "json"}
UNSEARCHED = "---\nsearch:\n  exclude: true\n---\n\n"


def on_config(config: Any) -> Any:
    """The labs stand in the navigation in the order of their names."""
    labs = sorted(p.name for p in (DOCS / "labs").glob("*.md") if p.name != "README.md")
    for section in config.nav:
        if "Labs" in section:
            section["Labs"] = ["labs/README.md", *(f"labs/{name}" for name in labs)]
    return config


def on_files(files: Files, config: Any) -> Files:
    documents = [ROOT / "docs" / file.src_uri for file in files.documentation_pages()]
    for path in outside(documents):
        files.append(File.generated(config, uri_of(path), content=content(path)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    return for_site(markdown, path_of(page.file.src_uri), page.file.src_uri)


def on_page_content(html: str, page: Any, config: Any, files: Files) -> str:
    """MkDocs holds anchors against those it knows of; it does not look for those of code."""
    if page.present_anchor_ids is not None:
        page.present_anchor_ids.update(re.findall(r'id="(__codelineno-[\d-]+)"', html))
    return html


def outside(documents: list[Path]) -> list[Path]:
    """Every file or directory outside docs/ that these documents link to, and what Markdown among
    those links to in turn."""
    found: dict[Path, None] = {}
    waiting = documents
    while waiting:
        document = waiting.pop()
        for target in targets(document):
            if not target.is_relative_to(DOCS) and target.exists() and target not in found:
                found[target] = None
                waiting += [target] if target.suffix == ".md" else []
    return sorted(found)


def targets(document: Path) -> Iterator[Path]:
    """The files that a document's relative links lead to."""
    for place in PLACE.finditer(document.read_text(encoding="utf-8")):
        if place["path"]:
            yield Path(os.path.normpath(document.parent / place["path"]))


def uri_of(path: Path) -> str:
    """The page that shows a file, by its name below docs/."""
    if path.is_relative_to(DOCS):
        return path.relative_to(DOCS).as_posix()
    name = path.relative_to(ROOT).as_posix()
    return f"source/{name}" if name.endswith(".md") else f"source/{name}.md"


def path_of(uri: str) -> Path:
    """The file that a page shows."""
    if not uri.startswith("source/"):
        return DOCS / uri
    path = ROOT / uri.removeprefix("source/")
    return path if path.exists() else path.with_suffix("")


def content(path: Path) -> str:
    """A file as a page: Markdown as it is, other text as code, a directory as a list."""
    if path.suffix == ".md":
        return UNSEARCHED + path.read_text(encoding="utf-8")
    title = f"{UNSEARCHED}# {path.relative_to(ROOT).as_posix()}\n\n"
    if path.is_dir():
        names = sorted(p.name for p in path.iterdir() if p.is_file())
        return title + "\n".join(f"- `{name}`" for name in names)
    text = path.read_text(encoding="utf-8")
    fence = max(["```", *(run + "`" for run in re.findall(r"`{3,}", text))], key=len)
    return f'{title}{fence}{LANGUAGES.get(path.suffix, "text")} linenums="1"\n{text}\n{fence}\n'


def for_site(markdown: str, document: Path, uri: str) -> str:
    """The Markdown with its links to files outside docs/ led to their pages."""

    def place(found: re.Match[str]) -> str:
        if found["fold"]:
            return '<details markdown="1">'
        if not found["path"]:
            return found[0]
        target = Path(os.path.normpath(document.parent / found["path"]))
        if not target.exists() or (target.is_relative_to(DOCS) and document.is_relative_to(DOCS)):
            return found[0]
        there = os.path.relpath(uri_of(target), Path(uri).parent)
        return there + anchor(target, found["anchor"])

    return PLACE.sub(place, markdown)


def anchor(target: Path, name: str | None) -> str:
    """For a name in a Python file the line where it is defined."""
    if not name:
        return ""
    if target.suffix != ".py":
        return f"#{name}"
    return f"#__codelineno-0-{symbols(target)[name]}"


def symbols(path: Path) -> dict[str, int]:
    """The lines of what a Python file defines, by dotted name."""
    return dict(_defined(ast.parse(path.read_text(encoding="utf-8")).body, ""))


def _defined(body: list[ast.stmt], inside: str) -> Iterator[tuple[str, int]]:
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield inside + node.name, node.lineno
            yield from _defined(node.body, f"{inside}{node.name}.")
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            named = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in named:
                if isinstance(target, ast.Name):
                    yield inside + target.id, node.lineno
