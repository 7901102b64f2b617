"""Muon for the matrices of the blocks, AdamW for the embedding, the output head and the norms."""

from collections import defaultdict
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from firstwords.model.transformer import Transformer
from firstwords.recipe import OptimizerConfig
from firstwords.training.muon import muon_blocks, orthogonalize

ADAM_EPS = 1e-10


def uses_muon(name: str) -> bool:
    """Return whether Muon updates the parameter of that name; AdamW updates the others."""
    return name.endswith("_proj.weight")


class Optimizer:
    """Both optimizers behind one `step`.

    `parameters` are those to update, by the names that they have in the model; by default all of
    the model's. The state is a flat dict of tensors, which safetensors can store.
    """

    def __init__(
        self,
        model: Transformer,
        config: OptimizerConfig,
        dtype: torch.dtype,
        parameters: Mapping[str, nn.Parameter] | None = None,
    ) -> None:
        self.config, self.dtype, self.steps = config, dtype, 0
        self.head_dim = model.config.head_dim
        self.parameters = dict(model.named_parameters() if parameters is None else parameters)
        # Matrices whose blocks have one shape are orthogonalized together.
        self.groups_by_shape: dict[torch.Size, list[str]] = defaultdict(list)
        self.moments: dict[str, dict[str, Tensor]] = {}
        for name, parameter in self.parameters.items():
            if uses_muon(name):
                self.groups_by_shape[self._blocks(name, parameter).shape[1:]].append(name)
            self.moments[name] = {key: torch.zeros_like(parameter) for key in self.state_keys(name)}

    @torch.no_grad()
    def step(self, lr_scale: float) -> None:
        """Update every parameter from its gradient, at `lr_scale` times the peak rates."""
        for names in self.groups_by_shape.values():
            self._muon(names, lr_scale * self.config.matrix_lr)
        self.steps += 1
        for name in self.parameters:
            if not uses_muon(name):
                self._adam(name, lr_scale * self.adam_lr(name))

    def _muon(self, names: list[str], lr: float) -> None:
        """Update matrices whose blocks have one shape."""
        beta = self.config.muon_momentum
        nesterov = []
        for name in names:
            gradient = self.parameters[name].grad
            assert gradient is not None, name
            mean = self.moments[name]["momentum"].lerp_(gradient, 1 - beta)
            nesterov.append(self._blocks(name, torch.lerp(gradient, mean, beta)))  # (N, R, C)
        updates_NRC = orthogonalize(torch.cat(nesterov), self.dtype)  # blocks of all the matrices
        counts = [len(blocks_NRC) for blocks_NRC in nesterov]
        for name, update_NRC in zip(names, updates_NRC.split(counts), strict=True):
            weight_OI = self.parameters[name]
            # Scaled to a mean square of 1 / inputs however the matrix is cut into blocks, so that
            # every output changes by as much. An orthogonal block has 1 / its longer side.
            scale = lr * (update_NRC.shape[2] / weight_OI.shape[1]) ** 0.5
            self._blocks(name, weight_OI).add_(update_NRC, alpha=-scale)

    def adam_lr(self, name: str) -> float:
        """Return the peak learning rate of a parameter that AdamW updates."""
        is_token_table = self.parameters[name].ndim == 2  # embedding and output head
        return self.config.embedding_lr if is_token_table else self.config.norm_lr

    def _adam(self, name: str, lr: float) -> None:
        """Update a parameter by AdamW (arXiv 1711.05101) without weight decay, as Muon's is zero.

        torch.optim's does the same, but loads PyTorch's compiler: a second, and 76 MB of memory.
        """
        parameter, config = self.parameters[name], self.config
        gradient = parameter.grad
        assert gradient is not None, name
        mean, square = self.moments[name].values()
        mean.lerp_(gradient, 1 - config.adam_beta1)
        square.mul_(config.adam_beta2).addcmul_(gradient, gradient, value=1 - config.adam_beta2)
        rms = square.sqrt().div_((1 - config.adam_beta2**self.steps) ** 0.5).add_(ADAM_EPS)
        parameter.addcdiv_(mean, rms, value=-lr / (1 - config.adam_beta1**self.steps))

    def _blocks(self, name: str, tensor: Tensor) -> Tensor:
        return muon_blocks(name, tensor, self.head_dim)

    @torch.no_grad()
    def gradient_norm(self) -> float:
        """Return the norm of all gradients together."""
        gradients = [p.grad for p in self.parameters.values() if p.grad is not None]
        return float(torch.nn.utils.get_total_norm(gradients))

    def copy_weights(self) -> list[Tensor]:
        """Copy the weights, to measure the next update from."""
        return [parameter.detach().clone() for parameter in self.parameters.values()]

    @torch.no_grad()
    def update_norms(self, before: list[Tensor]) -> tuple[float, float]:
        """Return the norm of the change of all weights since `before`, and the norm of `before`."""
        change = [now - old for now, old in zip(self.parameters.values(), before, strict=True)]
        norm = torch.nn.utils.get_total_norm
        return float(norm(change)), float(norm(before))

    def state_keys(self, name: str) -> tuple[str, ...]:
        """Return the keys of the state of a parameter."""
        return ("momentum",) if uses_muon(name) else ("exp_avg", "exp_avg_sq")

    def state(self) -> dict[str, Tensor]:
        """Return the state as tensors named `PARAMETER.KEY`, and the count of `steps`."""
        tensors = {"steps": torch.tensor(self.steps)}
        for name, moments in self.moments.items():
            tensors |= {f"{name}.{key}": moment for key, moment in moments.items()}
        return tensors

    def load_state(self, tensors: dict[str, Tensor]) -> None:
        """Continue from a `state`. Raises KeyError if it lacks a parameter of this optimizer."""
        self.steps = int(tensors["steps"])
        for name, parameter in self.parameters.items():
            self.moments[name] = {
                key: tensors[f"{name}.{key}"].to(parameter.device, copy=True)
                for key in self.state_keys(name)
            }
