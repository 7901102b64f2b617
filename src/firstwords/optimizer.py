"""Muon for the matrices, AdamW for the embedding and the norms.

Muon (Jordan et al. 2024, kellerjordan.github.io/posts/muon; arXiv 2502.16982) replaces the update
of a weight matrix by the nearest orthogonal one, so that all its directions learn at one rate.
Matrices of one shape are stacked and orthogonalised together: a small model has dozens of them,
and one batched product is several times faster than a loop of tiny ones.
"""

from collections import defaultdict

import torch
from torch import Tensor, nn

from firstwords.model import Transformer
from firstwords.recipe import OptimizerConfig

# Quintic Newton-Schulz coefficients from Jordan et al.: singular values end in about [0.7, 1.2].
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
NEWTON_SCHULZ_STEPS = 5


def orthogonalize(g_NRC: Tensor, dtype: torch.dtype) -> Tensor:
    """The orthogonal factor of each of N matrices (R rows, C columns), approximately.

    `dtype` is that of the products: bfloat16 is exact enough where the machine is fast in it.
    """
    a, b, c = NEWTON_SCHULZ
    tall = g_NRC.shape[1] > g_NRC.shape[2]
    x = (g_NRC.mT if tall else g_NRC).to(dtype)
    x = x / (torch.linalg.matrix_norm(x, keepdim=True) + 1e-7)
    for _ in range(NEWTON_SCHULZ_STEPS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x.mT if tall else x).to(g_NRC.dtype)


class Optimizer:
    """Both optimizers behind one `step`; `state` is a flat dict of tensors, for safetensors."""

    def __init__(self, model: Transformer, config: OptimizerConfig, dtype: torch.dtype) -> None:
        self.config, self.dtype, self.steps = config, dtype, 0
        self.names = {parameter: name for name, parameter in model.named_parameters()}
        self.matrices: dict[torch.Size, list[nn.Parameter]] = defaultdict(list)
        embedding, norms = [], []
        for parameter, name in self.names.items():
            if name == "embed_tokens.weight":
                embedding.append(parameter)
            elif parameter.ndim == 2:
                self.matrices[parameter.shape].append(parameter)
            else:
                norms.append(parameter)
        self.momentum = {shape: torch.zeros(len(p), *shape) for shape, p in self.matrices.items()}
        self.adam = torch.optim.AdamW(
            [
                {"params": embedding, "peak_lr": config.embedding_lr},
                {"params": norms, "peak_lr": config.norm_lr},
            ],
            betas=(config.adam_beta1, config.adam_beta2),
            eps=1e-10,
            weight_decay=0.0,
            fused=True,
        )

    @torch.no_grad()
    def step(self, lr_scale: float) -> None:
        """Apply the gradients at `lr_scale` times the peak rates, and forget them."""
        for shape, parameters in self.matrices.items():
            self._muon(shape, parameters, lr_scale * self.config.matrix_lr)
        for group in self.adam.param_groups:
            group["lr"] = lr_scale * group["peak_lr"]
        self.adam.step()
        self.adam.zero_grad(set_to_none=True)
        self.steps += 1

    def _muon(self, shape: torch.Size, parameters: list[nn.Parameter], lr: float) -> None:
        grad_NRC = torch.stack([p.grad for p in parameters if p.grad is not None])
        momentum_NRC = self.momentum[shape]
        momentum_NRC.lerp_(grad_NRC, 1 - self.config.muon_momentum)
        nesterov_NRC = grad_NRC.lerp_(momentum_NRC, self.config.muon_momentum)
        update_NRC = orthogonalize(nesterov_NRC, self.dtype)
        # A tall matrix's orthogonal update has a smaller effect per output: scale it up.
        scale = lr * max(1.0, shape[0] / shape[1]) ** 0.5
        for parameter, update_RC in zip(parameters, update_NRC, strict=True):
            parameter.add_(update_RC, alpha=-scale)
            parameter.grad = None

    def state(self) -> dict[str, Tensor]:
        tensors = {"steps": torch.tensor(self.steps)}
        for shape, parameters in self.matrices.items():
            for parameter, momentum in zip(parameters, self.momentum[shape], strict=True):
                tensors[f"{self.names[parameter]}.momentum"] = momentum.clone()
        for group in self.adam.param_groups:
            for parameter in group["params"]:
                for key, value in self.adam.state[parameter].items():
                    tensors[f"{self.names[parameter]}.{key}"] = value
        return tensors

    def load_state(self, tensors: dict[str, Tensor]) -> None:
        self.steps = int(tensors["steps"])
        for shape, parameters in self.matrices.items():
            for parameter, momentum in zip(parameters, self.momentum[shape], strict=True):
                momentum.copy_(tensors[f"{self.names[parameter]}.momentum"])
        if self.steps == 0:
            return
        for group in self.adam.param_groups:
            for parameter in group["params"]:
                self.adam.state[parameter] = {
                    key: tensors[f"{self.names[parameter]}.{key}"].clone()
                    for key in ("step", "exp_avg", "exp_avg_sq")
                }


def learning_rate(step: int, steps: int, warmup: int, decay_fraction: float, final: float) -> float:
    """Warmup, stable, decay: the share of the peak rate at `step` (0-based) of `steps`."""
    if step < warmup:
        return (step + 1) / warmup
    decay_steps = round(steps * decay_fraction)
    into_decay = step - (steps - decay_steps)
    if into_decay < 0 or decay_steps == 0:
        return 1.0
    return 1.0 - (1.0 - final) * (into_decay + 1) / decay_steps
