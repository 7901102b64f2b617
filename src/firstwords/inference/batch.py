"""Many prompts at once, greedily: what evaluations need.

Prompts of similar length go through the model together, one token each per step. The batch starts
where its shortest prompt ends; the longer ones first hear the rest of theirs, in the same way as a
tool's response is heard. Rows that are done leave the batch when half of it is.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from firstwords.calculator import ERROR
from firstwords.inference.reader import Event, Reader
from firstwords.model import KVCache, Transformer
from firstwords.recipe import ModelConfig
from firstwords.tokenizer import Tokenizer

BATCH = 128  # prompts, if their keys and values fit into:
CACHE_BYTES = 256e6


class Answer(NamedTuple):
    """What was answered: the text alone, and `content` with the calls as a message has them."""

    text: str
    content: str
    broken_call: bool  # a call without an end, or one that the calculator did not understand


class _Row:
    """One answer on its way, `over` when it has come to its end."""

    def __init__(self, number: int, waiting: list[int], tokenizer: Tokenizer, room: int) -> None:
        self.number, self.waiting, self.room = number, waiting, room
        self.reader = Reader(tokenizer)
        self.events: list[Event] = []
        self.over = False

    def next(self, drawn: int, stop: tuple[str, ...]) -> int:
        """The token that goes into the model: what waits, or what was drawn."""
        if self.waiting:
            return self.waiting.pop(0)
        if self.over:
            return drawn
        event = self.reader.read(drawn)
        if event:
            self.events.append(event)
        self.waiting, self.reader.forced = self.reader.forced, []
        self.room -= 1
        stopped = bool(stop and event and self._has(stop))
        self.over = self.reader.over or stopped or self.room <= 0
        return drawn

    def _has(self, stop: tuple[str, ...]) -> bool:
        said = "".join(event.text for event in self.events if event.kind == "text")
        return any(text in said for text in stop)

    def answer(self, stop: tuple[str, ...]) -> Answer:
        if event := self.reader.finish():
            self.events.append(event)
        text = "".join(e.text for e in self.events if e.kind == "text")
        content = "".join(e.content for e in self.events)
        for end in stop:
            text, content = text.split(end)[0], content.split(end)[0]
        broken = self.reader.in_call or any(e.result == ERROR for e in self.events)
        return Answer(text, content, broken)


def answer_all(
    model: Transformer,
    tokenizer: Tokenizer,
    prompts: list[list[int]],
    max_tokens: int,
    stop: tuple[str, ...] = (),
    on_done: Callable[[int], None] = lambda count: None,
) -> list[Answer]:
    """The likeliest answer to every prompt, in their order: to the end of the turn, to one of
    `stop`, of `max_tokens` at most. Prompts must leave room in the context. `on_done` hears how
    many are answered, batch by batch."""
    order = sorted(range(len(prompts)), key=lambda number: len(prompts[number]))
    answers: dict[int, Answer] = {}
    size = batch_size(model.config)
    for first in range(0, len(order), size):
        numbers = order[first : first + size]
        shared = min(len(prompts[number]) for number in numbers)
        heard = torch.tensor([prompts[number][:shared] for number in numbers])
        rows = [_Row(n, prompts[n][shared:], tokenizer, max_tokens) for n in numbers]
        _answer_together(model, heard, rows, stop)
        answers.update({row.number: row.answer(stop) for row in rows})
        on_done(len(rows))
    return [answers[number] for number in range(len(prompts))]


def batch_size(config: ModelConfig) -> int:
    """How many prompts go together."""
    return int(min(BATCH, max(1, CACHE_BYTES // cache_bytes(config))))


def cache_bytes(config: ModelConfig) -> int:
    """Of the keys and values of a whole context."""
    return 2 * 4 * config.n_layer * config.n_kv_head * config.head_dim * config.max_seq_len


@torch.inference_mode()
def _answer_together(
    model: Transformer, heard_BT: Tensor, rows: list[_Row], stop: tuple[str, ...]
) -> None:
    """Fill the rows, which have all heard as many tokens."""
    cache = KVCache(model.config, len(rows), model.config.max_seq_len, heard_BT.device)
    drawn_B = model.next_logits(heard_BT, cache).argmax(-1)
    while rows and cache.length < model.config.max_seq_len:
        tokens = [row.next(drawn, stop) for row, drawn in zip(rows, drawn_B.tolist(), strict=True)]
        going = [place for place, row in enumerate(rows) if not row.over]
        if len(going) <= len(rows) // 2:
            rows, tokens = [rows[p] for p in going], [tokens[p] for p in going]
            cache.keep(going)
        if rows:
            drawn_B = model.next_logits(torch.tensor(tokens)[:, None], cache).argmax(-1)
