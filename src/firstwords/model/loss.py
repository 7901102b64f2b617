"""Cross-entropy over the positions that have a target.

Shapes: B rows, T tokens, N targets, M the same filled up, C channels, V vocabulary.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from firstwords.data.dataloader import IGNORE_INDEX

CHUNKED_FROM_VOCAB_SIZE = 16_384


class Selection(NamedTuple):
    """The positions of a batch that go through the output head, in the flattened (B*T) order."""

    positions_M: Tensor
    targets_M: Tensor  # IGNORE_INDEX where filled up
    n: int  # targets, before filling up


def select_targets(y_BT: Tensor) -> Selection:
    """Select the positions with a target, filled up to a multiple of an eighth of the batch.

    Leaving the others out saves their part of the output head, a fifth of a small model's work. A
    different size for every batch would fragment the allocator's memory: a run grew by a megabyte
    with each step (docs/lab-notebook.md#number-of-targets).
    """
    y_N, eighth = y_BT.flatten(), max(1, y_BT.numel() // 8)  # (B, T) -> (B*T,)
    positions_N = (y_N != IGNORE_INDEX).nonzero()[:, 0]
    n = len(positions_N)
    positions_M = F.pad(positions_N, (0, -n % eighth))
    targets_M = F.pad(y_N[positions_N], (0, -n % eighth), value=IGNORE_INDEX)
    return Selection(positions_M, targets_M, n)


def chunked_cross_entropy(
    x_MC: Tensor, head_VC: Tensor, targets_M: Tensor, reduction: str
) -> Tensor:
    """Return the cross-entropy of a linear layer without ever holding all logits in memory.

    The logits of a large vocabulary would otherwise be most of what a step needs. The function
    ignores autocast, so its inputs are cast here.
    """
    kind = x_MC.device.type
    if torch.is_autocast_enabled(kind):
        dtype = torch.get_autocast_dtype(kind)
        x_MC, head_VC = x_MC.to(dtype), head_VC.to(dtype)
    return F.linear_cross_entropy(
        x_MC,
        head_VC,
        targets_M,
        reduction=reduction,
        ignore_index=IGNORE_INDEX,
        options=nn.LinearCrossEntropyOptions(),
    ).float()
