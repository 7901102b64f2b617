"""Take the document or the conversation out of a record of a user's file.

A record is the object of a JSON line or the row of a table. Conversations are read in the formats
of other tools too, where those leave no doubt:

- `messages`, or `conversations`, a list of `role` and `content`: OpenAI, TRL, Axolotl
- `conversations`, a list of `from` and `value`: ShareGPT
- `instruction`, `output` and perhaps `input` and `system`: Alpaca
"""

import json
from typing import Any, Literal

from firstwords.tokenizer.chat_format import (
    InvalidConversation,
    Messages,
    json_type,
    validate_messages,
)

Kind = Literal["text", "messages"]

# The sets of columns that a table of each kind may have. The first `n` of a set must be there.
COLUMNS: dict[Kind, tuple[tuple[int, tuple[str, ...]], ...]] = {
    "text": ((1, ("text",)),),
    "messages": (
        (1, ("messages",)),
        (1, ("conversations",)),
        (2, ("instruction", "output", "input", "system", "history")),
    ),
}
LISTS = ("messages", "conversations")
ALPACA = ("instruction", "output")
SHAREGPT_ROLES = {"system": "system", "human": "user", "user": "user", "gpt": "assistant"}
MAX_LISTED_FIELDS = 12


class InvalidRecord(ValueError):
    """A record holds no document or conversation. The text says what it has or lacks, `hint` what
    to do."""

    def __init__(self, problem: str, hint: str) -> None:
        super().__init__(problem)
        self.hint = hint


def columns(kind: Kind, names: list[str]) -> list[str]:
    """Return the columns of a table to read; none if it lacks those that hold the data."""
    for n_needed, possible in COLUMNS[kind]:
        if all(name in names for name in possible[:n_needed]):
            return [name for name in possible if name in names]
    return []


def document_text(record: Any) -> str:
    """Return the text of a document. Raises InvalidRecord."""
    text = record.get("text") if isinstance(record, dict) else None
    if not isinstance(text, str):
        hint = 'name the field that holds the text "text"'
        if isinstance(record, dict) and "messages" in record:
            hint = "give conversations to --chat-data"
        raise InvalidRecord(f'has no "text" string (found: {found(record, "text")})', hint)
    return text


def conversation(record: Any) -> Messages:
    """Return the messages of a conversation. Raises InvalidRecord."""
    try:
        return validate_messages(_messages(record))
    except InvalidConversation as error:
        raise InvalidRecord(
            f"has an invalid conversation: {error}", "fix or remove this conversation"
        ) from None


def found(record: Any, field: str) -> str:
    """Describe what a record has in place of the value of a field."""
    if not isinstance(record, dict):
        return f"{json_type(record)}, no object"
    if field in record:
        return json_type(record[field])
    return ", ".join([str(name) for name in record][:MAX_LISTED_FIELDS])[:200] or "no fields"


def _messages(record: Any) -> list[Any]:
    """Return the messages in the format of Firstwords, as far as they are understood."""
    fields = record if isinstance(record, dict) else {}
    field = next((name for name in LISTS if fields.get(name) is not None), "messages")
    if field not in fields and all(isinstance(fields.get(name), str) for name in ALPACA):
        return _alpaca_messages(fields)
    messages = _parse_json_list(fields.get(field))
    if not isinstance(messages, list):
        raise InvalidRecord(
            f'has no list of "messages" (found: {found(record, field)})',
            'write each conversation as "messages", a list of objects with "role" and "content"',
        )
    converted = [_message(message) for message in messages]
    return converted[1:] if _is_empty_system(converted) else converted


def _parse_json_list(value: Any) -> Any:
    """Parse a list that a column of a table holds as JSON text."""
    if not isinstance(value, str) or not value.lstrip().startswith("["):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def _alpaca_messages(record: dict[str, Any]) -> list[Any]:
    if record.get("history"):
        raise InvalidConversation('its "history" is not read; write all turns into "messages"')
    parts = [record["instruction"], record.get("input")]
    question = "\n\n".join(part for part in parts if isinstance(part, str) and part.strip())
    messages: list[Any] = [
        {"role": "system", "content": record.get("system")},
        {"role": "user", "content": question},
        {"role": "assistant", "content": record["output"]},
    ]
    return messages[1:] if _is_empty_system(messages) else messages


def _message(message: Any) -> Any:
    """Return a message of role and content; anything else as it is, to be refused."""
    if not isinstance(message, dict):
        return message
    if "role" not in message:
        if "from" not in message:
            return message
        role = SHAREGPT_ROLES.get(str(message["from"]), message["from"])
        return {"role": role, "content": message.get("value")}
    content = message.get("content")
    return {"role": message["role"], "content": _joined_parts(content)}


def _joined_parts(content: Any) -> Any:
    """Join content that is a list of parts, all of them text."""
    is_text = isinstance(content, list) and all(
        isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str)
        for part in content
    )
    return "".join(part["text"] for part in content) if is_text else content


def _is_empty_system(messages: list[Any]) -> bool:
    """Return whether the first message is a system message without text, which says nothing."""
    if not messages or not isinstance(messages[0], dict) or messages[0].get("role") != "system":
        return False
    content = messages[0]["content"]
    return content is None or (isinstance(content, str) and not content.strip())
