"""Code with spans around its tokens; docs-page/docs.css has the colours of their classes."""

import html
from collections.abc import Iterator
from typing import Any

from pygments import lex
from pygments.lexers import get_lexer_by_name, get_lexer_for_filename
from pygments.token import Comment, Keyword, Name, Number, Operator, String
from pygments.util import ClassNotFound

# The first that has a token's type counts.
CLASSES: dict[str, tuple[Any, ...]] = {
    "comment": (Comment, String.Doc),
    "keyword": (Keyword, Operator.Word, Name.Builtin.Pseudo),
    "string": (String,),
    "number": (Number,),
    "name": (Name.Function, Name.Class, Name.Decorator, Name.Tag),
    "builtin": (Name.Builtin, Name.Exception, Name.Variable),
}


def highlight_block(code: str, language: str, _: str = "") -> str:
    """Return a fenced block of a document as HTML, or "" if its language is not known."""
    try:
        lexer = get_lexer_by_name(language)
    except ClassNotFound:
        return ""
    return "\n".join(_lines(lex(code, lexer)))


def highlight_file(name: str, text: str) -> list[str]:
    """Return the lines of a file as HTML."""
    try:
        lexer = get_lexer_for_filename(name, stripnl=False)
    except ClassNotFound:
        return [html.escape(line) for line in text.splitlines()]
    return list(_lines(lex(text, lexer)))[:-1]  # lexers end every text with a line feed


def _lines(tokens: Iterator[tuple[Any, str]]) -> Iterator[str]:
    """Yield the lines of the tokens; no element reaches over the end of a line."""
    line = ""
    for kind, text in tokens:
        first, *others = (_span(kind, part) for part in text.split("\n"))
        line += first
        for part in others:
            yield line
            line = part
    yield line


def _span(kind: Any, text: str) -> str:
    name = next((name for name, kinds in CLASSES.items() if any(kind in k for k in kinds)), None)
    escaped = html.escape(text)
    return f'<span class="{name}">{escaped}</span>' if name and text.strip() else escaped
