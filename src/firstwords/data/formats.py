"""Read documents and conversations from plain text, JSON, CSV and Parquet files."""

import functools
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np

from firstwords.common import console
from firstwords.common.errors import UserError
from firstwords.data import chat_exports, chat_zip, records, streams
from firstwords.data.documents import extract_text
from firstwords.data.file_types import EXTRACTED, PROSE, file_format
from firstwords.data.line_blocks import LineBlock, line_blocks, uncompressed_gzip_bytes
from firstwords.data.records import InvalidRecord, Kind
from firstwords.data.rows import Row, parquet_bytes, read_rows

# Plain text without <|endoftext|> lines is cut into documents of about this length.
DOCUMENT_CHARS = 6_000
MAX_DOCUMENT_CHARS = 1_000_000  # a longer document, such as a book on one line, is cut
LINE_BYTES = 1 << 16  # longer lines of a plain text file may be cut

# Settings before the text of a Markdown file, in YAML or TOML: lines between two marks.
FRONT_MATTER = re.compile(
    r"\A(---|\+\+\+)[ \t]*\n(?=[\w\"'#-]+[^\n]*[:=]|#)(?:.*\n)*?\1[ \t]*(?:\n|\Z)"
)


class Document(NamedTuple):
    """A document and its source: the name of a file, or a kind of the starter curriculum."""

    source: str
    text: str


class Record(NamedTuple):
    """A document or conversation, the fraction of its file read so far (0 to 1), and its place."""

    progress: float
    value: Any
    place: Callable[[], str]


def uncompressed_bytes(path: Path, kind: Kind) -> int:
    """Return about how many bytes of data a file holds, without reading all of it.

    For Parquet only the columns of this kind count.
    """
    found = file_format(path)
    if found in EXTRACTED:
        return extract_text(path).stat().st_size
    if found == "zip":
        return chat_zip.chat_bytes(path)
    if path.suffix.lower() == ".gz":
        return uncompressed_gzip_bytes(path)
    if path.suffix.lower() == ".zst":
        return streams.unpacked_zstd_bytes(path)
    return parquet_bytes(path, kind) if found == "parquet" else path.stat().st_size


OnProblem = Callable[[Row, InvalidRecord], None]


def raise_problem(row: Row, problem: InvalidRecord) -> NoReturn:
    """Raise UserError for a record that is not valid."""
    raise UserError(f"{row.place()} {problem}", problem.hint) from None


def skip_problem(row: Row, problem: InvalidRecord) -> None:
    """Skip a record that is not valid, with one warning for each file."""
    _warn_skipped(row.path)


@functools.cache  # warn once, however often the file is read
def _warn_skipped(path: Path) -> None:
    console.warn(f"{path.name}: skipping conversations that are not valid")


def read_text(
    path: Path, rng: np.random.Generator | None, on_problem: OnProblem
) -> Iterator[Record]:
    """Yield the documents of a file that have text, in an order drawn from `rng`, long ones in
    several parts.

    Calls `on_problem` for a record that is not valid. Raises UserError that names the line or row
    group that cannot be read.
    """
    before = 0.0
    for progress, document, place in _whole_documents(path, rng, on_problem):
        for fraction, part in cut_document(document.text):
            part_progress = before + (progress - before) * fraction
            yield Record(part_progress, Document(document.source, part), place)
        before = progress


def cut_document(text: str) -> Iterator[tuple[float, str]]:
    """Yield a text, or its parts if it is longer than MAX_DOCUMENT_CHARS, each after the fraction
    of the text read so far.

    Parts end at a line break, or else a space, in the last half.
    """
    start = 0
    while len(text) - start > MAX_DOCUMENT_CHARS:
        end = start + MAX_DOCUMENT_CHARS
        middle = end - MAX_DOCUMENT_CHARS // 2
        end = max(text.rfind("\n", middle, end), 0) or max(text.rfind(" ", middle, end), 0) or end
        yield end / len(text), text[start:end]
        start = end
    yield 1.0, text[start:]


def _whole_documents(
    path: Path, rng: np.random.Generator | None, on_problem: OnProblem
) -> Iterator[Record]:
    if file_format(path) in PROSE:
        yield from _plain_documents(path, rng)
        return
    if file_format(path) == "zip":
        raise chat_exports.no_text(path)
    for row in read_rows(path, "text", rng):
        text = _extract(row, records.document_text, on_problem)
        if text and not text.isspace():
            yield Record(row.progress, Document(path.name, text), row.place)


def read_conversations(
    path: Path, rng: np.random.Generator | None, on_problem: OnProblem
) -> Iterator[Record]:
    """Yield the conversations of a file, in an order drawn from `rng`. As `read_text`."""
    if file_format(path) in PROSE or chat_exports.find_app(path):
        raise chat_exports.no_conversations(path)
    for row in read_rows(path, "messages", rng):
        messages = _extract(row, records.conversation, on_problem)
        if messages:
            yield Record(row.progress, messages, row.place)


def _extract(row: Row, extract: Callable[[Any], Any], on_problem: OnProblem) -> Any:
    try:
        if isinstance(row.value, InvalidRecord):
            raise row.value
        return extract(row.value)
    except InvalidRecord as problem:
        on_problem(row, problem)
        return None


def _plain_documents(path: Path, rng: np.random.Generator | None) -> Iterator[Record]:
    """Yield the documents of plain text, or of the text that was extracted from the file."""
    found = file_format(path)
    for block in line_blocks(extract_text(path) if found in EXTRACTED else path, rng, LINE_BYTES):
        text = block.decode(block.raw, 0)
        # Files that were joined have byte order marks within.
        text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\ufeff", "")
        if found == "markdown" and block.is_first:
            text = FRONT_MATTER.sub(lambda match: "\n" * match[0].count("\n"), text)
        documents = [d for d in split_documents(text) if d and not d.isspace()]
        position = 0
        for n_read, document in enumerate(documents, 1):
            position = max(position, text.find(document.split("\n", 1)[0], position))
            place = functools.partial(_document_place, path, block, text, position)
            progress = block.progress(n_read / len(documents))
            yield Record(progress, Document(path.name, document), place)


def _document_place(path: Path, block: LineBlock, text: str, position: int) -> str:
    if path != block.path:  # the lines of extracted text are not those of the file
        return str(path)
    return f"{path}, line {block.line_number(text.count(chr(10), 0, position))}"


def split_documents(text: str) -> Iterator[str]:
    """Split plain text at `<|endoftext|>`, and what is longer than a document at paragraphs."""
    for marked in text.split("<|endoftext|>"):
        paragraphs: list[str] = []
        length = 0
        for paragraph in re.split(r"\n\s*\n", marked):
            paragraphs.append(paragraph)
            length += len(paragraph)
            if length >= DOCUMENT_CHARS:
                yield "\n\n".join(paragraphs).strip("\n")
                paragraphs, length = [], 0
        if any(paragraph.strip() for paragraph in paragraphs):
            yield "\n\n".join(paragraphs).strip("\n")
