"""Sampling: from logits to the next token.

It uses NumPy, whose calls cost a tenth of PyTorch's for a few thousand logits. A draw depends only
on the request's seed, how many tokens the request has drawn, and its logits; so the batch it shares
does not matter.
"""

import numpy as np
from pydantic import Field

from firstwords.common.schema import FrozenModel


class Sampling(FrozenModel):
    """How to choose tokens, how many at most, and where to stop.

    Temperature 0 always takes the most likely token. Otherwise top-k, top-p (arXiv 1904.09751) and
    min-p (arXiv 2407.01082: drop tokens with less than this fraction of the most likely one's
    probability) cut the tail before drawing; `top_k` 0, `top_p` 1 and `min_p` 0 cut nothing.
    `repetition_penalty` (arXiv 1909.05858) divides the positive logits of tokens that already
    occurred and multiplies the negative ones. OpenAI's `frequency_penalty` is subtracted from a
    token's logit for each time it was generated, `presence_penalty` once. `stop` lists strings that
    end the answer and are not part of it.
    """

    temperature: float = Field(default=0.5, ge=0)
    top_k: int = Field(default=50, ge=0)
    top_p: float = Field(default=0.95, gt=0, le=1)
    min_p: float = Field(default=0.0, ge=0, le=1)
    repetition_penalty: float = Field(default=1.0, ge=0.01, le=100)
    frequency_penalty: float = Field(default=0.0, ge=-2, le=2)
    presence_penalty: float = Field(default=0.0, ge=-2, le=2)
    max_tokens: int = Field(default=256, ge=1)
    seed: int = 0
    stop: tuple[str, ...] = ()


MIN_TEMPERATURE = 1e-6
SORTED_FIRST = 64  # most likely tokens, among which a draw from all tokens looks first
UINT64_MAX, GOLDEN_GAMMA = 2**64 - 1, 0x9E3779B97F4A7C15
GREEDY = Sampling(temperature=0)


def sample_token(logits_V: np.ndarray, sampling: Sampling, seen: set[int], n_drawn: int) -> int:
    """Return the next token of a sequence that contains the tokens `seen` and drew `n_drawn`."""
    if sampling.temperature == 0 and sampling.repetition_penalty == 1:
        return int(logits_V.argmax())
    if sampling.repetition_penalty != 1 and seen:
        logits_V = logits_V.astype(np.float64)
        repeated = np.fromiter(seen, dtype=np.int64)
        values, penalty = logits_V[repeated], sampling.repetition_penalty
        logits_V[repeated] = np.where(values > 0, values / penalty, values * penalty)
    if sampling.temperature == 0:
        return int(logits_V.argmax())
    if sampling.top_k == 0 and sampling.top_p == 1 and sampling.min_p == 0:
        return draw_from_all(logits_V, sampling, n_drawn)
    order_K, p_K = truncated_probabilities(logits_V, sampling)
    cumulative_K = p_K.cumsum()
    point = uniform(sampling.seed, n_drawn) * cumulative_K[-1]
    return int(order_K[np.searchsorted(cumulative_K, point, side="right")])


def draw_from_all(logits_V: np.ndarray, sampling: Sampling, n_drawn: int) -> int:
    """Return the token that `sample_token` draws where nothing is cut. The most likely tokens alone
    decide nearly every draw, and sorting all others would take most of the time."""
    logits_V = logits_V.astype(np.float64)
    weights_V = np.exp((logits_V - logits_V.max()) / max(sampling.temperature, MIN_TEMPERATURE))
    point = uniform(sampling.seed, n_drawn) * weights_V.sum()
    for count in (SORTED_FIRST, 0):
        order_K = top_indices(logits_V, count)
        cumulative_K = weights_V[order_K].cumsum()
        if point < cumulative_K[-1]:
            return int(order_K[np.searchsorted(cumulative_K, point, side="right")])
    return int(order_K[-1])  # beyond the sum by a rounding error


def penalize_generated(
    logits_V: np.ndarray, sampling: Sampling, generated: list[int]
) -> np.ndarray:
    """Return the logits with `frequency_penalty` and `presence_penalty` for generated tokens."""
    frequency, presence = sampling.frequency_penalty, sampling.presence_penalty
    if not generated or not (frequency or presence):
        return logits_V
    tokens, counts = np.unique(generated, return_counts=True)
    logits_V = logits_V.astype(np.float64)
    logits_V[tokens] -= frequency * counts + presence
    return logits_V


def truncated_probabilities(
    logits_V: np.ndarray, sampling: Sampling
) -> tuple[np.ndarray, np.ndarray]:
    """Return the K tokens that may be drawn, most likely first, and their probabilities.

    The probabilities are those after top-k, before top-p and min-p cut the tail: their sum may be
    less than 1, and tokens are drawn in proportion to them.
    """
    order_K = top_indices(logits_V, sampling.top_k)
    logits_K = logits_V[order_K].astype(np.float64)
    # Subtract the largest first, so that no temperature can overflow.
    p_K = np.exp((logits_K - logits_K[0]) / max(sampling.temperature, MIN_TEMPERATURE))
    p_K /= p_K.sum()
    # Keep each token before which the sum is still below top_p: always at least one.
    kept_K = (p_K.cumsum() - p_K < sampling.top_p) & (p_K >= sampling.min_p * p_K[0])
    return order_K[kept_K], p_K[kept_K]


def top_indices(logits_V: np.ndarray, count: int) -> np.ndarray:
    """Return the indices of the `count` largest logits (0: of all), largest first. Of equal logits
    the one with the lower index comes first."""
    if 0 < count < len(logits_V):
        least = np.partition(logits_V, -count)[-count]
        candidates = np.flatnonzero(logits_V >= least)
    else:
        candidates = np.arange(len(logits_V))
    order = candidates[np.argsort(-logits_V[candidates], kind="stable")]
    return order[:count] if count else order


def uniform(seed: int, n_drawn: int) -> float:
    """Return the pseudo-random number in [0, 1) for draw number `n_drawn` of a seed.

    SplitMix64, a counter-based generator (Steele et al. 2014, doi 10.1145/2660193.2660195).
    """
    return (_splitmix64(_splitmix64(seed) + n_drawn * GOLDEN_GAMMA) >> 11) * 2.0**-53


def _splitmix64(state: int) -> int:
    state = (state + GOLDEN_GAMMA) & UINT64_MAX
    state = (state ^ state >> 30) * 0xBF58476D1CE4E5B9 & UINT64_MAX
    state = (state ^ state >> 27) * 0x94D049BB133111EB & UINT64_MAX
    return state ^ state >> 31


def log_probabilities(logits_V: np.ndarray) -> np.ndarray:
    """Return the log-probability (V,) of every token, in nats."""
    logits_V = logits_V.astype(np.float64)
    logits_V -= logits_V.max()
    return logits_V - np.log(np.exp(logits_V).sum())
