"""The readable text of an HTML page: its paragraphs, without menus, scripts and markup.

The parser is Python's own. It takes time in proportion to the page whatever is nested or never
closed in it, where parsers that build a tree do not (docs/decisions.md).
"""

import re
from html.parser import HTMLParser

# Elements whose content is not part of the text.
HIDDEN = {"head", "script", "style", "noscript", "template", "svg", "math", "object", "iframe"}
CONTROLS = {"button", "select", "textarea", "nav", "footer", "aside", "dialog"}
INLINE = {
    *("a", "abbr", "b", "bdi", "bdo", "big", "cite", "code", "data", "del", "dfn", "em", "font"),
    *("i", "img", "ins", "kbd", "label", "mark", "q", "ruby", "s", "samp", "small", "span"),
    *("strike", "strong", "sub", "sup", "time", "tt", "u", "var", "wbr", "rb", "rt", "rp"),
}
LINES = {"br", "li", "tr", "dt", "dd", "option"}  # start a line, not a paragraph
CELLS = {"td", "th"}
PARAGRAPH, LINE = "\ue000", "\ue001"  # private characters: white space of the page is collapsed
PRIVATE = {ord(PARAGRAPH): None, ord(LINE): None}
CHARSET = re.compile(
    rb"<(?:meta|\?xml)[^>]{0,200}?(?:charset|encoding)\s*=\s*[\"']?([\w.:-]+)", re.I
)
HEAD_BYTES = 4096


def decode_page(raw: bytes) -> str:
    """Decode a page: UTF-8, or else what it says, or else what browsers assume."""
    said = CHARSET.search(raw[:HEAD_BYTES])
    for encoding in ("utf-8-sig", said[1].decode() if said else "cp1252", "cp1252"):
        try:
            return raw.decode(encoding)
        except (UnicodeDecodeError, LookupError):
            pass
    return raw.decode("cp1252", errors="replace")  # five of its bytes mean nothing


def page_text(html: str) -> str:
    """Return the text of a page, of its `<main>` if it has one: paragraphs with a blank line
    between them."""
    reader = _Reader(HIDDEN | CONTROLS)
    reader.feed(html.translate(PRIVATE))
    reader.close()
    if text := _layout(reader.main) or _layout(reader.page):
        return text
    reader = _Reader(HIDDEN)  # an element that is never closed hid the rest of the page
    reader.feed(html.translate(PRIVATE))
    reader.close()
    return _layout(reader.page)


class _Reader(HTMLParser):
    """Collects the pieces of a page's text and where lines and paragraphs begin."""

    def __init__(self, left_out: set[str]) -> None:
        super().__init__(convert_charrefs=True)
        self.page: list[str] = []
        self.main: list[str] = []  # of the element of this name
        self._left_out = left_out
        self._hidden_by, self._hidden_depth = "", 0
        self._main_depth = self._pre_depth = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self._hidden_by:
            self._hidden_depth += tag == self._hidden_by
            return
        if tag in self._left_out:
            self._hidden_by, self._hidden_depth = tag, 1
        self._main_depth += tag == "main"
        self._pre_depth += tag == "pre"
        self._add_break(tag)
        if tag == "li":
            self._add("- ")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if not self._hidden_by:
            self._add_break(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._hidden_by:
            self._hidden_depth -= tag == self._hidden_by
            # A page whose head is never closed has its text in the body all the same.
            if not self._hidden_depth:
                self._hidden_by = ""
            return
        if tag not in LINES:
            self._add_break(tag)
        self._main_depth -= tag == "main" and self._main_depth > 0
        self._pre_depth -= tag == "pre" and self._pre_depth > 0

    def handle_data(self, data: str) -> None:
        if not self._hidden_by:
            self._add(data.replace("\n", LINE) if self._pre_depth else data)

    def _add_break(self, tag: str) -> None:
        if tag in LINES:
            self._add(LINE)
        elif tag in CELLS:
            self._add(" ")
        elif tag not in INLINE:
            self._add(PARAGRAPH)

    def _add(self, piece: str) -> None:
        self.page.append(piece)
        if self._main_depth:
            self.main.append(piece)


def _layout(pieces: list[str]) -> str:
    paragraphs = re.sub(r"\s+", " ", "".join(pieces)).split(PARAGRAPH)
    lines = ([line.strip() for line in paragraph.split(LINE)] for paragraph in paragraphs)
    texts = ("\n".join(line for line in of_one if line not in ("", "-")) for of_one in lines)
    return "\n\n".join(text for text in texts if text)
