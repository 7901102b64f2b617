"""Generation: many sequences at a time, each joining and leaving when it will.

A sequence takes a slot of the decoder's cache, the one whose tokens its prompt shares most of: the
next turn of a conversation only pays for what is new. All sequences with a slot then take one token
a step together. What a sequence draws does not depend on who shares the step.
"""

from collections import deque
from collections.abc import Iterator

import numpy as np

from firstwords.inference.decoder import Decoder
from firstwords.inference.sampling import Sampling, choose

READ_ROWS = 32  # prompts that are read together


class Sequence:
    """Tokens after a prompt. `drawn` holds what was generated, `ids` everything; `over` says that
    no more come: the caller ended it, `max_tokens`, or a full context."""

    def __init__(self, prompt: list[int], sampling: Sampling) -> None:
        if not prompt:
            raise ValueError("a prompt needs a token at least")
        self.ids, self.sampling = list(prompt), sampling
        self.drawn: list[int] = []
        self.logits_V: np.ndarray | None = None  # that the newest token was drawn from
        self.over = False
        self.slot: int | None = None
        self._forced: deque[int] = deque()

    def force(self, ids: list[int]) -> None:
        """Let these come next, as if they had been generated (a tool's response)."""
        self._forced.extend(ids)

    def end(self) -> None:
        self.over = True

    def take(self, logits_V: np.ndarray, context: int) -> int | None:
        """The token that follows: a forced one, or one drawn, which is returned."""
        if self._forced:
            self.ids.append(self._forced.popleft())
            token = None
        else:
            seen = set(self.ids) if self.sampling.repetition_penalty != 1 else set()
            token = choose(logits_V, self.sampling, seen, len(self.drawn))
            self.logits_V = logits_V
            self.ids.append(token)
            self.drawn.append(token)
        if len(self.drawn) >= self.sampling.max_tokens or len(self.ids) >= context:
            self.over = True
        return token


class Engine:
    """A model that works on as many sequences at a time as its decoder has slots; others wait in
    line."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder, self.context = decoder, decoder.context
        self._kept: list[list[int]] = [[] for _ in range(decoder.slots)]  # tokens in the cache
        self._free = list(range(decoder.slots))
        self._waiting: deque[Sequence] = deque()
        self._running: list[Sequence] = []

    def submit(self, prompt: list[int], sampling: Sampling) -> Sequence:
        """Start a sequence; its tokens come with the next steps."""
        sequence = Sequence(prompt, sampling)
        sequence.over = len(prompt) >= self.context
        self._waiting.append(sequence)
        return sequence

    @property
    def slots(self) -> int:
        return len(self._kept)

    @property
    def busy(self) -> bool:
        return bool(self._waiting or self._running)

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def running(self) -> int:
        return len(self._running)

    def generate(self, prompt: list[int], sampling: Sampling) -> "Generation":
        return Generation(self, self.submit(prompt, sampling))

    def step(self) -> list[tuple[Sequence, int]]:
        """One more token for every sequence that has a slot; return those that were drawn."""
        self._leave()
        self._admit()
        if not self._running:
            return []
        self._running.sort(key=self._slot_of)
        slots = [self._slot_of(sequence) for sequence in self._running]
        logits_BV = self._decoder.next_logits(
            slots,
            [sequence.ids[-1] for sequence in self._running],
            [len(sequence.ids) - 1 for sequence in self._running],
        )
        rows_BV = logits_BV.float().cpu().numpy()
        drawn = []
        for slot, sequence, logits_V in zip(slots, self._running, rows_BV, strict=True):
            self._kept[slot].append(sequence.ids[-1])
            token = sequence.take(logits_V, self.context)
            if token is not None:
                drawn.append((sequence, token))
        return drawn

    def _leave(self) -> None:
        """Free the slots of sequences that are over."""
        for sequence in self._running:
            if sequence.over:
                self._free.append(self._slot_of(sequence))
                sequence.slot = None
        self._running = [sequence for sequence in self._running if not sequence.over]

    def _admit(self) -> None:
        """Give free slots to those who wait, and read their prompts but for the last token, which
        goes through the step like all that follow."""
        fresh: list[Sequence] = []
        while self._free and self._waiting:
            sequence = self._waiting.popleft()
            if sequence.over:
                continue
            prompt = sequence.ids[:-1]
            shared = {slot: common(self._kept[slot], prompt) for slot in self._free}
            slot = max(self._free, key=lambda s: (shared[s], -len(self._kept[s])))
            self._free.remove(slot)
            sequence.slot = slot
            self._running.append(sequence)
            self._kept[slot] = prompt[: shared[slot]]
            if shared[slot]:
                self._read([sequence], shared[slot])
            else:
                fresh.append(sequence)
        fresh.sort(key=lambda sequence: len(sequence.ids))
        for first in range(0, len(fresh), READ_ROWS):
            self._read(fresh[first : first + READ_ROWS], 0)

    def _read(self, sequences: list[Sequence], start: int) -> None:
        """Read their prompts from `start` on. What is kept is said afterwards: a pass that is
        interrupted leaves nothing to rely on."""
        slots = [self._slot_of(sequence) for sequence in sequences]
        self._decoder.read(slots, [sequence.ids[start:-1] for sequence in sequences], start)
        for slot, sequence in zip(slots, sequences, strict=True):
            self._kept[slot] = sequence.ids[:-1]

    def _slot_of(self, sequence: Sequence) -> int:
        assert sequence.slot is not None
        return sequence.slot


def common(one: list[int], other: list[int]) -> int:
    """How many tokens both begin with."""
    for place, (a, b) in enumerate(zip(one, other, strict=False)):
        if a != b:
            return place
    return min(len(one), len(other))


class Generation(Iterator[int]):
    """The drawn tokens of one sequence, for a caller who does nothing else meanwhile."""

    def __init__(self, engine: Engine, sequence: Sequence) -> None:
        self._engine, self.sequence = engine, sequence
        self._given = 0

    def __next__(self) -> int:
        while self._given == len(self.sequence.drawn):
            if self.sequence.over:
                raise StopIteration
            self._engine.step()
        self._given += 1
        return self.sequence.drawn[self._given - 1]

    def force(self, ids: list[int]) -> None:
        self.sequence.force(ids)

    def close(self) -> None:
        """Leave the slot to others."""
        self.sequence.end()
