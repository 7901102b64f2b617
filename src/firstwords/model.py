"""The transformer.

A decoder-only model in the layout of Qwen3 (arXiv 2505.09388): pre-norm RMSNorm, grouped-query
attention with a norm on each head's queries and keys, rotary positions (arXiv 2104.09864), SwiGLU
(arXiv 2002.05202), no biases, an output head of its own. Parameter names are those of
`transformers`' Qwen3 without its leading "model.", so a checkpoint needs no conversion.

Shapes: B sequences, T tokens, S tokens including cached ones, C channels (n_embd), H heads,
K key-value heads, D channels of a head, V vocabulary.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from firstwords import induction
from firstwords.recipe import ModelConfig

IGNORE = -100  # a target that carries no loss
LARGE_VOCABULARY = 16_384


class KVCache:
    """Keys and values of the tokens seen so far, allocated once for `max_len` tokens."""

    def __init__(self, config: ModelConfig, batch: int, max_len: int, device: torch.device) -> None:
        shape = (config.n_layer, batch, config.n_kv_head, max_len, config.head_dim)
        self.k_LBKSD = torch.zeros(shape, device=device)
        self.v_LBKSD = torch.zeros(shape, device=device)
        self.length = 0

    def extend(self, layer: int, k_BKTD: Tensor, v_BKTD: Tensor) -> tuple[Tensor, Tensor]:
        """Store one layer's new keys and values; return all of that layer's up to now."""
        end = self.length + k_BKTD.shape[2]
        self.k_LBKSD[layer, :, :, self.length : end] = k_BKTD
        self.v_LBKSD[layer, :, :, self.length : end] = v_BKTD
        return self.k_LBKSD[layer, :, :, :end], self.v_LBKSD[layer, :, :, :end]

    def keep(self, rows: list[int]) -> None:
        """Go on with these of the batch's sequences, some perhaps more than once."""
        self.k_LBKSD, self.v_LBKSD = self.k_LBKSD[:, rows], self.v_LBKSD[:, rows]


class RMSNorm(nn.Module):
    """Divide by the root mean square over the last dimension, times a learned weight."""

    def __init__(self, size: int, eps: float) -> None:
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(size)), eps

    def forward(self, x: Tensor) -> Tensor:
        # One dtype for both: mixed ones leave PyTorch's fused kernel.
        return F.rms_norm(x, self.weight.shape, self.weight.to(x.dtype), self.eps)


class Attention(nn.Module):
    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.layer, self.head_dim = layer, config.head_dim
        self.plain = False  # set by `training.loss_function`, where that is faster
        n_q, n_kv = config.n_head * config.head_dim, config.n_kv_head * config.head_dim
        self.q_proj = nn.Linear(config.n_embd, n_q, bias=False)
        self.k_proj = nn.Linear(config.n_embd, n_kv, bias=False)
        self.v_proj = nn.Linear(config.n_embd, n_kv, bias=False)
        self.o_proj = nn.Linear(n_q, config.n_embd, bias=False)
        self.q_norm = RMSNorm(config.head_dim, config.norm_eps)
        self.k_norm = RMSNorm(config.head_dim, config.norm_eps)

    def forward(self, x_BTC: Tensor, rope: tuple[Tensor, Tensor], cache: KVCache | None) -> Tensor:
        B, T, _ = x_BTC.shape
        q_BHTD = self.q_proj(x_BTC).view(B, T, -1, self.head_dim).transpose(1, 2)
        k_BKTD = self.k_proj(x_BTC).view(B, T, -1, self.head_dim).transpose(1, 2)
        v_BKTD = self.v_proj(x_BTC).view(B, T, -1, self.head_dim).transpose(1, 2)
        q_BHTD = rotate(self.q_norm(q_BHTD), rope)
        k_BKTD = rotate(self.k_norm(k_BKTD), rope)
        v_BKTD = v_BKTD.to(q_BHTD.dtype)
        mask = None
        if cache is not None:
            k_BKTD, v_BKTD = cache.extend(self.layer, k_BKTD, v_BKTD)
            mask = causal_mask(T, k_BKTD.shape[2], x_BTC.device)
        if self.plain and mask is None:
            y_BHTD = plain_attention(q_BHTD, k_BKTD, v_BKTD)
        else:
            y_BHTD = F.scaled_dot_product_attention(
                q_BHTD,
                k_BKTD,
                v_BKTD,
                attn_mask=mask,
                is_causal=mask is None,
                enable_gqa=q_BHTD.shape[1] != k_BKTD.shape[1],
            )
        return self.o_proj(y_BHTD.transpose(1, 2).reshape(B, T, -1))


