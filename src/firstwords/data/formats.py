"""Read documents and conversations from plain text, JSON, CSV and Parquet files."""

import codecs
import csv
import functools
import itertools
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, NoReturn

import numpy as np

from firstwords.common import console
from firstwords.common.errors import UserError
from firstwords.data import records, streams
from firstwords.data.line_blocks import LineBlock, line_blocks, uncompressed_gzip_bytes
from firstwords.data.records import InvalidRecord, Kind

if TYPE_CHECKING:  # loading pyarrow takes 40 MB of memory, which only Parquet files need
    import pyarrow.parquet as pq

Format = Literal["text", "jsonl", "json", "csv", "parquet"]

SUFFIXES: dict[str, Format] = {
    ".txt": "text",
    ".md": "text",
    ".jsonl": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".parquet": "parquet",
}
# Plain text without <|endoftext|> lines is cut into documents of about this length.
DOCUMENT_CHARS = 6_000
MAX_DOCUMENT_CHARS = 1_000_000  # a longer document, such as a book on one line, is cut
MAX_LINE_BYTES = 1 << 16  # longer lines of a plain text file may be cut
ROWS_PER_BATCH = 256  # of a Parquet file, decoded at a time
MAX_CSV_FIELD_CHARS = 1 << 26  # a quotation mark that is never closed is reported after these
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


def file_format(path: Path) -> Format | None:
    """Return the format that the name of a file says; none if it is not data."""
    suffix = streams.compression(path)
    found = SUFFIXES.get(Path(path.name.lower().removesuffix(suffix)).suffix)
    return None if suffix and found == "parquet" else found


def uncompressed_bytes(path: Path, kind: Kind) -> int:
    """Return about how many bytes of data a file holds, without reading all of it.

    For Parquet only the columns of this kind count.
    """
    if path.suffix.lower() == ".gz":
        return uncompressed_gzip_bytes(path)
    if path.suffix.lower() == ".zst":
        return streams.unpacked_zstd_bytes(path)
    if file_format(path) != "parquet":
        return path.stat().st_size
    with _open_parquet(path) as file:
        names = _columns(path, kind, file.schema_arrow.names)
        groups = (file.metadata.row_group(i) for i in range(file.metadata.num_row_groups))
        columns = (group.column(i) for group in groups for i in range(group.num_columns))
        return sum(
            c.total_uncompressed_size for c in columns if c.path_in_schema.split(".")[0] in names
        )


class Row(NamedTuple):
    """A JSON value or a row of a table."""

    path: Path
    place: Callable[[], str]  # names it in a message; a function, since lines have to be counted
    progress: float
    value: Any  # InvalidRecord if it cannot be parsed


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


def read_text(path: Path, rng: np.random.Generator, on_problem: OnProblem) -> Iterator[Record]:
    """Yield the documents of a file that have text, in an order drawn from `rng`, long ones in
    several parts.

    Calls `on_problem` for a record that is not valid. Raises UserError that names the line or row
    group that cannot be read.
    """
    before = 0.0
    for progress, document in _whole_documents(path, rng, on_problem):
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


def _whole_documents(
    path: Path, rng: np.random.Generator, on_problem: OnProblem
) -> Iterator[Record]:
    if file_format(path) == "text":
        yield from _plain_documents(path, rng)
        return
    for row in _rows(path, "text", rng):
        text = _extract(row, records.document_text, on_problem)
        if text and not text.isspace():
            yield Record(row.progress, Document(path.name, text))


def read_conversations(
    path: Path, rng: np.random.Generator, on_problem: OnProblem
) -> Iterator[Record]:
    """Yield the conversations of a file, in an order drawn from `rng`. As `read_text`."""
    if file_format(path) == "text":
        raise UserError(
            f"{path} is plain text, which holds no conversations",
            "use a .jsonl, .json, .csv or .parquet file",
        )
    for row in _rows(path, "messages", rng):
        messages = _extract(row, records.conversation, on_problem)
        if messages:
            yield Record(row.progress, messages)


def _extract(row: Row, extract: Callable[[Any], Any], on_problem: OnProblem) -> Any:
    try:
        if isinstance(row.value, InvalidRecord):
            raise row.value
        return extract(row.value)
    except InvalidRecord as problem:
        on_problem(row, problem)
        return None


def _plain_documents(path: Path, rng: np.random.Generator) -> Iterator[Record]:
    for block in line_blocks(path, rng, MAX_LINE_BYTES):
        text = block.decode(block.raw, 0)
        # Files that were joined have byte order marks within.
        text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\ufeff", "")
        documents = [d for d in split_documents(text) if d and not d.isspace()]
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


# --- rows of each format --------------------------------------------------------------------------


def _rows(path: Path, kind: Kind, rng: np.random.Generator) -> Iterator[Row]:
    found = file_format(path)
    if found == "parquet":
        yield from _parquet_rows(path, kind, rng)
    elif found == "csv":
        yield from _csv_rows(path, kind)
    elif found == "json":
        yield from _json_rows(path)
    else:
        yield from _json_lines(path, rng)


