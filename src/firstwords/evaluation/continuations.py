"""How likely a model finds given continuations of given contexts.

Multiple choice, schemas (one ending, several beginnings) and exact language modelling all come down
to this. What the pairs of an item have in common, mostly its few-shot examples and its question,
goes through the model once; items of similar length go together.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from firstwords.inference.decoder import filled_up
from firstwords.inference.engine import common
from firstwords.model import KVCache, Transformer
from firstwords.tokenizer import Tokenizer

PAIRS = 32  # at a time: more are no faster on a CPU, and take more memory


class Pair(NamedTuple):
    """Tokens of a context, at least one, and of what follows it, at least one."""

    context: list[int]
    continuation: list[int]


class Likelihood(NamedTuple):
    """Of a continuation: the sum of its tokens' log-probabilities in nats, their number, and
    whether each was the likeliest."""

    nats: float
    tokens: int
    greedy: bool

    @property
    def mean(self) -> float:
        return self.nats / self.tokens


def encode_pair(tokenizer: Tokenizer, start: list[int], context: str, continuation: str) -> Pair:
    """Tokens after `start`. White space at the end of the context goes to the continuation, and
    both are encoded in one piece, so that words are cut as in running text (as
    lm-evaluation-harness does)."""
    kept = context.rstrip()
    whole = tokenizer.encode(context + continuation)
    before = tokenizer.encode(kept)
    cut = min(len(before), len(whole) - 1)
    return Pair([*start, *whole[:cut]], whole[cut:])


def fit(pair: Pair, context: int) -> Pair:
    """The pair without the beginning of its context where it is too long for the model. The last
    token of the continuation is predicted and never read."""
    continuation = pair.continuation[:context]
    return Pair(pair.context[-(context + 1 - len(continuation)) :], continuation)


@torch.inference_mode()
def likelihoods(
    model: Transformer,
    items: list[list[Pair]],
    on_done: Callable[[int], None] = lambda count: None,
) -> list[list[Likelihood]]:
    """For the pairs of every item, in order. `on_done` hears how many items are done, batch by
    batch."""
    items = [[fit(pair, model.config.max_seq_len) for pair in item] for item in items]
    shared = [_shared(item) for item in items]
    order = sorted(range(len(items)), key=lambda number: shared[number])
    found: dict[int, list[Likelihood]] = {}
    for numbers in _batches(items, order, PAIRS):
        start = min(shared[number] for number in numbers)
        found.update(
            zip(numbers, _together(model, [items[n] for n in numbers], start), strict=True)
        )
        on_done(len(numbers))
    return [found[number] for number in range(len(items))]


def _shared(item: list[Pair]) -> int:
    """How many tokens all pairs begin with; each keeps one of its context to predict from."""
    first, *others = (pair.context for pair in item)
    shared = [common(first, other) for other in others]
    return min([*shared, *(len(pair.context) - 1 for pair in item)])


def _batches(items: list[list[Pair]], order: list[int], most: int) -> list[list[int]]:
    """Items of `most` pairs at a time, or one of more."""
    batches: list[list[int]] = []
    pairs = most
    for number in order:
        pairs += len(items[number])
        if pairs > most:
            batches.append([])
            pairs = len(items[number])
        batches[-1].append(number)
    return batches


def _together(model: Transformer, items: list[list[Pair]], start: int) -> list[list[Likelihood]]:
    """All pairs of some items whose first `start` tokens are the same within each."""
    device = model.device
    rows = [row for row, item in enumerate(items) for _ in item]
    pairs = [pair for item in items for pair in item]
    longest = max(len(pair.context) + len(pair.continuation) - 1 for pair in pairs)
    cache = KVCache(model.config, len(items), longest, device)
    if start:
        model.hidden(
            torch.tensor([item[0].context[:start] for item in items], device=device), cache
        )
    cache.keep(rows)
    rest = [[*pair.context, *pair.continuation[:-1]][start:] for pair in pairs]
    hidden_BTC = model.hidden(filled_up(rest, device), cache)
    scored = []
    for row, pair in enumerate(pairs):
        first = len(pair.context) - 1 - start
        states_TC = hidden_BTC[row, first : first + len(pair.continuation)]
        scored.append(_likelihood(model.lm_head(states_TC), pair.continuation))
    result: list[list[Likelihood]] = [[] for _ in items]
    for row, likelihood in zip(rows, scored, strict=True):
        result[row].append(likelihood)
    return result


def _likelihood(logits_TV: Tensor, continuation: list[int]) -> Likelihood:
    targets_T = torch.tensor(continuation, device=logits_TV.device)
    nats_T = logits_TV.float().log_softmax(-1).gather(1, targets_T[:, None])[:, 0]
    greedy = bool((logits_TV.argmax(-1) == targets_T).all())
    return Likelihood(float(nats_T.sum()), len(continuation), greedy)
