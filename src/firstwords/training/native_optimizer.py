"""Muon and AdamW in compiled code (`kernels/optimizer.h`), with the state of `Optimizer`."""

import torch
from torch import Tensor

from firstwords.kernels.train import AdamStruct, MuonStruct, NativeTrainer
from firstwords.model.transformer import Transformer
from firstwords.recipe import OptimizerConfig
from firstwords.training.muon import block_shape
from firstwords.training.optimizer import Optimizer


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
        config = self.config
        matrices = [self._muon_struct(name, lr_scale * config.matrix_lr) for name in self.momentum]
        tensors = [
            self._adam_struct(parameter, lr_scale * group["peak_lr"])
            for group in self.adam.param_groups
            for parameter in group["params"]
        ]
        betas, eps = self.adam.defaults["betas"], self.adam.defaults["eps"]
        self._native.update(matrices, tensors, config.muon_momentum, betas, eps, self.steps)

    def gradient_norm(self) -> float:
        """Return the norm of all gradients together."""
        return self._native.gradient_norm

    def _muon_struct(self, name: str, lr: float) -> MuonStruct:
        parameter, momentum = self.parameters[name], self.momentum[name]
        rows, columns = block_shape(name, parameter.shape, self.head_dim)
        return MuonStruct(
            *(parameter.data_ptr(), _gradient(parameter).data_ptr(), momentum.data_ptr()),
            *(*parameter.shape, rows, columns, lr),
        )

    def _adam_struct(self, parameter: Tensor, lr: float) -> AdamStruct:
        state = self.adam.state[parameter]
        if not state:
            state["step"] = torch.zeros(())
            state["exp_avg"] = torch.zeros_like(parameter)
            state["exp_avg_sq"] = torch.zeros_like(parameter)
        state["step"] += 1
        tensors = (parameter, _gradient(parameter), state["exp_avg"], state["exp_avg_sq"])
        return AdamStruct(*(tensor.data_ptr() for tensor in tensors), parameter.numel(), lr)


def _gradient(parameter: Tensor) -> Tensor:
    assert parameter.grad is not None
    return parameter.grad