def plain_attention(q_BHTD: Tensor, k_BKTD: Tensor, v_BKTD: Tensor) -> Tensor:
    """What the fused kernel does, product by product, with all scores in memory: compiled, and in
    bfloat16 on a processor, rows of 256 are faster so (docs/lab-notebook.md)."""
    T, D = q_BHTD.shape[-2:]
    q_BKGTD = q_BHTD.unflatten(1, (k_BKTD.shape[1], -1))
    scores_BKGTT = (q_BKGTD @ k_BKTD[:, :, None].transpose(-1, -2)).float() * D**-0.5
    unseen_TT = ~causal_mask(T, T, q_BHTD.device)
    weights_BKGTT = scores_BKGTT.masked_fill(unseen_TT, float("-inf")).softmax(-1)
    return (weights_BKGTT.to(v_BKTD.dtype) @ v_BKTD[:, :, None]).flatten(1, 2)


def causal_mask(n_new: int, n_all: int, device: torch.device) -> Tensor:
    """(n_new, n_all), True where a new token may look: at itself and everything before it."""
    return torch.ones(n_new, n_all, dtype=torch.bool, device=device).tril(n_all - n_new)


class MLP(nn.Module):
    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.n_embd, config.n_hidden, bias=False)
        self.up_proj = nn.Linear(config.n_embd, config.n_hidden, bias=False)
        self.down_proj = nn.Linear(config.n_hidden, config.n_embd, bias=False)

    def forward(self, x_BTC: Tensor) -> Tensor:
        return self.down_proj(F.silu(self.gate_proj(x_BTC)) * self.up_proj(x_BTC))


class Block(nn.Module):
    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.input_layernorm = RMSNorm(config.n_embd, config.norm_eps)
        self.self_attn = Attention(config, layer)
        self.post_attention_layernorm = RMSNorm(config.n_embd, config.norm_eps)
        self.mlp = MLP(config)

    def forward(self, x_BTC: Tensor, rope: tuple[Tensor, Tensor], cache: KVCache | None) -> Tensor:
        x_BTC = x_BTC + self.self_attn(self.input_layernorm(x_BTC), rope, cache)
        return x_BTC + self.mlp(self.post_attention_layernorm(x_BTC))


