"""Plans: from a budget and a machine's speed to a recipe. Nothing is measured here."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstwords import forecast, machine, measure, plan
from firstwords.data.corpora import Corpus, open_corpus
from firstwords.errors import UserError
from firstwords.forecast import Data
from firstwords.measure import Settings
from firstwords.model import matmul_parameters
from firstwords.plan import (
    FEWEST_STEPS,
    FEWEST_TOKENS_PER_PARAMETER,
    LADDER,
    MOST_EPOCHS,
    SHARES,
    Plan,
    choose_model,
    draft_recipe,
    in_time,
    into_memory,
    make_plan,
    total_seconds,
    with_steps,
)
from firstwords.plan_text import describe
from firstwords.recipe import STAGES, Dtype, Recipe, model_config
from firstwords.scaling import Kind

STARTER = Corpus("starter", (), ())
ENDLESS = Data("starter", math.inf, math.inf)
ROOM = 64e9
MakePlan = Callable[..., Plan]


def settings(dtype: Dtype = "float32", halves: int = 0, flops_per_second: float = 5e10) -> Settings:
    return Settings(
        n_threads=2,
        dtype=dtype,
        halves=halves,
        flops_per_second=flops_per_second,
        matmul_gflops={"float32": 100.0},
        tried={"2 threads": 5000.0},
    )


@pytest.fixture
def planned(monkeypatch: pytest.MonkeyPatch) -> MakePlan:
    """make_plan on a machine of a given speed, without measuring."""

    def planned(
        seconds: float,
        tokens_per_second: float = 3000.0,
        known: Settings | None = None,
        compiler: bool = True,
        pays: bool = True,
        text: Corpus = STARTER,
        chat: Corpus = STARTER,
        memory: float = 16e9,
        disk: float = 1e12,
    ) -> Plan:
        known = known or settings(flops_per_second=tokens_per_second * 14e6)
        monkeypatch.setattr(machine, "setup", lambda n_threads: None)
        monkeypatch.setattr(machine, "can_compile", lambda: compiler)
        monkeypatch.setattr(machine, "memory_in_reach", lambda: memory)
        monkeypatch.setattr(machine, "free_disk", lambda directory: disk)
        monkeypatch.setattr(measure, "settings", lambda seconds: known)
        monkeypatch.setattr(
            measure, "fastest", lambda recipe: recipe.model_copy(update={"compile": pays})
        )
        monkeypatch.setattr(measure, "tokens_per_second", lambda recipe, s: tokens_per_second)
        return make_plan(seconds, 0, text, chat)

    return planned


def draft(seconds: float = 600.0) -> Recipe:
    return draft_recipe(seconds, 0, settings(), starter=True)


# --- the model ------------------------------------------------------------------------------------


@given(a=st.floats(1e9, 1e15), b=st.floats(1e9, 1e15))
def test_more_flops_never_make_a_much_smaller_model(a: float, b: float) -> None:
    """Not much: the ladder's steps are not monotonous in loss for the same product."""
    small, large = (
        matmul_parameters(
            choose_model(draft(), ENDLESS, ROOM, in_time(1800.0, flops, ENDLESS)).model
        )
        for flops in sorted((a, b))
    )
    assert small <= large


def test_a_wide_range_of_machines_uses_most_of_the_ladder() -> None:
    chosen = {
        choose_model(draft(), ENDLESS, 1e12, in_time(1800.0, 10 ** (exponent / 4), ENDLESS)).model
        for exponent in range(36, 68)
    }
    sizes = {model_config(shape, 2048) for shape in LADDER}
    assert len(chosen & sizes) >= len(LADDER) - 3
    assert model_config(LADDER[0], 2048) in chosen


@pytest.mark.parametrize("shape", LADDER)
def test_every_model_of_the_ladder_has_whole_heads(shape: tuple[int, int, int]) -> None:
    config = model_config(shape, 4096)
    assert config.n_head * config.head_dim == config.n_embd
    assert config.n_hidden % 64 == 0
    assert 2 < config.n_hidden / config.n_embd < 3


@pytest.mark.parametrize("kind", ["starter", "text"])
@given(flops=st.floats(1e10, 1e16))
def test_no_model_is_trained_long_after_a_larger_one_would_be_better(
    kind: Kind, flops: float
) -> None:
    data = Data(kind, math.inf, math.inf)
    recipe = choose_model(draft(), data, 1e12, in_time(10_800.0, flops, data))
    most = plan.MOST_TOKENS_PER_PARAMETER * matmul_parameters(recipe.model)
    largest = recipe.model == model_config(LADDER[-1], recipe.model.vocab_size)
    assert largest or forecast.all_tokens(recipe) <= most


