"""The distribution of the next token before and after the sampling settings, by the engine's own
functions."""

from typing import NamedTuple

import numpy as np

from firstwords.inference.sampling import (
    Sampling,
    log_probabilities,
    top_indices,
    truncated_probabilities,
)


class Candidate(NamedTuple):
    """A possible next token. `sampled` is its probability after the settings, None if cut off."""

    token: int
    logit: float
    probability: float  # of the model
    sampled: float | None


class NextToken(NamedTuple):
    """The most likely candidates in order, and how many of all tokens the settings leave."""

    candidates: list[Candidate]
    n_kept: int
    n_all: int


def next_token_distribution(
    logits: list[float], sampling: Sampling, n_candidates: int = 20
) -> NextToken:
    """Return the `n_candidates` most likely next tokens, before and after the settings."""
    logits_V = np.array(logits, dtype=np.float64)
    nats_V = log_probabilities(logits_V)
    order_K, p_K = truncated_probabilities(logits_V, sampling)
    sampled = dict(zip(order_K.tolist(), (p_K / p_K.sum()).tolist(), strict=True))
    candidates = [
        Candidate(token, float(logits_V[token]), float(np.exp(nats_V[token])), sampled.get(token))
        for token in top_indices(logits_V, n_candidates).tolist()
    ]
    return NextToken(candidates, len(sampled), len(logits_V))
