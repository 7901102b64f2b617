"""From the tokens of a sequence to what is said: whole characters, calls, and where it stops."""

from typing import Literal

from firstwords.calculator import ERROR
from firstwords.inference.engine import Sequence
from firstwords.inference.reader import Event, Reader
from firstwords.tokenizer import Tokenizer


class Listener:
    """Hears one sequence as it comes and ends it: at the end of its turn, or at one of its stop
    texts, which are never given out, not even in part."""

    def __init__(self, tokenizer: Tokenizer, sequence: Sequence) -> None:
        self._reader, self.sequence = Reader(tokenizer), sequence
        self._held = ""  # the end of the text, which may be the beginning of a stop text
        self._stopped = self._broken = False

    def hear(self, token: int) -> list[Event]:
        """What the token completes; with the last one, all that is left."""
        if self.sequence.over and self._stopped:
            return []
        events = []
        if event := self._reader.read(token):
            events = self._let_out(event)
        self.sequence.force(self._reader.forced)
        self._reader.forced = []
        if self._reader.over:
            self._stop()
        return [*events, *self.finish()] if self.sequence.over else events

    def finish(self) -> list[Event]:
        """What is left where no more tokens come: held text, half of a character."""
        if event := self._reader.finish():
            self._held += event.text
        text, self._held = self._held, ""
        return [Event("text", text)] if text else []

    @property
    def reason(self) -> Literal["stop", "length"]:
        """Why it is over: it ended, or it was cut off."""
        return "stop" if self._stopped else "length"

    @property
    def broken_call(self) -> bool:
        """Whether a call had no end, or one that the calculator did not understand."""
        return self._broken or self._reader.in_call

    def _stop(self) -> None:
        self._stopped = True
        self.sequence.end()

    def _let_out(self, event: Event) -> list[Event]:
        if event.kind == "tool":
            self._broken |= event.result == ERROR
            text, self._held = self._held, ""
            return [*([Event("text", text)] if text else []), event]
        self._held += event.text
        stops = self.sequence.sampling.stop
        found = [place for stop in stops if (place := self._held.find(stop)) >= 0]
        if found:
            text, self._held = self._held[: min(found)], ""
            self._stop()
        else:
            cut = len(self._held) - max((_overlap(self._held, stop) for stop in stops), default=0)
            text, self._held = self._held[:cut], self._held[cut:]
        return [Event("text", text)] if text else []


def _overlap(text: str, stop: str) -> int:
    """How much of the end of `text` is a beginning of `stop`."""
    longest = min(len(text), len(stop) - 1)
    return next((n for n in range(longest, 0, -1) if text.endswith(stop[:n])), 0)
