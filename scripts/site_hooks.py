"""MkDocs hooks that turn links into the code into pages of the site.

A document in docs/ links to the code with a relative path, such as
`../../src/firstwords/model/transformer.py`, which works on disk and on a forge. The site has no
such files, so these hooks add a page under source/ for each linked file and redirect the links to
it. A link with a name, such as `transformer.py#Transformer.forward`, leads to the line of its
definition; on a forge it opens the file. README.md and CONTRIBUTING.md become pages the same way.
"""

import logging
import os.path
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

from firstwords.serve.docs.definitions import definition_lines

log = logging.getLogger("mkdocs.hooks")
ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
ICON = ROOT / "src" / "firstwords" / "serve" / "static" / "shared" / "icon.svg"
# A fenced block, which stays unchanged; a <details> element, whose contents are Markdown too; or
# the target of a relative link.
PATTERN = re.compile(
    r"^(?P<fence>```+).*?^(?P=fence)\s*$"
    r"|^(?P<fold><details>)"
    r"|(?<=\]\()(?P<path>[^)#\s:]+)(?:#(?P<anchor>[^)\s]+))?(?=\))",
    re.MULTILINE | re.DOTALL,
)
LANGUAGES = {".py": "python", ".sh": "bash", ".toml": "toml", ".yml": "yaml", ".json": "json"}
NO_SEARCH = "---\nsearch:\n  exclude: true\n---\n\n"


def on_config(config: Any) -> Any:
    """Add the labs to the navigation, by name."""
    labs = sorted(p.name for p in (DOCS / "labs").glob("*.md") if p.name != "README.md")
    for section in config.nav:
        if "Labs" in section:
            section["Labs"] = ["labs/README.md", *(f"labs/{name}" for name in labs)]
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add a page for each file outside docs/ that a document links to, and the app's icon."""
    documents = [ROOT / "docs" / file.src_uri for file in files.documentation_pages()]
    for path in linked_files(documents):
        files.append(File.generated(config, uri_of(path), content=render_file(path)))
    files.append(File.generated(config, "images/icon.svg", abs_src_path=str(ICON)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Redirect the links of a page."""
    return redirect_links(markdown, path_of(page.file.src_uri), page.file.src_uri)


def on_page_content(html: str, page: Any, config: Any, files: Files) -> str:
    """Register the anchors of code lines, which MkDocs does not know when it checks links."""
    if page.present_anchor_ids is not None:
        page.present_anchor_ids.update(re.findall(r'id="(__codelineno-[\d-]+)"', html))
    return html


def on_post_page(output: str, page: Any, config: Any) -> str:
    """Name the search dialog, which the theme does not do, for screen readers."""
    return output.replace('role="dialog"', 'role="dialog" aria-label="Search"')


def linked_files(documents: list[Path]) -> list[Path]:
    """Return each file or directory outside docs/ that the documents link to, and those that
    linked Markdown files link to in turn."""
    linked: dict[Path, None] = {}
    waiting = documents
    while waiting:
        document = waiting.pop()
        for target in link_targets(document):
            if not target.is_relative_to(DOCS) and target.exists() and target not in linked:
                linked[target] = None
                waiting += [target] if target.suffix == ".md" else []
    return sorted(linked)


def link_targets(document: Path) -> Iterator[Path]:
    """Yield the files that a document's relative links lead to."""
    for match in PATTERN.finditer(document.read_text(encoding="utf-8")):
        if match["path"]:
            yield Path(os.path.normpath(document.parent / match["path"]))


def uri_of(path: Path) -> str:
    """Return the path below docs/ of the page that shows a file."""
    if path.is_relative_to(DOCS):
        return path.relative_to(DOCS).as_posix()
    name = path.relative_to(ROOT).as_posix()
    return f"source/{name}" if name.endswith(".md") else f"source/{name}.md"


def path_of(uri: str) -> Path:
    """Return the file that a page shows; the inverse of `uri_of`."""
    if not uri.startswith("source/"):
        return DOCS / uri
    path = ROOT / uri.removeprefix("source/")
    return path if path.exists() else path.with_suffix("")


def render_file(path: Path) -> str:
    """Return a page for a file: Markdown unchanged, other text as code, a directory as a list."""
    if path.suffix == ".md":
        return NO_SEARCH + path.read_text(encoding="utf-8")
    title = f"{NO_SEARCH}# {path.relative_to(ROOT).as_posix()}\n\n"
    if path.is_dir():
        names = sorted(p.name for p in path.iterdir() if p.is_file())
        return title + "\n".join(f"- `{name}`" for name in names)
    text = path.read_text(encoding="utf-8")
    fence = max(["```", *(run + "`" for run in re.findall(r"`{3,}", text))], key=len)
    return f'{title}{fence}{LANGUAGES.get(path.suffix, "text")} linenums="1"\n{text}\n{fence}\n'


def redirect_links(markdown: str, document: Path, uri: str) -> str:
    """Return the Markdown with links to files outside docs/ redirected to their pages."""

    def replace(match: re.Match[str]) -> str:
        if match["fold"]:
            return '<details markdown="1">'
        if not match["path"]:
            return match[0]
        target = Path(os.path.normpath(document.parent / match["path"]))
        if not target.exists() or (target.is_relative_to(DOCS) and document.is_relative_to(DOCS)):
            return match[0]
        page = os.path.relpath(uri_of(target), Path(uri).parent)
        return page + anchor(target, match["anchor"])

    return PATTERN.sub(replace, markdown)


def anchor(target: Path, name: str | None) -> str:
    """Return the anchor of a link: for a name in a Python file, the line of its definition."""
    if not name:
        return ""
    if target.suffix != ".py":
        return f"#{name}"
    line = definition_lines(target).get(name)
    if line is None:  # a warning, so that a strict build reports all such links before it fails
        log.warning("%s does not define %s", target.relative_to(ROOT), name)
        return ""
    return f"#__codelineno-0-{line}"
