"""Lab 10: measure whether a model can look back.

One function is missing here. Read docs/labs/10-induction.md first.
"""

from torch import Tensor

from firstwords.model import Transformer


def repeated(model: Transformer, half_BT: Tensor) -> float:
    """Show the model rows of random tokens twice over: half_BT (B rows, T tokens), and the same
    again behind them. The share of the second half's tokens that the model finds the likeliest
    where they come, from 0 to 1.

    The first token of the second half is left out: nothing before it tells what comes. Logits at
    place t are about the token at place t + 1.
    """
    raise NotImplementedError("TODO: torch.cat along the row, argmax, compare")
