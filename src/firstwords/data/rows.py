"""Read the records of JSON, CSV and Parquet files: JSON values and rows of tables."""

import codecs
import csv
import functools
import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from firstwords.common.errors import UserError
from firstwords.data import records, streams
from firstwords.data.file_types import file_format
from firstwords.data.line_blocks import LineBlock, line_blocks
from firstwords.data.records import InvalidRecord, Kind

if TYPE_CHECKING:  # loading pyarrow takes 40 MB of memory, which only Parquet files need
    import pyarrow.parquet as pq

ROWS_PER_BATCH = 256  # of a Parquet file, decoded at a time
MAX_CSV_FIELD_CHARS = 1 << 26  # a quotation mark that is never closed is reported after these
SEPARATORS = (",", ";", "\t")  # of the columns of a .csv or .tsv file


class Row(NamedTuple):
    """A JSON value or a row of a table."""

    path: Path
    place: Callable[[], str]  # names it in a message; a function, since lines have to be counted
    progress: float
    value: Any  # InvalidRecord if it cannot be parsed


def read_rows(path: Path, kind: Kind, rng: np.random.Generator | None) -> Iterator[Row]:
    """Yield the records of a file, in an order drawn from `rng`, or else in that of the file.

    Raises UserError that names the line or row group that cannot be read.
    """
    found = file_format(path)
    if found == "parquet":
        yield from _parquet_rows(path, kind, rng)
    elif found == "csv":
        yield from _csv_rows(path, kind)
    elif found == "json":
        yield from _json_rows(path)
    else:
        yield from _json_lines(path, rng)


def parquet_bytes(path: Path, kind: Kind) -> int:
    """Return the size of the columns of a Parquet file that hold data of this kind."""
    with _open_parquet(path) as file:
        names = _columns(path, kind, file.schema_arrow.names)
        groups = (file.metadata.row_group(i) for i in range(file.metadata.num_row_groups))
        columns = (group.column(i) for group in groups for i in range(group.num_columns))
        return sum(
            c.total_uncompressed_size for c in columns if c.path_in_schema.split(".")[0] in names
        )


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
        hint = f'rename the column that holds the data to "{kind}"'
        if file_format(path) == "csv":
            hint += ", or name two columns to firstwords data convert --columns QUESTION,ANSWER"
        raise UserError(
            f'{path} has no "{kind}" column (found: {", ".join(map(str, names))[:200]})', hint
        )
    return columns


def _parquet_rows(path: Path, kind: Kind, rng: np.random.Generator | None) -> Iterator[Row]:
    """Yield every row, the row groups in an order drawn from `rng`."""
    import pyarrow as pa

    with _open_parquet(path) as file:
        columns = _columns(path, kind, file.schema_arrow.names)
        sizes = [file.metadata.row_group(i).num_rows for i in range(file.metadata.num_row_groups)]
        n_rows, n_read = max(1, sum(sizes)), 0
        order = rng.permutation(len(sizes)).tolist() if rng else range(len(sizes))
        for group in order:
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
        for line, fraction in text_lines(path):
            progress = fraction
            yield line

    csv.field_size_limit(MAX_CSV_FIELD_CHARS)
    content = lines()
    first = next(content, "")
    reader = csv.DictReader(itertools.chain([first], content), delimiter=separator(kind, first))
    try:
        if reader.fieldnames:
            _columns(path, kind, list(reader.fieldnames))
        for record in reader:
            place = functools.partial("{}, line {}".format, path, reader.line_num)
            yield Row(path, place, progress, record)
    except csv.Error as error:
        raise invalid_csv(path, reader.line_num + 1, error) from None


def invalid_csv(path: Path, line: int, error: csv.Error) -> UserError:
    """Return the error for a line of a table that cannot be read."""
    return UserError(f"{path}, line {line} is not valid CSV ({error})", "fix or remove the line")


def text_lines(path: Path) -> Iterator[tuple[str, float]]:
    """Yield the lines of a file with their ends, each with the fraction of the file read."""
    unfinished, progress = "", 0.0
    for piece, progress in streams.text_pieces(path):
        *whole, unfinished = (unfinished + piece).split("\n")
        yield from ((f"{line}\n", progress) for line in whole)
    if unfinished:
        yield unfinished, progress


def separator(kind: Kind, first_line: str) -> str:
    """Return the separator of a table's columns: one with which it has the columns of this kind, or
    else the one that its first line has most of."""
    for possible in SEPARATORS:
        if records.columns(kind, next(csv.reader([first_line], delimiter=possible), [])):
            return possible
    return max(SEPARATORS, key=first_line.count)


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


def _json_lines(path: Path, rng: np.random.Generator | None) -> Iterator[Row]:
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
