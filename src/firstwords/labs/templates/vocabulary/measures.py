"""Lab 5: what a vocabulary costs, and how to compare models with different ones.

Write the three functions below. First read docs/labs/05-vocabulary.md.
"""

from firstwords.recipe import ModelConfig


def bits_per_byte(nats_per_token: float, bytes_per_token: float) -> float:
    """Return a model's loss in bits per byte of text."""
    raise NotImplementedError("TODO: a nat is 1 / ln 2 bits")


def head_share(config: ModelConfig) -> float:
    """Return the output head's share of the parameters in matrix products.

    These are the four projections of attention and the three of the MLP in each layer, and the
    head.
    """
    raise NotImplementedError("TODO: see matmul_parameters in src/firstwords/model/size.py")


def uniform_loss(config: ModelConfig) -> float:
    """Return the loss per token, in nats, of a model to which all tokens are equally likely."""
    raise NotImplementedError("TODO: what is the probability of each token?")
