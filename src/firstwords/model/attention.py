"""Causal grouped-query attention with normalized queries and keys, and rotary positions.

Grouped-query attention: arXiv 2305.13245; norm of queries and keys: arXiv 2010.04245.

Shapes: B sequences, T tokens, S tokens including cached ones, C channels, H query heads, K
key-value heads, G = H / K query heads of a key-value head, D channels of a head.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from firstwords.model.kv_cache import KVCache
from firstwords.model.layers import RMSNorm, apply_rope
from firstwords.recipe import AttentionKind, ModelConfig


class Attention(nn.Module):
    """The attention of one block. `kind` chooses the implementation used without a cache."""

    def __init__(self, config: ModelConfig, layer: int, kind: AttentionKind) -> None:
        super().__init__()
        self.layer, self.head_dim, self.attend = layer, config.head_dim, IMPLEMENTATIONS[kind]
        n_q, n_kv = config.n_head * config.head_dim, config.n_kv_head * config.head_dim
        self.q_proj = nn.Linear(config.n_embd, n_q, bias=False)
        self.k_proj = nn.Linear(config.n_embd, n_kv, bias=False)
        self.v_proj = nn.Linear(config.n_embd, n_kv, bias=False)
        self.o_proj = nn.Linear(n_q, config.n_embd, bias=False)
        self.q_norm = RMSNorm(config.head_dim, config.norm_eps)
        self.k_norm = RMSNorm(config.head_dim, config.norm_eps)

    def forward(
        self,
        x_BTC: Tensor,
        rope: tuple[Tensor, Tensor],
        cache: KVCache | None,
        mask_B1TT: Tensor | None = None,
    ) -> Tensor:
        """Return the output (B, T, C) for the states `x_BTC`, given the cosines and sines of their
        positions, two tensors (T, D). Tokens in `cache` come before. Without a cache, a token
        attends where `mask_B1TT` is True, or without it to itself and all before it."""
        B, T, _ = x_BTC.shape
        D = self.head_dim
        q_BHTD = self.q_proj(x_BTC).view(B, T, -1, D).transpose(1, 2)  # (B, T, H*D) -> (B, H, T, D)
        k_BKTD = self.k_proj(x_BTC).view(B, T, -1, D).transpose(1, 2)  # (B, T, K*D) -> (B, K, T, D)
        v_BKTD = self.v_proj(x_BTC).view(B, T, -1, D).transpose(1, 2)  # (B, T, K*D) -> (B, K, T, D)
        q_BHTD = apply_rope(self.q_norm(q_BHTD), rope)
        k_BKTD = apply_rope(self.k_norm(k_BKTD), rope)
        v_BKTD = v_BKTD.to(q_BHTD.dtype)
        if cache is None:
            y_BHTD = self.attend(q_BHTD, k_BKTD, v_BKTD, mask_B1TT)
        else:
            k_BKSD, v_BKSD = cache.extend(self.layer, k_BKTD, v_BKTD)
            mask_TS = causal_mask(T, k_BKSD.shape[2], x_BTC.device)
            y_BHTD = fused_attention(q_BHTD, k_BKSD, v_BKSD, mask_TS)
        return self.o_proj(y_BHTD.transpose(1, 2).reshape(B, T, -1))  # (B, H, T, D) -> (B, T, H*D)


def fused_attention(
    q_BHTD: Tensor, k_BKSD: Tensor, v_BKSD: Tensor, mask: Tensor | None = None
) -> Tensor:
    """Return attention (B, H, T, D) by PyTorch's fused kernel (FlashAttention, arXiv 2205.14135).
    `mask` is (T, S) or (B, 1, T, S); without one, T = S and attention is causal."""
    return F.scaled_dot_product_attention(
        q_BHTD,
        k_BKSD,
        v_BKSD,
        attn_mask=mask,
        is_causal=mask is None,
        enable_gqa=q_BHTD.shape[1] != k_BKSD.shape[1],
    )


def plain_attention(
    q_BHTD: Tensor, k_BKTD: Tensor, v_BKTD: Tensor, mask_B1TT: Tensor | None = None
) -> Tensor:
    """Return the same, operation by operation, with all scores in memory.

    Compiled and in bfloat16 on a CPU this is faster than the fused kernel for rows of 256 tokens
    (docs/lab-notebook.md#plain-attention).
    """
    T, D = q_BHTD.shape[-2:]
    q_BKGTD = q_BHTD.unflatten(1, (k_BKTD.shape[1], -1))  # (B, H, T, D) -> (B, K, G, T, D)
    k_BK1DT = k_BKTD[:, :, None].transpose(-1, -2)  # (B, K, T, D) -> (B, K, 1, D, T)
    scores_BKGTT = (q_BKGTD @ k_BK1DT).float() * D**-0.5
    mask = causal_mask(T, T, q_BHTD.device) if mask_B1TT is None else mask_B1TT[:, :, None]
    weights_BKGTT = scores_BKGTT.masked_fill(~mask, float("-inf")).softmax(-1)
    y_BKGTD = weights_BKGTT.to(v_BKTD.dtype) @ v_BKTD[:, :, None]
    return y_BKGTD.flatten(1, 2)  # (B, K, G, T, D) -> (B, H, T, D)


IMPLEMENTATIONS: dict[AttentionKind, Callable[[Tensor, Tensor, Tensor, Tensor | None], Tensor]] = {
    "fused": fused_attention,
    "plain": plain_attention,
}


def causal_mask(n_new: int, n_all: int, device: torch.device) -> Tensor:
    """Return (n_new, n_all), True where a new token may attend: to itself and all before it."""
    return torch.ones(n_new, n_all, dtype=torch.bool, device=device).tril(n_all - n_new)


def sequence_mask(start_BT: Tensor) -> Tensor:
    """Return (B, 1, T, T), True where a token may attend: from the start of its sequence, which is
    at place `start_BT` of the row, to itself."""
    T = start_BT.shape[1]
    places_T = torch.arange(T, device=start_BT.device)
    in_sequence_BTT = places_T >= start_BT[:, :, None]
    return (causal_mask(T, T, start_BT.device) & in_sequence_BTT)[:, None]
