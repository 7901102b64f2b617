"""Hooks into a training step: every operation that our code asks of PyTorch, and every gradient.

Nothing is computed again and nothing is changed: an observed step ends with the same bytes as one
that nobody looked at, which a test holds.
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

from firstwords.model import Transformer
from firstwords.trace.hooks import HOOKS
from firstwords.trace.places import Place, frames_of_ours, place_in

SHOWN = 4  # values of a tensor
LAYERS = "layers."


@dataclass(frozen=True)
class Look:
    """A tensor at a glance: its shape, the first values of its last row, its size."""

    shape: tuple[int, ...]
    dtype: str
    values: tuple[float, ...]
    rms: float  # root mean square of all values


@dataclass(frozen=True)
class Event:
    """An operation. `place` is the line that asked for it, `caller` the one that called the
    function of that line; `block` and `module` say in which module it was, if in one without
    others inside."""

    operation: str
    place: Place
    caller: Place | None
    block: int | None
    module: str | None
    look: Look | None
    flops: int

    @property
    def key(self) -> str | None:
        """The name of the hook that this is; of a module that has none, the module's."""
        names = (self.module, f"{self.place.function}.{self.operation}", self.place.function)
        return next((name for name in names if name in HOOKS), self.module)


@dataclass(frozen=True)
class Gradient:
    """`values` are the first of its largest row: most rows of an embedding's are zero."""

    name: str
    norm: float
    values: tuple[float, ...]


class Flops(TorchDispatchMode):
    """Counts those of matrix products and attention by PyTorch's own formulas; what the other
    operations need is little beside them."""

    def __init__(self) -> None:
        super().__init__()
        aten, self.total = torch.ops.aten, 0
        attention = aten._scaled_dot_product_flash_attention
        backward = aten._scaled_dot_product_flash_attention_backward
        self._formulas = {  # the CPU's kernel has none of its own, and does the same work
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


class Watch(TorchFunctionMode):
    """Notes the operations of a model's training step, and the logits and targets of its loss."""

    def __init__(self, model: Transformer, flops: Flops) -> None:
        super().__init__()
        self.events: list[Event] = []
        self.gradients: list[Gradient] = []
        self.logits_NV = self.targets_N = torch.empty(0)
        self._flops = flops
        self._paths = {id(module): path for path, module in model.named_modules()}
        self._inner = {path for path, module in model.named_modules() if any(module.children())}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        before = self._flops.total
        out = func(*args, **(kwargs or {}))
        if not func.__name__.startswith(("__get__", "__set__")):  # shapes, dtypes, gradients
            operation = "getitem" if func.__name__ == "__getitem__" else func.__name__
            self._note(operation, out, self._flops.total - before)
        if func is torch.nn.functional.cross_entropy:
            self.logits_NV, self.targets_N = args[0].detach(), args[1]
        return out

    def _note(self, operation: str, out: Any, flops: int) -> None:
        path: str | None = None
        ours: list[Place] = []
        for frame, is_ours in frames_of_ours(sys._getframe(2)):
            path = self._paths.get(id(frame.f_locals.get("self"))) if path is None else path
            if is_ours and len(ours) < 2:
                ours.append(place_in(frame))
        if not ours:
            return
        block, module = self._module(path)
        last = out[-1] if isinstance(out, tuple | list) and out else out
        look = look_at(last) if isinstance(last, Tensor) else None
        event = Event(operation, ours[0], next(iter(ours[1:]), None), block, module, look, flops)
        if look or f"{event.place.function}.{operation}" in HOOKS:
            self.events.append(event)

    def _module(self, path: str | None) -> tuple[int | None, str | None]:
        """The block, and what stands in it or beside it, if that has no modules inside."""
        if path is None:
            return None, None
        block, name = None, path
        if path.startswith(LAYERS):
            number, _, name = path.removeprefix(LAYERS).partition(".")
            block = int(number)
        return block, None if path in self._inner else name

    def note_gradient(self, name: str) -> Callable[[Tensor], None]:
        def note(parameter: Tensor) -> None:
            assert parameter.grad is not None
            rows = parameter.grad.reshape(-1, parameter.shape[-1])
            row = rows[rows.norm(dim=1).argmax()]
            values = tuple(row[:SHOWN].tolist())
            self.gradients.append(Gradient(name, float(parameter.grad.norm()), values))

        return note


@contextmanager
def watching(model: Transformer) -> Iterator[Watch]:
    """Note what happens to `model` in this block."""
    flops = Flops()
    watch = Watch(model, flops)
    handles = [
        parameter.register_post_accumulate_grad_hook(watch.note_gradient(name))
        for name, parameter in model.named_parameters()
    ]
    try:
        with flops, watch:
            yield watch
    finally:
        for handle in handles:
            handle.remove()


def look_at(tensor: Tensor) -> Look:
    tensor = tensor.detach()
    row = tensor.reshape(-1, tensor.shape[-1])[-1] if tensor.dim() else tensor.reshape(1)
    rms = float(tensor.double().square().mean().sqrt()) if tensor.numel() else 0.0
    values = tuple(row[:SHOWN].tolist())
    return Look(tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."), values, rms)