class Transformer(nn.Module):
    cos_SD: Tensor
    sin_SD: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.embed_tokens = nn.Embedding(config.vocab_size, config.n_embd)
        self.layers = nn.ModuleList(Block(config, i) for i in range(config.n_layer))
        self.norm = RMSNorm(config.n_embd, config.norm_eps)
        self.lm_head = nn.Linear(config.n_embd, config.vocab_size, bias=False)
        cos_SD, sin_SD = rope_table(config)
        self.register_buffer("cos_SD", cos_SD, persistent=False)
        self.register_buffer("sin_SD", sin_SD, persistent=False)

    @property
    def device(self) -> torch.device:
        return self.embed_tokens.weight.device

    @torch.no_grad()
    def init_weights(self, seed: int) -> "Transformer":
        """Every initial value in one place, from `seed` alone.

        Projections into the residual stream start at zero, so that the first step sees the
        embedding unchanged; other matrices keep the variance of their input; the output head
        starts as a copy of the embedding, and small values make the first predictions nearly
        uniform: a token predicts itself by a logit of std * n_embd, kept at 5 or less. Two heads
        know from the start how to look back (`induction.py`).
        """
        generator = torch.Generator().manual_seed(seed)
        for name, parameter in self.named_parameters():
            if name == "lm_head.weight":
                continue
            if name.endswith(("o_proj.weight", "down_proj.weight")):
                parameter.zero_()
            elif name == "embed_tokens.weight":
                parameter.normal_(0, min(0.02, 5 / parameter.shape[1]), generator=generator)
            elif parameter.ndim == 2:
                parameter.normal_(0, 1 / math.sqrt(parameter.shape[1]), generator=generator)
            else:
                parameter.fill_(1.0)
        induction.plant(self, generator)
        self.lm_head.weight.copy_(self.embed_tokens.weight)
        return self

    def hidden(self, ids_BT: Tensor, cache: KVCache | None = None) -> Tensor:
        """The final states (B, T, C), after the last norm. Tokens in `cache` come before."""
        start = 0 if cache is None else cache.length
        end = start + ids_BT.shape[1]
        rope = self.cos_SD[start:end], self.sin_SD[start:end]
        x_BTC = self.embed_tokens(ids_BT)
        for block in self.layers:
            x_BTC = block(x_BTC, rope, cache)
        if cache is not None:
            cache.length += ids_BT.shape[1]
        return self.norm(x_BTC)

    def forward(self, ids_BT: Tensor, cache: KVCache | None = None) -> Tensor:
        """Logits (B, T, V) of the token that follows each of `ids_BT`."""
        return self.lm_head(self.hidden(ids_BT, cache))

    def loss(self, x_BT: Tensor, y_BT: Tensor, reduction: str = "mean") -> Tensor:
        """Cross-entropy in nats, of each of the N targets with "none". Those equal to IGNORE carry
        none and are left out before the output head, which is a fifth of a small model's work; but
        for some that fill the rest up to a multiple of an eighth of the batch. A number of its own
        for every batch would leave holes in memory that the next does not fit into: a run grew by a
        megabyte with each step (docs/lab-notebook.md).

        The logits of a large vocabulary would be most of what a step keeps in memory, so they are
        made and used a part at a time."""
        x_BT, y_BT = x_BT.to(self.device), y_BT.to(self.device)
        y_N, eighth = y_BT.flatten(), max(1, y_BT.numel() // 8)
        targets_N = (y_N != IGNORE).nonzero()[:, 0]
        n = len(targets_N)
        filled_M = F.pad(targets_N, (0, -n % eighth))
        y_M = F.pad(y_N[targets_N], (0, -n % eighth), value=IGNORE)
        states_MC = self.hidden(x_BT).flatten(0, 1)[filled_M]
        if self.config.vocab_size >= LARGE_VOCABULARY and reduction != "none":
            return loss_in_parts(states_MC, self.lm_head.weight, y_M, reduction)
        logits_MV = self.lm_head(states_MC)
        loss = F.cross_entropy(logits_MV.float(), y_M, ignore_index=IGNORE, reduction=reduction)
        return loss[:n] if reduction == "none" else loss


def loss_in_parts(x_MC: Tensor, head_VC: Tensor, y_M: Tensor, reduction: str) -> Tensor:
    """Cross-entropy of a linear layer that never has all logits at a time. In the dtype of autocast
    where that is on, which does not know the function."""
    kind = x_MC.device.type
    if torch.is_autocast_enabled(kind):
        dtype = torch.get_autocast_dtype(kind)
        x_MC, head_VC = x_MC.to(dtype), head_VC.to(dtype)
    return F.linear_cross_entropy(
        x_MC,
        head_VC,
        y_M,
        reduction=reduction,
        ignore_index=IGNORE,
        options=nn.LinearCrossEntropyOptions(),
    ).float()


def rope_table(config: ModelConfig) -> tuple[Tensor, Tensor]:
    """Cosines and sines (max_seq_len, head_dim), both halves of a head turning alike."""
    exponent = torch.arange(0, config.head_dim, 2, dtype=torch.float32) / config.head_dim
    frequency = 1.0 / config.rope_theta**exponent
    angle = torch.outer(torch.arange(config.max_seq_len, dtype=torch.float32), frequency)
    angle = torch.cat((angle, angle), dim=-1)
    return angle.cos(), angle.sin()


def rotate(x_BHTD: Tensor, rope: tuple[Tensor, Tensor]) -> Tensor:
    """Turn the pairs (d, d + D/2) of every head by an angle that grows with the position."""
    cos_TD, sin_TD = (table.to(x_BHTD.dtype) for table in rope)
    first, second = x_BHTD.chunk(2, dim=-1)
    return x_BHTD * cos_TD + torch.cat((-second, first), dim=-1) * sin_TD


def matmul_parameters(config: ModelConfig) -> int:
    """Parameters that take part in a matrix product for every token."""
    attention = 2 * config.n_embd * config.head_dim * (config.n_head + config.n_kv_head)
    mlp = 3 * config.n_embd * config.n_hidden
    return config.n_layer * (attention + mlp) + config.n_embd * config.vocab_size


def n_parameters(config: ModelConfig) -> int:
    embedding = config.n_embd * config.vocab_size
    norms = config.n_layer * 2 * (config.n_embd + config.head_dim) + config.n_embd
    return matmul_parameters(config) + embedding + norms


def flops_per_token(config: ModelConfig, seq_len: int) -> int:
    """Training FLOPs of one token: 6 per matmul parameter, plus attention over half a row."""
    attention = 12 * config.n_layer * config.n_head * config.head_dim * seq_len // 2
    return 6 * matmul_parameters(config) + attention
