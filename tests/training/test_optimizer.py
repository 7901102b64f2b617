"""Muon and AdamW: orthogonal updates, the schedule, a state that can be saved and loaded."""

from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from firstwords.model.transformer import Transformer
from firstwords.recipe import ModelConfig, OptimizerConfig
from firstwords.training.muon import muon_blocks, orthogonalize
from firstwords.training.optimizer import Optimizer, uses_muon
from firstwords.training.schedule import learning_rate


@settings(max_examples=30)
@given(
    n=st.integers(1, 3),
    rows=st.integers(1, 48),
    more=st.integers(0, 32),
    seed=st.integers(0, 2**31),
    scale=st.sampled_from([1e-6, 1.0, 1e4]),
)
def test_an_orthogonalized_matrix_has_singular_values_near_one(
    n: int, rows: int, more: int, seed: int, scale: float
) -> None:
    generator = torch.Generator().manual_seed(seed)
    # A known spectrum, no direction weaker than a tenth of the strongest: a few steps do not lift
    # directions that are hardly there.
    left = torch.linalg.qr(torch.randn(n, rows, rows, generator=generator)).Q
    right = torch.linalg.qr(torch.randn(n, rows + more, rows, generator=generator)).Q
    spectrum = 0.1 + 0.9 * torch.rand(n, rows, generator=generator)
    g_NRC = scale * (left * spectrum[:, None]) @ right.mT
    done = orthogonalize(g_NRC, torch.float32)
    assert done.shape == g_NRC.shape
    values = torch.linalg.svdvals(done)
    assert values.min() > 0.7
    assert values.max() < 1.28


@pytest.mark.parametrize("shape", [(1, 16, 64), (2, 32, 32)])
def test_random_matrices_become_nearly_orthogonal(shape: tuple[int, int, int]) -> None:
    g_NRC = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(orthogonalize(g_NRC, torch.float32))
    assert values.max() < 1.28
    assert values.median() > 0.7
    u, _, v = torch.linalg.svd(g_NRC, full_matrices=False)
    exact = u @ v
    cosine = (orthogonalize(g_NRC, torch.float32) * exact).sum() / exact.norm() ** 2
    assert 0.7 < cosine < 1.2


def test_stacked_matrices_are_orthogonalized_one_by_one() -> None:
    g_NRC = torch.randn(3, 8, 12, generator=torch.Generator().manual_seed(1))
    together = orthogonalize(g_NRC, torch.float32)
    for i in range(3):
        torch.testing.assert_close(together[i], orthogonalize(g_NRC[i : i + 1], torch.float32)[0])


@pytest.mark.parametrize("name", ["q_proj.weight", "v_proj.weight", "o_proj.weight"])
def test_a_head_learns_for_itself(name: str) -> None:
    heads, head_dim, n_embd = 3, 4, 16
    shape = (n_embd, heads * head_dim) if name == "o_proj.weight" else (heads * head_dim, n_embd)
    weight_RC = torch.arange(n_embd * heads * head_dim).float().view(shape)
    parts_NRC = muon_blocks(f"layers.0.self_attn.{name}", weight_RC, head_dim)
    assert parts_NRC.shape == (heads, head_dim, n_embd)
    second = weight_RC[:, 4:8].T if name == "o_proj.weight" else weight_RC[4:8]
    assert torch.equal(parts_NRC[1], second)
    parts_NRC.zero_()
    assert not weight_RC.any(), "the blocks are a view"


@pytest.mark.parametrize("name", ["gate_proj.weight", "up_proj.weight", "down_proj.weight"])
def test_sixty_four_hidden_units_learn_for_themselves(name: str) -> None:
    n_hidden, n_embd = 3 * 64, 80
    shape = (n_embd, n_hidden) if name == "down_proj.weight" else (n_hidden, n_embd)
    weight_RC = torch.arange(n_embd * n_hidden).float().view(shape)
    parts_NRC = muon_blocks(f"layers.0.mlp.{name}", weight_RC, 4)
    assert parts_NRC.shape == (3, 64, n_embd)
    second = weight_RC[:, 64:128].T if name == "down_proj.weight" else weight_RC[64:128]
    assert torch.equal(parts_NRC[1], second)


@pytest.mark.parametrize("shape", [(16, 48), (48, 16), (16, 16)])
def test_hidden_units_that_cannot_be_divided_so_are_one_block(shape: tuple[int, int]) -> None:
    parts_NRC = muon_blocks("layers.0.mlp.up_proj.weight", torch.zeros(shape), 4)
    assert parts_NRC.shape == (1, min(shape), max(shape))


@pytest.mark.parametrize("n_hidden", [96, 128])
def test_an_update_has_one_size_in_every_matrix(n_hidden: int, tiny_model: ModelConfig) -> None:
    model, optimizer = made(tiny_model.replace(n_hidden=n_hidden))
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    generator = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=generator)
    optimizer.step(1.0)
    for name, parameter in model.named_parameters():
        if parameter.ndim == 2 and name.startswith("layers."):
            moved = (parameter.detach() - before[name]).square().mean().sqrt()
            rate = OptimizerConfig().matrix_lr / parameter.shape[1] ** 0.5
            assert moved == pytest.approx(rate, rel=0.15), name


