"""From tokens to what was said: text and calls of the calculator, told apart as they come."""

import codecs
from typing import Literal, NamedTuple

from firstwords.calculator import calculate
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


class Reader:
    """Reads one answer token by token. `over` says that it has ended; `forced` holds the tokens
    that must come next, a tool's response, and is emptied by whoever puts them there. A call that
    never ends is left out, and `in_call` stays true."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._ends = {tokenizer.special(text) for text in (IM_END, END_OF_TEXT, IM_START)}
        self._call, self._call_end = (tokenizer.special(t) for t in (TOOL_CALL, TOOL_CALL_END))
        self._response = tokenizer.special(TOOL_RESPONSE), tokenizer.special(TOOL_RESPONSE_END)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._expression: list[int] = []
        self.in_call = self.over = False
        self.forced: list[int] = []

    def read(self, token: int) -> Event | None:
        """What the token completes, if it completes something."""
        if token in self._ends:
            self.over = True
        elif self.in_call:
            if token == self._call_end:
                return self._calculated()
            self._expression.append(token)
        elif token == self._call:
            self.in_call, self._expression = True, []
        elif token != self._call_end and token not in self._response:
            text = self._decoder.decode(self._tokenizer.token_bytes(token))
            return Event("text", text) if text else None
        return None

    def finish(self) -> Event | None:
        """What is left when no more tokens come: half of a character."""
        text = self._decoder.decode(b"", final=True)
        return Event("text", text) if text else None

    def _calculated(self) -> Event:
        expression = self._tokenizer.decode(self._expression)
        result = calculate(expression)
        opening, closing = self._response
        self.forced = [opening, *self._tokenizer.encode(result), closing]
        self.in_call = False
        return Event("tool", expression, result)
