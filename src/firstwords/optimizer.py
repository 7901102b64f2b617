"""Muon for the matrices, AdamW for the embedding, the output head and the norms.

Muon (Jordan et al. 2024, kellerjordan.github.io/posts/muon; arXiv 2502.16982) replaces the update
of a weight matrix by the nearest orthogonal one, so that all its directions learn at one rate.
Blocks of one shape are stacked and orthogonalised together: a small model has dozens of them,
and one batched product is several times faster than a loop of tiny ones.
"""

from collections import defaultdict
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from firstwords.model import Transformer
from firstwords.recipe import OptimizerConfig

# Odd polynomials a x + b x^3 + c x^5 that, one after the other, take every singular value in
# [0.01, 1] to within 0.27 of 1. Each is the best for what the one before leaves, in the greatest
# error: Polar Express (arXiv 2505.16932). Five steps of one polynomial (Jordan et al.) end about as
# close, and train no better (docs/lab-notebook.md).
POLAR = (
    (8.0934, -23.6204, 17.4462),
    (3.6366, -2.7219, 0.5365),
    (2.6613, -1.9772, 0.4526),
)
HIDDEN_UNITS = 64  # of an MLP in a block
TOKEN_MATRICES = ("embed_tokens.weight", "lm_head.weight")
ADAM_STATE = ("step", "exp_avg", "exp_avg_sq")
ROOM = 1.02  # singular values above 1, by rounding, would be driven away


def orthogonalize(g_NRC: Tensor, dtype: torch.dtype) -> Tensor:
    """The orthogonal factor of each of N matrices (R rows, C columns, R <= C), approximately.

    Every step of the method multiplies the matrix from the left by a polynomial of its Gram matrix.
    All of these commute, so they are multiplied first, R x R each, and with the matrix once at the
    end. `dtype` is that of the products with the matrix: bfloat16 is exact enough where the machine
    is fast in it.
    """
    x_NRC = g_NRC.to(dtype)
    x_NRC = x_NRC / (ROOM * torch.linalg.matrix_norm(x_NRC, keepdim=True) + 1e-7)
    gram_NRR = (x_NRC @ x_NRC.mT).float()
    factor_NRR = _polynomial(gram_NRR, *POLAR[0])
    for coefficients in POLAR[1:]:
        left_NRR = factor_NRR @ gram_NRR @ factor_NRR
        factor_NRR = _polynomial(left_NRR, *coefficients) @ factor_NRR
    return (factor_NRR.to(dtype) @ x_NRC).to(g_NRC.dtype)


def _polynomial(gram_NRR: Tensor, a: float, b: float, c: float) -> Tensor:
    """a + b gram + c gram gram."""
    value_NRR = torch.baddbmm(gram_NRR, gram_NRR, gram_NRR, beta=b, alpha=c)
    value_NRR.diagonal(dim1=-2, dim2=-1).add_(a)
    return value_NRR


def blocks(name: str, weight_RC: Tensor, head_dim: int) -> Tensor:
    """A view (N, R, C), R at most C, of the parts of a matrix that learn each for itself.

    An attention head is a matrix of its own, whichever side of the projection it is on, and so are
    64 hidden units of an MLP, where their number can be divided so. Learning is as good as with
    whole matrices or better, and the products are smaller (docs/lab-notebook.md).
    """
    outwards = name.endswith(("o_proj.weight", "down_proj.weight"))
    width = weight_RC.shape[1 if outwards else 0]
    size = head_dim
    if ".mlp." in name:
        size = HIDDEN_UNITS if width % HIDDEN_UNITS == 0 else width
    if outwards:
        parts_NRC = weight_RC.unflatten(1, (-1, size)).transpose(0, 1)
    else:
        parts_NRC = weight_RC.unflatten(0, (-1, size))
    return parts_NRC.mT if parts_NRC.shape[1] > parts_NRC.shape[2] else parts_NRC


