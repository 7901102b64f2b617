"""The native training step computes what PyTorch computes."""

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from firstwords.common.errors import Diverged
from firstwords.data.dataloader import (
    IGNORE_INDEX,
    Batch,
    BatchSampler,
    Row,
    single_row,
    single_sequences,
)
from firstwords.kernels import build as kernel_build
from firstwords.kernels.build import train_library
from firstwords.kernels.train import NativeTrainer, RaggedTrainer
from firstwords.model.transformer import Transformer
from firstwords.recipe import Dtype, ModelConfig, OptimizerConfig, Recipe, StageConfig
from firstwords.training.checkpoint import load_optimizer
from firstwords.training.loop import train, train_step
from firstwords.training.native_optimizer import NativeOptimizer
from firstwords.training.optimizer import Optimizer
from firstwords.training.setup import TrainState, build

pytestmark = pytest.mark.skipif(train_library("float32") is None, reason="no C++ compiler")
DTYPES: dict[Dtype, torch.dtype] = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@st.composite
def shapes(draw: Callable[..., Any]) -> ModelConfig:
    """Small models, mostly with sizes that are no multiple of a vector register."""
    n_kv_head = draw(st.integers(1, 3))
    return ModelConfig(
        vocab_size=draw(st.integers(2, 150)),
        n_layer=draw(st.integers(1, 3)),
        n_embd=draw(st.integers(8, 80)),
        n_head=n_kv_head * draw(st.integers(1, 3)),
        n_kv_head=n_kv_head,
        head_dim=2 * draw(st.integers(1, 25)),
        n_hidden=draw(st.integers(8, 90)),
        max_seq_len=80,
    )


def random_model(config: ModelConfig) -> Transformer:
    """A model without zeros: the initial ones would make most gradients zero."""
    generator = torch.Generator().manual_seed(1)
    model = Transformer(config)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.copy_(0.3 * noise if parameter.ndim == 2 else 1 + 0.2 * noise)
    return model


def random_batch(
    config: ModelConfig, n_rows: int, seq_len: int, targets: float, starts: float = 0.0
) -> Batch:
    """A batch where this share of the positions has a target, and that share starts a sequence."""
    generator = torch.Generator().manual_seed(2)
    shape = (n_rows, seq_len)
    x_BT = torch.randint(config.vocab_size, shape, generator=generator)
    y_BT = torch.randint(config.vocab_size, shape, generator=generator)
    y_BT[torch.rand(shape, generator=generator) >= targets] = IGNORE_INDEX
    y_BT[-1, -1] = 0  # at least one target
    is_start_BT = torch.rand(shape, generator=generator) < starts
    start_BT = (is_start_BT * torch.arange(seq_len)).cummax(dim=1).values
    return Batch(x_BT, y_BT, start_BT)


def random_weights(y_BT: Tensor) -> Tensor:
    """Weights of the targets' losses, of both signs and some of them zero."""
    w_BT = torch.randn(y_BT.shape, generator=torch.Generator().manual_seed(3))
    w_BT[:, ::3] = 0
    return w_BT


def torch_gradients(
    model: Transformer, batch: Batch, dtype: Dtype
) -> tuple[float, dict[str, Tensor]]:
    model.zero_grad()
    x_BT, y_BT, start_BT, w_BT = batch
    with torch.autocast("cpu", DTYPES[dtype], enabled=dtype != "float32"):
        nats_N = model.loss(x_BT, y_BT, "none", start_BT)
    w_N = torch.ones_like(nats_N) / len(nats_N) if w_BT is None else w_BT[y_BT != IGNORE_INDEX]
    loss = (nats_N * w_N).sum()
    loss.backward()
    gradients = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    return loss.item(), gradients


def native_trainer(
    model: Transformer, dtype: Dtype, n_rows: int, seq_len: int, rows_per_pass: int, n_threads: int
) -> NativeTrainer:
    library = train_library(dtype)
    assert library is not None
    return NativeTrainer(library, model, seq_len, n_rows, rows_per_pass, n_threads)


def native_gradients(
    model: Transformer, dtype: Dtype, batch: Batch, *passes: int
) -> tuple[float, dict[str, Tensor], float]:
    trainer = native_trainer(model, dtype, *batch.x_BT.shape, *passes)
    loss = trainer.gradients(batch)
    gradients = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    return loss, gradients, trainer.gradient_norm


