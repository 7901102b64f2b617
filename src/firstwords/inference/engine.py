"""The generation engine: continuous batching of sequences that join and leave at any step.

A new sequence gets the free slot of the decoder's cache that shares the longest prefix with its
prompt, so the next turn of a conversation only prefills what is new. All sequences with a slot then
decode one token per step together. What a sequence draws does not depend on the others in the
batch.

Continuous batching: Orca (Yu et al., OSDI 2022).
"""

from collections import deque
from collections.abc import Iterator

import numpy as np

from firstwords.inference.decoder import Decoder
from firstwords.inference.sampling import Sampling, penalize_generated, sample_token

PREFILL_BATCH_SIZE = 32  # prompts prefilled together


class Sequence:
    """A prompt and the tokens generated after it.

    `ids` holds all tokens, `generated` those that were sampled and `positions` their places in
    `ids`. `finished` says that no more follow: the caller finished it, or it reached `max_tokens`
    or a full context.
    """

    def __init__(self, prompt: list[int], sampling: Sampling) -> None:
        if not prompt:
            raise ValueError("a prompt needs at least one token")
        self.ids, self.sampling = list(prompt), sampling
        self.generated: list[int] = []
        self.positions: list[int] = []
        self.logits_V: np.ndarray | None = None  # from which the newest token was sampled
        self.finished = False
        self.slot: int | None = None
        self._forced: deque[int] = deque()

    def force(self, ids: list[int]) -> None:
        """Append these tokens in the next steps instead of sampled ones (a tool's response)."""
        self._forced.extend(ids)

    def finish(self) -> None:
        """Generate no more tokens; the engine frees the slot in its next step."""
        self.finished = True

    def append(self, logits_V: np.ndarray, context: int) -> int | None:
        """Append the next token: a forced one if any, else one sampled from `logits_V`, which is
        returned."""
        if self._forced:
            self.ids.append(self._forced.popleft())
            token = None
        else:
            seen = set(self.ids) if self.sampling.repetition_penalty != 1 else set()
            penalized_V = penalize_generated(logits_V, self.sampling, self.generated)
            token = sample_token(penalized_V, self.sampling, seen, len(self.generated))
            self.logits_V = logits_V
            self.positions.append(len(self.ids))
            self.ids.append(token)
            self.generated.append(token)
        if len(self.generated) >= self.sampling.max_tokens or len(self.ids) >= context:
            self.finished = True
        return token


class Engine:
    """Generates for as many sequences at a time as its decoder has slots; others are queued."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder, self.context = decoder, decoder.context
        self._cached_ids: list[list[int]] = [[] for _ in range(decoder.slots)]  # of each slot
        self._free = list(range(decoder.slots))
        self._waiting: deque[Sequence] = deque()
        self._running: list[Sequence] = []

    def submit(self, prompt: list[int], sampling: Sampling) -> Sequence:
        """Queue a sequence; the following steps generate its tokens."""
        sequence = Sequence(prompt, sampling)
        sequence.finished = len(prompt) >= self.context
        self._waiting.append(sequence)
        return sequence

    @property
    def slots(self) -> int:
        """The number of sequences that can run at a time."""
        return len(self._cached_ids)

    @property
    def busy(self) -> bool:
        """Whether any sequence is running or waiting."""
        return bool(self._waiting or self._running)

    @property
    def waiting(self) -> int:
        """The number of queued sequences."""
        return len(self._waiting)

    @property
    def running(self) -> int:
        """The number of sequences with a slot."""
        return len(self._running)

    def generate(self, prompt: list[int], sampling: Sampling) -> "Generation":
        """Return an iterator over the tokens generated after `prompt`."""
        return Generation(self, self.submit(prompt, sampling))

    def step(self) -> list[tuple[Sequence, int]]:
        """Append one token to every running sequence; return the sampled ones."""
        self._release_slots()
        self._admit()
        if not self._running:
            return []
        self._running.sort(key=self._slot_of)
        slots = [self._slot_of(sequence) for sequence in self._running]
        logits_BV = self._decoder.decode(
            slots,
            [sequence.ids[-1] for sequence in self._running],
            [len(sequence.ids) - 1 for sequence in self._running],
        )
        rows_BV = logits_BV.float().cpu().numpy()
        sampled = []
        for slot, sequence, logits_V in zip(slots, self._running, rows_BV, strict=True):
            self._cached_ids[slot].append(sequence.ids[-1])
            token = sequence.append(logits_V, self.context)
            if token is not None:
                sampled.append((sequence, token))
        return sampled

    def _release_slots(self) -> None:
        """Free the slots of finished sequences; their tokens stay in the cache for reuse."""
        for sequence in self._running:
            if sequence.finished:
                self._free.append(self._slot_of(sequence))
                sequence.slot = None
        self._running = [sequence for sequence in self._running if not sequence.finished]

    def _admit(self) -> None:
        """Give free slots to waiting sequences and prefill their prompts.

        The last token of a prompt is left to the step, which needs its logits.
        """
        uncached: list[Sequence] = []
        while self._free and self._waiting:
            sequence = self._waiting.popleft()
            if sequence.finished:
                continue
            prompt = sequence.ids[:-1]
            n_shared = {s: shared_prefix_length(self._cached_ids[s], prompt) for s in self._free}
            # Of equal ones the slot with the fewest tokens, the least worth keeping.
            slot = max(self._free, key=lambda s: (n_shared[s], -len(self._cached_ids[s])))
            self._free.remove(slot)
            sequence.slot = slot
            self._running.append(sequence)
            self._cached_ids[slot] = prompt[: n_shared[slot]]
            if n_shared[slot]:
                self._prefill([sequence], n_shared[slot])
            else:
                uncached.append(sequence)
        # Similar lengths together: prompts of a batch may be padded to the longest.
        uncached.sort(key=lambda sequence: len(sequence.ids))
        for first in range(0, len(uncached), PREFILL_BATCH_SIZE):
            self._prefill(uncached[first : first + PREFILL_BATCH_SIZE], 0)

    def _prefill(self, sequences: list[Sequence], start: int) -> None:
        """Prefill the sequences' prompts from position `start` on.

        `_cached_ids` is updated afterwards, so an interrupted call claims nothing.
        """
        slots = [self._slot_of(sequence) for sequence in sequences]
        self._decoder.prefill(slots, [sequence.ids[start:-1] for sequence in sequences], start)
        for slot, sequence in zip(slots, sequences, strict=True):
            self._cached_ids[slot] = sequence.ids[:-1]

    def _slot_of(self, sequence: Sequence) -> int:
        assert sequence.slot is not None
        return sequence.slot


def shared_prefix_length(a: list[int], b: list[int]) -> int:
    """Return how many leading tokens two sequences have in common."""
    for position, (token_a, token_b) in enumerate(zip(a, b, strict=False)):
        if token_a != token_b:
            return position
    return min(len(a), len(b))


class Generation(Iterator[int]):
    """An iterator over the sampled tokens of one sequence, which runs the engine as needed."""

    def __init__(self, engine: Engine, sequence: Sequence) -> None:
        self._engine, self.sequence = engine, sequence
        self._n_yielded = 0

    def __next__(self) -> int:
        while self._n_yielded == len(self.sequence.generated):
            if self.sequence.finished:
                raise StopIteration
            self._engine.step()
        self._n_yielded += 1
        return self.sequence.generated[self._n_yielded - 1]

    def force(self, ids: list[int]) -> None:
        """Append these tokens next, instead of sampled ones."""
        self.sequence.force(ids)

    def close(self) -> None:
        """Finish the sequence, which frees its slot."""
        self.sequence.finish()
