"""A conversation as the model reads it: the same tokens as in the chat, and who wrote each."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from firstwords.common.errors import UserError
from firstwords.inference.chat import fit_prompt
from firstwords.inspect.xray.tokens import InspectedToken, Source, replace_surrogates, with_spans
from firstwords.tokenizer.bpe import IM_END, IM_START, Tokenizer
from firstwords.tokenizer.chat_format import (
    InvalidConversation,
    Message,
    Messages,
    split_spans,
    validate_messages,
)


class TokenizedConversation(NamedTuple):
    """The tokens of a conversation, and what was left out to fit the context, as in the chat."""

    tokens: list[InspectedToken]
    n_dropped: int  # oldest messages left out
    truncated: bool  # the last question alone was too long and lost its beginning


def read_conversation(path: Path) -> Messages:
    """Read a conversation from a JSON file: its messages, or an object with `messages`.

    Raises UserError if it is not readable or not a conversation.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        problem = f"--conversation {path} is not readable as JSON: {error}"
        raise UserError(problem, "write the messages as JSON") from None
    return check_conversation(content.get("messages") if isinstance(content, dict) else content)


def check_conversation(messages: Any) -> Messages:
    """Return the messages of a conversation, which may end with a question or with its answer.

    Raises UserError if they are not in the order that models are trained on.
    """
    try:
        last = messages[-1]
        answered = isinstance(last, dict) and last.get("role") == "assistant"
        stand_in = [] if answered else [{"role": "assistant", "content": "?"}]
        validate_messages([*messages, *stand_in])
    except InvalidConversation as error:
        raise UserError(f"the conversation: {error}", "pass it as the chat sends it") from None
    except (TypeError, LookupError):
        problem = 'the conversation must be a list of messages {"role": …, "content": …}'
        raise UserError(problem, "pass at least one message") from None
    return [
        {"role": message["role"], "content": replace_surrogates(message["content"])}
        for message in messages
    ]


def tokenize_conversation(
    tokenizer: Tokenizer, messages: Messages, context: int
) -> TokenizedConversation:
    """Return the tokens of a conversation up to the end of its last message, or to where the
    assistant answers it.

    What does not fit the context is left out as the chat does when it asks for the answer.
    """
    answered = messages[-1]["role"] == "assistant"
    asked = messages[:-1] if answered else messages
    fitted = fit_prompt(tokenizer, asked, context)
    prompt = list(_message_tokens(tokenizer, _kept_messages(asked, fitted.n_dropped)))
    header = _header(tokenizer, "assistant")
    prompt += header
    n_question_header = len(_header(tokenizer, "user"))
    prompt[n_question_header : len(prompt) - (len(fitted.ids) - n_question_header)] = []
    answer = list(_message_tokens(tokenizer, messages[-1:]))[len(header) : -2] if answered else []
    return TokenizedConversation((prompt + answer)[:context], fitted.n_dropped, fitted.truncated)


def _kept_messages(messages: Messages, n_dropped: int) -> Messages:
    """Return the messages that `fit_prompt` keeps: a system message stays with the latest turns, or
    else the last message is alone."""
    system = messages[:1] if messages[0]["role"] == "system" else []
    turns = messages[len(system) :]
    return system + turns[n_dropped:] if n_dropped < len(turns) else messages[-1:]


def _header(tokenizer: Tokenizer, role: str) -> list[InspectedToken]:
    ids = [tokenizer.special(IM_START), *tokenizer.encode(f"{role}\n")]
    return [InspectedToken(id, "frame") for id in ids]


def _message_tokens(tokenizer: Tokenizer, messages: list[Message]) -> Iterator[InspectedToken]:
    """Yield the tokens of messages. Bytes are counted in each message from 0."""
    for message in messages:
        by_assistant = message["role"] == "assistant"
        start = -len(f"{message['role']}\n".encode())
        length = len(message["content"].strip().encode())
        for span in split_spans([message]):
            if span.is_special and span.text in (IM_START, IM_END):
                yield InspectedToken(tokenizer.special(span.text), "frame")
                continue
            special = [tokenizer.special(span.text)] if span.is_special else None
            ids = special or tokenizer.encode(span.text)
            writer: Source = "answer" if span.is_target else "result" if by_assistant else "text"
            yield from with_spans(tokenizer, ids, start, length, writer)
            start += len(span.text.encode())
