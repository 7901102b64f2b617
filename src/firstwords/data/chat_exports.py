"""Make conversations of what chat apps export.

An export is a chat between people, so the user says which of them the model is to be. A pause
begins a new conversation, several messages of a person in a row become one, and a conversation
begins with somebody else and ends with the answer.
"""

import itertools
import shlex
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Literal

from firstwords.common.errors import UserError
from firstwords.data import chat_zip
from firstwords.data.chat_message import ChatMessage
from firstwords.data.file_types import Format, file_format
from firstwords.data.telegram import is_telegram, read_telegram
from firstwords.data.whatsapp import is_whatsapp, read_whatsapp
from firstwords.tokenizer.chat_format import Messages

App = Literal["WhatsApp", "Telegram"]
MAX_NAMED = 10  # people in an error


def find_app(path: Path) -> App | None:
    """Return which app exported a file; none if it is no export. Raises UserError."""
    found = _text_format(path)
    if found == "text" and is_whatsapp(path):
        return "WhatsApp"
    if found == "json" and is_telegram(path):
        return "Telegram"
    if file_format(path) == "zip":
        raise UserError(
            f"{chat_zip.chat_name(path)} in {path} is no chat of WhatsApp or Telegram",
            "unpack it, and use the files in it",
        )
    return None


def _text_format(path: Path) -> Format | None:
    """Return the format of a file, or of the chat in a zip archive. Raises UserError."""
    found = file_format(path)
    return file_format(Path(chat_zip.chat_name(path))) if found == "zip" else found


def is_chat_archive(path: Path) -> bool:
    """Return whether a zip archive is the export of a chat, and no other one or a damaged one."""
    try:
        return find_app(path) is not None
    except UserError:
        return False


def read_chats(path: Path) -> list[list[ChatMessage]]:
    """Return the messages of each chat in an export."""
    return read_telegram(path) if _text_format(path) == "json" else [read_whatsapp(path)]


def people(chats: list[list[ChatMessage]]) -> dict[str, int]:
    """Return the number of messages of each person, the most first."""
    return dict(Counter(message.name for chat in chats for message in chat).most_common())


def chat_conversations(
    chats: list[list[ChatMessage]], assistant: str, pause: timedelta
) -> Iterator[Messages]:
    """Yield the conversations of chats in which the assistant answers."""
    for chat in chats:
        numbers = itertools.accumulate(
            (b.time - a.time > pause for a, b in itertools.pairwise(chat)), initial=0
        )
        for _, group in itertools.groupby(zip(numbers, chat, strict=False), lambda pair: pair[0]):
            if messages := _conversation([message for _, message in group], assistant):
                yield messages


def _conversation(chat: list[ChatMessage], assistant: str) -> Messages:
    """Return the messages from the first of somebody else to the assistant's last."""
    turns = [
        {
            "role": "assistant" if is_assistant else "user",
            "content": "\n".join(message.text for message in group),
        }
        for is_assistant, group in itertools.groupby(chat, lambda m: m.name == assistant)
    ]
    if turns and turns[0]["role"] == "assistant":
        turns = turns[1:]
    return turns[: len(turns) // 2 * 2]


def find_person(path: Path, found: dict[str, int], name: str) -> str:
    """Return the person of a name, whatever its case. Raises UserError."""
    if name in found:
        return name
    matches = [person for person in found if person.casefold() == name.strip().casefold()]
    if len(matches) != 1:
        raise UserError(f"--assistant {name} is not in {path}", f"use one of: {listed(found)}")
    return matches[0]


def listed(found: dict[str, int]) -> str:
    """Return the names of people, for a message."""
    more = f" and {len(found) - MAX_NAMED} more" if len(found) > MAX_NAMED else ""
    return ", ".join(list(found)[:MAX_NAMED]) + more


def no_text(path: Path) -> UserError:
    """Return the error for the archive of a chat as a source of text."""
    return UserError(
        f"{path} is a chat that {find_app(path)} exported, and no text to learn from",
        "convert it with firstwords data convert, and use the result as --chat-data",
    )


def no_conversations(path: Path) -> UserError:
    """Return the error for a file that has no conversations as it is."""
    if app := find_app(path):
        names = people(read_chats(path))
        command = ["firstwords", "data", "convert", str(path)]
        person = next(iter(names), "NAME")
        command += ["--assistant", person, "--out", f"{path.name.split('.')[0]}.jsonl"]
        return UserError(
            f"{path} is a chat that {app} exported, and does not say who the assistant is",
            f"convert it, as {' or as '.join(list(names)[:4]) or 'one of its people'}: "
            f"{shlex.join(command)}",
        )
    return UserError(
        f"{path} is plain text, which holds no conversations",
        "use a .jsonl, .json, .csv, .tsv or .parquet file",
    )
