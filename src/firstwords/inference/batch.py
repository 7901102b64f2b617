"""Answer many prompts in batches, as benchmarks and samples do."""

from collections.abc import Callable
from typing import NamedTuple

from firstwords.inference.engine import Engine, Sequence
from firstwords.inference.sampling import Sampling
from firstwords.inference.stream import AnswerEvent, StopFilter
from firstwords.recipe import ModelConfig
from firstwords.tokenizer.bpe import Tokenizer

MAX_BATCH_SIZE = 32  # prompts decoded together, fewer if their cache exceeds:
MAX_CACHE_BYTES = 256e6


class GeneratedAnswer(NamedTuple):
    """A whole answer: its text, its `content` as in a message, with tool calls, and its tokens."""

    text: str
    content: str
    broken_call: bool  # a call did not end, or the calculator could not evaluate it
    cut: bool  # it did not end by itself, but after `max_tokens` or where the context is full
    sequence: Sequence


def answer_all(
    engine: Engine,
    tokenizer: Tokenizer,
    prompts: list[list[int]],
    sampling: Sampling | list[Sampling],
    on_done: Callable[[int], None] = lambda count: None,
) -> list[GeneratedAnswer]:
    """Return the answer to every prompt, in their order.

    An answer ends with its turn, at a stop string of `sampling`, after `max_tokens`, or where the
    context is full. A list of `sampling` has one for each prompt.
    `on_done` is called with the number of answers finished since the last call.
    """
    # Longest prompts first: the short ones then fill the slots that become free at the end.
    order = sorted(range(len(prompts)), key=lambda number: -len(prompts[number]))
    filters: dict[Sequence, StopFilter] = {}
    for number in order:
        own = sampling[number] if isinstance(sampling, list) else sampling
        sequence = engine.submit(prompts[number], own)
        filters[sequence] = StopFilter(tokenizer, sequence)
    events: dict[Sequence, list[AnswerEvent]] = {sequence: [] for sequence in filters}
    n_done = 0
    while engine.busy:
        for sequence, token in engine.step():
            events[sequence] += filters[sequence].feed(token)
        n_finished = sum(sequence.finished for sequence in filters)
        if n_finished > n_done:
            on_done(n_finished - n_done)
            n_done = n_finished
    answers = {
        number: _join(events[sequence], filters[sequence])
        for number, sequence in zip(order, filters, strict=True)
    }
    return [answers[number] for number in range(len(prompts))]


def _join(events: list[AnswerEvent], stop_filter: StopFilter) -> GeneratedAnswer:
    text = "".join(event.text for event in events if event.kind == "text")
    content = "".join(event.content for event in events)
    is_cut = stop_filter.finish_reason == "length"
    return GeneratedAnswer(text, content, stop_filter.broken_call, is_cut, stop_filter.sequence)


def decode_batch_size(config: ModelConfig) -> int:
    """Return how many prompts of the full context to decode together, within MAX_CACHE_BYTES."""
    return int(min(MAX_BATCH_SIZE, max(1, MAX_CACHE_BYTES // cache_bytes(config))))


def cache_bytes(config: ModelConfig) -> int:
    """Return the bytes of one sequence's keys and values for a full context, in float32."""
    return 2 * 4 * config.n_layer * config.n_kv_head * config.head_dim * config.max_seq_len
