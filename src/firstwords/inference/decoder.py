"""A step of decoding: one token for each of some sequences, whatever their lengths.

This is the step by PyTorch's operations; where it can, a decoder takes it in one call of compiled
code instead (`native.py`).

The cache has a slot for each sequence. A step reads and writes the slots it is told, each at a
position of its own. Projections that read the same input are one matrix here.

Shapes as in `model.py`; B are the sequences of a step, G the query heads of a key-value head.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from firstwords.inference import native
from firstwords.inference.native import NativeStep
from firstwords.model import Block, KVCache, Transformer, rotate

STRETCH = 64  # positions; a step looks at a multiple of them


class Layer(NamedTuple):
    """The weights of a block."""

    norm_C: Tensor
    qkv_PC: Tensor
    q_norm_D: Tensor
    k_norm_D: Tensor
    out_CP: Tensor
    mlp_norm_C: Tensor
    gate_up_MC: Tensor
    down_CM: Tensor


class Weights(NamedTuple):
    embed_VC: Tensor
    layers: tuple[Layer, ...]
    norm_C: Tensor
    head_VC: Tensor
    cos_SD: Tensor
    sin_SD: Tensor


def fused(model: Transformer) -> Weights:
    """The model's weights, projections of the same input joined."""
    layers = []
    for block in model.layers:
        assert isinstance(block, Block)
        attention, mlp = block.self_attn, block.mlp
        qkv = (attention.q_proj.weight, attention.k_proj.weight, attention.v_proj.weight)
        layers.append(
            Layer(
                block.input_layernorm.weight,
                torch.cat(qkv),
                attention.q_norm.weight,
                attention.k_norm.weight,
                attention.o_proj.weight,
                block.post_attention_layernorm.weight,
                torch.cat((mlp.gate_proj.weight, mlp.up_proj.weight)),
                mlp.down_proj.weight,
            )
        )
    return Weights(
        model.embed_tokens.weight,
        tuple(layers),
        model.norm.weight,
        model.lm_head.weight,
        model.cos_SD,
        model.sin_SD,
    )


def step(
    weights: Weights,
    k_LNKSD: Tensor,
    v_LNKSD: Tensor,
    slots_B: Tensor | None,
    ids_B: Tensor,
    positions_B: Tensor,
    eps: float,
) -> Tensor:
    """Logits (B, V) after `ids_B`, which stand at `positions_B` of the sequences in `slots_B`, None
    for all N slots of the cache in their order. Their keys and values are written into it."""
    _, _, K, S, D = k_LNKSD.shape
    B = ids_B.shape[0]
    rows_B = torch.arange(B, device=ids_B.device) if slots_B is None else slots_B
    rope = weights.cos_SD[positions_B][:, None], weights.sin_SD[positions_B][:, None]
    seen_BS = torch.arange(S, device=ids_B.device) <= positions_B[:, None]
    bias_BS = torch.zeros(B, S, device=ids_B.device).masked_fill(~seen_BS, float("-inf"))
    x_BC = weights.embed_VC[ids_B]
    for number, layer in enumerate(weights.layers):
        h_BC = F.rms_norm(x_BC, layer.norm_C.shape, layer.norm_C, eps)
        qkv_BXD = F.linear(h_BC, layer.qkv_PC).view(B, -1, D)
        q_BHD, k_BKD, v_BKD = qkv_BXD.split((qkv_BXD.shape[1] - 2 * K, K, K), dim=1)
        q_BHD = rotate(F.rms_norm(q_BHD, (D,), layer.q_norm_D, eps), rope)
        k_BKD = rotate(F.rms_norm(k_BKD, (D,), layer.k_norm_D, eps), rope)
        k_NKSD, v_NKSD = k_LNKSD[number], v_LNKSD[number]
        k_NKSD[rows_B, :, positions_B] = k_BKD
        v_NKSD[rows_B, :, positions_B] = v_BKD
        k_BKSD = k_NKSD if slots_B is None else k_NKSD[slots_B]
        v_BKSD = v_NKSD if slots_B is None else v_NKSD[slots_B]
        q_BKGD = q_BHD.view(B, K, -1, D) * D**-0.5
        scores_BKGS = q_BKGD @ k_BKSD.transpose(-1, -2) + bias_BS[:, None, None]
        y_BKGD = scores_BKGS.softmax(-1) @ v_BKSD
        x_BC = x_BC + F.linear(y_BKGD.reshape(B, -1), layer.out_CP)
        h_BC = F.rms_norm(x_BC, layer.mlp_norm_C.shape, layer.mlp_norm_C, eps)
        gate_BM, up_BM = F.linear(h_BC, layer.gate_up_MC).chunk(2, dim=-1)
        x_BC = x_BC + F.linear(F.silu(gate_BM) * up_BM, layer.down_CM)
    return F.linear(F.rms_norm(x_BC, weights.norm_C.shape, weights.norm_C, eps), weights.head_VC)