def _open_parquet(path: Path) -> "pq.ParquetFile":
    """Open a Parquet file. Raises UserError if it is damaged."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise UserError(
            f"{path} is not a readable Parquet file ({error})", "copy or fetch it again"
        ) from None


def _columns(path: Path, kind: Kind, names: list[str]) -> list[str]:
    """Return the columns to read. Raises UserError if those are missing that hold the data."""
    columns = records.columns(kind, names)
    if not columns:
        raise UserError(
            f'{path} has no "{kind}" column (found: {", ".join(map(str, names))[:200]})',
            f'rename the column that holds the data to "{kind}"',
        )
    return columns


def _parquet_rows(path: Path, kind: Kind, rng: np.random.Generator) -> Iterator[Row]:
    """Yield every row, the row groups in shuffled order."""
    import pyarrow as pa

    with _open_parquet(path) as file:
        columns = _columns(path, kind, file.schema_arrow.names)
        sizes = [file.metadata.row_group(i).num_rows for i in range(file.metadata.num_row_groups)]
        n_rows, n_read = max(1, sum(sizes)), 0
        for group in rng.permutation(len(sizes)).tolist():
            number = sum(sizes[:group])
            try:
                batches = file.iter_batches(ROWS_PER_BATCH, row_groups=[group], columns=columns)
                for batch in batches:
                    for record in batch.to_pylist():
                        n_read, number = n_read + 1, number + 1
                        place = functools.partial("{}, row {}".format, path, number)
                        yield Row(path, place, n_read / n_rows, record)
            except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
                raise UserError(
                    f"{path}, row group {group} is damaged ({error})", "copy or fetch it again"
                ) from None


def _csv_rows(path: Path, kind: Kind) -> Iterator[Row]:
    """Yield every row in the order of the file. The first line names the columns."""
    progress = 0.0

    def lines() -> Iterator[str]:
        nonlocal progress
        unfinished = ""
        for piece, fraction in streams.text_pieces(path):
            progress = fraction
            *whole, unfinished = (unfinished + piece).split("\n")
            yield from (f"{line}\n" for line in whole)
        if unfinished:
            yield unfinished

    csv.field_size_limit(MAX_CSV_FIELD_CHARS)
    reader = csv.DictReader(lines())
    try:
        if reader.fieldnames:
            _columns(path, kind, list(reader.fieldnames))
        for record in reader:
            place = functools.partial("{}, line {}".format, path, reader.line_num)
            yield Row(path, place, progress, record)
    except csv.Error as error:
        raise UserError(
            f"{path}, line {reader.line_num + 1} is not valid CSV ({error})",
            "fix or remove the line",
        ) from None


def _json_rows(path: Path) -> Iterator[Row]:
    """Yield every value of a JSON array, in the order of the file."""
    number = 0
    try:
        for value, progress in _array_values(path):
            number += 1
            place = functools.partial("{}, record {}".format, path, number)
            yield Row(path, place, progress, value)
    except (ValueError, RecursionError) as error:
        raise UserError(
            f"{path} is not valid JSON after record {number} ({error})",
            "fix or remove the record after it",
        ) from None


def _array_values(path: Path) -> Iterator[tuple[Any, float]]:
    """Yield the values of a JSON array, each with the fraction of the file read.

    Only the text of one value is in memory. Raises UserError, or ValueError where it is not valid.
    """
    decoder, text, is_open, needed = json.JSONDecoder(), "", False, 1
    for piece, fraction in itertools.chain(streams.text_pieces(path), [(None, 1.0)]):
        text += piece or ""
        if not is_open:
            text = text.lstrip()
        if len(text) < needed and piece is not None:
            continue
        if not is_open and text[:1] != "[":
            raise UserError(
                f"{path} is not a JSON array", "write one object per line and name it .jsonl"
            )
        end = 0 if is_open else 1
        is_open = True
        while not text.startswith("]", start := _value_start(text, end)):
            try:
                value, end = decoder.raw_decode(text, start)
            except json.JSONDecodeError as error:
                if piece is None or not _is_cut_off(error, text):
                    raise
                break
            yield _text_or_problem(value, text[start:end]), fraction
        else:
            return
        text = text[end:]
        needed = 2 * len(text)  # a value longer than a piece is not tried again for every piece


def _value_start(text: str, position: int) -> int:
    while position < len(text) and text[position] in " \t\r\n,":
        position += 1
    return position


def _is_cut_off(error: json.JSONDecodeError, text: str) -> bool:
    """Return whether JSON may be valid once more of its text is read."""
    return error.msg.startswith("Unterminated string") or error.pos > len(text) - 16


def _json_lines(path: Path, rng: np.random.Generator) -> Iterator[Row]:
    """Yield every line that is not blank."""
    for block in line_blocks(path, rng, None):
        lines = block.raw.split(b"\n")
        for newlines, raw in enumerate(lines):
            if raw.strip():
                place = functools.partial(_line_place, block, newlines)
                progress = block.progress((newlines + 1) / len(lines))
                yield Row(path, place, progress, _parse_json(raw))


def _line_place(block: LineBlock, newlines: int) -> str:
    return f"{block.path}, line {block.line_number(newlines)}"


def _parse_json(raw: bytes) -> Any:
    """Return the value of a line of JSON, or InvalidRecord."""
    try:
        text = raw.removeprefix(codecs.BOM_UTF8).decode()
        return _text_or_problem(json.loads(text), text)
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        return InvalidRecord(
            f"is not UTF-8 (byte 0x{byte:02x})", "convert the file, for instance with iconv"
        )
    except (ValueError, RecursionError) as error:
        return InvalidRecord(f"is not valid JSON ({error})", "fix or remove the line")


def _text_or_problem(value: Any, text: str) -> Any:
    """Return the value parsed from a text, or InvalidRecord if strings in it are not text."""
    if "\\u" in text:  # an escape may be half of a surrogate pair
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            half = f"\\u{ord(error.object[error.start]):04x}"
            return InvalidRecord(f"has {half}, half of a surrogate pair", "fix or remove the text")
    return value