def errors(gradients: dict[str, Tensor], expected: dict[str, Tensor]) -> dict[str, float]:
    """The relative error of each parameter's gradient."""
    return {
        name: ((gradients[name] - exact).norm() / exact.norm().clamp(min=1e-12)).item()
        for name, exact in expected.items()
    }


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    config=shapes(),
    n_rows=st.integers(1, 5),
    seq_len=st.integers(2, 80),
    targets=st.sampled_from([0.0, 0.1, 1.0]),
    starts=st.sampled_from([0.0, 0.02, 0.3]),
    rows_per_pass=st.integers(1, 3),
    n_threads=st.integers(1, 3),
    weighted=st.booleans(),
)
def test_gradients_are_those_of_autograd(
    config: ModelConfig,
    n_rows: int,
    seq_len: int,
    targets: float,
    starts: float,
    rows_per_pass: int,
    n_threads: int,
    weighted: bool,
) -> None:
    model = random_model(config)
    batch = random_batch(config, n_rows, seq_len, targets, starts)
    if weighted:
        batch = batch._replace(w_BT=random_weights(batch.y_BT))
    loss, gradients, norm = native_gradients(model, "float32", batch, rows_per_pass, n_threads)
    expected_loss, expected = torch_gradients(model, batch, "float32")
    assert loss == pytest.approx(expected_loss, rel=1e-5, abs=1e-4)
    total = torch.nn.utils.get_total_norm(expected.values()).item()
    assert norm == pytest.approx(total, rel=1e-4)
    for name, exact in expected.items():
        # Gradients that are almost zero by cancellation are compared with the largest.
        error = (gradients[name] - exact).norm().item()
        assert error <= 1e-5 * exact.norm().item() + 1e-6 * total, name


def test_rows_of_different_lengths_have_the_gradients_of_padded_ones() -> None:
    config = ModelConfig(
        vocab_size=300, n_layer=2, n_embd=32, n_head=2, n_kv_head=1, head_dim=16, n_hidden=48,
        max_seq_len=64,
    )  # fmt: skip
    model = random_model(config)
    batch = random_batch(config, 5, 60, 0.5, 0.05)
    for row, length in enumerate((60, 3, 8, 31, 0)):
        batch.y_BT[row, length:] = IGNORE_INDEX
    batch = batch._replace(w_BT=random_weights(batch.y_BT))
    loss, expected, norm = native_gradients(model, "float32", batch, 2, 2)
    library = train_library("float32")
    assert library is not None
    ragged = RaggedTrainer(library, model, 60, 5, 2, 2)
    for _ in range(2):  # a second call starts from nothing
        assert ragged.gradients(batch) == pytest.approx(loss, rel=1e-4, abs=1e-5)
        assert ragged.gradient_norm == pytest.approx(norm, rel=1e-4)
        for name, parameter in model.named_parameters():
            assert parameter.grad is not None
            torch.testing.assert_close(parameter.grad, expected[name], atol=1e-5, rtol=1e-3)


@pytest.mark.parametrize(
    "config",
    [
        ModelConfig(vocab_size=300, n_layer=2, n_embd=64, n_head=4, n_kv_head=2, head_dim=16,
                    n_hidden=96, max_seq_len=64),
        ModelConfig(vocab_size=301, n_layer=3, n_embd=50, n_head=3, n_kv_head=1, head_dim=22,
                    n_hidden=77, max_seq_len=64),
    ],
)  # fmt: skip
def test_bfloat16_is_as_exact_as_pytorchs(config: ModelConfig) -> None:
    model = random_model(config)
    batch = random_batch(config, 4, 60, 0.7, 0.05)
    exact_loss, exact = torch_gradients(model, batch, "float32")
    _, rounded = torch_gradients(model, batch, "bfloat16")
    loss, gradients, _ = native_gradients(model, "bfloat16", batch, 2, 2)
    assert loss == pytest.approx(exact_loss, rel=5e-3)
    pytorchs, ours = errors(rounded, exact), errors(gradients, exact)
    assert sum(ours.values()) <= 1.1 * sum(pytorchs.values())
    for name, error in ours.items():
        assert error <= 1.6 * pytorchs[name] + 0.005, name


@pytest.fixture
def recipe(tiny_model: ModelConfig) -> Recipe:
    stage = StageConfig(steps=200, batch_size=4, micro_batch_size=2, seq_len=32, warmup_steps=5)
    return Recipe(
        n_threads=2,
        kernel="native",
        tokenizer_bytes=1,
        model=tiny_model.replace(vocab_size=263),
        pretrain=stage,
        midtrain=stage,
        sft=stage,
    )


class CountingRows:
    """Rows that count in steps of one to three, which a small model learns quickly."""

    def __len__(self) -> int:
        return 300

    def row(self, index: int) -> Row:
        ids = (index + (1 + index % 3) * np.arange(33)) % 50
        return single_row(ids[:-1], ids[1:])


def batches_of(recipe: Recipe) -> BatchSampler:
    return BatchSampler(CountingRows(), recipe.pretrain.batch_size, 0)


def losses(state: TrainState, recipe: Recipe) -> list[float]:
    return [step.loss for step in train(state, batches_of(recipe), recipe.pretrain)]


def test_two_hundred_losses_follow_pytorchs(recipe: Recipe) -> None:
    native = losses(build(recipe), recipe)
    pytorch = losses(build(recipe.replace(kernel="pytorch")), recipe)
    assert native[:20] == pytest.approx(pytorch[:20], rel=1e-3)
    assert sum(native[-50:]) == pytest.approx(sum(pytorch[-50:]), rel=0.05)
    assert native[-1] < 0.3 * native[0]


