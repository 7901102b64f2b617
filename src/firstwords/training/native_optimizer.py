"""Muon and AdamW in compiled code (`kernels/optimizer.h`), with the state of `Optimizer`."""

import torch
from torch import Tensor

from firstwords.kernels.train import AdamStruct, MuonStruct, NativeTrainer
from firstwords.model.transformer import Transformer
from firstwords.recipe import OptimizerConfig
from firstwords.training.muon import block_shape
from firstwords.training.optimizer import ADAM_EPS, Optimizer, uses_muon


class NativeOptimizer(Optimizer):
    """The same optimizer, whose updates a native trainer computes.

    Checkpoints of either continue with the other.
    """

    def __init__(self, model: Transformer, config: OptimizerConfig, native: NativeTrainer) -> None:
        super().__init__(model, config, torch.float32)
        self._native = native

    def step(self, lr_scale: float) -> None:
        """Update every parameter from its gradient, at `lr_scale` times the peak rates."""
        self.steps += 1
        config, matrices, tensors = self.config, [], []
        for name in self.parameters:
            if uses_muon(name):
                matrices.append(self._muon_struct(name, lr_scale * config.matrix_lr))
            else:
                tensors.append(self._adam_struct(name, lr_scale * self.adam_lr(name)))
        betas = config.adam_beta1, config.adam_beta2
        momentum = config.muon_momentum
        self._native.update(matrices, tensors, momentum, betas, ADAM_EPS, self.steps)

    def gradient_norm(self) -> float:
        """Return the norm of all gradients together."""
        return self._native.gradient_norm

    def _muon_struct(self, name: str, lr: float) -> MuonStruct:
        parameter, (momentum,) = self.parameters[name], self.moments[name].values()
        rows, columns = block_shape(name, parameter.shape, self.head_dim)
        return MuonStruct(
            *(parameter.data_ptr(), _gradient(parameter).data_ptr(), momentum.data_ptr()),
            *(*parameter.shape, rows, columns, lr),
        )

    def _adam_struct(self, name: str, lr: float) -> AdamStruct:
        parameter = self.parameters[name]
        tensors = (parameter, _gradient(parameter), *self.moments[name].values())
        return AdamStruct(*(tensor.data_ptr() for tensor in tensors), parameter.numel(), lr)


def _gradient(parameter: Tensor) -> Tensor:
    assert parameter.grad is not None
    return parameter.grad
