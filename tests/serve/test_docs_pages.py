"""The documentation at /docs/: links, anchors, safe HTML, and the pages in a real browser."""

import posixpath
import re
from collections.abc import Callable
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from firstwords.serve.docs.highlight import highlight_file
from firstwords.serve.docs.library import Library, find_library
from firstwords.serve.docs.markdown import render_markdown
from firstwords.serve.docs.pages import add_docs_pages, render, render_contents, search_index

Serve = Callable[..., Any]
PageCheck = Callable[[Any], None]


class LinkCollector(HTMLParser):
    """Collects the targets and the anchors of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("href", "src"):
                self.targets.append(value or "")
            elif name == "id":
                self.anchors.add(value or "")


@pytest.fixture(scope="module")
def library() -> Library:
    found = find_library()
    assert found
    return found


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str], TestClient]:
    """Return a function that makes a server whose only document has a text."""

    def make(text: str) -> TestClient:
        (tmp_path / "docs").mkdir()
        (tmp_path / "docs" / "index.md").write_text(text, encoding="utf-8")
        (tmp_path / "secret.txt").write_text("hidden words", encoding="utf-8")
        (tmp_path / "mkdocs.yml").write_text("nav: [{Start: [{Overview: index.md}]}]")
        app = FastAPI()
        add_docs_pages(app, lambda: Library(tmp_path))
        return TestClient(app)

    return make


def test_every_link_picture_and_anchor_of_the_documents_works(library: Library) -> None:
    pages = {
        url: LinkCollector(render(library, path).html)
        for url, path in library.files.items()
        if path.suffix == ".md"
    }
    for url, page in pages.items():
        for target in page.targets:
            name, _, anchor = target.partition("#")
            if ":" in target:
                continue
            found = (
                posixpath.normpath(posixpath.join(posixpath.dirname(url), name)) if name else url
            )
            assert found in library.files, (url, target)
            if found in pages and anchor and not anchor.startswith("gh-"):
                assert anchor in pages[found].anchors, (url, target)


def test_link_to_a_name_in_the_code_leads_to_its_line(library: Library) -> None:
    tour = LinkCollector(render(library, library.docs / "guides" / "code-tour.md").html)
    target = next(
        t for t in tour.targets if t.startswith("../source/src/firstwords/cli/train.py#L")
    )
    url, _, anchor = target.removeprefix("../").partition("#L")
    line = library.files[url].read_text().splitlines()[int(anchor) - 1]
    assert line.startswith("def train(")
    assert f'id="L{anchor}"' in render(library, library.files[url]).html


def test_contents_and_search_have_every_page_of_the_site(library: Library) -> None:
    documents = {library.url_of(path) for path in library.docs.rglob("*.md")}
    assert {entry.url for _, entries in library.contents for entry in entries} == documents
    assert 'href="../labs/README.md"' in render_contents(library, "guides/training.md")
    assert {entry["url"].partition("#")[0] for entry in search_index(library)} == documents


def test_html_of_a_document_is_shown_as_text() -> None:
    text = (
        "# A <b>bold</b> title\n\n<script>alert(1)</script>\n\n<img src=x onerror=alert(1)>\n\n"
        "[x](javascript:alert(1)) <!-- code: hidden -->\n\n"
        "<details><summary>Why?</summary>\n\nBecause of `a<b`.\n\n</details>\n"
    )
    html = render_markdown(text, lambda target: target).html
    for part in ("<script", "<img", "<b>", 'href="javascript', "hidden"):
        assert part not in html
    assert "<details><summary>Why?</summary>" in html
    assert "<code>a&lt;b</code>" in html


def test_code_is_coloured_line_by_line() -> None:
    python = '```python\ndef f():  # why\n    return "a<b"\n```\n\n'
    text = python + "```text\nfor x\n```\n\n```\nfor x\n```\n"
    html = render_markdown(text, lambda target: target).html
    assert '<span class="keyword">def</span> <span class="name">f</span>():' in html
    assert '<span class="comment"># why</span>' in html
    assert "a&lt;b" in html
    assert html.count("for x\n</code>") == 2
    code = '\n\n"""First\nsecond"""\nx = "<"\n\n'
    lines = highlight_file("a.py", code)
    assert [unescape(re.sub("<[^>]+>", "", line)) for line in lines] == code.splitlines()
    assert lines[3] == '<span class="comment">second&quot;&quot;&quot;</span>'
    assert highlight_file("NOTES", "a < b\n") == ["a &lt; b"]


def test_same_headings_get_different_anchors() -> None:
    headings = render_markdown("# One & two\n\n## Again\n\n## Again\n", lambda t: t).headings
    assert [heading.anchor for heading in headings] == ["one-two", "again", "again_1"]


def test_only_files_that_the_documents_link_to_are_served(written: Any) -> None:
    client = written("# Home\n\n[config](../mkdocs.yml) [no](missing.md)")
    home = client.get("/docs/").text
    assert '<a href="source/mkdocs.yml">config</a>' in home
    assert "config</a> no</p>" in home
    assert '<span class="name">nav</span>' in client.get("/docs/source/mkdocs.yml").text
    for url in ("source/secret.txt", "../secret.txt", "%2e%2e/secret.txt", "/etc/passwd"):
        answer = client.get(f"/docs/{url}")
        assert answer.status_code == 404, url
        assert "hidden words" not in answer.text


def test_missing_documentation_is_explained() -> None:
    app = FastAPI()
    add_docs_pages(app, lambda: None)
    answer = TestClient(app).get("/docs/guides/training.md")
    assert answer.status_code == 404
    assert "The documentation is not installed with this server" in answer.text
    assert 'href="../../shared/base.css"' in answer.text


def test_pictures_have_their_type(client: httpx.Client) -> None:
    assert client.get("/docs/guides/packages.svg").headers["content-type"] == "image/svg+xml"


@pytest.mark.slow
def test_pages_in_a_browser(
    url: str, open_page: Callable[..., Any], check_accessibility: PageCheck
) -> None:
    page = open_page(viewport={"width": 1280, "height": 800}, color_scheme="light")
    page.goto(f"{url}/docs/guides/code-tour.md")
    page.keyboard.press("/")
    page.keyboard.type("kv cache")
    results = page.get_by_role("list", name="Results").get_by_role("link")
    results.first.wait_for()
    assert "Lab 7" in results.first.inner_text()
    page.get_by_label("Search titles").fill("")
    page.locator(".code").first.hover()
    page.get_by_role("button", name="Copy").first.click()
    page.get_by_role("button", name="Copied").wait_for()
    check_accessibility(page)
    page.goto(f"{url}/docs/source/src/firstwords/recipe.py#L3")
    assert page.locator(".source .line:target").inner_text().strip()
    check_accessibility(page)

    phone = open_page(viewport={"width": 360, "height": 740}, color_scheme="dark")
    phone.goto(f"{url}/docs/guides/training.md")
    assert phone.locator("app-bar .menu svg").is_visible()
    contents = phone.get_by_role("navigation", name="Contents")
    assert not contents.get_by_role("link", name="Quickstart").is_visible()
    contents.get_by_text("Contents").click()
    assert contents.get_by_role("link", name="Quickstart").is_visible()
    check_accessibility(phone)
