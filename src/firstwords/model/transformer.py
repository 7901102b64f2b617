"""The transformer.

A decoder-only model in the layout of Qwen3 (arXiv 2505.09388): pre-norm RMSNorm, grouped-query
attention with a norm on each head's queries and keys, rotary positions, SwiGLU, no biases, an
output head of its own. Parameter names are those of transformers' Qwen3 without the leading
"model.", so a checkpoint needs no conversion.

Shapes: B sequences, T tokens, C channels (n_embd), D channels of a head, V vocabulary, M positions
that go through the output head.
"""

import math
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from firstwords.data.dataloader import IGNORE_INDEX
from firstwords.model.attention import Attention, sequence_mask
from firstwords.model.induction_init import plant_induction_heads
from firstwords.model.kv_cache import KVCache
from firstwords.model.layers import MLP, RMSNorm, rope_table
from firstwords.model.loss import CHUNKED_FROM_VOCAB_SIZE, chunked_cross_entropy, select_targets
from firstwords.recipe import AttentionKind, ModelConfig


class Block(nn.Module):
    """Attention, then the MLP; each reads the normalized residual stream and adds to it."""

    def __init__(self, config: ModelConfig, layer: int, attention: AttentionKind) -> None:
        super().__init__()
        self.input_layernorm = RMSNorm(config.n_embd, config.norm_eps)
        self.self_attn = Attention(config, layer, attention)
        self.post_attention_layernorm = RMSNorm(config.n_embd, config.norm_eps)
        self.mlp = MLP(config)

    def forward(
        self,
        x_BTC: Tensor,
        rope: tuple[Tensor, Tensor],
        cache: KVCache | None,
        mask_B1TT: Tensor | None = None,
    ) -> Tensor:
        x_BTC = x_BTC + self.self_attn(self.input_layernorm(x_BTC), rope, cache, mask_B1TT)
        return x_BTC + self.mlp(self.post_attention_layernorm(x_BTC))


class Transformer(nn.Module):
    """The model. `attention` chooses how training computes attention; the result is the same."""

    cos_SD: Tensor
    sin_SD: Tensor

    def __init__(self, config: ModelConfig, attention: AttentionKind = "fused") -> None:
        super().__init__()
        self.config = config
        self.embed_tokens = nn.Embedding(config.vocab_size, config.n_embd)
        self.layers = nn.ModuleList(Block(config, i, attention) for i in range(config.n_layer))
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
        """Set every initial value, from `seed` alone; return the model.

        Projections into the residual stream start at zero, so that the first step sees the
        embedding unchanged. Other matrices keep the variance of their input. The output head starts
        as a copy of the embedding, whose values are small enough for nearly uniform predictions: a
        token predicts itself with a logit of std * n_embd, kept at 5 or less. One head in each of
        the first two layers starts as half of an induction head (`induction_init.py`).
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
        attentions = [cast(Block, block).self_attn for block in self.layers]
        plant_induction_heads(self.config, self.embed_tokens.weight, attentions, generator)
        self.lm_head.weight.copy_(self.embed_tokens.weight)
        return self

    def hidden(
        self, ids_BT: Tensor, cache: KVCache | None = None, start_BT: Tensor | None = None
    ) -> Tensor:
        """Return the final states (B, T, C), after the last norm. Tokens in `cache` come before.
        Without a cache, each token attends from the place `start_BT` of the row on, by default
        from its beginning."""
        start = 0 if cache is None else cache.length
        end = start + ids_BT.shape[1]
        rope = self.cos_SD[start:end], self.sin_SD[start:end]
        mask_B1TT = None if start_BT is None else sequence_mask(start_BT)
        x_BTC = self.embed_tokens(ids_BT)
        for block in self.layers:
            x_BTC = block(x_BTC, rope, cache, mask_B1TT)
        if cache is not None:
            cache.length += ids_BT.shape[1]
        return self.norm(x_BTC)

    def forward(self, ids_BT: Tensor, cache: KVCache | None = None) -> Tensor:
        """Return the logits (B, T, V) of the token that follows each of `ids_BT`."""
        return self.lm_head(self.hidden(ids_BT, cache))

    def loss(
        self,
        x_BT: Tensor,
        y_BT: Tensor,
        reduction: str = "mean",
        start_BT: Tensor | None = None,
    ) -> Tensor:
        """Return the cross-entropy in nats over the targets `y_BT` that are not IGNORE_INDEX.

        `reduction` is "mean", "sum", or "none" for a loss (N,) per target. `start_BT` is that of
        `hidden`.
        """
        selected = select_targets(y_BT)
        x_BTC = self.hidden(x_BT, start_BT=start_BT)
        x_MC = x_BTC.flatten(0, 1)[selected.positions_M]  # (B, T, C) -> (M, C)
        if self.config.vocab_size >= CHUNKED_FROM_VOCAB_SIZE and reduction != "none":
            return chunked_cross_entropy(x_MC, self.lm_head.weight, selected.targets_M, reduction)
        logits_MV = self.lm_head(x_MC).float()
        nats = F.cross_entropy(
            logits_MV, selected.targets_M, ignore_index=IGNORE_INDEX, reduction=reduction
        )
        return nats[: selected.n] if reduction == "none" else nats