class Optimizer:
    """Both optimizers behind one `step`; `state` is a flat dict of tensors, for safetensors. Where
    `owned` parameters are given, it updates those in place of the model's: others do the rest."""

    def __init__(
        self,
        model: Transformer,
        config: OptimizerConfig,
        dtype: torch.dtype,
        owned: Mapping[str, nn.Parameter] | None = None,
    ) -> None:
        self.config, self.dtype, self.steps = config, dtype, 0
        self.head_dim = model.config.head_dim
        named = dict(model.named_parameters()) if owned is None else owned
        self.names = {parameter: name for name, parameter in named.items()}
        self.parameters = list(self.names)
        # Stacked are the matrices whose blocks have one shape.
        self.alike: dict[torch.Size, list[nn.Parameter]] = defaultdict(list)
        tokens, norms = [], []
        for parameter, name in self.names.items():
            if name in TOKEN_MATRICES:
                tokens.append(parameter)
            elif parameter.ndim == 2:
                self.alike[blocks(name, parameter, self.head_dim).shape[1:]].append(parameter)
            else:
                norms.append(parameter)
        self.momentum = {p: torch.zeros_like(p) for alike in self.alike.values() for p in alike}
        self.adam = torch.optim.AdamW(
            [
                {"params": tokens, "peak_lr": config.embedding_lr},
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
        for alike in self.alike.values():
            self._muon(alike, lr_scale * self.config.matrix_lr)
        for group in self.adam.param_groups:
            group["lr"] = lr_scale * group["peak_lr"]
        self.adam.step()
        for parameter in self.parameters:
            parameter.grad = None
        self.steps += 1

    def _muon(self, alike: list[nn.Parameter], lr: float) -> None:
        momentum = self.config.muon_momentum
        steps = []
        for parameter in alike:
            assert parameter.grad is not None
            mean = self.momentum[parameter].lerp_(parameter.grad, 1 - momentum)
            steps.append(self._blocks(parameter, torch.lerp(parameter.grad, mean, momentum)))
        updates_NRC = orthogonalize(torch.cat(steps), self.dtype)
        for parameter, update in zip(
            alike, updates_NRC.split([len(step) for step in steps]), strict=True
        ):
            # A mean square of 1 / inputs, however the matrix is cut: then an output changes as much
            # with every shape. An orthogonal block has 1 / its longer side.
            scale = lr * (updates_NRC.shape[2] / parameter.shape[1]) ** 0.5
            self._blocks(parameter, parameter).add_(update, alpha=-scale)

    def _blocks(self, parameter: nn.Parameter, like: Tensor) -> Tensor:
        return blocks(self.names[parameter], like, self.head_dim)

    @torch.no_grad()
    def gradient_norm(self) -> float:
        """Of all its parameters together."""
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        return float(torch.nn.utils.get_total_norm(gradients))

    def weights(self) -> list[Tensor]:
        """A copy of them."""
        return [parameter.detach().clone() for parameter in self.parameters]

    @torch.no_grad()
    def change_since(self, before: list[Tensor]) -> tuple[float, float]:
        """How far all weights together are from a copy of them, and the copy's norm."""
        change = [now - then for now, then in zip(self.parameters, before, strict=True)]
        norm = torch.nn.utils.get_total_norm
        return float(norm(change)), float(norm(before))

    def remembers(self, name: str) -> tuple[str, ...]:
        """The keys of what the optimizer remembers of a parameter of the model."""
        if name.endswith("_proj.weight"):
            return ("momentum",)
        return ADAM_STATE if self.steps else ()

    def state(self) -> dict[str, Tensor]:
        tensors = {"steps": torch.tensor(self.steps)}
        for parameter, momentum in self.momentum.items():
            tensors[f"{self.names[parameter]}.momentum"] = momentum
        for group in self.adam.param_groups:
            for parameter in group["params"]:
                for key, value in self.adam.state[parameter].items():
                    tensors[f"{self.names[parameter]}.{key}"] = value
        return tensors

    def load_state(self, tensors: dict[str, Tensor]) -> None:
        self.steps = int(tensors["steps"])
        for parameter in self.momentum:
            momentum = tensors[f"{self.names[parameter]}.momentum"]
            self.momentum[parameter] = momentum.to(parameter.device, copy=True)
        if self.steps == 0:
            return
        for group in self.adam.param_groups:
            for parameter in group["params"]:
                self.adam.state[parameter] = {
                    key: tensors[f"{self.names[parameter]}.{key}"].to(parameter.device, copy=True)
                    for key in ADAM_STATE
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
