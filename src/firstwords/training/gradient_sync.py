"""What several processes exchange in a training step. A single process exchanges nothing.

Data-parallel training: every process has the whole model and computes a share of each batch's rows.
Every weight has one owner. As soon as a gradient is complete it is summed at its owner, while
backward is still running; only the owner keeps the optimizer state of the weight and computes its
update; then the owner broadcasts the new weight (ZeRO stage 1, arXiv 1910.02054, by whole matrices,
because Muon needs them whole). The sum over the rows is the same for any number of processes but
for rounding, so a run can resume with more processes or fewer.

`fsdp.py` has the variant that shards the weights as well.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor, nn

from firstwords.model.transformer import Transformer
from firstwords.training.distributed import World
from firstwords.training.optimizer import Optimizer


class GradientSync:
    """The exchange of a single process: nothing to send, nothing to wait for."""

    def __init__(self, model: nn.Module) -> None:
        self.world, self.model = World(), model
        self.parameters = dict(model.named_parameters())

    @property
    def owned(self) -> dict[str, nn.Parameter]:
        """The parameters that this process updates, each whole and with its whole gradient."""
        return self.parameters

    @contextmanager
    def sync_gradients(self) -> Iterator[None]:
        """Mark the last backward of a batch: gradients that it completes go to their owners."""
        yield

    def broadcast_weights(self) -> None:
        """Send the owners' new weights to every process."""

    def zero_grad(self) -> None:
        """Clear all gradients. This is the only place that does."""
        for parameter in self.parameters.values():
            parameter.grad = None

    def optimizer_state(self, optimizer: Optimizer) -> dict[str, Tensor]:
        """Gather the state of the whole optimizer in the main process; others return an empty or
        partial dict."""
        return optimizer.state()

    def snapshot(self) -> Transformer | None:
        """Copy the current model to the CPU in the main process; the others return None."""
        weights = self._whole_weights()
        if not self.world.is_main:
            return None
        assert isinstance(self.model, Transformer)
        copy = Transformer(self.model.config)
        copy.load_state_dict(weights)
        return copy

    def _whole_weights(self) -> dict[str, Tensor]:
        return {name: parameter.detach() for name, parameter in self.parameters.items()}


class DataParallelSync(GradientSync):
    """Gradients go to their owners, weights come back to every process."""

    def __init__(self, model: nn.Module, world: World) -> None:
        super().__init__(model)
        self.world = world
        self.owners = assign_owners(self.parameters, world.size)
        self._pending: list[dist.Work] = []
        self._syncing = False
        for name, parameter in self.parameters.items():
            parameter.register_post_accumulate_grad_hook(self._reduce_hook(name))

    @property
    def owned(self) -> dict[str, nn.Parameter]:
        return {n: p for n, p in self.parameters.items() if self.owners[n] == self.world.rank}

    def _reduce_hook(self, name: str) -> Callable[[Tensor], None]:
        def reduce_to_owner(parameter: Tensor) -> None:
            if self._syncing:
                assert parameter.grad is not None
                work = dist.reduce(parameter.grad, self.owners[name], async_op=True)
                assert work is not None
                self._pending.append(work)

        return reduce_to_owner

    @contextmanager
    def sync_gradients(self) -> Iterator[None]:
        self._syncing = True
        try:
            yield
        finally:
            self._syncing = False
        for work in self._pending:
            work.wait()
        self._pending = []

    @torch.no_grad()
    def broadcast_weights(self) -> None:
        works = [
            dist.broadcast(parameter.data, self.owners[name], async_op=True)
            for name, parameter in self.parameters.items()
        ]
        for work in works:
            assert work is not None
            work.wait()

    def optimizer_state(self, optimizer: Optimizer) -> dict[str, Tensor]:
        return gather_optimizer_state(self.parameters, self.owners, self.world, optimizer)


def gather_optimizer_state(
    parameters: dict[str, nn.Parameter], owners: dict[str, int], world: World, optimizer: Optimizer
) -> dict[str, Tensor]:
    """Broadcast each owner's state; the main process returns all of it, the others their count of
    steps. Raises KeyError if an owner lacks the state of a parameter."""
    own = optimizer.state()
    gathered = {"steps": own["steps"]}
    for name, parameter in parameters.items():
        for key in optimizer.state_keys(name):
            full = f"{name}.{key}"
            if owners[name] == world.rank:
                tensor = own[full].contiguous()
            else:
                tensor = torch.empty(parameter.shape, device=parameter.device)
            dist.broadcast(tensor, owners[name])
            if world.is_main:
                gathered[full] = tensor
    return gathered


def assign_owners(parameters: dict[str, nn.Parameter], size: int) -> dict[str, int]:
    """Assign each parameter a rank: the largest first, each to the rank that owns least so far."""
    owners, loads = {}, [0] * size
    for name in sorted(parameters, key=lambda name: -parameters[name].numel()):
        rank = min(range(size), key=loads.__getitem__)
        owners[name] = rank
        loads[rank] += parameters[name].numel()
    return owners
