"""Text on the standard streams, whatever it holds and whatever the streams are.

Data, names and a model's output may hold characters that a terminal obeys: they clear the screen,
set its title, fill the clipboard or turn the reading direction. Messages and everything that goes
to a terminal show them escaped, as JSON writes them (`\\u001b`). Text on stdout that goes to a file
or a pipe stays as it is. Characters that the stream's encoding lacks are escaped likewise, so JSON
documents stay valid in every encoding.
"""

import codecs
import io
import os
import re
import sys
from typing import TextIO

import click

# Control characters except tab and line feed, the separators of lines and paragraphs, the controls
# of the reading direction, and lone surrogates, which no encoding has.
UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
ENCODING_ERRORS = "firstwords_escape"  # the name under which codecs know `_escape_unencodable`


def printable(text: str) -> str:
    """Return text with everything escaped that could act on a terminal; lines end in `\\n`."""
    return UNPRINTABLE.sub(lambda match: _escape(match[0]), text.replace("\r\n", "\n"))


def echo(text: str = "", nl: bool = True, bold: bool = False, dim: bool = False) -> None:
    """Print text to stdout: escaped and perhaps styled on a terminal, as it is elsewhere."""
    if sys.stdout.isatty():
        text = printable(text)
        click.echo(click.style(text, bold=bold, dim=dim) if bold or dim else text, nl=nl)
    else:
        sys.stdout.write(text + "\n" * nl)
        sys.stdout.flush()


def align_columns(rows: list[list[str]]) -> str:
    """Return a table in aligned columns. Line breaks in cells become spaces."""
    columns = [
        [" ".join(cell.split("\n")) for cell in column] for column in zip(*rows, strict=True)
    ]
    aligned = [[cell.ljust(max(map(len, column))) for cell in column] for column in columns]
    return "\n".join("  ".join(line).rstrip() for line in zip(*aligned, strict=True))


def prepare_streams() -> None:
    """Make the standard streams of this process usable whatever they are: closed, of any encoding,
    a pipe whose reader has ended."""
    codecs.register_error(ENCODING_ERRORS, _escape_unencodable)
    for descriptor, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is None:
            _open_null(descriptor)
            stream = open(descriptor, mode, encoding="utf-8", closefd=False)  # noqa: SIM115
            setattr(sys, name, stream)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors=ENCODING_ERRORS)
    if isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr = _Messages(sys.stderr)


def discard(stream: TextIO) -> None:
    """Let everything that is still to be written to a stream vanish."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _open_null(descriptor: int) -> None:
    """Open the null device as a closed descriptor; the next file would take its place otherwise."""
    null = os.open(os.devnull, os.O_RDWR)
    if null != descriptor:
        os.dup2(null, descriptor)
        os.close(null)


def _escape(text: str) -> str:
    """Return the characters as JSON escapes them, in code units of UTF-16."""
    units = memoryview(text.encode("utf-16-le", "surrogatepass")).cast("H")
    return "".join(f"\\u{unit:04x}" for unit in units)


def _escape_unencodable(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return _escape(error.object[error.start : error.end]), error.end


class _Messages(io.TextIOWrapper):
    """Stderr, whose messages must not end a run: they vanish when their reader, terminal or disk
    is gone."""

    def __init__(self, stderr: io.TextIOWrapper) -> None:
        super().__init__(stderr.detach(), stderr.encoding, ENCODING_ERRORS, line_buffering=True)

    def write(self, text: str) -> int:
        try:
            return super().write(text)
        except OSError:
            discard(self)
            return len(text)

    def flush(self) -> None:
        try:
            super().flush()
        except OSError:
            discard(self)
