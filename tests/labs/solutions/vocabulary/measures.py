import math

from firstwords.recipe import ModelConfig


def bits_per_byte(nats_per_token: float, bytes_per_token: float) -> float:
    return nats_per_token / math.log(2) / bytes_per_token


def head_share(config: ModelConfig) -> float:
    attention = 2 * config.n_embd * config.head_dim * (config.n_head + config.n_kv_head)
    layer = attention + 3 * config.n_embd * config.n_hidden
    head = config.n_embd * config.vocab_size
    return head / (config.n_layer * layer + head)


def uniform_loss(config: ModelConfig) -> float:
    return math.log(config.vocab_size)
