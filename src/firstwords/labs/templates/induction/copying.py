"""Lab 10: measure whether a model can repeat what it has just read.

Write the function below. First read docs/labs/10-induction.md.
"""

from torch import Tensor

from firstwords.model.transformer import Transformer


def repeat_accuracy(model: Transformer, half_BT: Tensor) -> float:
    """Return the share of the second half's tokens that the model predicts, from 0 to 1.

    The rows are random tokens twice in succession: half_BT (B rows, T tokens) and then the same
    again. A token is predicted if it is the most likely one. The logits at position t are for the
    token at position t + 1. Leave out the first token of the second half: nothing before it tells
    that the row repeats.
    """
    raise NotImplementedError("TODO: torch.cat along the row, argmax, compare")
