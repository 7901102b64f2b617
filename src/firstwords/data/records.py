"""Take the document or the conversation out of a record of a user's file.

A record is the object of a JSON line or the row of a table. Conversations are read in the formats
of other tools too, where those leave no doubt:

- `messages`, or `conversations`, a list of `role` and `content`: OpenAI, TRL, Axolotl
- `conversations`, a list of `from` and `value`: ShareGPT
- `instruction`, `output` and perhaps `input` and `system`: Alpaca
- two fields such as `question` and `answer`: tables
"""

import json
from collections.abc import Iterable
from typing import Any, Literal

from firstwords.data.tool_calls import inline_tool_calls
from firstwords.tokenizer.chat_format import (
    InvalidConversation,
    Messages,
    json_type,
    validate_messages,
)

Kind = Literal["text", "messages"]

LISTS = ("messages", "conversations")
# Names of the fields of a question and its answer, in any case; the first pair found is taken.
PAIRS = (
    ("instruction", "output"),
    ("instruction", "response"),
    ("question", "answer"),
    ("prompt", "completion"),
    ("prompt", "response"),
    ("input", "output"),
    ("user", "assistant"),
    ("q", "a"),
)
MORE = ("input", "context")  # belong to the question
OTHER_ROLES = {
    "human": "user",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "model": "assistant",
    "developer": "system",
}
MAX_LISTED_FIELDS = 12
TEXT_LAYOUT = "text"


class InvalidRecord(ValueError):
    """A record holds no document or conversation. The text says what it has or lacks, `hint` what
    to do."""

    def __init__(self, problem: str, hint: str) -> None:
        super().__init__(problem)
        self.hint = hint


def columns(kind: Kind, names: list[str]) -> list[str]:
    """Return the columns of a table to read; none if it lacks those that hold the data."""
    if kind == "text":
        return [name for name in names if name == "text"]
    for listed in LISTS:
        if listed in names:
            return [listed]
    by_name = {_plain(name): name for name in names}
    pair = find_pair(names)
    wanted = (*pair, *MORE, "system", "history") if pair else ()
    return [by_name[name] for name in dict.fromkeys(wanted) if name in by_name]


def find_pair(names: Iterable[str]) -> tuple[str, str] | None:
    """Return which names of fields for a question and its answer are among these."""
    plain = {_plain(name) for name in names}
    return next((pair for pair in PAIRS if plain.issuperset(pair)), None)


def _plain(name: object) -> str:
    return str(name).strip().lower()


def layout(record: dict[str, Any]) -> str:
    """Return how a record holds its document or conversation, in words; empty if it has none."""
    messages = next((record[name] for name in LISTS if record.get(name) is not None), None)
    if messages is not None:
        messages = _parse_json_list(messages)
        first = messages[0] if isinstance(messages, list) and messages else {}
        is_sharegpt = isinstance(first, dict) and "from" in first and "role" not in first
        return "ShareGPT: from and value" if is_sharegpt else "messages: role and content"
    if "text" in record:
        return TEXT_LAYOUT
    if not (pair := find_pair(record)):
        return ""
    return f"{'Alpaca' if pair == PAIRS[0] else 'pairs'}: {pair[0]} and {pair[1]}"


def unknown(record: Any) -> InvalidRecord:
    """Return the problem of a record that holds neither a document nor a conversation."""
    return InvalidRecord(
        f'has neither "text" nor "messages" (found: {found(record, "text")})',
        "rename a field, or choose two columns of a table with "
        "firstwords data convert --columns QUESTION,ANSWER",
    )


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
    if field not in fields and (pair := find_pair(fields)):
        return _pair_messages(fields, pair)
    messages = _parse_json_list(fields.get(field))
    if not isinstance(messages, list):
        raise InvalidRecord(
            f'has no list of "messages" (found: {found(record, field)})',
            'write each conversation as "messages", a list of objects with "role" and "content"',
        )
    converted = [_message(message) for message in inline_tool_calls(messages)]
    return converted[1:] if _is_empty_system(converted) else converted


def _parse_json_list(value: Any) -> Any:
    """Parse a list that a column of a table holds as JSON text."""
    if not isinstance(value, str) or not value.lstrip().startswith("["):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def _pair_messages(record: dict[str, Any], pair: tuple[str, str]) -> list[Any]:
    fields = {_plain(name): value for name, value in record.items()}
    if fields.get("history"):
        raise InvalidConversation('its "history" is not read; write all turns into "messages"')
    question, answer = (fields[name] for name in pair)
    if isinstance(question, list) and isinstance(answer, list):  # TRL: messages in both
        return [_message(message) for message in question + answer]
    more = [fields.get(name) for name in MORE if name not in pair]
    if isinstance(question, str):
        parts = [question, *(part for part in more if isinstance(part, str))]
        question = "\n\n".join(part for part in parts if part.strip())
    messages: list[Any] = [
        {"role": "system", "content": fields.get("system")},
        {"role": "user", "content": question},
        {"role": "assistant", "content": answer},
    ]
    return messages[1:] if _is_empty_system(messages) else messages


def _message(message: Any) -> Any:
    """Return a message of role and content; anything else as it is, to be refused."""
    if not isinstance(message, dict):
        return message
    name, text = ("role", "content") if "role" in message else ("from", "value")
    if name not in message:
        return message
    role = message[name]
    role = OTHER_ROLES.get(role, role) if isinstance(role, str) else role
    return {"role": role, "content": _joined_parts(message.get(text))}


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
