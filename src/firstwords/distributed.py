"""Data-parallel training: processes that torchrun started, at work on one run.

Every process has the whole model and takes a share of each batch's rows. A weight has an owner: as
soon as a gradient is complete it is summed up there, while the rest is still on its way backwards;
the owner alone keeps what the optimizer remembers of it and computes the update; then all get the
new weight (ZeRO stage 1, arXiv 1910.02054, by whole matrices, which Muon needs). The sum over the
rows is the same however many share them, but for rounding, so a run can go on with more
processes or fewer.

Process 0 leads: it alone plans, writes and speaks.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn

from firstwords.errors import UserError
from firstwords.model import Transformer
from firstwords.optimizer import Optimizer

# A process that has died is noticed at once; this only bounds how long the others may have to wait
# for the leader, which encodes the data and evaluates.
PATIENCE = timedelta(hours=12)


class World:
    """The processes of a run. Alone, nothing here does anything."""

    def __init__(self, rank: int = 0, size: int = 1, local_size: int = 1) -> None:
        self.rank, self.size, self.local_size = rank, size, local_size

    @property
    def leads(self) -> bool:
        return self.rank == 0

    def barrier(self) -> None:
        self.total(0.0)  # over the processors' own network: it waits for hours without complaint

    @contextmanager
    def leader_first(self) -> Iterator[None]:
        """The leader goes through the block alone; then the others, who find its work done."""
        if not self.leads:
            self.barrier()
        yield
        if self.leads:
            self.barrier()

    def total(self, *values: float) -> list[float]:
        """Sums of numbers over all processes, the same for each of them."""
        if self.size == 1:
            return list(values)
        summed = torch.tensor(values, dtype=torch.float64)
        dist.all_reduce(summed)
        return [float(value) for value in summed]

    def share(self, rows: Tensor) -> Tensor:
        """This process's rows of a batch. Raises UserError if there is none for some process."""
        if len(rows) < self.size:
            raise UserError(
                f"{self.size} processes cannot share a batch of {len(rows)} rows",
                "start fewer processes, or raise batch_rows in a recipe",
            )
        return rows.tensor_split(self.size)[self.rank]


@contextmanager
def joined() -> Iterator[World]:
    """What torchrun's variables say: the processes beside this one, or nobody."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield World()
        return
    gpus = torch.cuda.is_available()
    if gpus:  # each process its own, which "cuda" then means in it
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]) % torch.cuda.device_count())
    dist.init_process_group("cpu:gloo,cuda:nccl" if gpus else "gloo", timeout=PATIENCE)
    try:
        yield World(dist.get_rank(), size, int(os.environ.get("LOCAL_WORLD_SIZE", size)))
    finally:
        dist.destroy_process_group()


class Exchange:
    """Gradients to their owners, weights back to all."""

    def __init__(self, world: World, model: nn.Module) -> None:
        self.world, self.model = world, model
        self.parameters = dict(model.named_parameters())
        self.owners = owners(self.parameters, world.size)
        self._sent: list[dist.Work] = []
        self._sending = False
        if world.size > 1:
            for name, parameter in self.parameters.items():
                parameter.register_post_accumulate_grad_hook(self._sender(name))

    @property
    def owned(self) -> dict[str, nn.Parameter]:
        """What this process updates, each whole and with its gradient."""
        return {n: p for n, p in self.parameters.items() if self.owners[n] == self.world.rank}

    def _sender(self, name: str) -> Callable[[Tensor], None]:
        def send(parameter: Tensor) -> None:
            if self._sending:
                assert parameter.grad is not None
                work = dist.reduce(parameter.grad, self.owners[name], async_op=True)
                assert work is not None
                self._sent.append(work)

        return send

    @contextmanager
    def last_backward(self) -> Iterator[None]:
        """Gradients that are accumulated within are complete: they go to their owners."""
        self._sending = True
        try:
            yield
        finally:
            self._sending = False
        for work in self._sent:
            work.wait()
        self._sent = []

    def forget_gradients(self) -> None:
        for parameter in (*self.parameters.values(), *self.owned.values()):
            parameter.grad = None

    @torch.no_grad()
    def give_back(self) -> None:
        """The owners' new weights, to all. The gradients have done their work."""
        self.forget_gradients()
        if self.world.size == 1:
            return
        works = [
            dist.broadcast(parameter.data, self.owners[name], async_op=True)
            for name, parameter in self.parameters.items()
        ]
        for work in works:
            assert work is not None
            work.wait()

    def state(self, optimizer: Optimizer) -> dict[str, Tensor]:
        """The whole optimizer's state, at the leader; the others help and get nothing."""
        own = optimizer.state()
        if self.world.size == 1:
            return own
        whole = {"steps": own["steps"]}
        for name, parameter in self.parameters.items():
            for key in optimizer.remembers(name):
                full = f"{name}.{key}"
                shape = () if key == "step" else parameter.shape
                empty = torch.zeros(shape, device=parameter.device)
                tensor = own.get(full, empty).contiguous()
                dist.broadcast(tensor, self.owners[name])
                if self.world.leads:
                    whole[full] = tensor
        return whole

    def copy(self) -> Transformer | None:
        """The model as it is now, on the processor, at the leader; the others help."""
        weights = self._weights()
        if not self.world.leads:
            return None
        assert isinstance(self.model, Transformer)
        copy = Transformer(self.model.config)
        copy.load_state_dict(weights)
        return copy

    def _weights(self) -> dict[str, Tensor]:
        return {name: parameter.detach() for name, parameter in self.parameters.items()}


def owners(parameters: dict[str, nn.Parameter], size: int) -> dict[str, int]:
    """Who owns which: the largest first, each to whom owns least so far."""
    owned, loads = {}, [0] * size
    for name in sorted(parameters, key=lambda name: -parameters[name].numel()):
        owner = min(range(size), key=loads.__getitem__)
        owned[name] = owner
        loads[owner] += parameters[name].numel()
    return owned
