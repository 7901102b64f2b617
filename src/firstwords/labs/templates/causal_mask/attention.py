"""Lab 1: take the causal mask out of the attention, and see the loss cheat.

Two functions are missing here. Read docs/labs/01-causal-mask.md first.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor


def may_look(n: int) -> Tensor:
    """The causal mask of a row of `n` tokens: (n, n), of dtype torch.bool, True where the token of
    the row may look at the token of the column."""
    raise NotImplementedError("TODO: which of five tokens may the third one look at?")


@contextmanager
def seeing_everything() -> Iterator[None]:
    """Inside this block every token of a row sees the whole row, what comes after it too. After the
    block, however it ended, attention is causal again.

    The model (src/firstwords/model.py, Attention.forward) calls
        F.scaled_dot_product_attention(q, k, v, attn_mask=..., is_causal=..., enable_gqa=...)
    with `import torch.nn.functional as F`. Put a function of your own in its place, which calls the
    old one without the causality.
    """
    raise NotImplementedError("TODO: keep the old function, put yours there, yield, put it back")
    yield
