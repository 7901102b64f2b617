"""Fully sharded training, for a model that no device holds whole.

Each process keeps a slice of every weight's rows. Before a block runs, its slices are gathered from
all processes; they are dropped again afterwards, and its gradient is summed into slices (ZeRO stage
3, arXiv 1910.02054, by PyTorch's FSDP2). The update is that of `gradient_sync.py`: the owner of a
weight gets the whole gradient, because Muon needs whole matrices, and gives each process its slice
of the new weight. So both kinds of run are the same run, and either can resume the other.

A parameter takes about 24 bytes over all processes together. Embedding, output head and up to two
blocks at a time are whole in every process.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor, distribute_tensor

from firstwords.common.errors import UserError
from firstwords.common.hardware import Device
from firstwords.model.transformer import Transformer
from firstwords.recipe import REQUIRED_STAGES, Recipe
from firstwords.training.distributed import World
from firstwords.training.gradient_sync import DataParallelSync, assign_owners


def check_batch_splits_evenly(recipe: Recipe, world: World) -> None:
    """All processes gather weights for every micro-batch, so all need equally many. Raises
    UserError."""
    for name in REQUIRED_STAGES:  # rl shards no weights
        rows = recipe.stage(name).batch_size
        if rows % world.size:
            raise UserError(
                f"a batch of {rows} rows cannot be split evenly among {world.size} processes, "
                'which shard = "weights" requires',
                f"start another number of processes, or change {name}.batch_size in the recipe",
            )


class FSDPSync(DataParallelSync):
    """Slices of weights in every process; whole weights, for the update, at their owners."""

    def __init__(self, model: Transformer, world: World, device: Device) -> None:
        self.world, self.model = world, model
        whole = dict(model.named_parameters())
        self.owners = assign_owners(whole, world.size)
        self._owned = {
            name: nn.Parameter(parameter.detach().to(device, copy=True))
            for name, parameter in whole.items()
            if self.owners[name] == world.rank
        }
        self._mesh = init_device_mesh(device, (world.size,))
        for block in (*model.layers, model):
            fully_shard(block, mesh=self._mesh)
            assert isinstance(block, FSDPModule)
            # Sum over all rows instead of the mean over processes; gloo supports no other way.
            block.set_gradient_divide_factor(1.0)
            block.set_force_sum_reduction_for_comms(True)
        register_fsdp_forward_method(model, "loss")
        self.parameters = dict(model.named_parameters())

    @property
    def owned(self) -> dict[str, nn.Parameter]:
        return self._owned

    @contextmanager
    def sync_gradients(self) -> Iterator[None]:
        yield
        for name, parameter in self.parameters.items():
            assert isinstance(parameter.grad, DTensor)
            gradient = parameter.grad.full_tensor()
            parameter.grad = None  # free the slice before the next gradient is gathered
            if name in self._owned:
                self._owned[name].grad = gradient

    def zero_grad(self) -> None:
        super().zero_grad()
        for parameter in self._owned.values():
            parameter.grad = None

    @torch.no_grad()
    def broadcast_weights(self) -> None:
        for name, parameter in self.parameters.items():
            assert isinstance(parameter, DTensor)
            whole: Tensor | None = self._owned.get(name)
            if whole is None:
                whole = torch.empty(parameter.shape, device=parameter.device)
            slices = distribute_tensor(
                whole, self._mesh, parameter.placements, src_data_rank=self.owners[name]
            )
            parameter.to_local().copy_(slices.to_local())

    def _whole_weights(self) -> dict[str, Tensor]:
        """Gather one weight at a time, so that the main process's device holds no more than one."""
        weights = {}
        for name, parameter in self.parameters.items():
            assert isinstance(parameter, DTensor)
            whole = parameter.full_tensor().detach()
            if self.world.is_main:
                weights[name] = whole.cpu()
        return weights
