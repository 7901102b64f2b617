"""Read a chat that WhatsApp exported as text.

A message begins with its date, in the format of the phone's country; its other lines follow:

    31.12.23, 21:41 - Ada: Are you coming?          Android
    [12/31/23, 9:41:05 PM] Ada: Are you coming?     iOS

Lines without a name are from the app. So is text that begins with a left-to-right mark (iOS) or
stands for media: those are left out.
"""

import itertools
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from firstwords.data import streams
from firstwords.data.chat_message import ChatMessage

MESSAGE = re.compile(
    r"[\u200e\u200f]*\[?(?P<a>\d{1,4})[./-](?P<b>\d{1,2})[./-](?P<c>\d{1,4}),? "
    r"(?P<hour>\d{1,2})[:.](?P<minute>\d\d)(?:[:.]\d\d)?(?: ?(?P<half>[ap])\.? ?m\.?)?"
    r"(?:\] | - )(?P<rest>.*)",
    re.IGNORECASE,
)
NAME = re.compile(r"[\u200e\u200f\u202a-\u202e~ ]*([^:]{1,100}?)[\u202a-\u202e]*: (.*)", re.DOTALL)
SPACES = str.maketrans("\u00a0\u202f", "  ")
# What the app writes in place of media, of deleted messages and after edited ones: in angle
# brackets in every language, else in these words.
IN_BRACKETS = re.compile(r"<[^<>]{3,60}>|null")
ATTACHED = re.compile(r"[^\n]{1,200}\.\w{2,4} \([^()\n]{3,40}\)(?:\n.*)?", re.DOTALL)
EDITED = re.compile(
    r"\s*\u200e?<[^<>]*(?:edited|bearbeitet|editad[oa]|modifi|modificato|bewerkt)[^<>]*>$"
)
DELETED = re.compile(
    r"(?:this message was deleted|you deleted this message|diese nachricht wurde gelöscht"
    r"|du hast diese nachricht gelöscht|ce message a été supprimé|vous avez supprimé ce message"
    r"|se eliminó este mensaje|eliminaste este mensaje|missed (?:voice|video) call.*)\.?",
    re.IGNORECASE,
)
HEAD_LINES = 20  # one of them begins a message, if the file is an export
DATE_ORDERS = ("dmy", "mdy", "ymd")


def is_whatsapp(path: Path) -> bool:
    """Return whether a text file is a chat that WhatsApp exported."""
    first, _ = next(streams.text_pieces(path), ("", 0.0))
    lines = first.translate(SPACES).splitlines()[:HEAD_LINES]
    matches = [match for line in lines if (match := MESSAGE.match(line))]
    return any(NAME.match(match["rest"]) for match in matches)


def read_whatsapp(path: Path) -> list[ChatMessage]:
    """Return the messages that people wrote, in the order of the file."""
    found = list(_entries("".join(piece for piece, _ in streams.text_pieces(path))))
    order = _date_order([match for match, _ in found])
    messages = []
    for match, text in found:
        time, named = _time(match, order), NAME.match(text)
        if time and named and (written := _written(named[2])):
            messages.append(ChatMessage(time, named[1].strip(), written))
    return messages


def _entries(text: str) -> Iterator[tuple[re.Match[str], str]]:
    """Yield the first line of each message, and all that was written."""
    match: re.Match[str] | None = None
    lines: list[str] = []
    for line in text.translate(SPACES).replace("\r\n", "\n").split("\n"):
        if begins := MESSAGE.match(line):
            if match:
                yield match, "\n".join(lines)
            match, lines = begins, [begins["rest"]]
        else:
            lines.append(line)
    if match:
        yield match, "\n".join(lines)


def _written(text: str) -> str:
    """Return the text that a person wrote; none if the app did."""
    text = EDITED.sub("", text).rstrip()
    is_from_app = text.startswith("\u200e") or any(
        pattern.fullmatch(text) for pattern in (IN_BRACKETS, ATTACHED, DELETED)
    )
    return "" if is_from_app else text.replace("\u200e", "").strip()


def _date_order(matches: list[re.Match[str]]) -> str:
    """Return the order of day, month and year in which most dates exist and time runs forward, and
    else that in which the chat took the shortest time."""

    def doubts(order: str) -> tuple[int, timedelta]:
        times = [_time(match, order) for match in matches]
        valid = [time for time in times if time]
        n_back = sum(later < earlier for earlier, later in itertools.pairwise(valid))
        duration = max(valid) - min(valid) if valid else timedelta.max
        return len(times) - len(valid) + n_back, duration

    return min(DATE_ORDERS, key=doubts)


def _time(match: re.Match[str], order: str) -> datetime | None:
    parts = dict(zip(order, (int(match[name]) for name in "abc"), strict=True))
    year = parts["y"] + (2000 if parts["y"] < 100 else 0)
    hour = int(match["hour"])
    if match["half"]:
        hour = hour % 12 + 12 * (match["half"].lower() == "p")
    try:
        return datetime(year, parts["m"], parts["d"], hour, int(match["minute"]))
    except ValueError:
        return None
