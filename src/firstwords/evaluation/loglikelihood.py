"""Log-likelihoods of given continuations of given contexts.

Multiple choice, schemas (one ending, several beginnings) and exact language modelling all reduce to
this. The tokens that all pairs of an item share, mostly few-shot examples and the question, go
through the model once, and items with similar prefixes are batched.

Shapes: B pairs of a batch, T tokens, C channels, V vocabulary.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from firstwords.inference.decoder import pad_rows
from firstwords.inference.engine import shared_prefix_length
from firstwords.model.kv_cache import KVCache
from firstwords.model.transformer import Transformer
from firstwords.tokenizer.bpe import Tokenizer

PAIRS_PER_BATCH = 32  # more are no faster on a CPU, and take more memory


class Pair(NamedTuple):
    """The tokens of a context and of its continuation, at least one each."""

    context: list[int]
    continuation: list[int]


class Likelihood(NamedTuple):
    """The log-probability of a continuation: the sum over its tokens in nats, their number, and
    whether greedy decoding would write it."""

    nats: float
    n_tokens: int
    greedy: bool

    @property
    def mean(self) -> float:
        """Nats per token."""
        return self.nats / self.n_tokens


def encode_pair(tokenizer: Tokenizer, prefix: list[int], context: str, continuation: str) -> Pair:
    """Encode a context, after the tokens `prefix`, and its continuation.

    Both are encoded together, so that words are tokenized as in running text; white space at the
    end of the context belongs to the continuation. lm-evaluation-harness does the same.
    """
    ids = tokenizer.encode(context + continuation)
    n_context = len(tokenizer.encode(context.rstrip()))
    cut = min(n_context, len(ids) - 1)
    return Pair([*prefix, *ids[:cut]], ids[cut:])


def truncate(pair: Pair, context: int) -> Pair:
    """Return the pair without the beginning of its context, as far as it is too long for the model.
    The last token of the continuation is only predicted, so it needs no room."""
    continuation = pair.continuation[:context]
    return Pair(pair.context[-(context + 1 - len(continuation)) :], continuation)


@torch.inference_mode()
def loglikelihoods(
    model: Transformer,
    items: list[list[Pair]],
    on_done: Callable[[int], None] = lambda count: None,
) -> list[list[Likelihood]]:
    """Return the likelihood of every pair of every item, in order. `on_done` is called after each
    batch with its number of items."""
    items = [[truncate(pair, model.config.max_seq_len) for pair in item] for item in items]
    n_shared = [_shared_context(item) for item in items]
    order = sorted(range(len(items)), key=lambda number: n_shared[number])
    results: dict[int, list[Likelihood]] = {}
    for numbers in _batches(items, order, PAIRS_PER_BATCH):
        start = min(n_shared[number] for number in numbers)
        scored = _score_batch(model, [items[n] for n in numbers], start)
        results.update(zip(numbers, scored, strict=True))
        on_done(len(numbers))
    return [results[number] for number in range(len(items))]


def _shared_context(item: list[Pair]) -> int:
    """Return how many tokens all contexts share; each keeps one of its own to predict from."""
    first, *others = (pair.context for pair in item)
    shared = [shared_prefix_length(first, other) for other in others]
    return min([*shared, *(len(pair.context) - 1 for pair in item)])


def _batches(items: list[list[Pair]], order: list[int], max_pairs: int) -> list[list[int]]:
    """Group items into batches of at most `max_pairs` pairs; an item with more is alone."""
    batches: list[list[int]] = []
    n_pairs = max_pairs
    for number in order:
        n_pairs += len(items[number])
        if n_pairs > max_pairs:
            batches.append([])
            n_pairs = len(items[number])
        batches[-1].append(number)
    return batches


def _score_batch(model: Transformer, items: list[list[Pair]], start: int) -> list[list[Likelihood]]:
    """Score all pairs of some items. Within each item the first `start` tokens are the same."""
    device = model.device
    item_of_pair = [number for number, item in enumerate(items) for _ in item]
    pairs = [pair for item in items for pair in item]
    longest = max(len(pair.context) + len(pair.continuation) - 1 for pair in pairs)
    cache = KVCache(model.config, len(items), longest, device)
    if start:
        prefixes = [item[0].context[:start] for item in items]
        model.hidden(torch.tensor(prefixes, device=device), cache)
    cache.select(item_of_pair)  # one row per item -> one row per pair
    rest = [[*pair.context, *pair.continuation[:-1]][start:] for pair in pairs]
    hidden_BTC = model.hidden(pad_rows(rest, device), cache)
    result: list[list[Likelihood]] = [[] for _ in items]
    for row, (number, pair) in enumerate(zip(item_of_pair, pairs, strict=True)):
        first = len(pair.context) - 1 - start  # the state that predicts the first target
        states_TC = hidden_BTC[row, first : first + len(pair.continuation)]
        result[number].append(_likelihood(model.lm_head(states_TC), pair.continuation))
    return result


def _likelihood(logits_TV: Tensor, continuation: list[int]) -> Likelihood:
    targets_T = torch.tensor(continuation, device=logits_TV.device)
    # (T, V) -> (T, 1) -> (T,)
    nats_T = logits_TV.float().log_softmax(-1).gather(1, targets_T[:, None])[:, 0]
    greedy = bool((logits_TV.argmax(-1) == targets_T).all())
    return Likelihood(float(nats_T.sum()), len(continuation), greedy)
