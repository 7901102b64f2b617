"""The next token's distribution, before and after the settings, by the engine's own rule."""

from typing import NamedTuple

import numpy as np

from firstwords.inference.sampling import Sampling, largest, log_probabilities, shares


class Likely(NamedTuple):
    token: int
    logit: float
    share: float  # as the model says
    drawn: float | None  # as it is drawn; None: cut


class NextToken(NamedTuple):
    likeliest: list[Likely]
    kept: int  # tokens that can be drawn
    all: int


def next_tokens(logits: list[float], sampling: Sampling, most: int = 20) -> NextToken:
    logits_V = np.array(logits, dtype=np.float64)
    nats_V = log_probabilities(logits_V)
    order_K, p_K = shares(logits_V, sampling)
    drawn = dict(zip(order_K.tolist(), (p_K / p_K.sum()).tolist(), strict=True))
    likeliest = [
        Likely(token, float(logits_V[token]), float(np.exp(nats_V[token])), drawn.get(token))
        for token in largest(logits_V, most).tolist()
    ]
    return NextToken(likeliest, len(drawn), len(logits_V))
