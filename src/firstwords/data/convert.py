"""Write any source of documents or conversations as JSON lines, which everything reads."""

import csv
import itertools
import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

from firstwords.common import files
from firstwords.common.errors import UserError
from firstwords.data import chat_exports, recognition
from firstwords.data.corpora import Corpus, open_corpus
from firstwords.data.file_types import file_format
from firstwords.data.formats import raise_problem, read_conversations, read_text
from firstwords.data.rows import SEPARATORS, invalid_csv, text_lines
from firstwords.tokenizer.chat_format import InvalidConversation, Messages, validate_messages

# Chooses who the assistant is, from the numbers of messages of the people.
Choose = Callable[[Path, dict[str, int]], str]


class Request(NamedTuple):
    """What to convert, and how."""

    source: str
    out: Path
    assistant: str | None  # a person of a chat's export
    columns: tuple[str, str] | None  # of a table without names that say what they hold
    pause: timedelta  # begins another conversation in a chat's export
    choose: Choose


def convert(request: Request) -> tuple[int, str]:
    """Write the records of a source to a file; return how many, and what they are.

    Raises UserError.
    """
    corpus = open_corpus(request.source, "SRC")
    if corpus.is_starter:
        raise UserError("SRC starter is generated", "print some with: firstwords data show starter")
    if request.out.absolute() in corpus.all_files:
        raise UserError(f"--out {request.out} is the source itself", "choose another name")
    what, found = _records(corpus, request)
    first = next(found, None)
    if first is None:
        raise UserError(
            f"SRC {request.source} has no {what}",
            "look at what it is with firstwords data show"
            + (", or name another person" if request.assistant else ""),
        )
    n_records = 0
    with files.output_for("--out", request.out), files.atomic_writer(request.out) as file:
        for record in itertools.chain([first], found):
            file.write(json.dumps(record, ensure_ascii=False).encode() + b"\n")
            n_records += 1
    return n_records, what


def _records(corpus: Corpus, request: Request) -> tuple[str, Iterator[dict[str, Any]]]:
    """Return what the records are, and the records."""
    paths = corpus.all_files
    if request.columns:
        chats = (chat for path in paths for chat in _table_chats(path, request.columns))
        return "conversations", ({"messages": messages} for messages in chats)
    summaries = [recognition.summarize_file(path) for path in paths]
    holds = recognition.holds(summaries, f"SRC {request.source}")
    if holds == "chat":
        exported = (chat for path in paths for chat in _exported(path, request))
        return "conversations", ({"messages": messages} for messages in exported)
    if request.assistant:
        raise UserError(
            f"--assistant needs the export of a chat, and SRC {request.source} is none",
            "leave it out",
        )
    if holds == "text":
        texts = (r.value.text for p in paths for r in read_text(p, None, raise_problem))
        return "documents", ({"text": text} for text in texts)
    read = (r.value for p in paths for r in read_conversations(p, None, raise_problem))
    return "conversations", ({"messages": messages} for messages in read)


def _exported(path: Path, request: Request) -> Iterator[Messages]:
    chats = chat_exports.read_chats(path)
    people = chat_exports.people(chats)
    if not people:
        raise UserError(f"{path} has no messages of people", "export the chat again")
    name = request.assistant or request.choose(path, people)
    person = chat_exports.find_person(path, people, name)
    return chat_exports.chat_conversations(chats, person, request.pause)


def _table_chats(path: Path, columns: tuple[str, str]) -> Iterator[Messages]:
    """Yield a conversation for each row of a table, from two columns: names, or numbers from 1 of a
    table whose first line is data."""
    if file_format(path) != "csv":
        raise UserError(f"--columns needs a .csv or .tsv file, and {path} is none", "leave it out")
    lines = (line for line, _ in text_lines(path))
    first = next(lines, "")
    is_tsv = ".tsv" in [suffix.lower() for suffix in path.suffixes]
    separator = "\t" if is_tsv else max(SEPARATORS, key=first.count)
    reader = csv.reader(itertools.chain([first], lines), delimiter=separator)
    numbers = _column_numbers(path, columns, next(csv.reader([first], delimiter=separator), []))
    if not all(map(str.isdecimal, columns)):
        next(reader, None)  # the names
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield _row_chat(cells, numbers)
    except InvalidConversation as error:
        raise UserError(
            f"{path}, line {reader.line_num} has an invalid conversation: {error}",
            "fix or remove the line",
        ) from None
    except csv.Error as error:
        raise invalid_csv(path, reader.line_num + 1, error) from None


def _row_chat(cells: list[str], numbers: list[int]) -> Messages:
    question, answer = (cells[n] if n < len(cells) else "" for n in numbers)
    return validate_messages(
        [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    )


def _column_numbers(path: Path, columns: tuple[str, str], names: list[str]) -> list[int]:
    if all(map(str.isdecimal, columns)):
        numbers = [int(column) - 1 for column in columns]
        missing = [str(n + 1) for n in numbers if not 0 <= n < len(names)]
    else:
        plain = [name.strip().casefold() for name in names]
        wanted = [column.strip().casefold() for column in columns]
        missing = [column for column in wanted if column not in plain]
        numbers = [plain.index(column) for column in wanted if column in plain]
    if missing:
        listed = ", ".join(names)[:200]
        raise UserError(f"--columns: {path} has no column {missing[0]}", f"choose of: {listed}")
    return numbers


def name_people(path: Path, people: dict[str, int]) -> str:
    """Raise UserError that names the people of a chat."""
    raise UserError(
        f"{path} does not say who the assistant is",
        f"add --assistant with one of: {chat_exports.listed(people)}",
    )


def parse_columns(text: str) -> tuple[str, str]:
    """Return the two columns that an option names. Raises ValueError."""
    question, answer = (part.strip() for part in text.split(","))
    if not question or not answer:
        raise ValueError(text)
    return question, answer
