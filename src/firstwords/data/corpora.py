"""Where text and conversations come from: `starter`, a file, a directory of files, or `hub:NAME`
for a corpus that was fetched before.

Records are streamed: memory does not grow with the corpus. Files are read side by side, each in a
shuffled order of blocks of about a megabyte, in proportion to their sizes; so any prefix of the
stream is a fair sample of the whole, and a run that needs a hundredth of a corpus reads about a
hundredth of it. The order is a pure function of the files and the seed.
"""

import functools
import gzip
import io
import json
import math
import re
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from firstwords import console
from firstwords.conversation import InvalidConversation, Messages, validate
from firstwords.data import catalogue, contents, starter
from firstwords.errors import UserError

STARTER = "starter"
HUB = "hub:"
SUFFIXES = (".parquet", ".jsonl", ".jsonl.gz", ".txt", ".txt.gz")
BLOCK = 1 << 20
DOCUMENT_CHARS = 6_000  # plain text has no document marks: it is cut at about this length
LONGEST_LINE = 1 << 16  # a .txt line may be cut after this many bytes
MEND = "mend or remove this conversation"
HOLD_OUT_EVERY = 50
VALIDATION_NAME = re.compile(r"(^|[_\-.])(val|valid|validation)([_\-.]|$)", re.IGNORECASE)

Split = Literal["train", "val"]
SPLITS: tuple[Split, ...] = ("train", "val")
T = TypeVar("T")


class Part(NamedTuple):
    """A record, and the share of its file that had been read when it came."""

    progress: float
    record: Any


class Corpus(NamedTuple):
    """A source by name. `files` is empty for the starter curriculum, which is generated."""

    name: str
    files: tuple[Path, ...]
    validation_files: tuple[Path, ...]

    @property
    def is_starter(self) -> bool:
        return self.name == STARTER

    def text_bytes(self, column: str) -> float:
        """About how much there is to train with: bytes of the column "text" or "messages",
        uncompressed; without end for the starter curriculum. Raises UserError."""
        if self.is_starter:
            return math.inf
        share = 1.0 if self.validation_files else 1 - 1 / HOLD_OUT_EVERY
        return share * sum(_uncompressed(path, column) for path in self.files)


def open_corpus(source: str, option: str) -> Corpus:
    """Find the files of `source`, as given to `option`. Raises UserError."""
    if source == STARTER:
        return Corpus(STARTER, (), ())
    if not source.strip():
        raise UserError(option, "it is empty; use starter, a file or a directory")
    if source.startswith(HUB):
        return _fetched(source, option)
    path = Path(source).expanduser().absolute()
    if not path.exists():
        raise UserError(f"{option} {source}", "no such file or directory")
    if path.is_file():
        if not path.name.endswith(SUFFIXES):
            raise UserError(f"{option} {source}", f"use a file that ends in {', '.join(SUFFIXES)}")
        return Corpus(str(path), (path,), ())
    found = sorted(p for p in path.rglob("*") if p.name.endswith(SUFFIXES) and p.is_file())
    if not found:
        raise UserError(
            f"{option} {source}", f"the directory has no file that ends in {', '.join(SUFFIXES)}"
        )
    validation = tuple(p for p in found if VALIDATION_NAME.search(p.name))
    training = tuple(p for p in found if p not in validation)
    if not training:
        raise UserError(
            f"{option} {source}",
            "every file in it is named as validation data; add a training file",
        )
    return Corpus(str(path), training, validation)


def _fetched(source: str, option: str) -> Corpus:
    """A corpus by its name: what is here of it, never the network."""
    name = source.removeprefix(HUB)
    known = catalogue.entries()
    located = contents.locate(name) if name in (*known, *contents.present()) else None
    if located is None and name not in known:
        raise UserError(
            f"{option} {source}", f"no corpus of that name; firstwords data list names {len(known)}"
        )
    if located is None:
        raise UserError(f"{option} {source} is not here", f"first run: {contents.mend(name)}")
    return Corpus(source, located.train, located.held_out)


