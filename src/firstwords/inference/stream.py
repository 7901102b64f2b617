"""From the tokens of an answer to its text and tool calls, while they are generated.

`AnswerParser` turns tokens into text and calculator calls. `StopFilter` follows one sequence of the
engine: it parses its tokens, computes calls, and ends it at the end of the turn or at a stop
string.
"""

import codecs
from typing import Literal, NamedTuple

from firstwords.inference.engine import Sequence
from firstwords.tokenizer.bpe import (
    END_OF_TEXT,
    IM_END,
    IM_START,
    TOOL_CALL,
    TOOL_CALL_END,
    TOOL_RESPONSE,
    TOOL_RESPONSE_END,
    Tokenizer,
)
from firstwords.tokenizer.calculator import ERROR, calculate


class AnswerEvent(NamedTuple):
    """A piece of an answer's text, or one complete call of the calculator.

    For a call, `text` is the expression and `result` what the calculator returned.
    """

    kind: Literal["text", "tool"]
    text: str
    result: str = ""

    @property
    def content(self) -> str:
        """The event as it is written in a message, tool markup included."""
        if self.kind == "text":
            return self.text
        call = f"{TOOL_CALL}{self.text}{TOOL_CALL_END}"
        return f"{call}{TOOL_RESPONSE}{self.result}{TOOL_RESPONSE_END}"


class AnswerParser:
    """Parse one answer, token by token, into text and calculator calls.

    `finished` is set by a token that ends the turn. `forced` holds the tokens that must follow next
    (a tool's response); the caller adds them to the sequence and clears the list. While a call is
    open `in_call` is true; a call that never ends gives no event.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._ends = {tokenizer.special(text) for text in (IM_END, END_OF_TEXT, IM_START)}
        self._call, self._call_end = (tokenizer.special(t) for t in (TOOL_CALL, TOOL_CALL_END))
        self._response = tokenizer.special(TOOL_RESPONSE), tokenizer.special(TOOL_RESPONSE_END)
        # A character may span tokens: incomplete bytes wait for the rest.
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")
        self._expression: list[int] = []
        self.in_call = self.finished = False
        self.forced: list[int] = []

    def feed(self, token: int) -> AnswerEvent | None:
        """Return the event that the token completes, if any. Stray tool markup is dropped."""
        if token in self._ends:
            self.finished = True
        elif self.in_call:
            if token == self._call_end:
                return self._compute_call()
            self._expression.append(token)
        elif token == self._call:
            self.in_call, self._expression = True, []
        elif token != self._call_end and token not in self._response:
            text = self._utf8.decode(self._tokenizer.token_bytes(token))
            return AnswerEvent("text", text) if text else None
        return None

    def flush(self) -> AnswerEvent | None:
        """Return an incomplete last character, as U+FFFD, when no more tokens follow."""
        text = self._utf8.decode(b"", final=True)
        return AnswerEvent("text", text) if text else None

    def _compute_call(self) -> AnswerEvent:
        expression = self._tokenizer.decode(self._expression)
        result = calculate(expression)
        start, end = self._response
        self.forced = [start, *self._tokenizer.encode(result), end]
        self.in_call = False
        return AnswerEvent("tool", expression, result)


class StopFilter:
    """Turn the tokens of one sequence into events, and finish it where it has to stop.

    It stops at the end of the turn and at the sampling's stop strings. No part of a stop string is
    ever returned: text that could be the beginning of one is held back until the next tokens
    decide.
    """

    def __init__(self, tokenizer: Tokenizer, sequence: Sequence) -> None:
        self._parser, self.sequence = AnswerParser(tokenizer), sequence
        self._held_back = ""
        self._stopped = self._failed_call = False

    def feed(self, token: int) -> list[AnswerEvent]:
        """Return the events that the token completes; with the last token, all that remain."""
        if self.sequence.finished and self._stopped:
            return []
        event = self._parser.feed(token)
        events = self._release(event) if event else []
        self.sequence.force(self._parser.forced)
        self._parser.forced = []
        if self._parser.finished:
            self._stop()
        return [*events, *self.flush()] if self.sequence.finished else events

    def flush(self) -> list[AnswerEvent]:
        """Return the text still held back, when no more tokens follow."""
        if event := self._parser.flush():
            self._held_back += event.text
        return self._release_text(len(self._held_back))

    @property
    def finish_reason(self) -> Literal["stop", "length"]:
        """Why the sequence is finished: it stopped by itself, or ran out of tokens or context."""
        return "stop" if self._stopped else "length"

    @property
    def in_call(self) -> bool:
        """Whether a call has begun and not ended."""
        return self._parser.in_call

    @property
    def broken_call(self) -> bool:
        """Whether a call did not end, or the calculator could not evaluate one."""
        return self._failed_call or self.in_call

    def _stop(self) -> None:
        self._stopped = True
        self.sequence.finish()

    def _release(self, event: AnswerEvent) -> list[AnswerEvent]:
        """Return `event` and the text before it, as far as no stop string can be part of it."""
        if event.kind == "tool":
            self._failed_call |= event.result == ERROR
            return [*self._release_text(len(self._held_back)), event]
        self._held_back += event.text
        stops = self.sequence.sampling.stop
        starts = [start for stop in stops if (start := self._held_back.find(stop)) >= 0]
        if starts:
            events = self._release_text(min(starts))
            self._held_back = ""
            self._stop()
            return events
        overlap = max((_overlap(self._held_back, stop) for stop in stops), default=0)
        return self._release_text(len(self._held_back) - overlap)

    def _release_text(self, size: int) -> list[AnswerEvent]:
        text, self._held_back = self._held_back[:size], self._held_back[size:]
        return [AnswerEvent("text", text)] if text else []


def _overlap(text: str, stop: str) -> int:
    """Return how many characters at the end of `text` are the beginning of `stop`."""
    longest = min(len(text), len(stop) - 1)
    return next((n for n in range(longest, 0, -1) if text.endswith(stop[:n])), 0)
