"""The training loop: golden losses, and the same bytes after an interruption."""

import math
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from firstwords.data.dataloader import (
    IGNORE_INDEX,
    BatchSampler,
    Row,
    TextRows,
    single_row,
    single_sequences,
)
from firstwords.data.token_store import TokenStore, store_texts
from firstwords.model import hf_format
from firstwords.model.transformer import Transformer
from firstwords.recipe import ModelConfig, OptimizerConfig, Recipe, StageConfig
from firstwords.runs import checkpoints
from firstwords.tokenizer.bpe import Tokenizer
from firstwords.training import checkpoint
from firstwords.training.gradient_sync import GradientSync
from firstwords.training.loop import Diverged, Step, accumulate, train, warm_up
from firstwords.training.setup import TrainState, build, compile_by, loss_function

STAGE = StageConfig(
    steps=20,
    batch_size=4,
    micro_batch_size=2,
    seq_len=32,
    warmup_steps=3,
    decay_fraction=0.5,
    final_lr_fraction=0.05,
)
RATES = OptimizerConfig(
    matrix_lr=0.02,
    embedding_lr=0.01,
    norm_lr=0.01,
    muon_momentum=0.95,
    adam_beta1=0.9,
    adam_beta2=0.95,
)

# Losses of the test below when it was written. If they change, training has changed.
GOLDEN = [
    4.10504, 4.10042, 4.09565, 4.07273, 4.07777, 4.10600, 4.06308, 4.08841, 4.07133, 3.95266,
    3.85911, 3.91112, 3.83656, 3.90960, 3.83132, 3.76528, 3.86562, 3.82648, 3.63962, 3.56805,
]  # fmt: skip