class Text(NamedTuple):
    """A document, and where it is from: a file, or a kind of the starter curriculum."""

    source: str
    text: str


def texts(corpus: Corpus, split: Split, seed: int) -> Iterator[str]:
    """The documents' text alone."""
    return (document.text for document in documents(corpus, split, seed))


def documents(corpus: Corpus, split: Split, seed: int) -> Iterator[Text]:
    """The documents of one split. A corpus with validation files keeps them apart; any other
    holds out every 50th document."""
    if corpus.is_starter:
        return _generated(lambda index: Text(*starter.document(seed, index)), split)
    return _split(corpus, split, lambda files: _interleave(files, seed, _read_text))


def conversations(corpus: Corpus, split: Split, seed: int) -> Iterator[Messages]:
    """The conversations of one split, checked."""
    if corpus.is_starter:
        return _generated(
            lambda index: [dict(m) for m in starter.conversation(seed, index).messages], split
        )
    read = functools.partial(_read_conversations, strict=not corpus.name.startswith(HUB))
    return _split(corpus, split, lambda files: _interleave(files, seed, read))


def _held_out(index: int) -> bool:
    """Every 50th record, starting with the second: a corpus of two has one of each split."""
    return index % HOLD_OUT_EVERY == 1


def _uncompressed(path: Path, column: str) -> int:
    size = path.stat().st_size
    if path.suffix == ".gz":
        with path.open("rb") as file:
            file.seek(max(0, size - 4))  # a gzip file ends with the length of what it holds
            return max(size, int.from_bytes(file.read(4), "little"))
    if path.suffix != ".parquet":
        return size
    with _parquet(path, column) as file:
        groups = (file.metadata.row_group(i) for i in range(file.metadata.num_row_groups))
        columns = (group.column(i) for group in groups for i in range(group.num_columns))
        return sum(
            c.total_uncompressed_size for c in columns if c.path_in_schema.startswith(column)
        )


def _generated(make: Callable[[int], T], split: Split) -> Iterator[T]:
    index = 0
    while True:
        if _held_out(index) == (split == "val"):
            yield make(index)
        index += 1


def _split(
    corpus: Corpus, split: Split, read: Callable[[tuple[Path, ...]], Iterator[T]]
) -> Iterator[T]:
    if corpus.validation_files:
        yield from read(corpus.validation_files if split == "val" else corpus.files)
        return
    for index, record in enumerate(read(corpus.files)):
        if _held_out(index) == (split == "val"):
            yield record


def _interleave(
    files: tuple[Path, ...], seed: int, read: Callable[[Path, np.random.Generator], Iterator[Part]]
) -> Iterator[Any]:
    """Always take the next record from the file of which the smallest share has been read."""
    streams = [read(path, np.random.default_rng([seed, i])) for i, path in enumerate(files)]
    waiting = [(0.0, i) for i in range(len(streams))]
    while waiting:
        waiting.sort()
        _, i = waiting.pop(0)
        part = next(streams[i], None)
        if part is not None:
            yield part.record
            waiting.append((part.progress, i))


# --- text ---------------------------------------------------------------------------------------


def _read_text(path: Path, rng: np.random.Generator) -> Iterator[Part]:
    if path.suffix == ".parquet":
        for progress, row in _parquet_rows(path, "text", rng):
            if not isinstance(row, str):
                raise UserError(f'{path}, column "text"', "it must hold strings")
            yield Part(progress, Text(path.name, row))
    elif ".jsonl" in path.name:
        for line in _json_lines(path, rng):
            if not isinstance(line.value, dict) or not isinstance(line.value.get("text"), str):
                keys = ", ".join(line.value) if isinstance(line.value, dict) else "no object"
                raise UserError(line.place, f'no "text" string (found: {keys}); add the field')
            yield Part(line.progress, Text(path.name, line.value["text"]))
    else:
        for block in _blocks(path, rng, LONGEST_LINE):
            found = list(_documents(_decode(block.raw, block, 0)))
            for done, document in enumerate(found, 1):
                yield Part(block.progress(done / len(found)), Text(path.name, document))


