"""The transformer: the cache changes nothing, the future is not seen, the counts are right."""

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from firstwords.data.dataloader import IGNORE_INDEX
from firstwords.model import transformer
from firstwords.model.kv_cache import KVCache
from firstwords.model.size import flops_per_token, matmul_parameters, n_parameters
from firstwords.model.transformer import Transformer
from firstwords.recipe import AttentionKind, ModelConfig

MakeModel = Callable[..., Transformer]
CPU = torch.device("cpu")


def tokens(config: ModelConfig, *shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(5)
    return torch.randint(config.vocab_size, shape, generator=generator)


@settings(max_examples=25)
@given(chunks=st.lists(st.integers(1, 20), min_size=1, max_size=8), batch=st.integers(1, 2))
def test_logits_with_a_cache_are_those_without_for_any_cut(
    tiny_model: ModelConfig, random_model: MakeModel, chunks: list[int], batch: int
) -> None:
    model = random_model(tiny_model)
    ids_BT = tokens(tiny_model, batch, min(sum(chunks), tiny_model.max_seq_len))
    cache = KVCache(tiny_model, batch, tiny_model.max_seq_len, CPU)
    parts = []
    with torch.inference_mode():
        while cache.length < ids_BT.shape[1]:
            start = cache.length
            parts.append(model(ids_BT[:, start : start + chunks[len(parts)]], cache))
        whole = model(ids_BT)
    torch.testing.assert_close(torch.cat(parts, 1), whole, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("n_kv_head", [1, 2, 4])
def test_attention_product_by_product_is_the_fused_kernels(
    n_kv_head: int, tiny_model: ModelConfig, random_model: MakeModel
) -> None:
    """Same loss, same gradients; with a cache, where it is not used, same logits too."""
    config = tiny_model.replace(n_head=4, n_kv_head=n_kv_head)
    ids_BT, found = tokens(config, 2, 30), []
    start_BT = torch.tensor([[0] * 7 + [7] * 22, [0] * 29])
    kinds: tuple[AttentionKind, ...] = ("fused", "plain")
    for kind in kinds:
        model = Transformer(config, kind)
        model.load_state_dict(random_model(config).state_dict())
        loss = model.loss(ids_BT[:, :-1], ids_BT[:, 1:], "mean", start_BT)
        loss = loss + model.loss(ids_BT[:, :-1], ids_BT[:, 1:])
        loss.backward()
        gradients = [p.grad for p in model.parameters()]
        cached = model(ids_BT, KVCache(config, 2, 30, CPU)).detach()
        found.append([loss.detach(), *gradients, cached])
    torch.testing.assert_close(*found, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("changed", [0, 1, 17, 39])
@torch.inference_mode()
def test_a_token_changes_no_logits_before_it(
    changed: int, tiny_model: ModelConfig, random_model: MakeModel
) -> None:
    model = random_model(tiny_model)
    ids_BT = tokens(tiny_model, 1, 40)
    other_BT = ids_BT.clone()
    other_BT[0, changed] = (other_BT[0, changed] + 1) % tiny_model.vocab_size
    difference_T = (model(ids_BT) - model(other_BT)).abs().amax((0, 2))
    assert (difference_T[:changed] < 1e-5).all()
    assert (difference_T[changed:] > 1e-3).all(), "every later token sees it"


@torch.inference_mode()
def test_rows_of_a_batch_do_not_see_each_other(
    tiny_model: ModelConfig, random_model: MakeModel
) -> None:
    model = random_model(tiny_model)
    ids_BT = tokens(tiny_model, 3, 20)
    for row in range(3):
        torch.testing.assert_close(
            model(ids_BT)[row], model(ids_BT[row : row + 1])[0], atol=1e-5, rtol=1e-4
        )


@torch.inference_mode()
def test_the_order_of_earlier_tokens_matters(
    tiny_model: ModelConfig, random_model: MakeModel
) -> None:
    model = random_model(tiny_model)
    swapped = model(torch.tensor([[7, 3, 9]]))[0, -1]
    assert (model(torch.tensor([[3, 7, 9]]))[0, -1] - swapped).abs().max() > 1e-2


@torch.inference_mode()
def test_the_first_loss_is_that_of_guessing(tiny_model: ModelConfig) -> None:
    model = Transformer(tiny_model).init_weights(0)
    ids_BT = tokens(tiny_model, 4, 65)
    loss = model.loss(ids_BT[:, :-1], ids_BT[:, 1:]).item()
    assert loss == pytest.approx(math.log(tiny_model.vocab_size), rel=0.02)


def wide_model(n_embd: int) -> ModelConfig:
    """One layer of the width of the plan's larger models."""
    return ModelConfig(
        vocab_size=4096,
        n_layer=1,
        n_embd=n_embd,
        n_head=1,
        n_kv_head=1,
        head_dim=64,
        n_hidden=64,
        max_seq_len=64,
    )


@pytest.mark.parametrize("n_embd", [128, 256, 640])
@torch.inference_mode()
def test_the_first_loss_is_that_of_guessing_at_any_width(n_embd: int) -> None:
    config = wide_model(n_embd)
    ids_BT = tokens(config, 2, 65)
    loss = Transformer(config).init_weights(0).loss(ids_BT[:, :-1], ids_BT[:, 1:]).item()
    assert loss == pytest.approx(math.log(4096), rel=0.03)


def test_initial_weights_are_the_seeds(tiny_model: ModelConfig) -> None:
    first, again, other = (Transformer(tiny_model).init_weights(s).state_dict() for s in (3, 3, 4))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["embed_tokens.weight"], other["embed_tokens.weight"])


def test_blocks_change_nothing_before_the_first_step(tiny_model: ModelConfig) -> None:
    state = Transformer(tiny_model).init_weights(0).state_dict()
    silent = [name for name in state if name.endswith(("o_proj.weight", "down_proj.weight"))]
    assert len(silent) == 2 * tiny_model.n_layer
    assert not any(state[name].any() for name in silent)


@torch.inference_mode()
def test_ignored_targets_carry_no_loss(tiny_model: ModelConfig, random_model: MakeModel) -> None:
    model = random_model(tiny_model)
    x_BT, y_BT = tokens(tiny_model, 2, 10), tokens(tiny_model, 2, 10)
    y_BT[0, :6] = IGNORE_INDEX
    each = model.loss(x_BT, y_BT, reduction="none")
    assert each.shape == (14,)
    all_of_them = model.loss(x_BT, y_BT.clamp(min=0), reduction="none")
    torch.testing.assert_close(each, all_of_them[6:])
    torch.testing.assert_close(model.loss(x_BT, y_BT, reduction="sum"), each.sum())
    torch.testing.assert_close(model.loss(x_BT, y_BT), each.sum() / 14)


@given(lengths=st.lists(st.integers(1, 12), min_size=1, max_size=5))
@settings(max_examples=15)
@torch.inference_mode()
def test_sequences_in_a_row_have_the_losses_of_sequences_alone(
    tiny_model: ModelConfig, random_model: MakeModel, lengths: list[int]
) -> None:
    model = random_model(tiny_model)
    ids_BT = tokens(tiny_model, 1, sum(lengths) + 1)
    x_BT, y_BT = ids_BT[:, :-1], ids_BT[:, 1:]
    starts = [sum(lengths[:number]) for number in range(len(lengths))]
    start_BT = torch.tensor([starts]).repeat_interleave(torch.tensor(lengths), dim=1)
    parts = zip(x_BT.split(lengths, 1), y_BT.split(lengths, 1), strict=True)
    alone = torch.cat([model.loss(x_1T, y_1T, "none") for x_1T, y_1T in parts])
    together = model.loss(x_BT, y_BT, "none", start_BT)
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-4)


def test_matmul_parameters_are_those_of_the_linear_layers(
    tiny_model: ModelConfig,
) -> None:
    model = Transformer(tiny_model)
    linear = sum(m.weight.numel() for m in model.modules() if isinstance(m, torch.nn.Linear))
    assert matmul_parameters(tiny_model) == linear
    assert n_parameters(tiny_model) == sum(p.numel() for p in model.parameters())


def test_counts_match_a_count_by_hand() -> None:
    config = ModelConfig(
        vocab_size=100,
        n_layer=3,
        n_embd=16,
        n_head=4,
        n_kv_head=2,
        head_dim=8,
        n_hidden=40,
        max_seq_len=32,
    )
    attention = 16 * 32 + 16 * 16 + 16 * 16 + 32 * 16  # q, k, v, o
    matmul = 3 * (attention + 3 * 16 * 40) + 100 * 16
    assert matmul_parameters(config) == matmul
    # Scores and their sum over values: 2 * 2 FLOPs for each of 4 heads of 8 and each token seen,
    # on average half a row; three times for forward and backward.
    scores = 3 * 3 * (2 * 2 * 4 * 8) * 32 // 2
    assert flops_per_token(config, 32) == 6 * matmul + scores


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_chunked_cross_entropy_has_the_same_loss_and_gradients(
    tiny_model: ModelConfig, monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype
) -> None:
    x_BT = tokens(tiny_model, 4, 32)
    y_BT = x_BT.roll(-1, 1)
    y_BT[0, :20] = IGNORE_INDEX
    found = []
    for large in (tiny_model.vocab_size + 1, tiny_model.vocab_size):
        monkeypatch.setattr(transformer, "CHUNKED_FROM_VOCAB_SIZE", large)
        model = Transformer(tiny_model).init_weights(0)
        with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
            loss = model.loss(x_BT, y_BT, reduction="sum")
        loss.backward()
        found.append((loss, {name: p.grad for name, p in model.named_parameters()}))
    (whole, gradients), (parts, others) = found
    rtol = 1e-4 if dtype == torch.float32 else 0.03
    torch.testing.assert_close(parts, whole, rtol=rtol, atol=0)
    for name, gradient in gradients.items():
        assert gradient is not None
        size = float(gradient.abs().max())
        torch.testing.assert_close(others[name], gradient, rtol=rtol, atol=rtol * size)
