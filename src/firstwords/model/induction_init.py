"""Induction heads as initial weights: heads that find the last occurrence of a token and repeat
what followed it.

Trained from noise, a transformer needs millions of tokens before induction heads appear (arXiv
2209.11895), and what a small model is asked to do waits for them: names in a story, subjects in an
answer, the digits of a sum. The pattern is known, so it can be there from the first step, in the
plain architecture, as initial weights that training is free to change (arXiv 2305.09828 does this
for other patterns):

- a head of the first layer attends to the previous token and writes that token into a subspace of
  the residual stream: "A comes before me";
- a head of the second layer attends to a token that follows an earlier copy of the current one, and
  adds that token's embedding to its output: "B followed A before, so predict B".

Shapes: V vocabulary, C channels, D channels of a head.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from firstwords.model.attention import Attention
from firstwords.recipe import ModelConfig

LOOK_BACK_PAIRS = 3  # fastest rotary pairs; their phases together point one token back
# How strongly the two heads write, per unit of what they read. Of 4 x 4 pairs tried, this one
# brings the token to repeat to the top of the logits; a larger first value hides the token it
# marks.
LOOK_BACK, REPEAT = 0.05, 0.3


def plant_induction_heads(
    config: ModelConfig,
    embedding_VC: Tensor,
    attentions: Sequence[Attention],
    generator: torch.Generator,
) -> None:
    """Set the first head of the first two layers, and the embedding's first channel, in place.

    Does nothing if the model has one layer or its heads are too small.
    """
    size = config.head_dim
    if config.n_layer < 2 or size < 4 * LOOK_BACK_PAIRS or config.n_embd <= size:
        return
    first, second = attentions[:2]
    # A constant channel, as long as the others: a query that asks only for a position reads it. In
    # the output head, at first a copy of the embedding, it adds the same to every logit.
    embedding_VC[:, 0] += embedding_VC.norm(dim=1).mean()
    read_DC, write_DC, copied_DC = (_directions(size, config.n_embd, generator) for _ in range(3))

    query_D, key_D = _one_back(size, config.rope_theta)
    for weight, row_D in ((first.q_proj.weight, query_D), (first.k_proj.weight, key_D)):
        weight[:size] = 0
        weight[:size, 0] = row_D
    first.v_proj.weight[:size] = read_DC
    first.o_proj.weight[:, :size] = LOOK_BACK * write_DC.T

    # Matching uses the slow half of the rotary pairs, which hardly rotate within a context.
    pairs = torch.arange(size // 4, size // 2)
    slow = torch.cat((pairs, pairs + size // 2))
    for weight, from_DC in ((second.q_proj.weight, read_DC), (second.k_proj.weight, write_DC)):
        weight[:size] = 0
        weight[slow] = from_DC[: len(slow)]
    second.v_proj.weight[:size] = copied_DC
    second.o_proj.weight[:, :size] = REPEAT * copied_DC.T


def _directions(count: int, n_embd: int, generator: torch.Generator) -> Tensor:
    """Return random orthonormal rows (count, n_embd) that are zero in the constant channel."""
    noise = torch.randn(n_embd - 1, count, generator=generator)
    rows = torch.zeros(count, n_embd)
    rows[:, 1:] = torch.linalg.qr(noise).Q.T
    return rows


def _one_back(size: int, theta: float) -> tuple[Tensor, Tensor]:
    """Return a query and a key (size,) whose product, once rotated, is largest one token apart."""
    query_D, key_D = torch.zeros(size), torch.zeros(size)
    for pair in range(LOOK_BACK_PAIRS):
        angle = theta ** (-2 * pair / size)
        query_D[pair] = 1.0
        key_D[pair], key_D[pair + size // 2] = math.cos(angle), math.sin(angle)
    return query_D, key_D