def test_the_same_bytes_on_every_repetition(recipe: Recipe) -> None:
    def weights() -> dict[str, Tensor]:
        state = build(recipe.replace(dtype="bfloat16"))
        for _ in range(20):
            train_step(state, batches_of(recipe), recipe.pretrain)
        return dict(state.model.named_parameters())

    first, second = weights(), weights()
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("n_hidden", [128, 100])  # with blocks of 64 hidden units, and without
def test_updates_are_those_of_the_pytorch_optimizer(recipe: Recipe, n_hidden: int) -> None:
    config = recipe.model.replace(n_hidden=n_hidden)
    models = [random_model(config), random_model(config)]
    before = {name: p.detach().clone() for name, p in models[0].named_parameters()}
    pytorch = Optimizer(models[0], OptimizerConfig(), torch.float32)
    trainer = native_trainer(models[1], "float32", 4, 32, 2, 2)
    native = NativeOptimizer(models[1], OptimizerConfig(), trainer)
    for number in range(3):
        generator = torch.Generator().manual_seed(number)
        for one, other in zip(models[0].parameters(), models[1].parameters(), strict=True):
            one.grad = torch.randn(one.shape, generator=generator)
            other.grad = one.grad.clone()
        pytorch.step(0.5)
        native.step(0.5)
    expected = dict(models[0].named_parameters())
    for name, parameter in models[1].named_parameters():
        change = (expected[name] - before[name]).norm()
        assert (parameter - expected[name]).norm() <= 1e-4 * change, name
    for key, tensor in pytorch.state().items():
        assert torch.allclose(native.state()[key], tensor, rtol=1e-5, atol=1e-7), key


def test_a_checkpoint_of_either_kernel_continues_with_the_other(
    recipe: Recipe, tmp_path: Path
) -> None:
    from safetensors.torch import save_file

    def steps_of(kernel: Any, state: dict[str, Tensor] | None, model: Transformer | None) -> Any:
        other = build(recipe.replace(kernel=kernel), model)
        if state is not None:
            save_file(state, tmp_path / "optimizer.safetensors")
            load_optimizer(other.optimizer, tmp_path)
        for _ in range(5):
            step = train_step(other, batches_of(recipe), recipe.pretrain)
        return other, step.loss

    first, _ = steps_of("native", None, None)
    saved = {key: value.clone() for key, value in first.optimizer.state().items()}
    copies = [Transformer(recipe.model) for _ in range(2)]
    for copy in copies:
        copy.load_state_dict(first.model.state_dict())
    _, by_native = steps_of("native", saved, copies[0])
    _, by_pytorch = steps_of("pytorch", saved, copies[1])
    assert by_native == pytest.approx(by_pytorch, rel=1e-3)


def test_a_loss_that_is_not_finite_stops_training(recipe: Recipe) -> None:
    state = build(recipe)
    with torch.no_grad():
        state.model.norm.weight[0] = math.nan
    with pytest.raises(Diverged, match="loss at step 1 is nan"):
        train_step(state, batches_of(recipe), recipe.pretrain)


@pytest.mark.parametrize("bad_id", [-1, 263, 10**12])
def test_an_unknown_token_id_is_refused(recipe: Recipe, bad_id: int) -> None:
    native = build(recipe).native
    assert native is not None
    x_BT = torch.zeros(4, 32, dtype=torch.long)
    x_BT[2, 5] = bad_id
    with pytest.raises(IndexError, match="a token id is not below 263"):
        native.gradients(single_sequences(x_BT, x_BT))
    with pytest.raises(IndexError, match="a token id is not below 263"):
        native.gradients(single_sequences(torch.zeros_like(x_BT), x_BT))


@pytest.mark.parametrize(("place", "start"), [(5, 6), (31, 32), (0, -1), (9, -3), (12, 0)])
def test_an_impossible_start_of_a_sequence_is_refused(
    recipe: Recipe, place: int, start: int
) -> None:
    native = build(recipe).native
    assert native is not None
    batch = single_sequences(*[torch.zeros(4, 32, dtype=torch.long)] * 2)
    batch.start_BT[2, 11:] = 11
    batch.start_BT[2, place] = start
    with pytest.raises(IndexError, match="a sequence starts"):
        native.gradients(batch)


@pytest.fixture
def no_compiler(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("firstwords.common.hardware.find_compiler", lambda: None)
    kernel_build._library.cache_clear()
    yield
    kernel_build._library.cache_clear()


@pytest.mark.usefixtures("no_compiler")
def test_without_a_compiler_pytorch_trains(
    recipe: Recipe, capsys: pytest.CaptureFixture[str]
) -> None:
    state = build(recipe)
    assert state.native is None
    assert "no native training step on this machine" in capsys.readouterr().err
    assert math.isfinite(train_step(state, batches_of(recipe), recipe.pretrain).loss)
