"""A conversation with the model: context, tool calls, whole characters."""

import codecs
from collections.abc import Iterator
from typing import Literal, NamedTuple

from firstwords.calculator import calculate
from firstwords.conversation import Message, Messages, encode_prompt
from firstwords.inference.engine import Engine, Generation
from firstwords.inference.sampling import Sampling
from firstwords.tokenizer import (
    END_OF_TEXT,
    IM_END,
    IM_START,
    TOOL_CALL,
    TOOL_CALL_END,
    TOOL_RESPONSE,
    TOOL_RESPONSE_END,
    Tokenizer,
)

ANSWER_ROOM = 64  # tokens of the context kept free for the answer, a quarter at most


class Event(NamedTuple):
    """A stretch of the answer's text, or one whole call of the calculator."""

    kind: Literal["text", "tool"]
    text: str
    result: str = ""

    @property
    def content(self) -> str:
        """As it is written in a message."""
        if self.kind == "text":
            return self.text
        call = f"{TOOL_CALL}{self.text}{TOOL_CALL_END}"
        return f"{call}{TOOL_RESPONSE}{self.result}{TOOL_RESPONSE_END}"


class Prompt(NamedTuple):
    ids: list[int]
    dropped: int  # messages left out because the context is full
    cut: bool  # the last message alone was too long, and lost its beginning


def fit_prompt(tokenizer: Tokenizer, messages: Messages, context: int) -> Prompt:
    """The tokens of a conversation that leave room for an answer: the oldest turns go first."""
    room = context - min(ANSWER_ROOM, context // 4)
    system = messages[:1] if messages[0]["role"] == "system" else []
    turns = messages[len(system) :]
    for dropped in range(0, len(turns), 2):
        ids = encode_prompt(tokenizer, [*system, *turns[dropped:]])
        if len(ids) <= room:
            return Prompt(ids, dropped, False)
    opening = [tokenizer.special(IM_START), *tokenizer.encode("user\n")]
    rest = encode_prompt(tokenizer, turns[-1:])[len(opening) :]
    room -= len(opening)
    return Prompt(opening + rest[-room:], len(messages) - 1, len(rest) > room)


def answer(
    engine: Engine, tokenizer: Tokenizer, prompt: list[int], sampling: Sampling
) -> Iterator[Event]:
    """The assistant's answer as it is generated."""
    ends = {tokenizer.special(text) for text in (IM_END, END_OF_TEXT, IM_START)}
    tool_markup = {
        tokenizer.special(text) for text in (TOOL_CALL_END, TOOL_RESPONSE, TOOL_RESPONSE_END)
    }
    tokens = engine.generate(prompt, sampling)
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    for token in tokens:
        if token in ends:
            break
        if token == tokenizer.special(TOOL_CALL):
            event = _call_tool(tokens, tokenizer, ends)
            if event is None:
                break
            yield event
        elif token not in tool_markup and (text := decoder.decode(tokenizer.token_bytes(token))):
            yield Event("text", text)
    if rest := decoder.decode(b"", final=True):
        yield Event("text", rest)


def _call_tool(tokens: Generation, tokenizer: Tokenizer, ends: set[int]) -> Event | None:
    """Read the call to its end, compute, and put the response into the context.

    None if the call has no end: the answer, or the context, is over before.
    """
    call: list[int] = []
    for token in tokens:
        if token == tokenizer.special(TOOL_CALL_END):
            break
        if token in ends:
            return None
        call.append(token)
    else:
        return None
    expression = tokenizer.decode(call)
    result = calculate(expression)
    tokens.force(
        [
            tokenizer.special(TOOL_RESPONSE),
            *tokenizer.encode(result),
            tokenizer.special(TOOL_RESPONSE_END),
        ]
    )
    return Event("tool", expression, result)


class Chat:
    """A conversation that remembers its turns."""

    def __init__(self, engine: Engine, tokenizer: Tokenizer, sampling: Sampling) -> None:
        self.engine, self.tokenizer, self.sampling = engine, tokenizer, sampling
        self.messages: Messages = []
        self.dropped = 0
        self.cut = False

    def say(self, text: str) -> Iterator[Event]:
        """The answer to `text`. Whatever was read of it is remembered, even if the caller stops."""
        message: Message = {"role": "user", "content": text}
        self.messages.append(message)
        prompt = fit_prompt(self.tokenizer, self.messages, self.engine.context)
        self.dropped, self.cut = prompt.dropped, prompt.cut
        said: list[str] = []
        try:
            for event in answer(self.engine, self.tokenizer, prompt.ids, self.sampling):
                said.append(event.content)
                yield event
        finally:
            self.messages.append({"role": "assistant", "content": "".join(said)})
