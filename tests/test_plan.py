"""Plans: from a budget and a machine's speed to a recipe. Nothing is measured here."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from firstwords import machine, plan
from firstwords.data.corpora import Corpus, open_corpus
from firstwords.errors import UserError
from firstwords.model import matmul_parameters
from firstwords.plan import (
    FEWEST_STEPS,
    LADDER,
    SHARES,
    Plan,
    choose_shape,
    make_plan,
    model_config,
    with_steps,
)
from firstwords.recipe import STAGES, Recipe

STARTER = Corpus("starter", (), ())
MakePlan = Callable[..., Plan]


@pytest.fixture
def planned(monkeypatch: pytest.MonkeyPatch) -> MakePlan:
    """make_plan on a machine of a given speed, without measuring."""

    def planned(
        seconds: float,
        tokens_per_second: float = 3000.0,
        bfloat16: float = 100.0,
        compiler: bool = True,
        corpus: Corpus = STARTER,
    ) -> Plan:
        rates = {torch.float32: 200.0, torch.bfloat16: bfloat16}
        monkeypatch.setattr(machine, "setup", lambda n_threads: None)
        monkeypatch.setattr(machine, "matmul_gflops", lambda dtype: rates[dtype])
        monkeypatch.setattr(machine, "can_compile", lambda: compiler)
        monkeypatch.setattr(
            plan, "measure_tokens_per_second", lambda recipe, seconds=0.0: tokens_per_second
        )
        return make_plan(seconds, 0, corpus)

    return planned


@given(a=st.floats(1e9, 1e18), b=st.floats(1e9, 1e18))
def test_more_flops_never_make_a_smaller_model(a: float, b: float) -> None:
    small, large = (
        matmul_parameters(model_config(choose_shape(4096, flops), 4096)) for flops in sorted((a, b))
    )
    assert small <= large


def test_the_ladder_is_used_from_end_to_end() -> None:
    sizes = [matmul_parameters(model_config(shape, 4096)) for shape in LADDER]
    assert sizes == sorted(set(sizes))
    chosen = {choose_shape(4096, 10 ** (exponent / 8)) for exponent in range(88, 150)}
    assert chosen == set(LADDER)
    assert choose_shape(4096, 1.0) == LADDER[0]


@pytest.mark.parametrize("shape", LADDER)
def test_every_model_of_the_ladder_has_whole_heads(shape: tuple[int, int, int]) -> None:
    config = model_config(shape, 4096)
    assert config.n_head * config.head_dim == config.n_embd
    assert config.n_hidden % 64 == 0
    assert 2 < config.n_hidden / config.n_embd < 3


@pytest.mark.parametrize("seconds", [0.5, 10.0, 29.9])
def test_too_short_a_time_names_the_least(seconds: float, planned: MakePlan) -> None:
    with pytest.raises(UserError, match=rf"--time {seconds:g}s is too short.*at least 30s"):
        planned(seconds)


@pytest.mark.parametrize("seconds", [30.0, 90.0, 600.0, 3600.0])
def test_training_fits_the_budget_and_fills_most_of_it(seconds: float, planned: MakePlan) -> None:
    predicted = planned(seconds, tokens_per_second=20_000.0).predicted
    training = sum(predicted["stage_seconds"].values())
    assert training < seconds
    assert training > 0.6 * seconds
    assert predicted["seconds"] == seconds


def test_training_fits_the_budget_on_a_slow_machine_or_is_refused(planned: MakePlan) -> None:
    try:
        predicted = planned(30.0, tokens_per_second=500.0).predicted
    except UserError:
        return
    assert sum(predicted["stage_seconds"].values()) < 30


def test_stages_have_their_shares_of_the_steps(planned: MakePlan) -> None:
    recipe = planned(3600.0, tokens_per_second=20_000.0).recipe
    total = sum(recipe.stage(stage).tokens for stage in STAGES)
    assert sum(SHARES.values()) == pytest.approx(1)
    for stage in STAGES:
        assert recipe.stage(stage).tokens / total == pytest.approx(SHARES[stage], abs=0.01)


@given(training=st.floats(1, 1e5), speed=st.floats(1, 1e6))
def test_steps_follow_time_and_speed_and_are_never_too_few(training: float, speed: float) -> None:
    recipe = with_steps(draft(), training, speed)
    for stage in STAGES:
        config = recipe.stage(stage)
        wanted = training * SHARES[stage] * speed / config.batch_tokens
        assert config.steps >= FEWEST_STEPS
        assert config.steps <= max(FEWEST_STEPS, wanted + 1)
        assert config.steps >= wanted - 1
        assert 1 <= config.warmup_steps < config.steps
    assert recipe.base.lr_scale > recipe.mid.lr_scale > recipe.sft.lr_scale


def draft() -> Recipe:
    return plan.draft_recipe(600.0, 0, "float32", True)


@pytest.mark.parametrize(
    ("rate", "dtype"), [(100.0, "float32"), (210.0, "float32"), (800.0, "bfloat16")]
)
def test_bfloat16_is_chosen_where_it_is_clearly_faster(
    rate: float, dtype: str, planned: MakePlan
) -> None:
    assert planned(300.0, bfloat16=rate).recipe.dtype == dtype


@pytest.mark.parametrize(
    ("seconds", "compiler", "compiled"),
    [(60.0, True, False), (600.0, True, True), (600.0, False, False)],
)
def test_compiling_is_for_longer_runs_with_a_compiler(
    seconds: float, compiler: bool, compiled: bool, planned: MakePlan
) -> None:
    assert planned(seconds, compiler=compiler).recipe.compile is compiled


def test_a_faster_machine_gets_more_model_and_more_tokens(planned: MakePlan) -> None:
    slow, fast = planned(600.0, 2000.0), planned(600.0, 60_000.0)
    assert fast.recipe.base.tokens > slow.recipe.base.tokens
    assert matmul_parameters(fast.recipe.model) > matmul_parameters(slow.recipe.model)


def test_how_often_a_corpus_is_read_follows_from_its_size(
    planned: MakePlan, tmp_path: Path
) -> None:
    (tmp_path / "a.txt").write_bytes(b"x" * 3000)
    corpus = open_corpus(str(tmp_path / "a.txt"), "--data")
    made = planned(60.0, corpus=corpus)
    assert made.predicted["text_epochs_at_most"] == pytest.approx(made.recipe.base.tokens / 1000)
    assert planned(60.0).predicted["text_epochs_at_most"] is None


def test_a_plan_is_said_in_words(planned: MakePlan) -> None:
    made = planned(600.0)
    words = plan.describe(made)
    assert f"{made.recipe.base.steps:,} steps" in words
    assert "3,000 tokens/s" in words
    assert "10:00" in words


def test_measuring_gives_the_tokens_of_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(x for i in range(100) for x in (float(i), i + 0.5))  # half a second a step
    monkeypatch.setattr(plan.time, "perf_counter", lambda: next(clock))
    monkeypatch.setattr(plan, "accumulate", lambda *args: 0.0)
    monkeypatch.setattr(plan.Optimizer, "step", lambda self, scale: None)
    recipe = draft()
    assert plan.measure_tokens_per_second(recipe) == pytest.approx(recipe.base.batch_tokens / 0.5)
