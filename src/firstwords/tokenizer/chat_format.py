"""The chat format: from messages to token ids and a loss mask.

This is the only module that knows how a conversation is written. In ChatML every message is
`<|im_start|>ROLE\\nCONTENT<|im_end|>\\n`. The assistant's content may call a tool:
`<tool_call>12*34</tool_call><tool_response>408</tool_response>`. What the assistant writes is a
target of finetuning; the tool's response is not.

Only complete tool blocks of the assistant become special tokens. All other markup stays text, so a
user cannot end a turn or forge the response of a tool by typing its markup.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from firstwords.tokenizer.bpe import (
    IM_END,
    IM_START,
    TOOL_CALL,
    TOOL_CALL_END,
    TOOL_RESPONSE,
    TOOL_RESPONSE_END,
    Tokenizer,
)

Message = dict[str, str]
Messages = list[Message]

# The same format for transformers and llama.cpp; tests check that it agrees with `split_spans`. It
# refuses what is no text: Jinja would write Python's form of it, such as `None` or a list.
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% if message['content'] is not string %}"
    "{{ raise_exception('the content of a message must be a string') }}"
    "{% endif %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] | trim + '<|im_end|>\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)

TOOL_BLOCK = re.compile(
    f"{re.escape(TOOL_CALL)}(.*?){re.escape(TOOL_CALL_END)}"
    f"{re.escape(TOOL_RESPONSE)}(.*?){re.escape(TOOL_RESPONSE_END)}",
    re.DOTALL,
)


JSON_TYPES = {
    str: "a string",
    bool: "true or false",
    int: "a number",
    float: "a number",
    list: "a list",
    dict: "an object",
    bytes: "binary data",
    type(None): "null",
}


class InvalidConversation(ValueError):
    """The messages are not a valid conversation; the text says which one and why."""


def validate_messages(messages: Any) -> Messages:
    """Check the messages of a conversation and return them.

    Valid are an optional system message, then user and assistant in turn, the assistant last.
    Raises InvalidConversation.
    """
    if not isinstance(messages, list) or not messages:
        raise InvalidConversation('"messages" must be a list with at least one message')
    for number, message in enumerate(messages, 1):
        if not isinstance(message, dict):
            raise InvalidConversation(f"message {number} is not an object")
        if "role" not in message:
            fields = ", ".join(map(str, message))[:100] or "no fields"
            raise InvalidConversation(f'message {number} has no "role" (found: {fields})')
        if message["role"] not in ("system", "user", "assistant"):
            role = repr(message["role"])[:50]
            raise InvalidConversation(
                f"message {number} has the role {role} instead of system, user or assistant"
            )
        content = message.get("content")
        if not isinstance(content, str):
            raise InvalidConversation(
                f"message {number} has no text (its content is {json_type(content)})"
            )
        if not content.strip():
            raise InvalidConversation(f"message {number} has no text (its content is empty)")
    turns = messages[1:] if messages[0]["role"] == "system" else messages
    for number, message in enumerate(turns, 1 + len(messages) - len(turns)):
        expected = "user" if (number - (len(messages) - len(turns))) % 2 else "assistant"
        if message["role"] != expected:
            raise InvalidConversation(
                f"message {number} is from the {message['role']} instead of the {expected}"
            )
    if not turns or turns[-1]["role"] != "assistant":
        raise InvalidConversation("the last message is not from the assistant")
    return messages


def json_type(value: Any) -> str:
    """Return what kind of JSON value this is, in words."""
    if isinstance(value, list) and value and isinstance(value[0], dict) and "type" in value[0]:
        return f"a list of parts of the types {', '.join(_part_types(value))}"
    return JSON_TYPES.get(type(value), type(value).__name__)


def _part_types(parts: list[Any]) -> Iterator[str]:
    types = dict.fromkeys(str(p.get("type")) if isinstance(p, dict) else "?" for p in parts)
    return (name[:30] for name in list(types)[:5])


class Span(NamedTuple):
    """A part of a conversation: text or one special token, with or without loss."""

    text: str
    is_special: bool
    is_target: bool


def split_spans(messages: Iterable[Message]) -> Iterator[Span]:
    """Yield the spans of a conversation in the chat format."""
    for message in messages:
        by_assistant = message["role"] == "assistant"
        yield Span(IM_START, True, False)
        if by_assistant:
            yield Span("assistant\n", False, False)
            yield from _assistant_spans(message["content"].strip())
        else:
            yield Span(f"{message['role']}\n{message['content'].strip()}", False, False)
        yield Span(IM_END, True, by_assistant)
        yield Span("\n", False, False)


def _assistant_spans(content: str) -> Iterator[Span]:
    end = 0
    for block in TOOL_BLOCK.finditer(content):
        yield Span(content[end : block.start()], False, True)
        yield Span(TOOL_CALL, True, True)
        yield Span(block[1], False, True)
        yield Span(TOOL_CALL_END, True, True)
        yield Span(TOOL_RESPONSE, True, False)
        yield Span(block[2], False, False)
        yield Span(TOOL_RESPONSE_END, True, False)
        end = block.end()
    yield Span(content[end:], False, True)


class EncodedConversation(NamedTuple):
    """The tokens of a conversation."""

    ids: np.ndarray  # (n,) uint16
    mask: np.ndarray  # (n,) bool: the targets of finetuning


def encode_conversations(
    tokenizer: Tokenizer, conversations: list[Messages], threads: int | None = None
) -> Iterator[EncodedConversation]:
    """Encode many conversations, in one batch so that the tokenizer can use several threads."""
    conversation_spans = [list(split_spans(messages)) for messages in conversations]
    texts = [span.text for spans in conversation_spans for span in spans if not span.is_special]
    encoded = iter(tokenizer.encode_batch(texts, threads))
    for spans in conversation_spans:
        ids: list[int] = []
        mask: list[bool] = []
        for span in spans:
            new = [tokenizer.special(span.text)] if span.is_special else next(encoded)
            ids += new
            mask += [span.is_target] * len(new)
        yield EncodedConversation(np.array(ids, dtype=np.uint16), np.array(mask, dtype=bool))


def encode_messages(tokenizer: Tokenizer, messages: Messages) -> list[int]:
    """Return the tokens of messages, those of one after those of the other."""
    return _encode_spans(tokenizer, split_spans(messages))


def encode_prompt(tokenizer: Tokenizer, messages: Messages) -> list[int]:
    """Return the tokens before the assistant's next answer. If the last message is the assistant's,
    its turn stays open, and the answer continues it."""
    begun = messages[-1]["content"] if messages and messages[-1]["role"] == "assistant" else None
    closed = messages if begun is None else messages[:-1]
    header = [tokenizer.special(IM_START), *tokenizer.encode("assistant\n")]
    begin = _encode_spans(tokenizer, _assistant_spans((begun or "").strip()))
    return encode_messages(tokenizer, closed) + header + begin


def _encode_spans(tokenizer: Tokenizer, spans: Iterable[Span]) -> list[int]:
    ids: list[int] = []
    for span in spans:
        ids += [tokenizer.special(span.text)] if span.is_special else tokenizer.encode(span.text)
    return ids
