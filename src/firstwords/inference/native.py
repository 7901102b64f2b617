"""`decoder.step` as one call into `step.cpp`, compiled for this processor at its first use.

By PyTorch a small model's step is a hundred operations, most of whose time is that of being called;
this one takes a quarter of it (`firstwords bench decode`, docs/lab-notebook.md). Where there is no
C++ compiler, or the model is on a GPU, `decoder.step` stays.
"""

import ctypes
import hashlib
import subprocess
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from firstwords import console, machine
from firstwords.model import Block, KVCache, Transformer

SOURCE = Path(__file__).with_name("step.cpp")
OPTIONS = ("-std=c++17", "-O3", "-fno-math-errno", "-fno-trapping-math", "-shared", "-fPIC")
# Of this very processor (in GCC's word and in Clang's on ARM), and with threads; each where the
# compiler knows it.
WISHES = (("-march=native", "-fopenmp"), ("-mcpu=native", "-fopenmp"), ("-march=native",), ())
PATIENCE = 120.0  # seconds for the compiler
READ_TOKENS = 512  # of prompts at a time: more need more memory and are no faster
LAYER = ("norm_C", "qkv", "q_norm_D", "k_norm_D", "out", "mlp_norm_C", "gate", "up", "down")


class Layer(ctypes.Structure):
    _fields_ = [(name, ctypes.c_void_p) for name in LAYER]


class Model(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_int32) for name in ("n_layer", *"CHKDMVSN")),
        ("eps", ctypes.c_float),
        *((name, ctypes.c_void_p) for name in ("embed_VC", "norm_C", "head", "cos_SD", "sin_SD")),
        ("layers", ctypes.POINTER(Layer)),
    ]


@cache
def library() -> ctypes.CDLL | None:
    """None where it cannot be compiled; why is said once."""
    compiler = machine.compiler()
    if compiler is None:
        return None
    processor = (machine.cpu_name(), torch.backends.cpu.get_cpu_capability())
    about = (SOURCE.read_text(encoding="utf-8"), compiler, *processor, *OPTIONS)
    key = hashlib.sha256("\n".join(about).encode()).hexdigest()[:16]
    path = machine.compiled_code() / f"step-{key}.so"
    try:
        if not path.exists():
            _compile(compiler, path)
        return ctypes.CDLL(str(path))
    except (OSError, subprocess.SubprocessError) as error:
        console.warn(f"the decoding step could not be compiled, so answers come slower ({error})")
        return None


def _compile(compiler: str, path: Path) -> None:
    """Raises OSError, SubprocessError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=path.parent) as folder:  # others may be compiling it as well
        made = Path(folder) / path.name
        for wishes in WISHES:
            command = [compiler, *OPTIONS, *wishes, str(SOURCE), "-o", str(made)]
            done = subprocess.run(command, capture_output=True, timeout=PATIENCE, check=False)
            if done.returncode == 0:
                break
        done.check_returncode()
        made.replace(path)


class NativeStep:
    """The step of a model on the processor, which keeps a copy of its weights."""

    def __init__(self, model: Transformer, cache: KVCache, code: ctypes.CDLL) -> None:
        self._code, self._config, self._cache = code, model.config, cache
        self._kept: list[Tensor] = []  # what the pointers of the structures point to
        layers = [self._layer(block) for block in model.layers]
        self._layers = (Layer * len(layers))(*layers)
        config = model.config
        self._model = Model(
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
            self._keep(model.embed_tokens.weight),
            self._keep(model.norm.weight),
            self._panels(model.lm_head.weight),
            self._keep(model.cos_SD),
            self._keep(model.sin_SD),
            self._layers,
        )

    def _layer(self, block: nn.Module) -> Layer:
        assert isinstance(block, Block)
        attention, mlp = block.self_attn, block.mlp
        qkv = (attention.q_proj.weight, attention.k_proj.weight, attention.v_proj.weight)
        return Layer(
            self._keep(block.input_layernorm.weight),
            self._panels(torch.cat(qkv)),
            self._keep(attention.q_norm.weight),
            self._keep(attention.k_norm.weight),
            self._panels(attention.o_proj.weight),
            self._keep(block.post_attention_layernorm.weight),
            self._panels(mlp.gate_proj.weight),
            self._panels(mlp.up_proj.weight),
            self._panels(mlp.down_proj.weight),
        )

    def _panels(self, matrix_RC: Tensor) -> int:
        """As `step.cpp` wants it: so many rows side by side, the last filled up with zeros."""
        lanes: int = self._code.lanes()
        filled_RC = F.pad(matrix_RC, (0, 0, 0, -len(matrix_RC) % lanes))
        return self._keep(filled_RC.unflatten(0, (-1, lanes)).transpose(1, 2))

    def _keep(self, tensor: Tensor) -> int:
        kept = tensor.detach().to(torch.float32, copy=True).contiguous()
        self._kept.append(kept)
        return kept.data_ptr()

    def __call__(self, slots: list[int], ids: list[int], positions: list[int]) -> Tensor:
        """Logits (B, V) after one more token of each of these sequences."""
        logits_BV = torch.empty(len(slots), self._config.vocab_size)
        self._take(slots, ids, positions, logits_BV.data_ptr())
        return logits_BV

    def read(self, slots: list[int], texts: list[list[int]], start: int) -> None:
        """Keys and values of these texts, which stand in their slots from `start` on."""
        slots_N = [slot for slot, text in zip(slots, texts, strict=True) for _ in text]
        positions_N = [start + place for text in texts for place in range(len(text))]
        ids_N = [token for text in texts for token in text]
        for at in range(0, len(ids_N), READ_TOKENS):
            part = slice(at, at + READ_TOKENS)
            self._take(slots_N[part], ids_N[part], positions_N[part], None)

    def _take(
        self, slots: list[int], ids: list[int], positions: list[int], logits: int | None
    ) -> None:
        """So many tokens through the model; of one sequence, those before come before."""
        config, B, threads = self._config, len(slots), torch.get_num_threads()
        own = max(B * config.n_embd, config.max_seq_len + self._code.lanes())
        heads = 2 * config.n_head + 2 * config.n_kv_head
        shared = B * (config.n_embd + heads * config.head_dim + config.n_hidden)
        room = torch.empty(shared + threads * own)
        numbers = ctypes.c_int64 * B
        self._code.step(
            ctypes.byref(self._model),
            ctypes.c_void_p(self._cache.k_LBKSD.data_ptr()),
            ctypes.c_void_p(self._cache.v_LBKSD.data_ptr()),
            B,
            numbers(*slots),
            numbers(*ids),
            numbers(*positions),
            ctypes.c_void_p(logits),
            ctypes.c_void_p(room.data_ptr()),
            ctypes.c_int64(own),
            threads,
        )
