"""The pages at /docs/: a document with the app's bar, the contents and a search over titles."""

import html
from collections.abc import Callable
from functools import cache
from pathlib import Path
from posixpath import dirname, relpath

from fastapi import FastAPI, Response
from fastapi.responses import FileResponse, HTMLResponse

from firstwords.serve.app_page import render_app_page
from firstwords.serve.docs.definitions import definition_lines
from firstwords.serve.docs.highlight import highlight_file
from firstwords.serve.docs.library import PICTURES, Library, find_library
from firstwords.serve.docs.markdown import Heading, Rendered, headings_of, render_markdown

BODY = """<div class="columns">
{contents}
<main>
{body}
</main>
{outline}
</div>"""
MISSING = (
    "<h1>Documentation</h1><p>The documentation is not installed with this server: it is in the "
    "folder <code>docs</code> of the project's repository. If you install Firstwords with pip or "
    "uv, or from a clone of the repository, this page shows it.</p>"
)


def add_docs_pages(app: FastAPI, find: Callable[[], Library | None] = find_library) -> None:
    """Add the pages at /docs/."""
    library = find()

    @app.get("/docs/search.json", include_in_schema=False)
    def search() -> list[dict[str, str]]:
        return search_index(library) if library else []

    @app.get("/docs/{url:path}", include_in_schema=False)
    def page(url: str) -> Response:
        if library is None:
            return HTMLResponse(render_page(url, "Documentation", MISSING, "", ""), 404)
        path = library.files.get(url or "index.md")
        if path is None:
            body = "<h1>No such page</h1><p>The documentation has no page with this address.</p>"
            return HTMLResponse(_in_contents(library, url, "No such page", Rendered(body, [])), 404)
        if path.suffix in PICTURES:
            return FileResponse(path, media_type=PICTURES[path.suffix])
        return HTMLResponse(
            _in_contents(library, url, library.title_of(path), render(library, path))
        )


def render(library: Library, path: Path) -> Rendered:
    """Return a document as HTML, or another file as numbered lines."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".md":
        return Rendered(render_source(library.title_of(path), text), [])
    return render_markdown(text, lambda target: redirect_link(library, path, target))


def render_source(title: str, text: str) -> str:
    """Return a file of code as HTML, with an anchor for each line."""
    lines = "".join(
        f'<span class="line" id="L{number}">{line}\n</span>'
        for number, line in enumerate(highlight_file(title, text), 1)
    )
    return f'<h1>{html.escape(title)}</h1>\n<pre class="source"><code>{lines}</code></pre>'


def redirect_link(library: Library, document: Path, target: str) -> str | None:
    """Return the address of what a link in a document leads to, relative to the document's own. A
    name in a Python file becomes its line. None if there is no such page."""
    if ":" in target or target.startswith("#"):
        return target
    name, _, anchor = target.partition("#")
    path = library.linked_file(document, name)
    url = library.url_of(path) if path else None
    if path is None or url not in library.files:
        return None
    if anchor and path.suffix == ".py":
        anchor = f"L{definition_lines(path).get(anchor, 1)}"
    relative = relpath(url, dirname(library.url_of(document)) or ".")
    return f"{relative}#{anchor}" if anchor else relative


@cache
def search_index(library: Library) -> list[dict[str, str]]:
    """Return the titles and headings of all pages in the contents, with their addresses."""
    index = []
    for section, entries in library.contents:
        for entry in entries:
            index.append({"title": entry.title, "within": section, "url": entry.url})
            headings = headings_of(library.files[entry.url].read_text(encoding="utf-8"))
            index += [
                {"title": text, "within": entry.title, "url": f"{entry.url}#{anchor}"}
                for level, text, anchor in headings
                if level > 1
            ]
    return index


def _in_contents(library: Library, url: str, title: str, rendered: Rendered) -> str:
    contents = render_contents(library, url or "index.md")
    return render_page(url, title, rendered.html, contents, render_outline(rendered.headings))


def render_contents(library: Library, current: str) -> str:
    """Return the contents of the documentation, with the search."""
    here = dirname(current) or "."
    parts = []
    for section, entries in library.contents:
        links = "".join(
            f'<li><a href="{html.escape(relpath(entry.url, here))}"'
            f"{_current(entry.url == current)}>{html.escape(entry.title)}</a></li>"
            for entry in entries
        )
        parts.append(f"<h2>{html.escape(section)}</h2><ul>{links}</ul>")
    return (
        '<nav class="contents" aria-label="Contents"><details><summary>Contents</summary>'
        f'<div id="search" data-root="{_up(current)}"></div>'
        f"{''.join(parts)}</details></nav>"
    )


def render_outline(headings: list[Heading]) -> str:
    """Return links to the sections of a page, or nothing if it has few."""
    sections = [heading for heading in headings if heading.level == 2]
    if len(sections) < 3:
        return ""
    links = "".join(
        f'<li><a href="#{html.escape(anchor)}">{html.escape(text)}</a></li>'
        for _, text, anchor in sections
    )
    title = "On this page"
    return f'<nav class="outline" aria-label="{title}"><h2>{title}</h2><ul>{links}</ul></nav>'


def render_page(url: str, title: str, body: str, contents: str, outline: str) -> str:
    """Return the whole page at an address below /docs/."""
    return render_app_page(
        "docs",
        title,
        BODY.format(contents=contents, body=body, outline=outline),
        styles=["docs-page/docs.css"],
        scripts=["docs-page/docs.js"],
        root=f"../{_up(url)}",
    )


def _current(is_current: bool) -> str:
    return ' aria-current="page"' if is_current else ""


def _up(url: str) -> str:
    """Return the relative path from a page to /docs/."""
    return "../" * url.count("/")