class EagerStep:
    """The step by PyTorch's operations, on any device."""

    @torch.inference_mode()
    def __init__(self, model: Transformer, cache: KVCache) -> None:
        self._model, self._weights, self._cache = model, fused(model), cache

    def read(self, slots: list[int], texts: list[list[int]], start: int) -> None:
        """Keys and values of these texts, which stand in their slots from `start` on. Texts of
        several lengths are filled up at their ends: what is there is overwritten before anything
        looks at it."""
        kept, longest = self._cache, max(map(len, texts))
        end = start + longest
        cache = KVCache(self._model.config, len(texts), end, self._model.device)
        if start:
            cache.k_LBKSD[:, :, :, :start] = kept.k_LBKSD[:, slots, :, :start]
            cache.v_LBKSD[:, :, :, :start] = kept.v_LBKSD[:, slots, :, :start]
            cache.length = start
        self._model.hidden(filled_up(texts, self._model.device), cache)
        kept.k_LBKSD[:, slots, :, start:end] = cache.k_LBKSD[:, :, :, start:end]
        kept.v_LBKSD[:, slots, :, start:end] = cache.v_LBKSD[:, :, :, start:end]

    def __call__(self, slots: list[int], ids: list[int], positions: list[int]) -> Tensor:
        """Logits (B, V) after one more token of each of these sequences."""
        k_LNKSD, v_LNKSD = self._cache.k_LBKSD, self._cache.v_LBKSD
        _, N, _, S, _ = k_LNKSD.shape
        device, whole = k_LNKSD.device, slots == list(range(N))
        end = min(S, -(-(max(positions) + 1) // STRETCH) * STRETCH)
        return step(
            self._weights,
            k_LNKSD[:, :, :, :end],
            v_LNKSD[:, :, :, :end],
            None if whole else torch.tensor(slots, device=device),
            torch.tensor(ids, device=device),
            torch.tensor(positions, device=device),
            self._model.config.norm_eps,
        )


def filled_up(rows: list[list[int]], device: torch.device) -> Tensor:
    """Token ids (B, T) of rows of several lengths, with zeros at their ends."""
    ids_BT = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.long)
    for row, ids in enumerate(rows):
        ids_BT[row, : len(ids)] = torch.tensor(ids)
    return ids_BT.to(device)


class Decoder:
    """A model with a cache of `slots` sequences."""

    def __init__(self, model: Transformer, slots: int) -> None:
        self.model, self.slots = model, slots
        self.context = model.config.max_seq_len
        self.cache = KVCache(model.config, slots, self.context, model.device)
        code = native.library() if model.device.type == "cpu" else None
        self._step = NativeStep(model, self.cache, code) if code else EagerStep(model, self.cache)

    @torch.inference_mode()
    def read(self, slots: list[int], texts: list[list[int]], start: int = 0) -> None:
        """Put the keys and values of `texts` into `slots`, from position `start` on."""
        if any(texts):
            self._step.read(slots, texts, start)

    @torch.inference_mode()
    def next_logits(self, slots: list[int], ids: list[int], positions: list[int]) -> Tensor:
        """Logits (B, V) after one more token of each of these sequences, whose keys and values up
        to `positions` are in the cache."""
        return self._step(slots, ids, positions)
