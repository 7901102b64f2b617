"""Autotuning: the settings that are chosen and cached, and how speed is measured."""

from collections.abc import Callable, Iterator

import pytest
import torch

from firstwords.common import devices, hardware, paths
from firstwords.model.size import flops_per_token
from firstwords.planning import autotune
from firstwords.planning.autotune import (
    NATIVE_FROM_SECONDS,
    TRIAL_BATCH_SIZE,
    TRIALS_FROM_SECONDS,
    MachineSettings,
    autotune_step,
    trial_recipe,
)
from firstwords.planning.model_sizes import SEQ_LEN
from firstwords.recipe import ModelConfig, Recipe
from firstwords.training.optimizer import Optimizer

Speed = Callable[[Recipe], float]
Settings = Callable[..., MachineSettings]


@pytest.fixture
def settings_for(monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The settings chosen on a machine whose steps have the given speed."""

    def settings_for(
        speed: Speed,
        cores: int = 2,
        bfloat16: float = 10.0,
        budget: float = TRIALS_FROM_SECONDS,
        library: object = None,
    ) -> MachineSettings:
        gflops = {torch.float32: 100.0, torch.bfloat16: bfloat16}
        monkeypatch.setattr(devices, "configure_torch", lambda n_threads: None)
        monkeypatch.setattr(hardware, "physical_cores", lambda: cores)
        monkeypatch.setattr(autotune, "train_library", lambda dtype: library)
        monkeypatch.setattr(devices, "matmul_gflops", lambda dtype: gflops[dtype])
        monkeypatch.setattr(autotune, "tokens_per_second", lambda recipe, seconds: speed(recipe))
        if budget >= TRIALS_FROM_SECONDS:
            monkeypatch.setattr(
                autotune, "measure_alternately", lambda a, b, seconds: (speed(a), speed(b))
            )
        return autotune.machine_settings(budget)

    return settings_for


# --- settings -------------------------------------------------------------------------------------


def test_the_default_is_all_cores_micro_batches_and_float32(settings_for: Settings) -> None:
    settings = settings_for(lambda recipe: 1000.0 * recipe.n_threads)
    assert (settings.n_threads, settings.dtype, settings.batch_halvings) == (2, "float32", 2)
    assert settings.flops_per_second == 2000.0 * flops_per_token(trial_recipe(1).model, SEQ_LEN)
    assert settings.speedups["1 threads"] == 0.5
    assert "bfloat16" not in settings.speedups


def test_fewer_threads_are_chosen_if_they_are_as_fast(settings_for: Settings) -> None:
    """Sixty-four threads on a small model mostly wait for each other."""
    settings = settings_for(lambda recipe: 1000.0 * min(recipe.n_threads, 16), cores=64)
    assert settings.n_threads == 16
    assert list(settings.speedups)[:4] == [
        "32 threads",
        "16 threads",
        "8 threads",
        "micro-batches of 4",
    ]


def test_bfloat16_is_chosen_if_whole_steps_are_clearly_faster(settings_for: Settings) -> None:
    settings = settings_for(lambda r: 2000.0 if r.dtype == "bfloat16" else 1000.0, bfloat16=400.0)
    assert settings.dtype == "bfloat16"
    assert settings.flops_per_second == 2000.0 * flops_per_token(trial_recipe(1).model, SEQ_LEN)


def test_faster_products_alone_do_not_choose_bfloat16(settings_for: Settings) -> None:
    settings = settings_for(lambda r: 1020.0 if r.dtype == "bfloat16" else 1000.0, bfloat16=400.0)
    assert settings.dtype == "float32"


def test_larger_micro_batches_are_chosen_if_they_are_faster(settings_for: Settings) -> None:
    speeds = {2: 1000.0, 4: 1200.0, 8: 1210.0}
    settings = settings_for(lambda recipe: speeds[recipe.pretrain.micro_batch_size])
    assert settings.batch_halvings == 1


def test_settings_are_cached(settings_for: Settings) -> None:
    settings = settings_for(lambda recipe: 1000.0 * recipe.n_threads)
    assert settings_for(lambda recipe: pytest.fail("measured again")) == settings
    assert autotune.machine_settings(TRIALS_FROM_SECONDS) == settings


def test_a_short_budget_has_no_trials(
    settings_for: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def speed(recipe: Recipe) -> float:
        return 1000.0 / recipe.n_threads  # one thread would be faster

    monkeypatch.setattr(autotune, "measure_alternately", lambda *_: pytest.fail("tried"))
    default = settings_for(speed, bfloat16=400.0, budget=TRIALS_FROM_SECONDS - 1)
    assert (default.n_threads, default.dtype, default.speedups) == (2, "bfloat16", {})
    settings = settings_for(speed)
    assert settings.n_threads == 1
    assert autotune.machine_settings(TRIALS_FROM_SECONDS - 1) == settings


def test_another_number_of_cores_is_another_machine(settings_for: Settings) -> None:
    settings_for(lambda recipe: 1000.0 * recipe.n_threads, cores=2)
    assert settings_for(lambda recipe: 1000.0 * recipe.n_threads, cores=4).n_threads == 4


def test_a_damaged_cache_is_replaced(settings_for: Settings) -> None:
    settings_for(lambda recipe: 1000.0 * recipe.n_threads)
    for path in (paths.home() / "machine").iterdir():
        path.write_text("{")
    assert settings_for(lambda recipe: 500.0).n_threads == 1


@pytest.mark.parametrize("budget", [NATIVE_FROM_SECONDS, TRIALS_FROM_SECONDS])
@pytest.mark.parametrize("speedup", [2.0, 0.9])
def test_the_faster_kernel_is_chosen(
    settings_for: Settings, budget: float, speedup: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(autotune, "first_gradients", lambda recipe: (7.6, 5.0))

    def speed(recipe: Recipe) -> float:
        return 1000.0 * (speedup if recipe.kernel == "native" else 1.0)

    settings = settings_for(speed, cores=1, budget=budget, library=object())
    assert settings.kernel == ("native" if speedup > 1 else "pytorch")
    assert settings.speedups["native"] == speedup
    flops = max(1.0, speedup) * 1000.0 * flops_per_token(trial_recipe(1).model, SEQ_LEN)
    assert settings.flops_per_second == flops


def test_a_native_kernel_with_other_gradients_is_not_used(
    settings_for: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        autotune, "first_gradients", lambda recipe: (7.6, 5.0 + (recipe.kernel == "native"))
    )
    settings = settings_for(
        lambda recipe: 1000.0 * (1 + (recipe.kernel == "native")), library=object()
    )
    assert settings.kernel == "pytorch"
    assert "ignoring the native step: its gradients differ" in capsys.readouterr().err


@pytest.mark.parametrize("budget", [NATIVE_FROM_SECONDS - 1, TRIALS_FROM_SECONDS])
def test_the_kernel_is_not_tried_in_too_short_a_budget_or_without_a_compiler(
    settings_for: Settings, budget: float
) -> None:
    library = object() if budget < NATIVE_FROM_SECONDS else None
    settings = settings_for(lambda recipe: 1000.0, budget=budget, library=library)
    assert settings.kernel == "pytorch"
    assert "native" not in settings.speedups


# --- compiling ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("eager", "compiled"), [(1000.0, 1100.0), (1000.0, 900.0)])
def test_compiling_is_tried_once_per_model(
    eager: float, compiled: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    trials = set_speeds(monkeypatch, {(False, "fused"): eager, (True, "fused"): compiled})
    assert autotune_step(trial_recipe(1)).compile is (compiled > eager)
    assert autotune_step(trial_recipe(1)).compile is (compiled > eager)
    assert len(trials) == 1
    other = trial_recipe(1).replace(model=trial_recipe(1).model.replace(n_layer=5))
    autotune_step(other)
    assert len(trials) == 2


@pytest.mark.parametrize(
    ("dtype", "plain", "chosen"),
    [("bfloat16", 1200.0, "plain"), ("bfloat16", 1000.0, "fused"), ("float32", 1200.0, "fused")],
)
def test_the_faster_attention_is_chosen(
    dtype: str, plain: float, chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    speeds = {(False, "fused"): 1000.0, (True, "fused"): 1100.0, (True, "plain"): plain}
    set_speeds(monkeypatch, speeds)
    recipe = autotune_step(trial_recipe(1).replace(dtype=dtype))
    assert (recipe.compile, recipe.attention) == (True, chosen)


@pytest.mark.parametrize("broken", ["plain", "fused"])
def test_a_variant_with_other_gradients_is_not_used(
    broken: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    speeds = {(False, "fused"): 1000.0, (True, "fused"): 1100.0, (True, "plain"): 1200.0}
    set_speeds(monkeypatch, speeds)
    nan = float("nan")

    def gradients(recipe: Recipe) -> tuple[float, float]:
        return (7.6, nan) if recipe.compile and recipe.attention == broken else (7.6, 5.0)

    monkeypatch.setattr(autotune, "first_gradients", gradients)
    recipe = autotune_step(trial_recipe(1).replace(dtype="bfloat16"))
    assert recipe.compile is (broken == "plain")
    assert recipe.attention == "fused"
    assert f"compiled step with {broken} attention" in capsys.readouterr().err


def test_gradients_of_a_variant_are_compared_with_the_reference() -> None:
    recipe = trial_recipe(1)
    plain = recipe.replace(attention="plain")
    reference = autotune.first_gradients(recipe)
    assert autotune.has_gradients(plain, reference)
    assert not autotune.has_gradients(recipe.replace(seed=1, model=wider(recipe)), reference)


def wider(recipe: Recipe) -> ModelConfig:
    return recipe.model.replace(n_hidden=4 * recipe.model.n_hidden)


def set_speeds(
    monkeypatch: pytest.MonkeyPatch, speeds: dict[tuple[bool, str], float]
) -> list[Recipe]:
    """Give recipes the speeds of (compile, attention); return the list of those that are tried."""
    trials: list[Recipe] = []

    def measure(one: Recipe, other: Recipe, seconds: float) -> tuple[float, float]:
        trials.append(other)
        first, second = (speeds[r.compile, r.attention] for r in (one, other))
        return first, second

    monkeypatch.setattr(autotune, "tokens_per_second", lambda recipe, seconds: 1.0)
    monkeypatch.setattr(autotune, "measure_alternately", measure)
    monkeypatch.setattr(autotune, "first_gradients", lambda recipe: (7.6, 5.0))
    return trials


def test_a_recipe_is_not_compiled_if_compiling_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(recipe: Recipe, seconds: float) -> float:
        raise RuntimeError("Python.h: no such file")

    monkeypatch.setattr(autotune, "tokens_per_second", fail)
    assert not autotune_step(trial_recipe(1)).compile
    assert "Python.h" in capsys.readouterr().err


# --- speed ----------------------------------------------------------------------------------------


def test_stalls_count_in_the_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step takes half a second, and every tenth five: a median would not show those."""

    def clock() -> Iterator[float]:
        now = 0.0
        for step in range(10_000):
            yield now
            now += 5.0 if step % 10 == 9 else 0.5
            yield now

    ticks = clock()
    monkeypatch.setattr(autotune.time, "perf_counter", lambda: next(ticks))
    monkeypatch.setattr(autotune, "gradients", lambda *args: 0.0)
    monkeypatch.setattr(Optimizer, "step", lambda self, scale: None)
    monkeypatch.setattr(Optimizer, "gradient_norm", lambda self: 0.0)
    speed = autotune.tokens_per_second(trial_recipe(1), 400.0)
    assert speed == pytest.approx(TRIAL_BATCH_SIZE * SEQ_LEN * 10 / 9.5, rel=0.05)


def test_two_recipes_are_measured_in_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that becomes half as fast in the middle does not change the ratio."""
    taken: list[str] = []

    def training_step(recipe: Recipe) -> Callable[[], float]:
        name = "large" if recipe.pretrain.micro_batch_size > 1 else "small"

        def step() -> float:
            taken.append(name)
            return (1.0 if len(taken) < 60 else 2.0) * (1.2 if name == "small" else 1.0)

        return step

    monkeypatch.setattr(autotune, "training_step", training_step)
    stage = trial_recipe(1).pretrain.replace(micro_batch_size=1)
    one, other = autotune.measure_alternately(
        trial_recipe(1), trial_recipe(1).replace(pretrain=stage), 100.0
    )
    assert one / other == pytest.approx(1.2)
    assert taken[4:10] == ["large", "small"] * 3


def test_measuring_restores_the_number_of_threads() -> None:
    before = torch.get_num_threads()
    tiny = trial_recipe(1).model.replace(n_layer=1, vocab_size=300)
    recipe = trial_recipe(before + 1).replace(model=tiny)
    assert autotune.tokens_per_second(recipe, 0.0) > 0
    assert torch.get_num_threads() == before
