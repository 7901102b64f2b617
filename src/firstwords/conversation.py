"""Messages to tokens and loss mask: the one place that knows how a conversation is written.

ChatML: `<|im_start|>ROLE\\nCONTENT<|im_end|>\\n` for every message. An assistant may call a tool
inside its content: `<tool_call>12*34</tool_call><tool_response>408</tool_response>`. What it writes
itself is a target of finetuning; the tool's response, which is given to it, is not.

Markup in a user's text stays text: only the assistant's tool blocks become special tokens, so
nobody can end a turn or forge a tool's answer by typing its markup.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from firstwords.tokenizer import (
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

# What transformers and llama.cpp render with; tests hold it to `pieces` below.
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] | trim + '<|im_end|>\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)

TOOL_BLOCK = re.compile(
    f"{re.escape(TOOL_CALL)}(.*?){re.escape(TOOL_CALL_END)}"
    f"{re.escape(TOOL_RESPONSE)}(.*?){re.escape(TOOL_RESPONSE_END)}",
    re.DOTALL,
)


class InvalidConversation(ValueError):
    """The messages make no sense; the text says which one and why."""


def validate(messages: Any) -> Messages:
    """Check the shape and the order of the roles; return the messages.

    An optional system message, then user and assistant in turn, the assistant last.
    Raises InvalidConversation.
    """
    if not isinstance(messages, list) or not messages:
        raise InvalidConversation('"messages" must be a list with at least one message')
    for number, message in enumerate(messages, 1):
        if not isinstance(message, dict):
            raise InvalidConversation(f"message {number} is not an object")
        if message.get("role") not in ("system", "user", "assistant"):
            role = message.get("role")
            raise InvalidConversation(
                f"message {number} has the role {role!r}; use system, user or assistant"
            )
        if not isinstance(message.get("content"), str) or not message["content"].strip():
            raise InvalidConversation(f"message {number} has no text in its content")
    turns = messages[1:] if messages[0]["role"] == "system" else messages
    for number, message in enumerate(turns, 1 + len(messages) - len(turns)):
        expected = "user" if (number - (len(messages) - len(turns))) % 2 else "assistant"
        if message["role"] != expected:
            raise InvalidConversation(
                f"message {number} is from the {message['role']} where the {expected} speaks next"
            )
    if not turns or turns[-1]["role"] != "assistant":
        raise InvalidConversation("the last message must be the assistant's")
    return messages


class Piece(NamedTuple):
    """A stretch of a conversation: text, or one special token; with or without loss."""

    text: str
    special: bool
    target: bool


def pieces(messages: Iterable[Message]) -> Iterator[Piece]:
    for message in messages:
        by_assistant = message["role"] == "assistant"
        yield Piece(IM_START, True, False)
        if by_assistant:
            yield Piece("assistant\n", False, False)
            yield from _assistant_pieces(message["content"].strip())
        else:
            yield Piece(f"{message['role']}\n{message['content'].strip()}", False, False)
        yield Piece(IM_END, True, by_assistant)
        yield Piece("\n", False, False)


def _assistant_pieces(content: str) -> Iterator[Piece]:
    end = 0
    for block in TOOL_BLOCK.finditer(content):
        yield Piece(content[end : block.start()], False, True)
        yield Piece(TOOL_CALL, True, True)
        yield Piece(block[1], False, True)
        yield Piece(TOOL_CALL_END, True, True)
        yield Piece(TOOL_RESPONSE, True, False)
        yield Piece(block[2], False, False)
        yield Piece(TOOL_RESPONSE_END, True, False)
        end = block.end()
    yield Piece(content[end:], False, True)


class Encoded(NamedTuple):
    ids: np.ndarray  # (n,) uint16
    mask: np.ndarray  # (n,) bool: the tokens that finetuning learns to write


def encode_conversations(
    tokenizer: Tokenizer, conversations: list[Messages], threads: int | None = None
) -> Iterator[Encoded]:
    """Encode many conversations at once: the tokenizer uses its threads on one long list."""
    pieces_of = [list(pieces(messages)) for messages in conversations]
    texts = [piece.text for many in pieces_of for piece in many if not piece.special]
    encoded = iter(tokenizer.encode_batch(texts, threads))
    for many in pieces_of:
        ids: list[int] = []
        mask: list[bool] = []
        for piece in many:
            new = [tokenizer.special(piece.text)] if piece.special else next(encoded)
            ids += new
            mask += [piece.target] * len(new)
        yield Encoded(np.array(ids, dtype=np.uint16), np.array(mask, dtype=bool))


def encode_prompt(tokenizer: Tokenizer, messages: Messages) -> list[int]:
    """The tokens before the assistant's next answer."""
    ids: list[int] = []
    for piece in pieces(messages):
        ids += [tokenizer.special(piece.text)] if piece.special else tokenizer.encode(piece.text)
    return [*ids, tokenizer.special(IM_START), *tokenizer.encode("assistant\n")]
