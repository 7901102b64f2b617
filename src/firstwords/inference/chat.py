"""A conversation with the model: context, tool calls, whole characters."""

from collections.abc import Iterator
from typing import NamedTuple

from firstwords.conversation import Message, Messages, encode_prompt
from firstwords.inference.engine import Engine
from firstwords.inference.listener import Listener
from firstwords.inference.reader import Event
from firstwords.inference.sampling import Sampling
from firstwords.tokenizer import IM_START, Tokenizer

ANSWER_ROOM = 64  # tokens of the context kept free for the answer, a quarter at most


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
    tokens = engine.generate(prompt, sampling)
    listener = Listener(tokenizer, tokens.sequence)
    try:
        for token in tokens:
            yield from listener.hear(token)
        yield from listener.finish()
    finally:
        tokens.close()


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
