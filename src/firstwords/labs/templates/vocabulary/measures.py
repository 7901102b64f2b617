"""Lab 5: what two vocabularies cost, and how models that have them can be compared.

Three functions are missing here. Read docs/labs/05-vocabulary.md first.
"""

from firstwords.recipe import ModelConfig


def bits_per_byte(nats_per_token: float, bytes_per_token: float) -> float:
    """The loss of a model in bits for each byte of its text."""
    raise NotImplementedError("TODO: a nat is 1 / ln 2 bits")


def head_share(config: ModelConfig) -> float:
    """The output head's share of the parameters that take part in a matrix product for every token:
    those of the attention's four projections and the MLP's three in each layer, and the head's."""
    raise NotImplementedError("TODO: src/firstwords/model.py, matmul_parameters")


def uniform_loss(config: ModelConfig) -> float:
    """The loss per token, in nats, of a model that finds all tokens equally likely."""
    raise NotImplementedError("TODO: with how many tokens does it start?")
