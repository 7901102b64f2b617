"""From logits to the next token."""

import torch
from pydantic import Field
from torch import Tensor

from firstwords.recipe import Fixed


class Sampling(Fixed):
    """How to choose. Temperature 0 always takes the likeliest token; otherwise top-k and top-p
    (arXiv 1904.09751) cut the tail before drawing. `top_k` 0 and `top_p` 1 cut nothing."""

    temperature: float = Field(default=0.7, ge=0)
    top_k: int = Field(default=50, ge=0)
    top_p: float = Field(default=0.95, gt=0, le=1)
    max_tokens: int = Field(default=256, ge=1)
    seed: int = 0


LEAST_TEMPERATURE = 1e-6
GREEDY = Sampling(temperature=0)


def choose(logits_V: Tensor, sampling: Sampling, generator: torch.Generator) -> int:
    if sampling.temperature == 0:
        return int(logits_V.argmax())
    logits_V, order_V = logits_V.float().sort(descending=True)
    # The largest becomes 0 first, so that no temperature can overflow.
    logits_V = (logits_V - logits_V[0]) / max(sampling.temperature, LEAST_TEMPERATURE)
    if sampling.top_k:
        logits_V = logits_V[: sampling.top_k]
    p_V = logits_V.softmax(-1)
    # Keep the tokens before which less than top_p has been collected: always at least one.
    p_V = p_V * (p_V.cumsum(-1) - p_V < sampling.top_p)
    return int(order_V[torch.multinomial(p_V, 1, generator=generator)])
