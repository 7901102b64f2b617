"""Many prompts at once: what evaluations need."""

from collections.abc import Callable
from typing import NamedTuple

from firstwords.inference.engine import Engine, Sequence
from firstwords.inference.listener import Listener
from firstwords.inference.reader import Event
from firstwords.inference.sampling import Sampling
from firstwords.recipe import ModelConfig
from firstwords.tokenizer import Tokenizer

BATCH = 64  # prompts at a time, if their keys and values fit into:
CACHE_BYTES = 256e6


class Answer(NamedTuple):
    """What was answered: the text alone, and `content` with the calls as a message has them."""

    text: str
    content: str
    broken_call: bool  # a call without an end, or one that the calculator did not understand


def answer_all(
    engine: Engine,
    tokenizer: Tokenizer,
    prompts: list[list[int]],
    sampling: Sampling,
    on_done: Callable[[int], None] = lambda count: None,
) -> list[Answer]:
    """The answer to every prompt, in their order: to the end of the turn, to one of the sampling's
    stops, of as many tokens at most. Prompts must leave room in the context. `on_done` hears how
    many more are answered."""
    # The longest first: they take the longest, and the shortest then fill the slots at the end.
    order = sorted(range(len(prompts)), key=lambda number: -len(prompts[number]))
    listeners: dict[Sequence, Listener] = {}
    for number in order:
        sequence = engine.submit(prompts[number], sampling)
        listeners[sequence] = Listener(tokenizer, sequence)
    said: dict[Sequence, list[Event]] = {sequence: [] for sequence in listeners}
    done = 0
    while engine.busy:
        for sequence, token in engine.step():
            said[sequence] += listeners[sequence].hear(token)
        over = sum(sequence.over for sequence in listeners)
        if over > done:
            on_done(over - done)
            done = over
    answers = {
        number: _answer(said[sequence], listeners[sequence])
        for number, sequence in zip(order, listeners, strict=True)
    }
    return [answers[number] for number in range(len(prompts))]


def _answer(events: list[Event], listener: Listener) -> Answer:
    text = "".join(event.text for event in events if event.kind == "text")
    content = "".join(event.content for event in events)
    return Answer(text, content, listener.broken_call)


def batch_size(config: ModelConfig) -> int:
    """How many prompts go together."""
    return int(min(BATCH, max(1, CACHE_BYTES // cache_bytes(config))))


def cache_bytes(config: ModelConfig) -> int:
    """Of the keys and values of a whole context."""
    return 2 * 4 * config.n_layer * config.n_kv_head * config.head_dim * config.max_seq_len