def test_the_schedule_warms_up_stays_and_decays() -> None:
    rates = [learning_rate(step, 100, 10, 0.4, 0.05) for step in range(100)]
    assert rates[:10] == pytest.approx([0.1 * (i + 1) for i in range(10)])
    assert rates[10:60] == [1.0] * 50
    assert rates[60] == pytest.approx(1 - 0.95 / 40)
    assert all(a > b for a, b in pairwise(rates[59:]))
    assert rates[-1] == pytest.approx(0.05)


@given(
    steps=st.integers(1, 200),
    warmup=st.integers(0, 50),
    decay=st.floats(0, 1),
    final=st.floats(0, 1),
)
def test_the_schedule_stays_between_zero_and_the_peak(
    steps: int, warmup: int, decay: float, final: float
) -> None:
    rates = [learning_rate(step, steps, warmup, decay, final) for step in range(steps)]
    assert all(0 <= rate <= 1 for rate in rates)
    if final > 1e-9:  # less is lost beside 1
        assert min(rates) > 0


def gradients(model: Transformer, step: int) -> None:
    ids_BT = torch.randint(
        model.config.vocab_size, (2, 16), generator=torch.Generator().manual_seed(step)
    )
    model.zero_grad(set_to_none=True)
    model.loss(ids_BT, ids_BT.roll(-1, 1)).backward()


def made(config: ModelConfig, seed: int = 0) -> tuple[Transformer, Optimizer]:
    model = Transformer(config).init_weights(seed)
    return model, Optimizer(model, OptimizerConfig(), torch.float32)


def test_every_parameter_moves(tiny_model: ModelConfig) -> None:
    model, optimizer = made(tiny_model)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    for step in range(2):  # behind projections that start at zero, gradients begin at the second
        gradients(model, step)
        optimizer.step(1.0)
    for name, parameter in model.named_parameters():
        assert not torch.equal(parameter, before[name]), name
    assert optimizer.steps == 2


def test_a_step_moves_a_matrix_by_the_rate_in_every_direction(tiny_model: ModelConfig) -> None:
    model, optimizer = made(tiny_model)
    matrix = model.layers[0].self_attn.o_proj.weight
    gradients(model, 0)
    optimizer.step(0.5)
    head = matrix.detach()[:, : tiny_model.head_dim]
    moved = torch.linalg.svdvals(head)[:5]
    assert moved.max() < 1.3 * 0.5 * OptimizerConfig().matrix_lr
    assert moved.min() > 0.3 * 0.5 * OptimizerConfig().matrix_lr


def test_a_step_of_rate_zero_moves_nothing(tiny_model: ModelConfig) -> None:
    model, optimizer = made(tiny_model)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    gradients(model, 0)
    optimizer.step(0.0)
    assert all(torch.equal(p, before[name]) for name, p in model.named_parameters())


@pytest.mark.parametrize("cut", [0, 1, 5])
def test_training_goes_on_from_a_state_to_the_same_bytes(
    cut: int,
    tiny_model: ModelConfig,
    random_model: Callable[..., Transformer],
) -> None:
    model, optimizer = made(tiny_model)
    for step in range(cut):
        gradients(model, step)
        optimizer.step(0.8)
    weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    state = {name: tensor.clone() for name, tensor in optimizer.state().items()}

    other = random_model(tiny_model, seed=9)
    other.load_state_dict(weights)
    resumed = Optimizer(other, OptimizerConfig(), torch.float32)
    resumed.load_state(state)
    assert resumed.steps == cut
    for step in range(cut, 8):
        for m, o in ((model, optimizer), (other, resumed)):
            gradients(m, step)
            o.step(0.8)
    for (name, a), b in zip(model.named_parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b), name


def test_the_state_holds_every_parameter_and_comes_back(tiny_model: ModelConfig) -> None:
    model, optimizer = made(tiny_model)
    gradients(model, 0)
    optimizer.step(1.0)
    state = optimizer.state()
    names = {name for name, _ in model.named_parameters()}
    assert {key.rsplit(".", 1)[0] for key in state if key != "steps"} == names
    _, other = made(tiny_model, seed=4)
    other.load_state(state)
    assert other.state().keys() == state.keys()
    assert all(torch.equal(other.state()[key], state[key]) for key in state)


def test_a_missing_state_is_an_error(tiny_model: ModelConfig) -> None:
    model, optimizer = made(tiny_model)
    gradients(model, 0)
    optimizer.step(1.0)
    for name in ("layers.0.mlp.up_proj.weight.momentum", "norm.weight.exp_avg"):
        state = optimizer.state()
        del state[name]
        with pytest.raises(KeyError, match=name):
            made(tiny_model)[1].load_state(state)


def test_muon_owns_the_matrices_of_the_blocks(tiny_model: ModelConfig) -> None:
    model, optimizer = made(tiny_model)
    owned = {name for name, _ in model.named_parameters() if uses_muon(name)}
    assert owned == {name for name, own in optimizer.moments.items() if "momentum" in own}
    assert owned == {
        name for name, p in model.named_parameters() if p.ndim == 2 and name.startswith("layers.")
    }
