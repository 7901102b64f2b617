"""The layers around attention: RMSNorm, the gated MLP, rotary positions.

Shapes: B sequences, T tokens, S positions, C channels, D channels of a head.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from firstwords.recipe import ModelConfig


class RMSNorm(nn.Module):
    """Divide by the root mean square of the last dimension, times a learned weight (arXiv
    1910.07467)."""

    def __init__(self, size: int, eps: float) -> None:
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(size)), eps

    def forward(self, x: Tensor) -> Tensor:
        # PyTorch's fused kernel needs input and weight in one dtype.
        return F.rms_norm(x, self.weight.shape, self.weight.to(x.dtype), self.eps)


class MLP(nn.Module):
    """SwiGLU (arXiv 2002.05202): a hidden layer gated by a second one, n_hidden units wide."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.n_embd, config.n_hidden, bias=False)
        self.up_proj = nn.Linear(config.n_embd, config.n_hidden, bias=False)
        self.down_proj = nn.Linear(config.n_hidden, config.n_embd, bias=False)

    def forward(self, x_BTC: Tensor) -> Tensor:
        return self.down_proj(F.silu(self.gate_proj(x_BTC)) * self.up_proj(x_BTC))


def rope_table(config: ModelConfig) -> tuple[Tensor, Tensor]:
    """Return the cosines and sines (max_seq_len, head_dim) of rotary positions (arXiv 2104.09864).

    Both halves of a head use the same angles: position / rope_theta^(2d / D) for pair d.
    """
    exponent = torch.arange(0, config.head_dim, 2, dtype=torch.float32) / config.head_dim
    frequency = 1.0 / config.rope_theta**exponent
    angle = torch.outer(torch.arange(config.max_seq_len, dtype=torch.float32), frequency)
    angle = torch.cat((angle, angle), dim=-1)  # (S, D/2) -> (S, D)
    return angle.cos(), angle.sin()


def apply_rope(x_BHTD: Tensor, rope: tuple[Tensor, Tensor]) -> Tensor:
    """Rotate the pairs (d, d + D/2) of every head by an angle that grows with the position."""
    cos_TD, sin_TD = (table.to(x_BHTD.dtype) for table in rope)
    first, second = x_BHTD.chunk(2, dim=-1)  # two of (B, H, T, D/2)
    return x_BHTD * cos_TD + torch.cat((-second, first), dim=-1) * sin_TD
