"""The keys and values of tokens seen so far, so that each new token costs one step.

Shapes: L layers, B sequences, K key-value heads, S positions, T new tokens, D channels of a head.
"""

import torch
from torch import Tensor

from firstwords.recipe import ModelConfig


class KVCache:
    """Keys and values of `batch` sequences, allocated once for `max_len` tokens each."""

    def __init__(self, config: ModelConfig, batch: int, max_len: int, device: torch.device) -> None:
        shape = (config.n_layer, batch, config.n_kv_head, max_len, config.head_dim)
        self.k_LBKSD = torch.zeros(shape, device=device)
        self.v_LBKSD = torch.zeros(shape, device=device)
        self.length = 0

    def extend(self, layer: int, k_BKTD: Tensor, v_BKTD: Tensor) -> tuple[Tensor, Tensor]:
        """Store one layer's new keys and values; return all of that layer so far, (B, K, S, D)."""
        end = self.length + k_BKTD.shape[2]
        self.k_LBKSD[layer, :, :, self.length : end] = k_BKTD
        self.v_LBKSD[layer, :, :, self.length : end] = v_BKTD
        return self.k_LBKSD[layer, :, :, :end], self.v_LBKSD[layer, :, :, :end]

    def select(self, rows: list[int]) -> None:
        """Keep these sequences of the batch, in this order; one may be repeated."""
        self.k_LBKSD, self.v_LBKSD = self.k_LBKSD[:, rows], self.v_LBKSD[:, rows]
