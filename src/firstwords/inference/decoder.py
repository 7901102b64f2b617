"""The decoder: a model with a key-value cache, for many sequences of different lengths.

`prefill` puts the keys and values of prompts into the cache; `decode` takes one more token of each
sequence and returns the logits of the next. The cache has a slot for each sequence. Each call names
the slots it uses, and each sequence stands at a position of its own.

On a CPU with a C++ compiler both run in compiled code (`kernels/decode.cpp`), otherwise by
PyTorch's operations, which are written out in this file.

Shapes: B sequences of a step, N slots of the cache, T tokens of a prompt, S positions of the cache,
C channels, H query heads, K key-value heads, G = H / K query heads of a key-value head, D channels
of a head, P = (H + 2K) * D, M hidden units, V vocabulary.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from firstwords.kernels import build
from firstwords.kernels.decode import NativeBackend
from firstwords.model.kv_cache import KVCache
from firstwords.model.layers import apply_rope
from firstwords.model.transformer import Block, Transformer

POSITION_BLOCK = 64  # a step attends to a multiple of these positions, so that few shapes occur


class LayerWeights(NamedTuple):
    """The weights of a block, with projections of the same input joined into one matrix."""

    norm_C: Tensor
    qkv_PC: Tensor  # rows: queries, keys, values
    q_norm_D: Tensor
    k_norm_D: Tensor
    out_CQ: Tensor  # Q = H * D
    mlp_norm_C: Tensor
    gate_up_XC: Tensor  # X = 2 * M rows: gate, up
    down_CM: Tensor


class DecoderWeights(NamedTuple):
    """The weights of a model as a decoding step uses them, with its rotary tables."""

    embed_VC: Tensor
    layers: tuple[LayerWeights, ...]
    norm_C: Tensor
    head_VC: Tensor
    cos_SD: Tensor
    sin_SD: Tensor


def fuse_weights(model: Transformer) -> DecoderWeights:
    """Return the model's weights with projections of the same input joined."""
    layers = []
    for block in model.layers:
        assert isinstance(block, Block)
        attention, mlp = block.self_attn, block.mlp
        qkv = (attention.q_proj.weight, attention.k_proj.weight, attention.v_proj.weight)
        layers.append(
            LayerWeights(
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
    return DecoderWeights(
        model.embed_tokens.weight,
        tuple(layers),
        model.norm.weight,
        model.lm_head.weight,
        model.cos_SD,
        model.sin_SD,
    )


def decode_step(
    weights: DecoderWeights,
    k_LNKSD: Tensor,
    v_LNKSD: Tensor,
    slots_B: Tensor | None,
    ids_B: Tensor,
    positions_B: Tensor,
    eps: float,
) -> Tensor:
    """Return the logits (B, V) after the tokens `ids_B` at `positions_B` of the slots `slots_B`.

    None stands for all N slots in order, whose keys and values then need no copy. The tokens' own
    keys and values are written into the cache.
    """
    _, _, K, S, D = k_LNKSD.shape
    B = ids_B.shape[0]
    rows_B = torch.arange(B, device=ids_B.device) if slots_B is None else slots_B
    # (B, D) -> (B, 1, D), for all heads
    rope = weights.cos_SD[positions_B][:, None], weights.sin_SD[positions_B][:, None]
    visible_BS = torch.arange(S, device=ids_B.device) <= positions_B[:, None]
    bias_BS = torch.zeros(B, S, device=ids_B.device).masked_fill(~visible_BS, float("-inf"))
    x_BC = weights.embed_VC[ids_B]
    for number, layer in enumerate(weights.layers):
        h_BC = F.rms_norm(x_BC, layer.norm_C.shape, layer.norm_C, eps)
        qkv_BXD = F.linear(h_BC, layer.qkv_PC).view(B, -1, D)  # (B, P) -> (B, H + 2K, D)
        q_BHD, k_BKD, v_BKD = qkv_BXD.split((qkv_BXD.shape[1] - 2 * K, K, K), dim=1)
        q_BHD = apply_rope(F.rms_norm(q_BHD, (D,), layer.q_norm_D, eps), rope)
        k_BKD = apply_rope(F.rms_norm(k_BKD, (D,), layer.k_norm_D, eps), rope)
        k_NKSD, v_NKSD = k_LNKSD[number], v_LNKSD[number]
        k_NKSD[rows_B, :, positions_B] = k_BKD
        v_NKSD[rows_B, :, positions_B] = v_BKD
        k_BKSD = k_NKSD if slots_B is None else k_NKSD[slots_B]  # (N, K, S, D) -> (B, K, S, D)
        v_BKSD = v_NKSD if slots_B is None else v_NKSD[slots_B]  # (N, K, S, D) -> (B, K, S, D)
        q_BKGD = q_BHD.view(B, K, -1, D) * D**-0.5  # (B, H, D) -> (B, K, G, D)
        k_BKDS = k_BKSD.transpose(-1, -2)  # (B, K, S, D) -> (B, K, D, S)
        scores_BKGS = q_BKGD @ k_BKDS + bias_BS[:, None, None]
        y_BKGD = scores_BKGS.softmax(-1) @ v_BKSD
        y_BQ = y_BKGD.reshape(B, -1)  # (B, K, G, D) -> (B, H * D)
        x_BC = x_BC + F.linear(y_BQ, layer.out_CQ)
        h_BC = F.rms_norm(x_BC, layer.mlp_norm_C.shape, layer.mlp_norm_C, eps)
        gate_BM, up_BM = F.linear(h_BC, layer.gate_up_XC).chunk(2, dim=-1)  # (B, 2M) -> 2 x (B, M)
        x_BC = x_BC + F.linear(F.silu(gate_BM) * up_BM, layer.down_CM)
    return F.linear(F.rms_norm(x_BC, weights.norm_C.shape, weights.norm_C, eps), weights.head_VC)


class EagerBackend:
    """Prefill and decode by PyTorch's operations, on any device."""

    @torch.inference_mode()
    def __init__(self, model: Transformer, cache: KVCache) -> None:
        self._model, self._weights, self._cache = model, fuse_weights(model), cache

    def prefill(self, slots: list[int], prompts: list[list[int]], start: int) -> None:
        """Write the keys and values of `prompts` into their slots, from position `start` on.

        Prompts of different lengths are padded at their ends. The padding's keys and values land in
        the cache too, but are overwritten before anything attends to them.
        """
        cache, longest = self._cache, max(map(len, prompts))
        end = start + longest
        part = KVCache(self._model.config, len(prompts), end, self._model.device)
        if start:
            part.k_LBKSD[:, :, :, :start] = cache.k_LBKSD[:, slots, :, :start]
            part.v_LBKSD[:, :, :, :start] = cache.v_LBKSD[:, slots, :, :start]
            part.length = start
        self._model.hidden(pad_rows(prompts, self._model.device), part)
        cache.k_LBKSD[:, slots, :, start:end] = part.k_LBKSD[:, :, :, start:end]
        cache.v_LBKSD[:, slots, :, start:end] = part.v_LBKSD[:, :, :, start:end]

    def decode(self, slots: list[int], ids: list[int], positions: list[int]) -> Tensor:
        """Return the logits (B, V) after one more token of each of these sequences."""
        k_LNKSD, v_LNKSD = self._cache.k_LBKSD, self._cache.v_LBKSD
        _, N, _, S, _ = k_LNKSD.shape
        device, all_slots = k_LNKSD.device, slots == list(range(N))
        end = min(S, -(-(max(positions) + 1) // POSITION_BLOCK) * POSITION_BLOCK)
        return decode_step(
            self._weights,
            k_LNKSD[:, :, :, :end],
            v_LNKSD[:, :, :, :end],
            None if all_slots else torch.tensor(slots, device=device),
            torch.tensor(ids, device=device),
            torch.tensor(positions, device=device),
            self._model.config.norm_eps,
        )


def pad_rows(rows: list[list[int]], device: torch.device) -> Tensor:
    """Return token ids (B, T) of rows of different lengths, padded with zeros at their ends."""
    ids_BT = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.long)
    for row, ids in enumerate(rows):
        ids_BT[row, : len(ids)] = torch.tensor(ids)
    return ids_BT.to(device)


class Decoder:
    """A model with a key-value cache of `slots` sequences, each of up to `context` tokens."""

    def __init__(self, model: Transformer, slots: int) -> None:
        self.model, self.slots = model, slots
        self.context = model.config.max_seq_len
        self.cache = KVCache(model.config, slots, self.context, model.device)
        library = build.decode_library() if model.device.type == "cpu" else None
        self._backend = (
            NativeBackend(model, self.cache, library)
            if library
            else EagerBackend(model, self.cache)
        )

    @torch.inference_mode()
    def prefill(self, slots: list[int], prompts: list[list[int]], start: int = 0) -> None:
        """Put the keys and values of `prompts` into `slots`, from position `start` on."""
        if any(prompts):
            self._backend.prefill(slots, prompts, start)

    @torch.inference_mode()
    def decode(self, slots: list[int], ids: list[int], positions: list[int]) -> Tensor:
        """Return the logits (B, V) after one more token of each of these sequences.

        The keys and values before `positions` must be in the cache; those of `ids` are added.
        """
        return self._backend.decode(slots, ids, positions)
