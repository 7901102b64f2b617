"""A conversation with a model, and its answers."""

from collections.abc import Iterator

from firstwords.inference.chat import Chat
from firstwords.inference.stream import AnswerEvent


class Answer:
    """The answer to one message, generated while it is read.

    Iterate over it to read it piece by piece. `str(answer)`, or printing it, generates the rest and
    returns all of its text; calls of the calculator are not part of it, see `events`.
    """

    def __init__(self, stream: Iterator[AnswerEvent]) -> None:
        self._stream = stream
        self.events: list[AnswerEvent] = []  # so far: pieces of text and calls of the calculator

    def __iter__(self) -> Iterator[str]:
        for event in self._stream:
            self.events.append(event)
            if event.kind == "text":
                yield event.text

    def __str__(self) -> str:
        for _ in self:
            pass
        return "".join(event.text for event in self.events if event.kind == "text")

    def __repr__(self) -> str:
        return repr(str(self))


class Conversation:
    """A conversation: each message is answered with all messages before it in view, as far as they
    fit the model's context."""

    def __init__(self, chat: Chat) -> None:
        self._chat = chat

    def send(self, text: str) -> Answer:
        """Return the answer to a message. It joins the history as far as it is read, so read it
        before the next message. Raises ValueError if the message is empty."""
        if not text.strip():
            raise ValueError("the message is empty")
        return Answer(self._chat.send(text))

    @property
    def messages(self) -> list[dict[str, str]]:
        """The history: dictionaries with `role` ("user" or "assistant") and `content`."""
        return [dict(message) for message in self._chat.messages]
