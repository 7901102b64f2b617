"""Read the chats that Telegram exported as JSON: a chat, or all of an account."""

import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any

from firstwords.common.errors import UserError
from firstwords.data import streams
from firstwords.data.chat_message import ChatMessage

MAX_BYTES = 1 << 29  # the file is read whole
HEAD_CHARS = 4096
# A chat begins with its name and type; an account with some words about the export.
BEGINS = re.compile(
    r'\s*\{\s*("(about|name|type|id|personal_information|contacts|chats)")\s*:', re.IGNORECASE
)
CHAT_TYPES = re.compile(
    r'"type"\s*:\s*"(personal_chat|bot_chat|saved_messages|private_\w+|public_\w+)"'
    r"|Telegram"
)


def is_telegram(path: Path) -> bool:
    """Return whether a JSON file is what Telegram exported."""
    first, _ = next(streams.text_pieces(path), ("", 0.0))
    head = first[:HEAD_CHARS]
    return bool(BEGINS.match(head) and CHAT_TYPES.search(head))


def read_telegram(path: Path) -> list[list[ChatMessage]]:
    """Return the messages of each chat. Raises UserError if the file is not as Telegram writes."""
    text = ""
    for piece, _ in streams.text_pieces(path):
        text += piece
        if len(text) > MAX_BYTES:
            raise UserError(
                f"{path} is larger than {MAX_BYTES / 1e6:,.0f} MB", "export single chats"
            )
    try:
        document = json.loads(text)
        chats = document["chats"]["list"] if "chats" in document else [document]
        return [[m for raw in chat["messages"] if (m := _message(raw))] for chat in chats]
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not valid JSON ({error})", "export the chat again") from None
    except (KeyError, TypeError, AttributeError):
        raise UserError(
            f"{path} is not a chat as Telegram exports it", 'export it as "machine-readable JSON"'
        ) from None


def _message(raw: dict[str, Any]) -> ChatMessage | None:
    """Return a message that a person wrote; none for what has no text, and for the app's own."""
    parts = raw.get("text") or ""
    if isinstance(parts, list):  # with links, mentions and styles
        parts = "".join(part if isinstance(part, str) else part["text"] for part in parts)
    text = parts.strip()
    if raw.get("type") != "message" or not text or not raw.get("from"):
        return None
    return ChatMessage(datetime.fromisoformat(raw["date"]), str(raw["from"]), text)
