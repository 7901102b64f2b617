"""The model sizes that the planner chooses from."""

from firstwords.recipe import ModelConfig

SEQ_LEN = 256  # tokens of a row, in the recipes that the planner makes for a time budget

# (layers, channels, heads). The heads are few and wide: 2 of 96 channels learned better than 3 of
# 64, and those better than 6 of 32 (docs/lab-notebook.md#heads-and-muon-steps). In the same time
# 3 x 224 learned more than 4 x 192 (docs/lab-notebook.md#layers-and-rates-at-ten-million-tokens).
MODEL_SIZES = (
    (2, 128, 2),
    (3, 128, 2),
    (3, 160, 2),
    (3, 192, 2),
    (3, 224, 2),
    (5, 256, 2),
    (6, 256, 2),
    (6, 384, 3),
    (8, 384, 3),
    (10, 448, 4),
    (12, 512, 4),
    (12, 640, 5),
    (16, 1024, 8),
    (20, 1280, 10),
    (24, 1536, 12),
)


def model_config(shape: tuple[int, int, int], vocab_size: int) -> ModelConfig:
    """Return the model of a shape (layers, channels, heads). Its MLP is 8/3 as wide as its
    channels, in whole multiples of 64."""
    n_layer, n_embd, n_head = shape
    return ModelConfig(
        vocab_size=vocab_size,
        n_layer=n_layer,
        n_embd=n_embd,
        n_head=n_head,
        n_kv_head=n_head,
        head_dim=n_embd // n_head,
        n_hidden=round(n_embd * 8 / 3 / 64) * 64,
        max_seq_len=SEQ_LEN,
    )