def _documents(text: str) -> Iterator[str]:
    """Cut plain text at `<|endoftext|>` lines, then at paragraph ends into stretches."""
    for marked in text.split("<|endoftext|>"):
        stretch: list[str] = []
        length = 0
        for paragraph in re.split(r"\n\s*\n", marked):
            stretch.append(paragraph)
            length += len(paragraph)
            if length >= DOCUMENT_CHARS:
                yield "\n\n".join(stretch).strip("\n")
                stretch, length = [], 0
        if any(paragraph.strip() for paragraph in stretch):
            yield "\n\n".join(stretch).strip("\n")


# --- conversations --------------------------------------------------------------------------------


def _read_conversations(path: Path, rng: np.random.Generator, strict: bool) -> Iterator[Part]:
    """Unless `strict`, conversations that make no sense are left out: nobody can mend a dataset
    that was fetched."""
    for progress, messages, line in _messages(path, rng):
        try:
            yield Part(progress, validate(messages))
        except InvalidConversation as error:
            if strict:
                place = line.place if line else f"{path}, {str(messages)[:60]}"
                raise UserError(place, f"{error}; {MEND}") from None
            _tell_left_out(path)


def _messages(
    path: Path, rng: np.random.Generator
) -> Iterator[tuple[float, Any, "JsonLine | None"]]:
    """Whatever stands where a conversation should, with its line if it has one."""
    if path.suffix == ".parquet":
        for progress, messages in _parquet_rows(path, "messages", rng):
            yield progress, messages, None
    elif ".jsonl" in path.name:
        for line in _json_lines(path, rng):
            found = line.value.get("messages") if isinstance(line.value, dict) else None
            yield line.progress, found, line
    else:
        raise UserError(str(path), "conversations come as .jsonl, .jsonl.gz or .parquet files")


@functools.cache
def _tell_left_out(path: Path) -> None:
    """Once, however often the file is read."""
    console.warn(f"{path.name}: conversations without user and assistant in turn are left out")


# --- formats --------------------------------------------------------------------------------------


def _parquet(path: Path, column: str) -> pq.ParquetFile:
    """The file, which has that column. Raises UserError."""
    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise UserError(str(path), f"not a readable parquet file ({error})") from None
    names = file.schema_arrow.names
    if column not in names:
        file.close()
        raise UserError(
            f'{path} has no "{column}" column (found: {", ".join(names)})',
            f'rename the column that holds the data to "{column}"',
        )
    return file


def _parquet_rows(path: Path, column: str, rng: np.random.Generator) -> Iterator[tuple[float, Any]]:
    with _parquet(path, column) as file:
        rows = max(1, file.metadata.num_rows)
        done = 0
        for group in rng.permutation(file.metadata.num_row_groups):
            try:
                for batch in file.iter_batches(256, row_groups=[int(group)], columns=[column]):
                    for value in batch.column(0):
                        done += 1
                        yield done / rows, value.as_py()
            except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
                raise UserError(str(path), f"row group {group} is damaged ({error})") from None


class Block(NamedTuple):
    """Whole lines of a file, and where they stand in it."""

    path: Path
    raw: bytes
    begins: float  # share of the file that was read before it, and with it
    ends: float
    start: int
    first_line: int | None  # unknown where the file was entered in the middle

    def progress(self, done: float) -> float:
        """The share of the file that has been read with a share of this block."""
        return self.begins + (self.ends - self.begins) * done

    def line(self, newlines: int) -> int:
        """The number of the line after so many line breaks of this block."""
        first = self.first_line or _lines_before(self.path, self.start) + 1
        return first + newlines


class JsonLine(NamedTuple):
    block: Block
    newlines: int
    progress: float
    value: Any

    @property
    def place(self) -> str:
        return f"{self.block.path}, line {self.block.line(self.newlines)}"


