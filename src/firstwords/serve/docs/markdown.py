"""Markdown to HTML: anchors of headings as in the documentation's site, and no HTML from the text
except folded sections."""

import html
import re
import unicodedata
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token

from firstwords.serve.docs.highlight import highlight_block

COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
FOLD = re.compile(r"(</?details>|<summary>[^<>]*</summary>)")


class Heading(NamedTuple):
    """A heading of a page."""

    level: int
    text: str
    anchor: str


class Rendered(NamedTuple):
    """A rendered document."""

    html: str
    headings: list[Heading]


def render_markdown(text: str, redirect: Callable[[str], str | None]) -> Rendered:
    """Render a document. `redirect` returns the new target of a link or picture, or None for a link
    that leads nowhere, which becomes plain text."""
    markdown = _parser()
    tokens = markdown.parse(text)
    headings = _add_anchors(tokens)
    for token in tokens:
        _redirect_links(token.children or [], redirect)
    return Rendered(markdown.renderer.render(tokens, markdown.options, {}), headings)


def headings_of(text: str) -> list[Heading]:
    """Return the headings of a document."""
    return _add_anchors(_parser().parse(text))


def _parser() -> MarkdownIt:
    options = {"html": True, "highlight": highlight_block}
    return MarkdownIt("commonmark", options, renderer_cls=SafeRenderer).enable("table")


class SafeRenderer(RendererHTML):
    """A renderer that shows HTML as text, leaves comments out, and lets wide tables scroll."""

    def html_block(self, tokens: Sequence[Token], idx: int, *_: Any) -> str:
        return safe_html(tokens[idx].content)

    def html_inline(self, tokens: Sequence[Token], idx: int, *_: Any) -> str:
        return safe_html(tokens[idx].content)

    def table_open(self, *_: Any) -> str:
        return '<div class="wide"><table>'

    def table_close(self, *_: Any) -> str:
        return "</table></div>\n"

    def th_open(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        """An empty heading is a plain cell, which screen readers skip."""
        return (
            "<td>" if not tokens[idx + 1].content else self.renderToken(tokens, idx, options, env)
        )

    def th_close(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        return (
            "</td>" if not tokens[idx - 1].content else self.renderToken(tokens, idx, options, env)
        )


def safe_html(text: str) -> str:
    """Return HTML of a document with the tags of folded sections only; others are shown as text."""
    pieces = FOLD.split(COMMENT.sub("", text))
    return "".join(piece if i % 2 else html.escape(piece) for i, piece in enumerate(pieces))


def _add_anchors(tokens: list[Token]) -> list[Heading]:
    headings: list[Heading] = []
    taken: set[str] = set()
    for opening, inline in pairwise(tokens):
        if opening.type == "heading_open":
            text = plain_text(inline)
            anchor = unique(slug(text), taken)
            opening.attrSet("id", anchor)
            headings.append(Heading(int(opening.tag[1]), text, anchor))
    return headings


def plain_text(inline: Token) -> str:
    """Return the text of a line without its markup."""
    kinds = ("text", "code_inline")
    return "".join(token.content for token in inline.children or [] if token.type in kinds)


def slug(text: str) -> str:
    """Return the anchor of a heading, as Python-Markdown makes it."""
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", ascii_text).strip().lower())


def unique(anchor: str, taken: set[str]) -> str:
    """Return the anchor, numbered if a heading before has it, and add it to `taken`."""
    numbered, n = anchor, 0
    while numbered in taken:
        n += 1
        numbered = f"{anchor}_{n}"
    taken.add(numbered)
    return numbered


def _redirect_links(tokens: list[Token], redirect: Callable[[str], str | None]) -> None:
    for i, token in enumerate(tokens):
        attribute = {"link_open": "href", "image": "src"}.get(token.type)
        if not attribute:
            continue
        target = redirect(str(token.attrGet(attribute)))
        if target is not None:
            token.attrSet(attribute, target)
        elif token.type == "link_open":
            closing = next(t for t in tokens[i:] if t.type == "link_close")
            token.hidden = closing.hidden = True
