"""Plans: from a budget and a machine's speed to a recipe. No test measures a speed."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firstwords.common import devices, hardware, paths
from firstwords.common.errors import UserError
from firstwords.data.corpora import Corpus, open_corpus
from firstwords.model.size import matmul_parameters
from firstwords.planning import autotune, estimates
from firstwords.planning.advice import data_notes
from firstwords.planning.autotune import MachineSettings
from firstwords.planning.choose_model import (
    MAX_TOKENS_PER_PARAMETER,
    MIN_TOKENS_PER_PARAMETER,
    choose_model,
    steps_within,
)
from firstwords.planning.draft import draft_recipe, with_batch_size
from firstwords.planning.estimates import DatasetSize, run_seconds
from firstwords.planning.model_sizes import MODEL_SIZES, model_config
from firstwords.planning.planner import Plan, Start, make_plan
from firstwords.planning.presets import fit_memory
from firstwords.planning.render import render_plan
from firstwords.planning.scaling_law import Kind
from firstwords.planning.stage_steps import (
    CONTINUE_CHAT,
    CONTINUE_TEXT,
    FROM_RANDOM,
    MAX_EPOCHS,
    MIN_STAGE_STEPS,
    Schedules,
    from_random,
    with_steps_for_time,
)
from firstwords.recipe import REQUIRED_STAGES, Dtype, Kernel, Recipe, with_overrides

STARTER = Corpus("starter", (), ())
UNLIMITED_DATA = DatasetSize("starter", math.inf, math.inf)
MEMORY = 64e9
MakePlan = Callable[..., Plan]


def machine(
    dtype: Dtype = "float32",
    batch_halvings: int = 0,
    flops_per_second: float = 5e10,
    kernel: Kernel = "pytorch",
) -> MachineSettings:
    return MachineSettings(
        n_threads=2,
        dtype=dtype,
        kernel=kernel,
        batch_halvings=batch_halvings,
        flops_per_second=flops_per_second,
        matmul_gflops={"float32": 100.0},
        speedups={"1 threads": 0.6},
    )


@pytest.fixture
def plan_for(monkeypatch: pytest.MonkeyPatch) -> MakePlan:
    """make_plan on a machine of a given speed, without measuring."""

    def plan_for(
        seconds: float,
        tokens_per_second: float = 3000.0,
        settings: MachineSettings | None = None,
        compiler: bool = True,
        pays: bool = True,
        text: Corpus = STARTER,
        chat: Corpus = STARTER,
        memory: float = 16e9,
        disk: float = 1e12,
        start: Start | None = None,
        overrides: tuple[str, ...] = (),
    ) -> Plan:
        settings = settings or machine(flops_per_second=tokens_per_second * 14e6)
        monkeypatch.setattr(devices, "configure_torch", lambda n_threads: None)
        monkeypatch.setattr(hardware, "has_compiler", lambda: compiler)
        monkeypatch.setattr(devices, "available_memory", lambda: memory)
        monkeypatch.setattr(paths, "free_disk", lambda directory: disk)
        monkeypatch.setattr(autotune, "machine_settings", lambda seconds: settings)
        monkeypatch.setattr(autotune, "autotune_step", lambda recipe: recipe.replace(compile=pays))
        monkeypatch.setattr(
            autotune,
            "tokens_per_second",
            lambda recipe, s: tokens_per_second / (1 if recipe.kernel == settings.kernel else 2),
        )
        return make_plan(seconds, 0, text, chat, start=start, overrides=overrides)

    return plan_for


def draft(seconds: float = 600.0) -> Recipe:
    return draft_recipe(seconds, 0, machine(), starter=True)


# --- model size -----------------------------------------------------------------------------------


@pytest.mark.slow
@settings(max_examples=30)
@given(a=st.floats(1e9, 1e15), b=st.floats(1e9, 1e15))
def test_more_flops_never_choose_a_smaller_model(a: float, b: float) -> None:
    slow, fast = (
        choose_model(draft(), UNLIMITED_DATA, MEMORY, steps_within(1800.0, flops, UNLIMITED_DATA))
        for flops in sorted((a, b))
    )
    assert matmul_parameters(slow.model) <= matmul_parameters(fast.model)


def test_a_wide_range_of_machines_uses_most_model_sizes() -> None:
    chosen = {
        choose_model(
            draft(), UNLIMITED_DATA, 1e12, steps_within(1800.0, 10 ** (n / 4), UNLIMITED_DATA)
        ).model
        for n in range(36, 68)
    }
    sizes = {model_config(shape, 2048) for shape in MODEL_SIZES}
    assert len(chosen & sizes) >= len(MODEL_SIZES) - 3
    assert model_config(MODEL_SIZES[0], 2048) in chosen


def test_little_starter_text_trains_a_small_model() -> None:
    for kind, smallest in (("starter", 6.0), ("text", 0.5)):
        data = DatasetSize(kind, math.inf, math.inf)
        for seconds in (60.0, 120.0, 300.0):
            steps = steps_within(seconds, 5e11, data)
            chosen = choose_model(draft(seconds), data, MEMORY, steps)
            tokens = sum(chosen.stage(stage).tokens for stage in REQUIRED_STAGES)
            assert tokens >= smallest * matmul_parameters(chosen.model)


@pytest.mark.parametrize("shape", MODEL_SIZES)
def test_every_model_size_has_whole_heads(shape: tuple[int, int, int]) -> None:
    config = model_config(shape, 4096)
    assert config.n_head * config.head_dim == config.n_embd
    assert config.n_hidden % 64 == 0
    assert 2 < config.n_hidden / config.n_embd < 3


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["starter", "text"])
@settings(max_examples=30)
@given(flops=st.floats(1e10, 1e16))
def test_only_the_largest_model_gets_more_tokens_than_it_can_use(kind: Kind, flops: float) -> None:
    data = DatasetSize(kind, math.inf, math.inf)
    recipe = choose_model(draft(), data, 1e12, steps_within(10_800.0, flops, data))
    limit = MAX_TOKENS_PER_PARAMETER * matmul_parameters(recipe.model)
    largest = recipe.model == model_config(MODEL_SIZES[-1], recipe.model.vocab_size)
    assert largest or estimates.all_tokens(recipe) <= limit


def test_model_sizes_are_sorted() -> None:
    sizes = [matmul_parameters(model_config(shape, 4096)) for shape in MODEL_SIZES]
    assert sizes == sorted(set(sizes))


def test_a_faster_machine_gets_a_larger_model_and_more_tokens(plan_for: MakePlan) -> None:
    slow, fast = plan_for(600.0, 2000.0), plan_for(600.0, 60_000.0)
    assert fast.recipe.pretrain.tokens > slow.recipe.pretrain.tokens
    assert matmul_parameters(fast.recipe.model) > matmul_parameters(slow.recipe.model)


# --- time -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [0.5, 10.0, 29.9])
def test_too_short_a_budget_gives_the_minimum(seconds: float, plan_for: MakePlan) -> None:
    with pytest.raises(UserError, match=rf"--time {seconds:g}s is too short; use at least 30s"):
        plan_for(seconds)


def test_a_budget_too_short_for_the_machine_gives_the_time_needed(plan_for: MakePlan) -> None:
    with pytest.raises(UserError, match=r"--time 60s is too short for this machine.*at least \d+s"):
        plan_for(60.0, tokens_per_second=100.0)


@pytest.mark.parametrize("seconds", [90.0, 300.0, 900.0, 1800.0, 3600.0])
@pytest.mark.parametrize("speed", [2_000.0, 20_000.0])
def test_a_plan_uses_its_budget(seconds: float, speed: float, plan_for: MakePlan) -> None:
    predicted = plan_for(seconds, tokens_per_second=speed).predicted
    assert 0.9 * seconds < predicted["total_seconds"] <= seconds
    assert sum(predicted["phase_seconds"].values()) < predicted["total_seconds"]
    assert set(predicted["phase_seconds"]) == {"tokenizer", *REQUIRED_STAGES, "evaluation"}


@pytest.mark.parametrize(
    "overrides",
    [
        ("model.n_layer=8",),
        ("model.vocab_size=8192",),
        ("sft.batch_size=16", "sft.micro_batch_size=16"),
        ("pretrain.seq_len=128",),
        ("kernel=pytorch",),
    ],
)
def test_own_settings_use_the_same_budget(overrides: tuple[str, ...], plan_for: MakePlan) -> None:
    native = machine(flops_per_second=3000.0 * 14e6, kernel="native")
    plan = plan_for(900.0, settings=native, overrides=overrides)
    assert with_overrides(plan.recipe, overrides) == plan.recipe
    assert 0.9 * 900 < plan.predicted["total_seconds"] <= 900


def test_own_settings_decide_how_large_the_model_is(plan_for: MakePlan) -> None:
    native = machine(flops_per_second=60_000.0 * 14e6, kernel="native")
    fast = plan_for(600.0, 60_000.0, settings=native)
    slow = plan_for(600.0, 60_000.0, settings=native, overrides=("kernel=pytorch",))
    assert estimates.all_tokens(slow.recipe) < estimates.all_tokens(fast.recipe)
    assert matmul_parameters(slow.recipe.model) <= matmul_parameters(fast.recipe.model)


def test_own_numbers_of_steps_are_taken_as_they_are(plan_for: MakePlan) -> None:
    plan = plan_for(60.0, overrides=("sft.steps=1000000",))
    assert plan.recipe.sft.steps == 1_000_000
    assert plan.predicted["total_seconds"] > 1000 * 60


@given(seconds=st.floats(60, 1e5), speed=st.floats(1000, 1e6))
def test_steps_follow_from_time_and_speed(seconds: float, speed: float) -> None:
    schedules = from_random(UNLIMITED_DATA)
    recipe = with_steps_for_time(draft(), seconds, speed, UNLIMITED_DATA, schedules)
    total = sum(recipe.stage(stage).tokens for stage in REQUIRED_STAGES)
    minimal = all(recipe.stage(stage).steps == MIN_STAGE_STEPS for stage in REQUIRED_STAGES)
    assert minimal or run_seconds(recipe, speed, UNLIMITED_DATA) <= seconds
    for stage in REQUIRED_STAGES:
        config = recipe.stage(stage)
        assert config.steps >= MIN_STAGE_STEPS
        assert 1 <= config.warmup_steps < config.steps
        if config.steps > MIN_STAGE_STEPS:
            assert config.tokens / total == pytest.approx(schedules[stage].fraction, abs=0.05)
    assert recipe.pretrain.lr_scale > recipe.midtrain.lr_scale >= recipe.sft.lr_scale
    assert recipe.sft.final_lr_fraction < 0.1 < recipe.pretrain.final_lr_fraction


@pytest.mark.parametrize(
    ("tokens", "rows"), [(1.0, 8), (8e6, 8), (20e6, 16), (40e6, 32), (1e12, 32)]
)
def test_batch_and_rates_grow_with_the_tokens(tokens: float, rows: int) -> None:
    draft = draft_recipe(600.0, 0, machine(batch_halvings=1), starter=True)
    recipe = with_batch_size(draft, tokens)
    assert {recipe.stage(stage).batch_size for stage in recipe.stages} == {rows}
    assert recipe.pretrain.micro_batch_size == draft.pretrain.micro_batch_size == 4
    growth = recipe.optimizer.matrix_lr / draft.optimizer.matrix_lr
    assert growth == pytest.approx((rows / 8) ** (1 / 6), rel=1e-6)
    on_gpu = draft.replace(device="cuda").replace_stages(batch_size=4)
    assert with_batch_size(on_gpu, tokens).pretrain.batch_size == 4


@pytest.mark.parametrize(("tokens_per_second", "rows"), [(3_000.0, 8), (60_000.0, 16)])
def test_a_fast_machine_has_larger_batches(
    tokens_per_second: float, rows: int, plan_for: MakePlan
) -> None:
    fast = machine(flops_per_second=tokens_per_second * 14e6)
    assert plan_for(1800.0, tokens_per_second, settings=fast).recipe.sft.batch_size == rows


# --- settings -------------------------------------------------------------------------------------


def test_a_plan_uses_the_machine_settings(plan_for: MakePlan) -> None:
    recipe = plan_for(600.0, settings=machine("bfloat16", batch_halvings=2)).recipe
    assert recipe.dtype == "bfloat16"
    assert recipe.n_threads == 2
    assert recipe.pretrain.micro_batch_size == recipe.pretrain.batch_size // 4


@pytest.mark.parametrize(
    ("seconds", "compiler", "pays", "compiled"),
    [
        (60.0, True, True, False),
        (600.0, True, True, True),
        (600.0, False, True, False),
        (600.0, True, False, False),
    ],
)
def test_longer_runs_are_compiled_if_it_pays(
    seconds: float, compiler: bool, pays: bool, compiled: bool, plan_for: MakePlan
) -> None:
    assert plan_for(seconds, compiler=compiler, pays=pays).recipe.compile is compiled


# --- data -----------------------------------------------------------------------------------------


def text_corpus(directory: Path, n_bytes: int) -> Corpus:
    (directory / "a.txt").write_bytes(b"some words\n" * (n_bytes // 11))
    return open_corpus(str(directory / "a.txt"), "--data")


def test_little_text_limits_epochs_and_model_size(plan_for: MakePlan, tmp_path: Path) -> None:
    text = text_corpus(tmp_path, 1_000_000)
    limited, unlimited = plan_for(3600.0, 20_000.0, text=text), plan_for(3600.0, 20_000.0)
    assert 0.9 * MAX_EPOCHS < limited.predicted["epochs"]["pretrain"] <= MAX_EPOCHS + 0.1
    assert unlimited.predicted["epochs"]["pretrain"] == 0
    assert matmul_parameters(limited.recipe.model) < matmul_parameters(unlimited.recipe.model)
    total = sum(limited.recipe.stage(stage).tokens for stage in REQUIRED_STAGES)
    assert total >= MIN_TOKENS_PER_PARAMETER["text"] * matmul_parameters(limited.recipe.model)
    note = f"reads the text at most {MAX_EPOCHS} times"
    assert note in render_plan(limited)
    assert note not in render_plan(unlimited)


def test_a_run_with_few_conversations_ends_sooner(plan_for: MakePlan, tmp_path: Path) -> None:
    (tmp_path / "c.jsonl").write_text("x" * 100_000)
    chat = open_corpus(str(tmp_path / "c.jsonl"), "--chat-data")
    plan = plan_for(3600.0, text=text_corpus(tmp_path, 100_000), chat=chat)
    assert plan.predicted["epochs"]["sft"] <= MAX_EPOCHS + 0.5
    assert plan.predicted["total_seconds"] < 0.8 * 3600
    assert "the run ends sooner" in render_plan(plan)
    assert f"reads the conversations at most {MAX_EPOCHS} times" in render_plan(plan)


def test_the_notes_on_a_mixture_name_what_is_repeated_and_what_is_lost(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("x" * 31_000)
    own, recipe = str(tmp_path / "a.jsonl"), draft().replace_stages(steps=100)
    mixture = open_corpus((f"{own}:0.5", "starter:0.5"), "--chat-data")
    (note,) = data_notes(recipe, STARTER, mixture, knows_starter=True)
    # Half of 100 steps of 2,048 tokens, from 31 kB at 3.1 bytes per token, less what is held out.
    assert f"--chat-data {own} is small for its share of 50%" in note
    assert "reads it about 10 times" in note
    (note,) = data_notes(recipe, STARTER, open_corpus(own, "--chat-data"), knows_starter=True)
    assert "the model forgets what the starter" in note
    assert f"--chat-data {own}:0.3 --chat-data starter:0.7" in note
    assert data_notes(recipe, STARTER, STARTER, knows_starter=False) == []


# --- from another run -----------------------------------------------------------------------------


@pytest.mark.parametrize("schedules", [CONTINUE_CHAT, CONTINUE_TEXT])
def test_a_plan_from_another_run_keeps_its_model_and_skips_stages_without_a_share(
    plan_for: MakePlan, schedules: Schedules
) -> None:
    source = draft(3600.0).replace(model=model_config((3, 192, 2), 1024))
    plan = plan_for(300.0, start=Start(source, schedules))
    recipe = plan.recipe
    assert (recipe.model, recipe.tokenizer_bytes) == (source.model, 0)
    for stage, schedule in schedules.items():
        assert bool(recipe.stage(stage).steps) == bool(schedule.fraction)
        assert recipe.stage(stage).lr_scale <= FROM_RANDOM[stage].lr_scale
    assert plan.predicted["total_seconds"] <= 300
    assert "bits_per_byte" not in plan.predicted
    assert ("pretrain    skipped" in render_plan(plan)) == (recipe.pretrain.steps == 0)


# --- memory and disk ------------------------------------------------------------------------------


def test_short_memory_halves_micro_batches(plan_for: MakePlan) -> None:
    large = draft().replace(model=model_config((8, 384, 3), 2048))
    needed = estimates.memory_bytes(large)
    assert fit_memory(large, needed) == large
    smaller = fit_memory(large, 0.8 * needed)
    assert estimates.memory_bytes(smaller) <= 0.8 * needed
    assert smaller.pretrain.micro_batch_size < large.pretrain.micro_batch_size
    assert smaller.pretrain.batch_size == large.pretrain.batch_size


def test_a_plan_fits_into_memory_and_notes_it(plan_for: MakePlan) -> None:
    unlimited = plan_for(1800.0, 5_000_000.0)
    memory = 0.8 * estimates.memory_bytes(unlimited.recipe)
    limited = plan_for(1800.0, 5_000_000.0, memory=memory)
    assert estimates.memory_bytes(limited.recipe) <= memory
    assert "memory is short" in render_plan(limited)
    assert "memory is short" not in render_plan(unlimited)


def test_too_little_memory_is_an_error(plan_for: MakePlan) -> None:
    with pytest.raises(
        UserError, match=r"not enough memory: .* needs \d{3}\.\d MB.*raise the limit"
    ):
        plan_for(600.0, memory=3e8)


def test_too_little_disk_space_is_an_error(plan_for: MakePlan) -> None:
    with pytest.raises(UserError, match=r"not enough disk space.*FIRSTWORDS_HOME"):
        plan_for(600.0, disk=1e6)


# --- output ---------------------------------------------------------------------------------------


def test_a_plan_is_rendered_as_text(plan_for: MakePlan) -> None:
    plan = plan_for(600.0)
    text, bits = render_plan(plan), plan.predicted["bits_per_byte"]
    low, high = bits["range"]
    for part in (
        f"{plan.recipe.pretrain.steps:,} steps",
        "3,000 tokens/s",
        "10:00",
        "memory",
        "disk",
        f"({low:.3f} to {high:.3f})",
        "embedding",
        "8 H100 GPUs",
        "outside the fitted range",
        "3:00:00",
    ):
        assert part in text
    assert low < bits["expected"] < high


def test_a_given_recipe_is_rendered_without_estimates(plan_for: MakePlan) -> None:
    text = render_plan(Plan(plan_for(600.0).recipe, {}))
    assert "steps of" in text
    assert "expected" not in text


def test_longer_budgets_have_fewer_expected_bits(plan_for: MakePlan) -> None:
    rows = plan_for(600.0).predicted["comparison"]
    times = [row["seconds"] for row in rows if row["machine"] == "this machine"]
    bits = [row["bits_per_byte"] for row in rows if row["machine"] == "this machine"]
    assert times == [600, 1800, 3600, 10800]
    assert bits == sorted(bits, reverse=True)


def test_the_comparison_ends_with_eight_gpus(plan_for: MakePlan) -> None:
    row = plan_for(600.0).predicted["comparison"][-1]
    assert (row["machine"], row["seconds"]) == ("8 H100 GPUs", 1800.0)
    assert (row["n_layer"], row["n_embd"]) == (12, 640)
    assert row["matmul_parameters"] == 60_784_640
    assert row["tokens"] == 15_130_344_321
    assert row["bits_per_byte"] is None  # far outside the fitted range


def test_parameters_are_counted_by_part(plan_for: MakePlan) -> None:
    plan = plan_for(600.0)
    parts = dict(plan.predicted["parameters"])
    assert parts.pop("matmul") == matmul_parameters(plan.recipe.model)
    assert parts.pop("all") == sum(parts.values())
