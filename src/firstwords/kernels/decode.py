"""Prefill and decode by the compiled forward pass of `decode.cpp`.

Decoding one token of a small model by PyTorch takes about a hundred operations, most of whose time
is the overhead of calling them. The compiled pass takes a quarter of the time (`firstwords bench
decode`, docs/lab-notebook.md#native-decode-step). Without a C++ compiler, and on a GPU,
`inference/decoder.py` uses PyTorch's operations instead.

The structures here mirror those of `decode.cpp`, field by field. The layout of the scratch buffer
is known to `decode.cpp` alone, which also computes its size.
"""

import ctypes

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from firstwords.model.kv_cache import KVCache
from firstwords.model.transformer import Block, Transformer

PREFILL_CHUNK_TOKENS = 512  # tokens per call: more take more memory and are no faster


class LayerStruct(ctypes.Structure):
    """`struct Layer` of decode.cpp: pointers to the weights of a layer."""

    _fields_ = [
        (name, ctypes.c_void_p)
        for name in (
            "norm_C",
            "qkv",
            "q_norm_D",
            "k_norm_D",
            "out",
            "mlp_norm_C",
            "gate",
            "up",
            "down",
        )
    ]


class ModelStruct(ctypes.Structure):
    """`struct Model` of decode.cpp: sizes, and pointers to the weights."""

    _fields_ = [
        *((name, ctypes.c_int32) for name in ("n_layer", *"CHKDMVSN")),
        ("eps", ctypes.c_float),
        *((name, ctypes.c_void_p) for name in ("embed_VC", "norm_C", "head", "cos_SD", "sin_SD")),
        ("layers", ctypes.POINTER(LayerStruct)),
    ]


class NativeBackend:
    """Prefill and decode on the CPU in compiled code, with a copy of the model's weights."""

    def __init__(self, model: Transformer, cache: KVCache, library: ctypes.CDLL) -> None:
        self._library, self._config, self._cache = library, model.config, cache
        library.scratch_floats.restype = ctypes.c_int64
        self._tensors: list[Tensor] = []  # keeps alive what the structures point to
        layers = [self._layer(block) for block in model.layers]
        self._layers = (LayerStruct * len(layers))(*layers)
        config = model.config
        self._model = ModelStruct(
            config.n_layer,
            config.n_embd,
            config.n_head,
            config.n_kv_head,
            config.head_dim,
            config.n_hidden,
            config.vocab_size,
            cache.k_LBKSD.shape[3],
            cache.k_LBKSD.shape[1],
            config.norm_eps,
            self._pointer(model.embed_tokens.weight),
            self._pointer(model.norm.weight),
            self._panels(model.lm_head.weight),
            self._pointer(model.cos_SD),
            self._pointer(model.sin_SD),
            self._layers,
        )

    def _layer(self, block: nn.Module) -> LayerStruct:
        assert isinstance(block, Block)
        attention, mlp = block.self_attn, block.mlp
        qkv = (attention.q_proj.weight, attention.k_proj.weight, attention.v_proj.weight)
        return LayerStruct(
            self._pointer(block.input_layernorm.weight),
            self._panels(torch.cat(qkv)),
            self._pointer(attention.q_norm.weight),
            self._pointer(attention.k_norm.weight),
            self._panels(attention.o_proj.weight),
            self._pointer(block.post_attention_layernorm.weight),
            self._panels(mlp.gate_proj.weight),
            self._panels(mlp.up_proj.weight),
            self._panels(mlp.down_proj.weight),
        )

    def _panels(self, matrix_RC: Tensor) -> int:
        """Return a pointer to the matrix in panels of so many rows, each transposed; the last panel
        is padded with zeros."""
        rows: int = self._library.panel_rows()
        padded_RC = F.pad(matrix_RC, (0, 0, 0, -len(matrix_RC) % rows))
        # (R, C) -> (panels, rows, C) -> (panels, C, rows)
        return self._pointer(padded_RC.unflatten(0, (-1, rows)).transpose(1, 2))

    def _pointer(self, tensor: Tensor) -> int:
        """Return a pointer to a contiguous float32 copy of the tensor."""
        copied = tensor.detach().to(torch.float32, copy=True).contiguous()
        self._tensors.append(copied)
        return copied.data_ptr()

    def prefill(self, slots: list[int], prompts: list[list[int]], start: int) -> None:
        """Write the keys and values of `prompts` into their slots, from position `start` on."""
        slots_N = [slot for slot, prompt in zip(slots, prompts, strict=True) for _ in prompt]
        positions_N = [start + offset for prompt in prompts for offset in range(len(prompt))]
        ids_N = [token for prompt in prompts for token in prompt]
        for first in range(0, len(ids_N), PREFILL_CHUNK_TOKENS):
            chunk = slice(first, first + PREFILL_CHUNK_TOKENS)
            self._forward(slots_N[chunk], ids_N[chunk], positions_N[chunk], None)

    def decode(self, slots: list[int], ids: list[int], positions: list[int]) -> Tensor:
        """Return the logits (B, V) after one more token of each of these sequences."""
        logits_BV = torch.empty(len(slots), self._config.vocab_size)
        self._forward(slots, ids, positions, logits_BV.data_ptr())
        return logits_BV

    def _forward(
        self, slots: list[int], ids: list[int], positions: list[int], logits: int | None
    ) -> None:
        """Run B tokens through the model; `logits` points to room for (B, V) logits, or is None.

        Of one sequence, all earlier tokens must be in the cache or in this call.
        """
        B, n_threads = len(slots), torch.get_num_threads()
        model, int64_B = ctypes.byref(self._model), ctypes.c_int64 * B
        scratch = torch.empty(self._library.scratch_floats(model, B, n_threads))
        self._library.forward(
            model,
            ctypes.c_void_p(self._cache.k_LBKSD.data_ptr()),
            ctypes.c_void_p(self._cache.v_LBKSD.data_ptr()),
            B,
            int64_B(*slots),
            int64_B(*ids),
            int64_B(*positions),
            ctypes.c_void_p(logits),
            ctypes.c_void_p(scratch.data_ptr()),
            n_threads,
        )
