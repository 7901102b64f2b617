"""The gradients of a training step by the compiled code of `train.cpp`.

PyTorch computes a step of a small model in a hundred calls, compiled or not, and most of the time
goes to memory between them. One native call takes a fraction of the time (`firstwords bench train`,
docs/lab-notebook.md#native-training-step). PyTorch stays the reference, and the path for everything
else: GPUs, several processes, machines without a C++ compiler.

The structures here mirror those of `train.cpp`, field by field.
"""

import ctypes
import itertools
import weakref
from collections.abc import Mapping

import torch
from torch import Tensor

from firstwords.data.dataloader import IGNORE_INDEX, Batch
from firstwords.model.transformer import Transformer
from firstwords.recipe import StageConfig

# The weights of a layer, in the order of `struct LayerTensors` of train.cpp.
LAYER_WEIGHTS = (
    "input_layernorm",
    *(f"self_attn.{part}" for part in ("q_proj", "k_proj", "v_proj", "q_norm", "k_norm", "o_proj")),
    "post_attention_layernorm",
    *(f"mlp.{part}_proj" for part in ("gate", "up", "down")),
)


MOST_ROWS_PER_PASS = 4


def rows_per_pass(stage: StageConfig, n_threads: int) -> int:
    """Return the rows that a thread takes through the model at a time: a micro-batch, but no more
    than its share of the batch, and no more than a few. More take no less time, and their
    activations fill memory (docs/lab-notebook.md#memory-of-a-native-step)."""
    share = -(-stage.batch_size // n_threads)
    return min(stage.micro_batch_size, share, MOST_ROWS_PER_PASS)


class LayerStruct(ctypes.Structure):
    """`struct LayerTensors` of train.cpp: pointers to a layer's weights, or their gradients."""

    _fields_ = [(name.rpartition(".")[2], ctypes.c_void_p) for name in LAYER_WEIGHTS]


class ModelStruct(ctypes.Structure):
    """`struct ModelTensors` of train.cpp."""

    _fields_ = [
        *((name, ctypes.c_void_p) for name in ("embed_VC", "norm_C", "head_VC")),
        ("layers", ctypes.POINTER(LayerStruct)),
    ]


class ConfigStruct(ctypes.Structure):
    """`struct Config` of train.cpp: sizes, and pointers to the rotary tables."""

    _fields_ = [
        *((name, ctypes.c_int32) for name in ("n_layer", *"CHKDMVT")),
        *((name, ctypes.c_int32) for name in ("max_rows", "rows_per_pass", "n_threads")),
        ("eps", ctypes.c_float),
        *((name, ctypes.c_void_p) for name in ("cos_SD", "sin_SD")),
    ]


class MuonStruct(ctypes.Structure):
    """`struct MuonMatrix` of optimizer.h."""

    _fields_ = [
        *((name, ctypes.c_void_p) for name in ("weight", "gradient", "momentum")),
        *((name, ctypes.c_int32) for name in ("out", "in", "block_rows", "block_columns")),
        ("lr", ctypes.c_float),
    ]


class AdamStruct(ctypes.Structure):
    """`struct AdamTensor` of optimizer.h."""

    _fields_ = [
        *((name, ctypes.c_void_p) for name in ("weight", "gradient", "mean", "mean_square")),
        ("size", ctypes.c_int64),
        ("lr", ctypes.c_float),
    ]


class UpdateStruct(ctypes.Structure):
    """`struct Update` of optimizer.h."""

    _fields_ = [
        ("matrices", ctypes.POINTER(MuonStruct)),
        ("tensors", ctypes.POINTER(AdamStruct)),
        *((name, ctypes.c_int32) for name in ("n_matrices", "n_tensors")),
        *((name, ctypes.c_float) for name in ("momentum", "beta1", "beta2", "eps")),
        ("step", ctypes.c_int64),
    ]


class NativeTrainer:
    """Computes gradients and updates weights in compiled code, with threads of its own.

    The parameters of `model` must stay in their memory. `max_rows` is the batch size, and
    `rows_per_pass` the number of rows that a thread takes through the model at a time.
    """

    def __init__(
        self,
        library: ctypes.CDLL,
        model: Transformer,
        seq_len: int,
        max_rows: int,
        rows_per_pass: int,
        n_threads: int,
    ) -> None:
        self._library, self._model, config = library, model, model.config
        library.new_trainer.restype = ctypes.c_void_p
        library.compute_gradients.restype = ctypes.c_bool
        self._parameters = dict(model.named_parameters())
        self._gradients = {name: torch.zeros_like(p) for name, p in self._parameters.items()}
        self._layers: list[ctypes.Array[LayerStruct]] = []  # kept alive for the structures
        self._config = ConfigStruct(
            *(config.n_layer, config.n_embd, config.n_head, config.n_kv_head, config.head_dim),
            *(config.n_hidden, config.vocab_size, seq_len, max_rows, rows_per_pass, n_threads),
            *(config.norm_eps, model.cos_SD.data_ptr(), model.sin_SD.data_ptr()),
        )
        self._weight_pointers = self._tensors(self._parameters)
        self._gradient_pointers = self._tensors(self._gradients)
        structs = (self._config, self._weight_pointers, self._gradient_pointers)
        self._trainer: int | None = library.new_trainer(*map(ctypes.byref, structs))
        if self._trainer is None:
            raise MemoryError("not enough memory for the training step")
        weakref.finalize(self, library.free_trainer, ctypes.c_void_p(self._trainer))
        self.gradient_norm = 0.0  # of all gradients together, in the last batch

    def gradients(self, batch: Batch) -> float:
        """Compute the gradients of the mean loss over the targets of a batch, and return that loss
        in nats. With weights (float32), it is the sum of each target's loss times its weight.

        Each parameter's `grad` is a tensor that the next call overwrites. Raises IndexError for a
        token id outside the vocabulary, or a start that is not at or before its token.
        """
        x_BT, y_BT, start_BT, *w_BT = (part_BT.contiguous() for part_BT in batch.parts())
        loss, squared_norm = ctypes.c_double(), ctypes.c_double()
        if not self._library.compute_gradients(
            ctypes.c_void_p(self._trainer),
            *(ctypes.c_void_p(part_BT.data_ptr()) for part_BT in (x_BT, y_BT, start_BT)),
            ctypes.c_void_p(w_BT[0].data_ptr() if w_BT else None),
            ctypes.c_int64(len(x_BT)),
            ctypes.byref(loss),
            ctypes.byref(squared_norm),
        ):
            raise IndexError(
                f"a token id is not below {self._model.config.vocab_size}, or a sequence starts "
                "after one of its tokens"
            )
        for name, parameter in self._parameters.items():
            parameter.grad = self._gradients[name]
        self.gradient_norm = squared_norm.value**0.5
        return loss.value

    def products(self, n_rows: int) -> None:
        """Multiply as much as `gradients` does for so many rows, and nothing else: a benchmark."""
        self._library.multiply_only(ctypes.c_void_p(self._trainer), ctypes.c_int64(n_rows))

    def update(
        self,
        matrices: list[MuonStruct],
        tensors: list[AdamStruct],
        momentum: float,
        betas: tuple[float, float],
        eps: float,
        step: int,
    ) -> None:
        """Update the weights: `matrices` by Muon, `tensors` by AdamW at its `step`, from 1."""
        update = UpdateStruct(
            (MuonStruct * len(matrices))(*matrices),
            (AdamStruct * len(tensors))(*tensors),
            *(len(matrices), len(tensors), momentum, *betas, eps, step),
        )
        self._library.update_weights(ctypes.c_void_p(self._trainer), ctypes.byref(update))

    def _tensors(self, tensors: Mapping[str, Tensor]) -> ModelStruct:
        """Return pointers to all of the tensors, which have the names of the parameters."""
        pointers = {name: tensor.data_ptr() for name, tensor in tensors.items()}
        layers = [
            LayerStruct(*(pointers[f"layers.{layer}.{name}.weight"] for name in LAYER_WEIGHTS))
            for layer in range(self._model.config.n_layer)
        ]
        self._layers.append((LayerStruct * len(layers))(*layers))
        names = ("embed_tokens.weight", "norm.weight", "lm_head.weight")
        return ModelStruct(*(pointers[name] for name in names), self._layers[-1])


class RaggedTrainer(NativeTrainer):
    """A NativeTrainer for rows of different lengths, one sequence in each.

    What follows a row's last target costs nothing to speak of: a trainer for each eighth of the
    full length takes the rows that fit into it, and their gradients are added up.
    """

    def __init__(self, library: ctypes.CDLL, model: Transformer, seq_len: int, *sizes: int) -> None:
        """`sizes` are the other ones of a NativeTrainer."""
        super().__init__(library, model, seq_len, *sizes)
        lengths = sorted({-(-seq_len * part // 8) for part in range(1, 8)} - {seq_len})
        self._shorter = {
            length: NativeTrainer(library, model, length, *sizes) for length in lengths
        }
        self._seq_len = seq_len

    def gradients(self, batch: Batch) -> float:
        """Compute the gradients as a NativeTrainer does. Weights are needed: a mean over all
        targets is no sum of means."""
        assert batch.w_BT is not None
        lengths_B = row_lengths(batch.y_BT)
        loss = 0.0
        sums: dict[str, Tensor] = {}
        for shorter, length in itertools.pairwise([0, *self._shorter, self._seq_len]):
            fits_B = (lengths_B > shorter) & (lengths_B <= length)
            if not fits_B.any():
                continue
            rows = Batch(*(part_BT[fits_B, :length] for part_BT in batch.parts()))
            if length == self._seq_len:
                loss += super().gradients(rows)
            else:
                loss += self._shorter[length].gradients(rows)
            found = {name: p.grad for name, p in self._parameters.items() if p.grad is not None}
            for name, gradient in found.items():
                sums[name] = sums[name].add_(gradient) if name in sums else gradient
        for name, parameter in self._parameters.items():
            # No row has a target if no answer was better or worse than the others of its group.
            parameter.grad = sums[name] if sums else torch.zeros_like(parameter)
        self.gradient_norm = float(torch.nn.utils.get_total_norm(sums.values()))
        return loss


def row_lengths(y_BT: Tensor) -> Tensor:
    """Return how many positions (B,) of each row there are up to its last target."""
    has_target_BT = y_BT != IGNORE_INDEX
    places_T = torch.arange(1, y_BT.shape[1] + 1)
    return (has_target_BT * places_T).amax(dim=1)
