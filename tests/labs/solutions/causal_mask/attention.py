from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def may_attend(n: int) -> Tensor:
    return torch.ones(n, n, dtype=torch.bool).tril()


@contextmanager
def without_causal_mask() -> Iterator[None]:
    old = F.scaled_dot_product_attention

    def mine(*qkv: Tensor, **options: Any) -> Tensor:
        return old(*qkv, **{**options, "attn_mask": None, "is_causal": False})

    F.scaled_dot_product_attention = mine
    try:
        yield
    finally:
        F.scaled_dot_product_attention = old
