"""Read documents and conversations from plain text, JSON lines and Parquet files."""

import functools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from firstwords.common import console
from firstwords.common.errors import UserError
from firstwords.data.line_blocks import LineBlock, line_blocks, uncompressed_gzip_bytes
from firstwords.tokenizer.chat_format import InvalidConversation, validate_messages

# Plain text without <|endoftext|> lines is cut into documents of about this length.
DOCUMENT_CHARS = 6_000
MAX_DOCUMENT_CHARS = 1_000_000  # a longer document, such as a book on one line, is cut
MAX_LINE_BYTES = 1 << 16  # longer lines of a .txt file may be cut
ROWS_PER_BATCH = 256  # of a Parquet file, decoded at a time
VALIDATION_NAME = re.compile(r"(^|[_\-.])(val|valid|validation)([_\-.]|$)", re.IGNORECASE)


class Document(NamedTuple):
    """A document and its source: the name of a file, or a kind of the starter curriculum."""

    source: str
    text: str


class Record(NamedTuple):
    """A document or conversation, and the fraction of its file read so far (0 to 1)."""

    progress: float
    value: Any


def is_validation_name(name: str) -> bool:
    """Return whether the name of a file marks it as validation data, which is never trained on."""
    return VALIDATION_NAME.search(name) is not None


def uncompressed_bytes(path: Path, column: str) -> int:
    """Return about how many bytes of data a file holds, without reading all of it.

    For Parquet only the named column counts.
    """
    if path.suffix == ".gz":
        return uncompressed_gzip_bytes(path)
    if path.suffix != ".parquet":
        return path.stat().st_size
    with _open_parquet(path, column) as file:
        groups = (file.metadata.row_group(i) for i in range(file.metadata.num_row_groups))
        columns = (group.column(i) for group in groups for i in range(group.num_columns))
        return sum(
            c.total_uncompressed_size for c in columns if c.path_in_schema.startswith(column)
        )


def read_text(path: Path, rng: np.random.Generator) -> Iterator[Record]:
    """Yield the documents of a file in an order drawn from `rng`, long ones in several parts.

    Raises UserError that names the line or row group that cannot be read.
    """
    before = 0.0
    for progress, document in _whole_documents(path, rng):
        for fraction, part in cut_document(document.text):
            yield Record(before + (progress - before) * fraction, Document(document.source, part))
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


def _whole_documents(path: Path, rng: np.random.Generator) -> Iterator[Record]:
    if path.suffix == ".parquet":
        for progress, text in _parquet_values(path, "text", rng):
            if not isinstance(text, str):
                raise UserError(
                    f'{path} has a "text" column without strings', "convert the column to strings"
                )
            yield Record(progress, Document(path.name, text))
    elif ".jsonl" in path.name:
        for line in _json_lines(path, rng):
            if not isinstance(line.value, dict) or not isinstance(line.value.get("text"), str):
                keys = ", ".join(line.value) if isinstance(line.value, dict) else "no object"
                raise UserError(f'{line.place} has no "text" string (found: {keys})', "add it")
            yield Record(line.progress, Document(path.name, line.value["text"]))
    else:
        for block in line_blocks(path, rng, MAX_LINE_BYTES):
            documents = list(split_documents(block.decode(block.raw, 0)))
            for n_read, document in enumerate(documents, 1):
                progress = block.progress(n_read / len(documents))
                yield Record(progress, Document(path.name, document))


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


def read_conversations(path: Path, rng: np.random.Generator, strict: bool) -> Iterator[Record]:
    """Yield the conversations of a file in an order drawn from `rng`.

    With `strict`, an invalid conversation raises UserError; otherwise it is skipped with a warning,
    since users cannot edit a dataset that they fetched.
    """
    for progress, messages, line in _unchecked_conversations(path, rng):
        try:
            yield Record(progress, validate_messages(messages))
        except InvalidConversation as error:
            if strict:
                place = line.place if line else f"{path}, {str(messages)[:60]}"
                raise UserError(f"{place}: {error}", "fix or remove this conversation") from None
            _warn_skipped(path)


def _unchecked_conversations(
    path: Path, rng: np.random.Generator
) -> Iterator[tuple[float, Any, "JsonLine | None"]]:
    """Yield progress, the value in place of the messages, and its line in a JSON file."""
    if path.suffix == ".parquet":
        for progress, messages in _parquet_values(path, "messages", rng):
            yield progress, messages, None
    elif ".jsonl" in path.name:
        for line in _json_lines(path, rng):
            messages = line.value.get("messages") if isinstance(line.value, dict) else None
            yield line.progress, messages, line
    else:
        raise UserError(
            f"{path} is plain text, which holds no conversations",
            "use a .jsonl, .jsonl.gz or .parquet file",
        )


@functools.cache  # warn once, however often the file is read
def _warn_skipped(path: Path) -> None:
    console.warn(f"{path.name}: skipping conversations whose user and assistant do not alternate")


def _open_parquet(path: Path, column: str) -> pq.ParquetFile:
    """Open a Parquet file. Raises UserError if it is damaged or lacks the column."""
    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise UserError(
            f"{path} is not a readable Parquet file ({error})", "copy or fetch it again"
        ) from None
    columns = file.schema_arrow.names
    if column not in columns:
        file.close()
        raise UserError(
            f'{path} has no "{column}" column (found: {", ".join(columns)})',
            f'rename the column that holds the data to "{column}"',
        )
    return file


def _parquet_values(
    path: Path, column: str, rng: np.random.Generator
) -> Iterator[tuple[float, Any]]:
    """Yield progress and value for each row of a column, its row groups in shuffled order."""
    with _open_parquet(path, column) as file:
        n_rows, n_read = max(1, file.metadata.num_rows), 0
        for group in rng.permutation(file.metadata.num_row_groups).tolist():
            try:
                batches = file.iter_batches(ROWS_PER_BATCH, row_groups=[group], columns=[column])
                for batch in batches:
                    for value in batch.column(0):
                        n_read += 1
                        yield n_read / n_rows, value.as_py()
            except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
                raise UserError(
                    f"{path}, row group {group} is damaged ({error})", "copy or fetch it again"
                ) from None


class JsonLine(NamedTuple):
    """The value of one line of a JSON lines file, and where it stands."""

    block: LineBlock
    newlines: int  # line breaks of the block before it
    progress: float
    value: Any

    @property
    def place(self) -> str:
        return f"{self.block.path}, line {self.block.line_number(self.newlines)}"


def _json_lines(path: Path, rng: np.random.Generator) -> Iterator[JsonLine]:
    """Yield every line that is not blank."""
    for block in line_blocks(path, rng, None):
        lines = block.raw.split(b"\n")
        for newlines, raw in enumerate(lines):
            if not raw.strip():
                continue
            text = block.decode(raw, newlines)
            try:
                value = json.loads(text)
                if "\\u" in text:  # an escape may be half of a surrogate pair, which is not text
                    json.dumps(value, ensure_ascii=False).encode()
            except (ValueError, RecursionError) as error:
                raise UserError(
                    f"{path}, line {block.line_number(newlines)} is not valid JSON ({error})",
                    "fix or remove the line",
                ) from None
            yield JsonLine(block, newlines, block.progress((newlines + 1) / len(lines)), value)
