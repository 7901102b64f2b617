"""The model of lab 6: drawn anew for every folder, so that its answers stand nowhere."""

import json
import random

from firstwords.recipe import ModelConfig

CONFIG = "config.json"


def config_text() -> str:
    return json.dumps(random_config(random.Random()).model_dump(), indent=2) + "\n"


def random_config(rng: random.Random) -> ModelConfig:
    """A small model with grouped queries, whose heads are not as wide together as its channels."""
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
