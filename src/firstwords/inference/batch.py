"""Many prompts at once, greedily: what evaluations need."""

from collections.abc import Callable
from typing import NamedTuple

from firstwords.calculator import ERROR
from firstwords.inference.engine import Engine, Sequence
from firstwords.inference.reader import Event, Reader
from firstwords.inference.sampling import GREEDY
from firstwords.recipe import ModelConfig
from firstwords.tokenizer import Tokenizer

BATCH = 64  # prompts at a time, if their keys and values fit into:
CACHE_BYTES = 256e6


class Answer(NamedTuple):
    """What was answered: the text alone, and `content` with the calls as a message has them."""

    text: str
    content: str
    broken_call: bool  # a call without an end, or one that the calculator did not understand


class _Listener:
    """Hears one answer as it comes, and ends it."""

    def __init__(self, tokenizer: Tokenizer, stop: tuple[str, ...]) -> None:
        self.reader, self.stop = Reader(tokenizer), stop
        self.events: list[Event] = []

    def hear(self, sequence: Sequence, token: int) -> None:
        if event := self.reader.read(token):
            self.events.append(event)
        sequence.force(self.reader.forced)
        self.reader.forced = []
        if self.reader.over or (self.stop and self._stopped()):
            sequence.end()

    def _stopped(self) -> bool:
        said = "".join(event.text for event in self.events if event.kind == "text")
        return any(text in said for text in self.stop)

    def answer(self) -> Answer:
        if event := self.reader.finish():
            self.events.append(event)
        text = "".join(e.text for e in self.events if e.kind == "text")
        content = "".join(e.content for e in self.events)
        for end in self.stop:
            text, content = text.split(end)[0], content.split(end)[0]
        broken = self.reader.in_call or any(e.result == ERROR for e in self.events)
        return Answer(text, content, broken)


def answer_all(
    engine: Engine,
    tokenizer: Tokenizer,
    prompts: list[list[int]],
    max_tokens: int,
    stop: tuple[str, ...] = (),
    on_done: Callable[[int], None] = lambda count: None,
) -> list[Answer]:
    """The likeliest answer to every prompt, in their order: to the end of the turn, to one of
    `stop`, of `max_tokens` at most. Prompts must leave room in the context. `on_done` hears how
    many more are answered."""
    sampling = GREEDY.model_copy(update={"max_tokens": max_tokens})
    listeners = [_Listener(tokenizer, stop) for _ in prompts]
    # The longest first: they take the longest, and the shortest then fill the slots at the end.
    order = sorted(range(len(prompts)), key=lambda number: -len(prompts[number]))
    sequences = {engine.submit(prompts[number], sampling): number for number in order}
    done = 0
    while engine.busy:
        for sequence, token in engine.step():
            listeners[sequences[sequence]].hear(sequence, token)
        over = sum(sequence.over for sequence in sequences)
        if over > done:
            on_done(over - done)
            done = over
    return [listener.answer() for listener in listeners]


def batch_size(config: ModelConfig) -> int:
    """How many prompts go together."""
    return int(min(BATCH, max(1, CACHE_BYTES // cache_bytes(config))))


def cache_bytes(config: ModelConfig) -> int:
    """Of the keys and values of a whole context."""
    return 2 * 4 * config.n_layer * config.n_kv_head * config.head_dim * config.max_seq_len