def test_the_ladder_is_sorted() -> None:
    sizes = [matmul_parameters(model_config(shape, 4096)) for shape in LADDER]
    assert sizes == sorted(set(sizes))


def test_a_faster_machine_gets_more_model_and_more_tokens(planned: MakePlan) -> None:
    slow, fast = planned(600.0, 2000.0), planned(600.0, 60_000.0)
    assert fast.recipe.base.tokens > slow.recipe.base.tokens
    assert matmul_parameters(fast.recipe.model) > matmul_parameters(slow.recipe.model)


# --- the time -------------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [0.5, 10.0, 29.9])
def test_too_short_a_time_names_the_least(seconds: float, planned: MakePlan) -> None:
    with pytest.raises(UserError, match=rf"--time {seconds:g}s is too short.*at least 30s"):
        planned(seconds)


def test_a_machine_too_slow_for_the_fewest_steps_says_how_long_it_takes(planned: MakePlan) -> None:
    with pytest.raises(UserError, match=r"--time 60s is too short for this machine.*at least \d+s"):
        planned(60.0, tokens_per_second=100.0)


@pytest.mark.parametrize("seconds", [90.0, 300.0, 900.0, 1800.0, 3600.0])
@pytest.mark.parametrize("speed", [2_000.0, 20_000.0])
def test_the_plan_fills_its_time(seconds: float, speed: float, planned: MakePlan) -> None:
    predicted = planned(seconds, tokens_per_second=speed).predicted
    assert 0.9 * seconds < predicted["total_seconds"] <= seconds
    assert sum(predicted["phase_seconds"].values()) < predicted["total_seconds"]
    assert set(predicted["phase_seconds"]) == {"tokenizer", *STAGES, "evaluation"}


@given(seconds=st.floats(60, 1e5), speed=st.floats(1000, 1e6))
def test_steps_follow_time_and_speed_and_are_never_too_few(seconds: float, speed: float) -> None:
    recipe = with_steps(draft(), seconds, speed, ENDLESS)
    total = sum(recipe.stage(stage).tokens for stage in STAGES)
    fewest = all(recipe.stage(stage).steps == FEWEST_STEPS for stage in STAGES)
    assert fewest or total_seconds(recipe, speed, ENDLESS) <= seconds
    for stage in STAGES:
        config = recipe.stage(stage)
        assert config.steps >= FEWEST_STEPS
        assert 1 <= config.warmup_steps < config.steps
        if config.steps > FEWEST_STEPS:
            assert config.tokens / total == pytest.approx(SHARES[stage], abs=0.05)
    assert recipe.base.lr_scale > recipe.mid.lr_scale > recipe.sft.lr_scale


# --- settings -------------------------------------------------------------------------------------


def test_what_was_measured_is_used(planned: MakePlan) -> None:
    recipe = planned(600.0, known=settings("bfloat16", halves=2)).recipe
    assert recipe.dtype == "bfloat16"
    assert recipe.n_threads == 2
    assert recipe.base.micro_rows == recipe.base.batch_rows // 4


@pytest.mark.parametrize(
    ("seconds", "compiler", "pays", "compiled"),
    [
        (60.0, True, True, False),
        (600.0, True, True, True),
        (600.0, False, True, False),
        (600.0, True, False, False),
    ],
)
def test_compiling_is_for_longer_runs_where_it_pays(
    seconds: float, compiler: bool, pays: bool, compiled: bool, planned: MakePlan
) -> None:
    assert planned(seconds, compiler=compiler, pays=pays).recipe.compile is compiled


# --- data -----------------------------------------------------------------------------------------


