"""How large a model is and what training it costs, computed from its shape."""

from firstwords.recipe import ModelConfig


def matmul_parameters(config: ModelConfig) -> int:
    """Return the number of parameters that take part in a matrix product for every token."""
    attention = 2 * config.n_embd * config.head_dim * (config.n_head + config.n_kv_head)
    mlp = 3 * config.n_embd * config.n_hidden
    return config.n_layer * (attention + mlp) + config.n_embd * config.vocab_size


def n_parameters(config: ModelConfig) -> int:
    """Return the number of all parameters."""
    embedding = config.n_embd * config.vocab_size
    norms = config.n_layer * 2 * (config.n_embd + config.head_dim) + config.n_embd
    return matmul_parameters(config) + embedding + norms


def flops_per_token(config: ModelConfig, seq_len: int) -> int:
    """Return the training FLOPs per token: 6 per matmul parameter, and causal attention, in which a
    token sees half a row on average (arXiv 2001.08361)."""
    attention = 12 * config.n_layer * config.n_head * config.head_dim * seq_len // 2
    return 6 * matmul_parameters(config) + attention
