"""A head start at initialisation: heads that find the last occurrence of a token and repeat what
followed it.

Trained from noise, a transformer needs millions of tokens before such *induction heads* appear
(arXiv 2209.11895), and what a small model is asked to do waits for them: names in a story, subjects
in an answer, the digits of a sum. The pattern is known, so it can be there from the first step, in
the plain architecture, as initial weights that training is free to change (arXiv 2305.09828 does
the like for other patterns):

- a head of the first layer looks one token back and writes that token into a subspace of the
  residual stream: "I come after A";
- a head of the second layer looks for a token that came after the one it stands on, and adds that
  token's embedding to its output: "A came before, and B came after it, so B".
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor

if TYPE_CHECKING:
    from firstwords.model import Attention, Transformer

LOOK_BACK_PAIRS = 3  # rotary pairs, the fastest, whose phases together point one token back
# How strongly the two heads write at first, per unit of what they read. Of 4 x 4 pairs these bring
# the token to be repeated to the top of the logits; more of the first drowns what it is to mark.
LOOK_BACK, REPEAT = 0.05, 0.3


def plant(model: Transformer, generator: torch.Generator) -> None:
    """Set the first head of the first two layers. Does nothing where the shape has no room."""
    config = model.config
    size = config.head_dim
    if config.n_layer < 2 or size < 4 * LOOK_BACK_PAIRS or config.n_embd <= size:
        return
    first, second = (cast("Attention", model.layers[i].self_attn) for i in range(2))
    embedding_VC = model.embed_tokens.weight
    # A constant channel, as long as the rest: what a query that asks only for a place is made of.
    # In the output head, a copy at first, it adds the same to every logit.
    embedding_VC[:, 0] += embedding_VC.norm(dim=1).mean()
    read_DC, write_DC, copied_DC = (_directions(size, config.n_embd, generator) for _ in range(3))

    query_D, key_D = _one_back(size, config.rope_theta)
    for weight, row_D in ((first.q_proj.weight, query_D), (first.k_proj.weight, key_D)):
        weight[:size] = 0
        weight[:size, 0] = row_D
    first.v_proj.weight[:size] = read_DC
    first.o_proj.weight[:, :size] = LOOK_BACK * write_DC.T

    # Matching uses the slow half of the rotary pairs, which hardly turn within a context.
    pairs = torch.arange(size // 4, size // 2)
    slow = torch.cat((pairs, pairs + size // 2))
    for weight, from_DC in ((second.q_proj.weight, read_DC), (second.k_proj.weight, write_DC)):
        weight[:size] = 0
        weight[slow] = from_DC[: len(slow)]
    second.v_proj.weight[:size] = copied_DC
    second.o_proj.weight[:, :size] = REPEAT * copied_DC.T


def _directions(count: int, n_embd: int, generator: torch.Generator) -> Tensor:
    """(count, n_embd): random orthonormal rows that leave the constant channel alone."""
    noise = torch.randn(n_embd - 1, count, generator=generator)
    rows = torch.zeros(count, n_embd)
    rows[:, 1:] = torch.linalg.qr(noise).Q.T
    return rows


def _one_back(size: int, theta: float) -> tuple[Tensor, Tensor]:
    """A query and a key (size,) that, turned by their places, agree best one token apart."""
    query_D, key_D = torch.zeros(size), torch.zeros(size)
    for pair in range(LOOK_BACK_PAIRS):
        angle = theta ** (-2 * pair / size)
        query_D[pair] = 1.0
        key_D[pair], key_D[pair + size // 2] = math.cos(angle), math.sin(angle)
    return query_D, key_D
