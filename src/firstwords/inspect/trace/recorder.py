"""Record a training step: every operation that our code asks of PyTorch, and every gradient.

Nothing is computed twice and nothing is changed: a recorded step ends with the same bytes as one
without a recorder (tests/trace/test_trace.py).
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from firstwords.inspect.trace.hooks import HOOKS
from firstwords.inspect.trace.source_lines import SourceLine, current_line, walk_stack
from firstwords.model.transformer import Transformer

N_VALUES = 4  # values of a tensor that a summary keeps
LAYERS = "layers."


@dataclass(frozen=True)
class TensorSummary:
    """Shape and dtype of a tensor, the first values of its last row, and its root mean square."""

    shape: tuple[int, ...]
    dtype: str
    values: tuple[float, ...]
    rms: float


@dataclass(frozen=True)
class RecordedOp:
    """One operation.

    `line` asked for it; `caller` is the line that called the function of `line`. `block` is the
    number of the block that it happened in, `module` the name of the module if that has no modules
    inside; both are None outside of any.
    """

    operation: str
    line: SourceLine
    caller: SourceLine | None
    block: int | None
    module: str | None
    result: TensorSummary | None
    flops: int

    @property
    def key(self) -> str | None:
        """The name of its hook, or of its module where no hook matches; None without either."""
        names = (self.module, f"{self.line.function}.{self.operation}", self.line.function)
        return next((name for name in names if name in HOOKS), self.module)


@dataclass(frozen=True)
class GradientSummary:
    """Norm of a parameter's gradient, and the first values of its largest row: most rows of an
    embedding's gradient are zero."""

    name: str
    norm: float
    values: tuple[float, ...]


class FlopCounter(TorchDispatchMode):
    """Counts the FLOPs of matrix products and attention by PyTorch's formulas. All other operations
    together need far fewer."""

    def __init__(self) -> None:
        super().__init__()
        aten, self.total = torch.ops.aten, 0
        attention = aten._scaled_dot_product_flash_attention
        backward = aten._scaled_dot_product_flash_attention_backward
        self._formulas = {  # the CPU kernel has no formula of its own, and does the same work
            **flop_registry,
            aten._scaled_dot_product_flash_attention_for_cpu: flop_registry[attention],
            aten._scaled_dot_product_flash_attention_for_cpu_backward: flop_registry[backward],
        }

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        if formula := self._formulas.get(func._overloadpacket):
            self.total += formula(*args, **kwargs, out_val=out)
        return out


class StepRecorder(TorchFunctionMode):
    """Records the operations of a model's training step, and the logits and targets of its loss."""

    def __init__(self, model: Transformer, flops: FlopCounter) -> None:
        super().__init__()
        self.operations: list[RecordedOp] = []
        self.gradients: list[GradientSummary] = []
        self.logits_NV = self.targets_N = torch.empty(0)
        self._flops = flops
        self._paths = {id(module): path for path, module in model.named_modules()}
        self._inner = {path for path, module in model.named_modules() if any(module.children())}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        before = self._flops.total
        out = func(*args, **(kwargs or {}))
        if not func.__name__.startswith(("__get__", "__set__")):  # shapes, dtypes, gradients
            operation = "getitem" if func.__name__ == "__getitem__" else func.__name__
            self._record(operation, out, self._flops.total - before)
        if func is torch.nn.functional.cross_entropy:
            self.logits_NV, self.targets_N = args[0].detach(), args[1]
        return out

    def _record(self, operation: str, out: Any, flops: int) -> None:
        path: str | None = None
        lines: list[SourceLine] = []
        for frame, is_ours in walk_stack(sys._getframe(2)):
            path = self._paths.get(id(frame.f_locals.get("self"))) if path is None else path
            if is_ours and len(lines) < 2:
                lines.append(current_line(frame))
        if not lines:
            return
        block, module = self._split_path(path)
        last = out[-1] if isinstance(out, tuple | list) and out else out
        result = summarize_tensor(last) if isinstance(last, Tensor) else None
        caller = next(iter(lines[1:]), None)
        recorded = RecordedOp(operation, lines[0], caller, block, module, result, flops)
        if result or f"{recorded.line.function}.{operation}" in HOOKS:
            self.operations.append(recorded)

    def _split_path(self, path: str | None) -> tuple[int | None, str | None]:
        """Split a module's path into the number of its block and its name there. The name is None
        for a module that has modules inside."""
        if path is None:
            return None, None
        block, name = None, path
        if path.startswith(LAYERS):
            number, _, name = path.removeprefix(LAYERS).partition(".")
            block = int(number)
        return block, None if path in self._inner else name

    def gradient_hook(self, name: str) -> Callable[[Tensor], None]:
        """Return a hook that records the gradient of the parameter of that name."""

        def record(parameter: Tensor) -> None:
            assert parameter.grad is not None
            rows = parameter.grad.reshape(-1, parameter.shape[-1])
            row = rows[rows.norm(dim=1).argmax()]
            values = tuple(row[:N_VALUES].tolist())
            self.gradients.append(GradientSummary(name, float(parameter.grad.norm()), values))

        return record


@contextmanager
def recording(model: Transformer) -> Iterator[StepRecorder]:
    """Record all operations of this block, and the gradients of `model`."""
    flops = FlopCounter()
    recorder = StepRecorder(model, flops)
    handles = [
        parameter.register_post_accumulate_grad_hook(recorder.gradient_hook(name))
        for name, parameter in model.named_parameters()
    ]
    try:
        with flops, recorder:
            yield recorder
    finally:
        for handle in handles:
            handle.remove()


def summarize_tensor(tensor: Tensor) -> TensorSummary:
    """Summarize a tensor, of any shape and dtype."""
    tensor = tensor.detach()
    row = tensor.reshape(-1, tensor.shape[-1])[-1] if tensor.dim() else tensor.reshape(1)
    rms = float(tensor.double().square().mean().sqrt()) if tensor.numel() else 0.0
    dtype = str(tensor.dtype).removeprefix("torch.")
    return TensorSummary(tuple(tensor.shape), dtype, tuple(row[:N_VALUES].tolist()), rms)
