"""From logits to the next token, in NumPy: for some thousand numbers its calls cost a tenth of
PyTorch's.

What a request draws depends on its seed, how many tokens it has drawn and its logits alone, so it
does not matter who shares the batch.
"""

import numpy as np
from pydantic import Field

from firstwords.recipe import Fixed


class Sampling(Fixed):
    """How to choose. Temperature 0 always takes the likeliest token; otherwise top-k, top-p
    (arXiv 1904.09751) and min-p (arXiv 2407.01082: tokens with less than this share of the
    likeliest one's probability) cut the tail before drawing. `top_k` 0, `top_p` 1 and `min_p` 0
    cut nothing. `repetition_penalty` divides the positive logits of tokens that were there before
    and multiplies the negative ones (arXiv 1909.05858)."""

    temperature: float = Field(default=0.7, ge=0)
    top_k: int = Field(default=50, ge=0)
    top_p: float = Field(default=0.95, gt=0, le=1)
    min_p: float = Field(default=0.0, ge=0, le=1)
    repetition_penalty: float = Field(default=1.0, ge=0.01, le=100)
    max_tokens: int = Field(default=256, ge=1)
    seed: int = 0
    stop: tuple[str, ...] = ()  # texts that end the answer, and are not part of it


LEAST_TEMPERATURE = 1e-6
WORD, GOLDEN_GAMMA = 2**64 - 1, 0x9E3779B97F4A7C15
GREEDY = Sampling(temperature=0)


def choose(logits_V: np.ndarray, sampling: Sampling, seen: set[int], drawn: int) -> int:
    """The next token of a sequence that has `seen` these tokens and has drawn so many."""
    if sampling.temperature == 0 and sampling.repetition_penalty == 1:
        return int(logits_V.argmax())
    if sampling.repetition_penalty != 1 and seen:
        logits_V = logits_V.astype(np.float64)
        before = np.fromiter(seen, dtype=np.int64)
        values, penalty = logits_V[before], sampling.repetition_penalty
        logits_V[before] = np.where(values > 0, values / penalty, values * penalty)
    if sampling.temperature == 0:
        return int(logits_V.argmax())
    order_K, p_K = shares(logits_V, sampling)
    sums_K = p_K.cumsum()
    point = uniform(sampling.seed, drawn) * sums_K[-1]
    return int(order_K[np.searchsorted(sums_K, point, side="right")])


def shares(logits_V: np.ndarray, sampling: Sampling) -> tuple[np.ndarray, np.ndarray]:
    """The tokens that may be drawn, the likeliest first, and their shares before the tail was cut:
    of what is left they are drawn in proportion."""
    order_K = largest(logits_V, sampling.top_k)
    logits_K = logits_V[order_K].astype(np.float64)
    # The largest becomes 0 first, so that no temperature can overflow.
    p_K = np.exp((logits_K - logits_K[0]) / max(sampling.temperature, LEAST_TEMPERATURE))
    p_K /= p_K.sum()
    # Keep the tokens before which less than top_p has been collected: always at least one.
    kept_K = (p_K.cumsum() - p_K < sampling.top_p) & (p_K >= sampling.min_p * p_K[0])
    return order_K[kept_K], p_K[kept_K]


def largest(logits_V: np.ndarray, count: int) -> np.ndarray:
    """The indices of the `count` largest, 0 for all, the largest first; the first of equals
    first."""
    if 0 < count < len(logits_V):
        least = np.partition(logits_V, -count)[-count]
        candidates = np.flatnonzero(logits_V >= least)
    else:
        candidates = np.arange(len(logits_V))
    order = candidates[np.argsort(-logits_V[candidates], kind="stable")]
    return order[:count] if count else order


def uniform(seed: int, drawn: int) -> float:
    """A number in [0, 1) for each token that a seed draws (SplitMix64, a generator with a counter:
    Steele et al. 2014, doi 10.1145/2660193.2660195)."""
    return (_mixed(_mixed(seed) + drawn * GOLDEN_GAMMA) >> 11) * 2.0**-53


def _mixed(number: int) -> int:
    number = (number + GOLDEN_GAMMA) & WORD
    number = (number ^ number >> 30) * 0xBF58476D1CE4E5B9 & WORD
    number = (number ^ number >> 27) * 0x94D049BB133111EB & WORD
    return number ^ number >> 31


def log_probabilities(logits_V: np.ndarray) -> np.ndarray:
    """In nats, for every token."""
    logits_V = logits_V.astype(np.float64)
    logits_V -= logits_V.max()
    return logits_V - np.log(np.exp(logits_V).sum())
