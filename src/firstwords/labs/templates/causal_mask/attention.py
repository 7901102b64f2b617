"""Lab 1: remove the causal mask from attention, and see the loss cheat.

Write the two functions below. First read docs/labs/01-causal-mask.md.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor


def may_attend(n: int) -> Tensor:
    """Return the causal mask of a row of `n` tokens: (n, n), of dtype torch.bool, True where the
    token of the row may look at the token of the column."""
    raise NotImplementedError("TODO: which of five tokens may the third one look at?")


@contextmanager
def without_causal_mask() -> Iterator[None]:
    """Let every token see the whole row inside this block, also the tokens after it. After the
    block, even if an error ended it, attention is causal again.

    The model (src/firstwords/model/attention.py, fused_attention) calls
        F.scaled_dot_product_attention(q, k, v, attn_mask=..., is_causal=..., enable_gqa=...)
    with `import torch.nn.functional as F`. Replace it by a function of your own that calls the old
    one without causality.
    """
    raise NotImplementedError("TODO: save the old function, set yours, yield, restore the old one")
    yield