def corpus(directory: Path, n_bytes: int) -> Corpus:
    (directory / "a.txt").write_bytes(b"some words\n" * (n_bytes // 11))
    return open_corpus(str(directory / "a.txt"), "--data")


def test_short_text_is_not_read_for_ever_and_gets_a_smaller_model(
    planned: MakePlan, tmp_path: Path
) -> None:
    text = corpus(tmp_path, 1_000_000)
    short, endless = planned(3600.0, 20_000.0, text=text), planned(3600.0, 20_000.0)
    assert 0.9 * MOST_EPOCHS < short.predicted["epochs"]["base"] <= MOST_EPOCHS + 0.1
    assert endless.predicted["epochs"]["base"] == 0
    assert matmul_parameters(short.recipe.model) < matmul_parameters(endless.recipe.model)
    total = sum(short.recipe.stage(stage).tokens for stage in STAGES)
    assert total >= FEWEST_TOKENS_PER_PARAMETER * matmul_parameters(short.recipe.model)
    words = describe(short)
    assert f"the text is read {MOST_EPOCHS} times" in words
    assert "the text is read" not in describe(endless)


def test_conversations_too_short_for_the_time_end_the_run_sooner(
    planned: MakePlan, tmp_path: Path
) -> None:
    (tmp_path / "c.jsonl").write_text("x" * 100_000)
    chat = open_corpus(str(tmp_path / "c.jsonl"), "--chat-data")
    made = planned(3600.0, text=corpus(tmp_path, 100_000), chat=chat)
    assert made.predicted["epochs"]["sft"] <= MOST_EPOCHS + 0.5
    assert made.predicted["total_seconds"] < 0.8 * 3600
    words = describe(made)
    assert "the run ends sooner" in words
    assert f"the conversations are read {MOST_EPOCHS} times" in words


# --- memory and disk ------------------------------------------------------------------------------


def test_short_memory_makes_smaller_parts_of_a_batch(planned: MakePlan) -> None:
    large = draft().model_copy(update={"model": model_config((8, 384, 3), 2048)})
    needed = forecast.memory_bytes(large)
    assert into_memory(large, needed) == large
    smaller = into_memory(large, 0.8 * needed)
    assert forecast.memory_bytes(smaller) <= 0.8 * needed
    assert smaller.base.micro_rows < large.base.micro_rows
    assert smaller.base.batch_rows == large.base.batch_rows


def test_a_plan_keeps_to_the_memory_there_is_and_says_so(planned: MakePlan) -> None:
    plenty = planned(1800.0, 5_000_000.0)
    memory = 0.8 * forecast.memory_bytes(plenty.recipe)
    little = planned(1800.0, 5_000_000.0, memory=memory)
    assert forecast.memory_bytes(little.recipe) <= memory
    assert "memory is short" in describe(little)
    assert "memory is short" not in describe(plenty)


def test_too_little_memory_is_refused_before_anything_is_measured(
    planned: MakePlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(
        UserError, match=r"not enough memory: .* needs \d{3}\.\d MB.*raise the limit"
    ):
        planned(600.0, memory=3e8)


def test_too_little_disk_is_refused(planned: MakePlan) -> None:
    with pytest.raises(UserError, match=r"not enough disk.*FIRSTWORDS_HOME"):
        planned(600.0, disk=1e6)


# --- what it says ---------------------------------------------------------------------------------


def test_a_plan_is_said_in_words(planned: MakePlan) -> None:
    made = planned(600.0)
    words = describe(made)
    predicted = made.predicted
    low, high = predicted["bits_per_byte"]["range"]
    for part in (
        f"{made.recipe.base.steps:,} steps",
        "3,000 tokens/s",
        "10:00",
        "memory",
        "disk",
        f"({low:.3f} to {high:.3f})",
        "embedding",
        "8 H100 GPUs",
        "3:00:00",
    ):
        assert part in words
    assert low < predicted["bits_per_byte"]["expected"] < high


def test_more_time_is_expected_to_give_fewer_bits(planned: MakePlan) -> None:
    rows = planned(600.0).predicted["comparison"]
    times = [row["seconds"] for row in rows if row["machine"] == "this machine"]
    bits = [row["bits_per_byte"] for row in rows if row["machine"] == "this machine"]
    assert times == [600, 1800, 3600, 10800]
    assert bits == sorted(bits, reverse=True)
    assert rows[-1]["matmul_parameters"] > 5e7
    assert rows[-1]["bits_per_byte"] is None  # no run was anywhere near


def test_parameters_are_counted_by_part(planned: MakePlan) -> None:
    made = planned(600.0)
    parts = dict(made.predicted["parameters"])
    assert parts.pop("in products") == matmul_parameters(made.recipe.model)
    everything = parts.pop("all")
    assert everything == sum(parts.values())
    assert forecast.parameters(made.recipe.model)["all"] == everything
