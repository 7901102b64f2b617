"""List every problem of a source with its line, for people to look at before they train.

An error keeps training from starting: JSON that is not valid, a message without a role or text, two
turns of the user in a row, another encoding. A note does not: duplicates, and conversations longer
than the context, which training splits.
"""

import hashlib
import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

from firstwords.common.errors import UserError
from firstwords.common.units import format_size
from firstwords.data import chat_exports, recognition
from firstwords.data.checks import by_number
from firstwords.data.corpora import Corpus
from firstwords.data.file_types import PROSE, file_format
from firstwords.data.formats import Record, read_conversations, read_text, uncompressed_bytes
from firstwords.data.records import InvalidRecord
from firstwords.data.rows import Row
from firstwords.tokenizer.chat_format import Messages

CHATS_PER_BATCH = 256  # whose tokens are counted at a time
MAX_LISTED = 50  # notes of a kind in text; --json has all of them

Cause = Literal["invalid", "duplicate", "too long"]


class Context(NamedTuple):
    """A context window, and how to count the tokens of conversations."""

    tokens: int
    of: str  # whose it is, in words
    lengths: Callable[[list[Messages]], list[int]]


class Problem(NamedTuple):
    """What is wrong with a record, or with the rest of its file."""

    cause: Cause
    message: str  # the place first
    hint: str


class Review(NamedTuple):
    """What was found in a source."""

    source: str
    holds: recognition.What
    problems: list[Problem]
    records: int  # that are valid
    bytes: int
    context: Context | None  # for conversations

    @property
    def counts(self) -> Counter[Cause]:
        return Counter(problem.cause for problem in self.problems)

    @property
    def has_errors(self) -> bool:
        return self.counts["invalid"] > 0 or not self.records

    @property
    def share_too_long(self) -> float:
        """The share of the valid conversations that are longer than the context."""
        return self.counts["too long"] / max(1, self.records)


def review(corpus: Corpus, context: Context) -> Review:
    """Read all of a source. Raises UserError if it holds nothing that can be checked."""
    holds = _holds(corpus)
    reader = _Reader(holds, context)
    for path in corpus.all_files:
        reader.read(path)
    size = sum(uncompressed_bytes(p, _kind(holds)) for p in corpus.all_files if reader.is_read(p))
    used = context if holds == "conversations" else None
    return Review(corpus.name, holds, reader.problems, reader.n_records, size, used)


def _kind(holds: recognition.What) -> Literal["text", "messages"]:
    return "text" if holds == "text" else "messages"


def _holds(corpus: Corpus) -> recognition.What:
    """Return what a source holds; of a file whose first records are not valid, conversations."""
    summaries = []
    for path in corpus.all_files:
        try:
            summaries.append(recognition.summarize_file(path))
        except UserError:
            if file_format(path) in PROSE:  # it will be listed
                return "text"
    if not summaries:
        return "conversations"
    holds = recognition.holds(summaries, corpus.name)
    if holds == "chat":
        raise chat_exports.no_conversations(summaries[0].path)
    return holds


class _Reader:
    """Reads files and collects their problems."""

    def __init__(self, holds: recognition.What, context: Context) -> None:
        self.problems: list[Problem] = []
        self.n_records = 0
        self._holds, self._context = holds, context
        self._places: dict[bytes, str] = {}  # of what was read, by its hash
        self._unreadable: set[Path] = set()

    def is_read(self, path: Path) -> bool:
        """Return whether the whole file was read."""
        return path not in self._unreadable

    def read(self, path: Path) -> None:
        """Read a file; an error that ends it is one of its problems."""
        read = read_text if self._holds == "text" else read_conversations
        before = len(self.problems)
        try:
            records = self._counted(read(path, None, self._add_invalid))
            if self._holds == "conversations":
                self._find_long(records)
            else:
                for _ in records:
                    pass
        except UserError as error:
            self._unreadable.add(path)
            self.problems.append(Problem("invalid", error.problem, error.hint))
        self.problems[before:] = sorted(self.problems[before:], key=lambda p: by_number(p.message))

    def _add_invalid(self, row: Row, problem: InvalidRecord) -> None:
        self.problems.append(Problem("invalid", f"{row.place()} {problem}", problem.hint))

    def _counted(self, records: Iterator[Record]) -> Iterator[Record]:
        for record in records:
            self.n_records += 1
            value = record.value if self._holds == "conversations" else record.value.text
            key = hashlib.blake2b(json.dumps(value).encode(), digest_size=12).digest()
            place = record.place()
            first = self._places.setdefault(key, place)
            if first is not place:
                what = "conversation" if self._holds == "conversations" else "document"
                self.problems.append(
                    Problem("duplicate", f"{place} repeats the {what} of {first}", "remove it")
                )
            yield record

    def _find_long(self, records: Iterable[Record]) -> None:
        records = iter(records)
        while batch := list(itertools.islice(records, CHATS_PER_BATCH)):
            lengths = self._context.lengths([record.value for record in batch])
            for record, n_tokens in zip(batch, lengths, strict=True):
                if n_tokens > self._context.tokens:
                    length = f"is longer than the context: {n_tokens:,} of {self._context.tokens:,}"
                    self.problems.append(
                        Problem("too long", f"{record.place()} {length} tokens", "shorten it")
                    )


def to_json(found: Review) -> dict[str, Any]:
    """Return a review as one JSON object."""
    context = found.context and {
        "tokens": found.context.tokens,
        "of": found.context.of,
        "n_longer": found.counts["too long"],
        "share_longer": found.share_too_long,
    }
    return {
        "source": found.source,
        "holds": found.holds,
        "records": found.records,
        "bytes": found.bytes,
        "errors": found.counts["invalid"],
        "duplicates": found.counts["duplicate"],
        "context": context,
        "problems": [problem._asdict() for problem in found.problems],
    }


def render(found: Review) -> str:
    """Return the problems, a line for each, and a summary."""
    lines = []
    listed: Counter[Cause] = Counter()
    for problem in found.problems:
        listed[problem.cause] += 1
        if problem.cause == "invalid":
            lines.append(f"error: {problem.message}; {problem.hint}")
        elif listed[problem.cause] <= MAX_LISTED:
            lines.append(f"note: {problem.message}")
    more = sum(max(0, n - MAX_LISTED) for cause, n in listed.items() if cause != "invalid")
    if more:
        lines.append(f"note: {more:,} more (--json lists all)")
    return "\n".join([*lines, *_summary(found)])


def _summary(found: Review) -> list[str]:
    what = "documents" if found.holds == "text" else "conversations"
    lines = [f"valid {what}: {found.records:,} ({format_size(found.bytes)})"]
    lines.append(f"errors: {found.counts['invalid']:,}")
    lines.append(f"duplicates: {found.counts['duplicate']:,}")
    if found.context:
        lines.append(
            f"longer than the context, {found.context.tokens:,} tokens of {found.context.of}: "
            f"{found.counts['too long']:,} ({found.share_too_long:.1%})"
        )
    if not found.records:
        lines.append("nothing to train on")
    return lines
