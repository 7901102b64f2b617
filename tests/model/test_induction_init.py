"""Before any training, the model finds an earlier copy of a token and predicts what followed it."""

from typing import cast

import torch

from firstwords.model.induction_init import plant_induction_heads
from firstwords.model.transformer import Block, Transformer
from firstwords.planning.model_sizes import MODEL_SIZES, model_config
from firstwords.recipe import ModelConfig

CONFIG = model_config((4, 192, 2), 512)


def repeated(config: ModelConfig, rows: int = 8, length: int = 60) -> torch.Tensor:
    """Random tokens, then the same tokens again."""
    generator = torch.Generator().manual_seed(1)
    half_BT = torch.stack(
        [torch.randperm(config.vocab_size, generator=generator)[:length] for _ in range(rows)]
    )
    return torch.cat((half_BT, half_BT), 1)


def losses(model: Transformer, ids_BT: torch.Tensor) -> tuple[float, float]:
    """Nats per token in the first half, and in the second, which repeats it."""
    with torch.inference_mode():
        loss_N = model.loss(ids_BT[:, :-1], ids_BT[:, 1:], reduction="none")
    loss_BT = loss_N.view(len(ids_BT), -1)
    half = ids_BT.shape[1] // 2
    return float(loss_BT[:, : half - 1].mean()), float(loss_BT[:, half + 2 :].mean())


def test_repeated_tokens_have_a_lower_loss() -> None:
    for seed in range(3):
        new, again = losses(Transformer(CONFIG).init_weights(seed), repeated(CONFIG))
        assert again < new - 0.1, (seed, new, again)


def test_the_token_that_followed_before_is_among_the_top_three() -> None:
    ids_BT = repeated(CONFIG)
    half = ids_BT.shape[1] // 2
    with torch.inference_mode():
        logits_BTV = Transformer(CONFIG).init_weights(0)(ids_BT)[:, half:-1]
    next_BT1 = ids_BT[:, half + 1 :, None]
    rank_BT = (logits_BTV > logits_BTV.gather(-1, next_BT1)).sum(-1)
    assert (rank_BT < 3).float().mean() > 0.8


def test_without_the_planted_heads_repetition_does_not_help() -> None:
    model = Transformer(CONFIG).init_weights(0)
    for layer in range(2):
        model.layers[layer].self_attn.o_proj.weight.data.zero_()  # type: ignore[union-attr]
    new, again = losses(model, repeated(CONFIG))
    assert abs(again - new) < 0.05


def test_every_planned_shape_starts_with_finite_losses() -> None:
    for shape in MODEL_SIZES[:6]:
        config = model_config(shape, 512)
        new, again = losses(Transformer(config).init_weights(0), repeated(config, rows=2))
        assert again < new < 10


def test_a_model_with_one_layer_is_unchanged() -> None:
    config = CONFIG.replace(n_layer=1)
    model = Transformer(config).init_weights(0)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    attentions = [cast(Block, block).self_attn for block in model.layers]
    generator = torch.Generator().manual_seed(0)
    plant_induction_heads(config, model.embed_tokens.weight, attentions, generator)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