class PatternRows:
    """Rows that depend on this formula alone."""

    def __len__(self) -> int:
        return 37

    def row(self, index: int) -> Row:
        t = np.arange(33, dtype=np.int64)
        ids = (index + t * t // (2 + index % 3)) % 61
        return single_row(ids[:-1], ids[1:])


@pytest.fixture
def recipe(tiny_model: ModelConfig) -> Recipe:
    return Recipe(
        n_threads=1,
        tokenizer_bytes=1000,
        model=tiny_model,
        optimizer=RATES,
        pretrain=STAGE,
        midtrain=STAGE,
        sft=STAGE,
    )


@pytest.fixture(scope="session")
def store(
    tmp_path_factory: pytest.TempPathFactory, tiny_tokenizer: Tokenizer, sample_text: list[str]
) -> TokenStore:
    directory = tmp_path_factory.mktemp("tokens")
    return store_texts(directory, sample_text, tiny_tokenizer, 10**9, lambda counts: None)


@pytest.fixture
def batches(store: TokenStore) -> BatchSampler:
    return BatchSampler(TextRows(store, STAGE.seq_len, pad_id=0), STAGE.batch_size, seed=1)


def run(state: TrainState, recipe: Recipe, batches: BatchSampler, until: int = 20) -> list[Step]:
    """Take the steps up to `until`."""
    steps = []
    for step in train(state, batches, recipe.pretrain):
        steps.append(step)
        if step.step == until:
            break
    return steps


def test_losses_match_the_golden_ones(recipe: Recipe) -> None:
    model = Transformer(recipe.model.replace(vocab_size=61)).init_weights(recipe.seed)
    batches = BatchSampler(PatternRows(), 4, seed=1)
    losses = [step.loss for step in run(build(recipe, model), recipe, batches)]
    assert losses == pytest.approx(GOLDEN, abs=1e-3)


def test_loss_starts_at_a_uniform_guess_and_falls(recipe: Recipe, batches: BatchSampler) -> None:
    losses = [step.loss for step in run(build(recipe), recipe, batches)]
    assert losses[0] == pytest.approx(math.log(recipe.model.vocab_size), rel=0.05)
    assert losses[-1] < losses[0] - 1


def test_steps_count_from_one_with_their_learning_rates(
    recipe: Recipe, batches: BatchSampler
) -> None:
    recipe = recipe.replace_stages(lr_scale=0.5)
    steps = run(build(recipe), recipe, batches)
    assert [step.step for step in steps] == list(range(1, 21))
    assert steps[0].lr == pytest.approx(0.5 / 3)
    assert steps[5].lr == pytest.approx(0.5)
    assert steps[-1].lr == pytest.approx(0.5 * 0.05)
    assert all(step.seconds > 0 for step in steps)


@pytest.mark.parametrize("cut", [1, 7, 19])
def test_resuming_from_a_checkpoint_gives_the_same_bytes(
    cut: int, recipe: Recipe, batches: BatchSampler, tiny_tokenizer: Tokenizer, tmp_path: Path
) -> None:
    def save(state: TrainState, name: str) -> None:
        optimizer = state.optimizer.state()
        checkpoint.save_checkpoint(tmp_path / name, state.model, tiny_tokenizer, optimizer)

    state = build(recipe)
    whole = run(state, recipe, batches)
    save(state, "whole")

    state = build(recipe)
    first = run(state, recipe, batches, until=cut)
    save(state, "cut")

    state = build(recipe)
    saved = checkpoints.newest_checkpoint(tmp_path / "cut", pytest.fail)
    assert saved is not None
    hf_format.load_weights(state.model, saved.directory)
    checkpoint.load_optimizer(state.optimizer, saved.directory)
    fresh = BatchSampler(batches.rows, batches.batch_size, batches.seed)
    rest = run(state, recipe, fresh)
    save(state, "cut")

    assert [s.loss for s in first + rest] == [s.loss for s in whole]
    for name in ("model.safetensors", "optimizer.safetensors", "checksums.json"):
        assert (tmp_path / "cut" / "0000020" / name).read_bytes() == (
            tmp_path / "whole" / "0000020" / name
        ).read_bytes()


def test_a_finished_stage_takes_no_step(recipe: Recipe, batches: BatchSampler) -> None:
    state = build(recipe)
    run(state, recipe, batches)
    assert run(state, recipe, batches) == []


def gradients(
    recipe: Recipe, model: Transformer, batches: BatchSampler, micro_batch_size: int
) -> torch.Tensor:
    batch = batches.batch(0)
    x_BT, y_BT, start_BT, _ = batch
    y_BT[0, :20] = IGNORE_INDEX  # rows have different numbers of targets
    y_BT[2] = IGNORE_INDEX
    sync = GradientSync(model)
    value = accumulate(loss_function(model, recipe), sync, batch, micro_batch_size)
    assert value == pytest.approx(model.loss(x_BT, y_BT, "mean", start_BT).item(), rel=1e-5)
    gradients = [p.grad for p in model.parameters()]
    sync.zero_grad()
    return torch.cat([g.flatten() for g in gradients if g is not None])


def test_gradients_do_not_depend_on_the_micro_batch_size(
    recipe: Recipe, batches: BatchSampler, random_model: Callable[..., Transformer]
) -> None:
    model = random_model(recipe.model)
    whole = gradients(recipe, model, batches, 4)
    for micro_batch_size in (1, 2, 3):
        torch.testing.assert_close(
            gradients(recipe, model, batches, micro_batch_size), whole, atol=1e-6, rtol=1e-3
        )


def test_weights_multiply_the_loss_of_their_targets(
    recipe: Recipe, batches: BatchSampler, random_model: Callable[..., Transformer]
) -> None:
    model = random_model(recipe.model)
    x_BT, y_BT = batches.batch(0)[:2]
    y_BT[1, :9] = IGNORE_INDEX
    w_BT = torch.randn(y_BT.shape, generator=torch.Generator().manual_seed(1))
    batch = single_sequences(x_BT, y_BT, w_BT)
    logp_BTV = model(x_BT).log_softmax(-1)
    logp_BT = logp_BTV.gather(-1, y_BT.clamp(min=0)[..., None])[..., 0]
    expected = -(w_BT * logp_BT)[y_BT != IGNORE_INDEX].sum()
    expected.backward()
    exact = [p.grad.clone() for p in model.parameters() if p.grad is not None]
    model.zero_grad()
    loss = accumulate(loss_function(model, recipe), GradientSync(model), batch, 3)
    assert loss == pytest.approx(expected.item(), rel=1e-4)
    for gradient, expected_gradient in zip(
        (p.grad for p in model.parameters()), exact, strict=True
    ):
        torch.testing.assert_close(gradient, expected_gradient, atol=1e-5, rtol=1e-3)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_stops_before_the_update(
    bad: float, recipe: Recipe, batches: BatchSampler
) -> None:
    state = build(recipe)
    finite_loss = state.loss

    def loss(*parts: torch.Tensor) -> torch.Tensor:
        return finite_loss(*parts) * (bad if state.optimizer.steps == 2 else 1.0)

    state.loss = loss
    steps = train(state, batches, recipe.pretrain)
    for _ in range(2):
        next(steps)
    weights = {name: tensor.clone() for name, tensor in state.model.state_dict().items()}
    with pytest.raises(Diverged, match="step 3"):
        next(steps)
    for name, tensor in state.model.state_dict().items():
        assert torch.equal(tensor, weights[name]), name


def test_bfloat16_training_is_close_to_float32(recipe: Recipe, batches: BatchSampler) -> None:
    low = recipe.replace(dtype="bfloat16")
    losses = [s.loss for s in run(build(recipe), recipe, batches, until=5)]
    low_losses = [s.loss for s in run(build(low), low, batches, until=5)]
    assert losses == pytest.approx(low_losses, abs=0.1)
    state = build(low)
    run(state, low, batches, until=1)
    assert {p.dtype for p in state.model.parameters()} == {torch.float32}


def test_muon_learns_faster_than_a_tenth_of_its_rate(recipe: Recipe, batches: BatchSampler) -> None:
    # The embedding and the head stand nearly still: in 20 steps they would learn most of it alone.
    alone = RATES.replace(embedding_lr=1e-6, norm_lr=1e-6)
    fast, slow = (recipe.replace(optimizer=alone.replace(matrix_lr=lr)) for lr in (0.02, 0.002))
    ends = [np.mean([s.loss for s in run(build(r), r, batches)[-3:]]) for r in (fast, slow)]
    assert ends[0] < ends[1]


@pytest.mark.slow
def test_compiled_code_is_chosen_without_measuring(
    recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torch._inductor import config

    monkeypatch.setattr(config, "deterministic", False)
    loss_function(Transformer(recipe.model), recipe.replace(compile=True))
    assert config.deterministic


@pytest.mark.slow
def test_a_step_that_cannot_be_compiled_is_eager(
    recipe: Recipe,
    batches: BatchSampler,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A note says why; code that other runs compiled stays, and nothing is left beside it."""

    def does_not_compile(function: Callable[..., object], dynamic: bool) -> Callable[..., object]:
        def fail(*inputs: object) -> object:
            raise RuntimeError("CppCompileError\n/usr/bin/g++ -O3\nx.h:1: fatal error: no omp.h")

        return fail

    marker = home / "compiled" / "of-another-run.so"
    marker.parent.mkdir(parents=True)
    marker.write_text("code")
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(marker.parent))
    monkeypatch.setattr(torch, "compile", does_not_compile)
    state, eager = build(recipe.replace(compile=True)), build(recipe)
    assert not warm_up(state, batches, STAGE)
    assert next(train(state, batches, STAGE)).loss == next(train(eager, batches, STAGE)).loss
    note = "note: compiling failed, so training steps are slower (x.h:1: fatal error: no omp.h)\n"
    assert capsys.readouterr().err == note
    assert list(marker.parent.iterdir()) == [marker]


@pytest.mark.slow
def test_code_compiled_anew_replaces_the_damaged(
    recipe: Recipe, batches: BatchSampler, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = home / "compiled"
    damaged, other = cache / "ab" / "damaged.so", cache / "ab" / "other.so"
    damaged.parent.mkdir(parents=True)
    damaged.write_text("dam")
    other.write_text("whole")
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(cache))

    def step() -> None:
        code = Path(os.environ["TORCHINDUCTOR_CACHE_DIR"], "ab", "damaged.so")
        if code.exists() and code.read_text() == "dam":
            raise ImportError("file too short")
        code.parent.mkdir(parents=True, exist_ok=True)
        code.write_text("whole")

    compile_by(step)
    assert [path.read_text() for path in (damaged, other)] == ["whole", "whole"]
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == str(cache)
    assert list(cache.iterdir()) == [damaged.parent]


@pytest.mark.parametrize("content", [b"", bytes(100)])
def test_code_lost_in_a_power_cut_is_compiled_again(
    content: bytes, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """torch tries vector instructions with a library of its own, and does without if it fails."""
    cache, flushed = home / "compiled", []
    lost, whole = cache / "ab" / "lost.so", cache / "whole.so"
    lost.parent.mkdir(parents=True)
    lost.write_bytes(content)
    whole.write_bytes(b"\x7fELF")
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(cache))
    monkeypatch.setattr(os, "fsync", lambda file: flushed.append(os.fstat(file).st_ino))

    def step() -> None:
        assert whole.exists()
        assert not lost.exists()
        lost.write_bytes(b"\x7fELF")

    compile_by(step)
    assert {path.stat().st_ino for path in (lost, whole, lost.parent, cache)} <= set(flushed)
