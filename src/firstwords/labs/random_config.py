"""The model configuration of lab 6: random for every folder, so that no answer can be copied."""

import json
import random

from firstwords.recipe import ModelConfig

CONFIG = "config.json"


def random_config_text() -> str:
    """Return a random configuration as JSON."""
    return json.dumps(random_config(random.Random()).model_dump(), indent=2) + "\n"


def random_config(rng: random.Random) -> ModelConfig:
    """Return a small model with grouped-query attention, whose heads together are not as wide as
    its channels."""
    head_dim, n_kv_head, group = rng.choice([32, 48, 64]), rng.choice([1, 2]), rng.choice([2, 3])
    widths = [width for width in range(96, 257, 32) if width != head_dim * n_kv_head * group]
    return ModelConfig(
        vocab_size=rng.randrange(1000, 4000, 8),
        n_layer=rng.randint(2, 6),
        n_embd=rng.choice(widths),
        n_head=n_kv_head * group,
        n_kv_head=n_kv_head,
        head_dim=head_dim,
        n_hidden=64 * rng.randint(5, 12),
        max_seq_len=rng.choice([128, 256]),
    )
