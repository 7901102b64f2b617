"""Data-parallel training of a model that no device holds whole: the weights are cut up as well.

A process keeps a slice of every weight's rows. Before a block is computed its slices are gathered
from all, and dropped again afterwards; its gradient is summed up in slices (ZeRO stage 3,
arXiv 1910.02054, by PyTorch's FSDP2). What is left is as in `distributed.py`: for the update a
weight's owner gets the whole gradient, because Muon needs whole matrices, and gives each its slice
of the new weight. So the runs are the same, and can go on as one another.

A parameter takes some 24 bytes, over all processes together; what the blocks do not have, that is
embedding and output head, and two blocks at a time are whole in each.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor, distribute_tensor

from firstwords.distributed import Exchange, World, owners
from firstwords.errors import UserError
from firstwords.model import Transformer
from firstwords.recipe import STAGES, Device, Recipe


def exchange_of(recipe: Recipe, world: World, model: Transformer) -> Exchange:
    """Brings the model, which is on the processor, to the recipe's device, whole or cut up. Raises
    UserError."""
    if recipe.shard == "weights" and world.size > 1:
        check_even(recipe, world)
        return Sharded(world, model, recipe.device)
    model.to(recipe.device)
    return Exchange(world, model)


def check_even(recipe: Recipe, world: World) -> None:
    """All processes gather weights for each part of a batch, so all need as many parts. Raises
    UserError."""
    for name in STAGES:
        rows = recipe.stage(name).batch_rows
        if rows % world.size:
            raise UserError(
                f"{world.size} processes cannot share a batch of {rows} rows evenly, as they must "
                "where weights are cut up",
                f"start another number of processes, or change {name}.batch_rows in a recipe",
            )


class Sharded(Exchange):
    def __init__(self, world: World, model: Transformer, device: Device) -> None:
        self.world, self.model = world, model
        whole = dict(model.named_parameters())
        self.owners = owners(whole, world.size)
        self._owned = {
            name: nn.Parameter(parameter.detach().to(device, copy=True))
            for name, parameter in whole.items()
            if self.owners[name] == world.rank
        }
        self._mesh = init_device_mesh(device, (world.size,))
        for block in (*model.layers, model):
            fully_shard(block, mesh=self._mesh)
            assert isinstance(block, FSDPModule)
            # The sum over all rows, not a mean of the processes; gloo knows no other way.
            block.set_gradient_divide_factor(1.0)
            block.set_force_sum_reduction_for_comms(True)
        register_fsdp_forward_method(model, "loss")
        self.parameters = dict(model.named_parameters())

    @property
    def owned(self) -> dict[str, nn.Parameter]:
        return self._owned

    @contextmanager
    def last_backward(self) -> Iterator[None]:
        yield
        for name, parameter in self.parameters.items():
            assert isinstance(parameter.grad, DTensor)
            gradient = parameter.grad.full_tensor()
            parameter.grad = None
            if name in self._owned:
                self._owned[name].grad = gradient

    @torch.no_grad()
    def give_back(self) -> None:
        self.forget_gradients()
        for name, parameter in self.parameters.items():
            assert isinstance(parameter, DTensor)
            whole: Tensor | None = self._owned.get(name)
            if whole is None:
                whole = torch.empty(parameter.shape, device=parameter.device)
            slices = distribute_tensor(
                whole, self._mesh, parameter.placements, src_data_rank=self.owners[name]
            )
            parameter.to_local().copy_(slices.to_local())

    def _weights(self) -> dict[str, Tensor]:
        """One at a time, so that the leader's device holds no more than that."""
        weights = {}
        for name, parameter in self.parameters.items():
            assert isinstance(parameter, DTensor)
            whole = parameter.full_tensor().detach()
            if self.world.leads:
                weights[name] = whole.cpu()
        return weights
