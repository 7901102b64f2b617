"""A conversation with the model: prompts that fit the context, streamed answers, a history."""

from collections.abc import Iterator
from itertools import chain
from typing import NamedTuple

from firstwords.inference.engine import Engine
from firstwords.inference.sampling import Sampling
from firstwords.inference.stream import AnswerEvent, StopFilter
from firstwords.tokenizer.bpe import IM_START, Tokenizer
from firstwords.tokenizer.chat_format import Message, Messages, encode_messages, encode_prompt

MIN_ANSWER_TOKENS = 64  # of the context reserved for the answer, but a quarter of it at most


class FittedPrompt(NamedTuple):
    """The token ids of a conversation, and what was left out to fit the context."""

    ids: list[int]
    n_dropped: int  # oldest messages left out
    truncated: bool  # the last message alone was too long and lost its beginning


def fit_prompt(tokenizer: Tokenizer, messages: Messages, context: int) -> FittedPrompt:
    """Encode a conversation so that `context` tokens have room for an answer.

    The oldest turns are dropped first, question and answer together; a system message stays. If the
    last message alone is too long, only its end is kept. If that is the beginning of an answer,
    the question before it has a quarter of the room. Turns are encoded from the last one backwards,
    so the time does not depend on the length of what is dropped.
    """
    room = context - min(MIN_ANSWER_TOKENS, context // 4)
    begun = messages[-1:] if messages[-1]["role"] == "assistant" else []
    answer, is_cut = _keep_end(
        tokenizer, encode_prompt(tokenizer, begun), "assistant", room * 3 // 4
    )
    system = messages[:1] if messages[0]["role"] == "system" else []
    turns = messages[len(system) : len(messages) - len(begun)]
    start = encode_messages(tokenizer, system)
    n_dropped, pairs = len(turns), [answer]
    n_tokens = len(start) + len(answer)
    for first in reversed(range(0, len(turns), 2)):
        pair = encode_messages(tokenizer, turns[first : first + 2])
        n_tokens += len(pair)
        if n_tokens > room:
            break
        n_dropped, pairs = first, [pair, *pairs]
    if n_dropped < len(turns):
        return FittedPrompt(start + list(chain.from_iterable(pairs)), n_dropped, is_cut)
    question = encode_messages(tokenizer, turns[-1:])
    ids, question_is_cut = _keep_end(tokenizer, question + answer, "user", room)
    return FittedPrompt(ids, len(system) + len(turns) - 1, is_cut or question_is_cut)


def _keep_end(tokenizer: Tokenizer, ids: list[int], role: str, room: int) -> tuple[list[int], bool]:
    """Return the tokens of a message of `role` without as much of its beginning as exceeds `room`,
    and whether that is any."""
    header = [tokenizer.special(IM_START), *tokenizer.encode(f"{role}\n")]
    if len(ids) <= room:
        return ids, False
    return header + ids[len(header) :][len(header) - room :], True


def stream_answer(
    engine: Engine, tokenizer: Tokenizer, prompt: list[int], sampling: Sampling
) -> Iterator[AnswerEvent]:
    """Yield the events of the answer as they are generated."""
    tokens = engine.generate(prompt, sampling)
    stop_filter = StopFilter(tokenizer, tokens.sequence)
    try:
        for token in tokens:
            yield from stop_filter.feed(token)
        yield from stop_filter.flush()
    finally:
        tokens.close()


class Chat:
    """A conversation with its history. `n_dropped` and `truncated` describe the latest prompt."""

    def __init__(self, engine: Engine, tokenizer: Tokenizer, sampling: Sampling) -> None:
        self.engine, self.tokenizer, self.sampling = engine, tokenizer, sampling
        self.messages: Messages = []
        self.n_dropped = 0
        self.truncated = False

    def send(self, text: str) -> Iterator[AnswerEvent]:
        """Yield the answer to `text`. The events read join the history, even if the caller stops
        early."""
        message: Message = {"role": "user", "content": text}
        self.messages.append(message)
        prompt = fit_prompt(self.tokenizer, self.messages, self.engine.context)
        self.n_dropped, self.truncated = prompt.n_dropped, prompt.truncated
        content: list[str] = []
        try:
            for event in stream_answer(self.engine, self.tokenizer, prompt.ids, self.sampling):
                content.append(event.content)
                yield event
        finally:
            self.messages.append({"role": "assistant", "content": "".join(content)})