def _json_lines(path: Path, rng: np.random.Generator) -> Iterator[JsonLine]:
    """Every line that is not blank."""
    for block in _blocks(path, rng, None):
        lines = block.raw.split(b"\n")
        for newlines, raw in enumerate(lines):
            if not raw.strip():
                continue
            text = _decode(raw, block, newlines)
            try:
                value = json.loads(text)
                if "\\u" in text:  # an escape may be half of a surrogate pair, which is no text
                    json.dumps(value, ensure_ascii=False).encode()
            except (ValueError, RecursionError) as error:
                raise UserError(
                    f"{path}, line {block.line(newlines)}",
                    f"not valid JSON text ({error}); mend or remove the line",
                ) from None
            yield JsonLine(block, newlines, block.progress((newlines + 1) / len(lines)), value)


def _decode(raw: bytes, block: Block, newlines: int) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = block.line(newlines + raw.count(b"\n", 0, error.start))
        raise UserError(
            f"{block.path}, line {line}",
            f"not UTF-8 (byte 0x{raw[error.start]:02x}); convert the file, for instance with iconv",
        ) from None


def _blocks(path: Path, rng: np.random.Generator, longest_line: int | None) -> Iterator[Block]:
    """All blocks of a file in shuffled order.

    Compressed files cannot be entered in the middle: they come in their own order.
    """
    if path.suffix == ".gz":
        yield from _compressed_blocks(path, longest_line)
        return
    size = path.stat().st_size
    n_blocks = max(1, -(-size // BLOCK))
    with path.open("rb") as file:
        for done, number in enumerate(rng.permutation(n_blocks).tolist()):
            start = _line_start(file, number * BLOCK, size, longest_line)
            end = _line_start(file, (number + 1) * BLOCK, size, longest_line)
            file.seek(start)
            raw = file.read(end - start)
            yield Block(path, raw, done / n_blocks, (done + 1) / n_blocks, start, None)


def _line_start(file: io.BufferedReader, offset: int, size: int, longest_line: int | None) -> int:
    """The first place at or after `offset` where a line starts.

    With `longest_line`, a line that goes on for longer is cut after a space or, failing that,
    between two characters.
    """
    if offset == 0 or offset >= size:
        return min(offset, size)
    file.seek(offset - 1)
    if longest_line is None:
        file.readline()
        return file.tell()
    ahead = file.read(longest_line)
    if len(ahead) < longest_line and b"\n" not in ahead:
        return size  # the last line of the file
    return offset - 1 + _cut(ahead)


def _cut(text: bytes) -> int:
    """Where to cut a text: after its first line break or else space, or between characters."""
    for mark in (b"\n", b" "):
        found = text.find(mark)
        if found >= 0:
            return found + 1
    place = 1
    while place < len(text) and text[place] & 0xC0 == 0x80:  # inside a UTF-8 character
        place += 1
    return place


def _lines_before(path: Path, offset: int) -> int:
    with path.open("rb") as file:
        lines = 0
        while offset > 0 and (chunk := file.read(min(BLOCK, offset))):
            lines += chunk.count(b"\n")
            offset -= len(chunk)
        return lines


def _compressed_blocks(path: Path, longest_line: int | None) -> Iterator[Block]:
    size = max(1, path.stat().st_size)
    line, begins, rest = 1, 0.0, b""
    with path.open("rb") as raw, gzip.open(raw) as file:
        while True:
            try:
                chunk = file.read(BLOCK)
            except (OSError, EOFError, zlib.error) as error:
                raise UserError(str(path), f"not a whole gzip file ({error})") from None
            rest += chunk
            end = rest.rfind(b"\n") + 1 if chunk else len(rest)
            if chunk and not end and longest_line and len(rest) > longest_line:
                end = len(rest) - longest_line + _cut(rest[-longest_line:])
            if end:
                ends = min(1.0, raw.tell() / size)
                yield Block(path, rest[:end], begins, ends, 0, line)
                line += rest.count(b"\n", 0, end)
                begins, rest = ends, rest[end:]
            if not chunk:
                return
