"""Measuring a machine: the settings that are kept, and what speed means."""

from collections.abc import Callable, Iterator

import pytest
import torch

from firstwords import machine, measure
from firstwords.measure import ROWS, TRY_FROM, Settings, fastest, trial
from firstwords.model import flops_per_token
from firstwords.recipe import SEQ_LEN, Recipe

Speed = Callable[[Recipe], float]


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Settings]:
    """The settings found on a machine whose steps have the given speed."""

    def found(
        speed: Speed, cores: int = 2, bfloat16: float = 10.0, budget: float = TRY_FROM
    ) -> Settings:
        rates = {torch.float32: 100.0, torch.bfloat16: bfloat16}
        monkeypatch.setattr(machine, "setup", lambda n_threads: None)
        monkeypatch.setattr(machine, "physical_cores", lambda: cores)
        monkeypatch.setattr(machine, "matmul_gflops", lambda dtype: rates[dtype])
        monkeypatch.setattr(measure, "tokens_per_second", lambda recipe, seconds: speed(recipe))
        if budget >= TRY_FROM:
            monkeypatch.setattr(measure, "in_turns", lambda a, b, seconds: (speed(a), speed(b)))
        return measure.settings(budget)

    return found


def test_all_cores_whole_batches_and_float32_unless_something_is_faster(
    found: Callable[..., Settings],
) -> None:
    kept = found(lambda recipe: 1000.0 * recipe.n_threads)
    assert (kept.n_threads, kept.dtype, kept.halves) == (2, "float32", 0)
    assert kept.flops_per_second == 2000.0 * flops_per_token(trial(1).model, SEQ_LEN)
    assert kept.tried["1 threads"] == 0.5
    assert "bfloat16" not in kept.tried


def test_fewer_threads_where_they_are_as_fast(found: Callable[..., Settings]) -> None:
    """Sixty-four threads on a small model mostly wait for each other."""
    kept = found(lambda recipe: 1000.0 * min(recipe.n_threads, 16), cores=64)
    assert kept.n_threads == 16
    assert list(kept.tried)[:4] == ["32 threads", "16 threads", "8 threads", "4 rows at a time"]


def test_bfloat16_where_whole_steps_are_clearly_faster(found: Callable[..., Settings]) -> None:
    kept = found(lambda r: 2000.0 if r.dtype == "bfloat16" else 1000.0, bfloat16=400.0)
    assert kept.dtype == "bfloat16"
    assert kept.flops_per_second == 2000.0 * flops_per_token(trial(1).model, SEQ_LEN)


def test_products_alone_do_not_decide(found: Callable[..., Settings]) -> None:
    kept = found(lambda r: 1020.0 if r.dtype == "bfloat16" else 1000.0, bfloat16=400.0)
    assert kept.dtype == "float32"


def test_smaller_parts_of_a_batch_where_they_are_faster(found: Callable[..., Settings]) -> None:
    kept = found(lambda recipe: {8: 1000.0, 4: 1200.0, 2: 1210.0}[recipe.base.micro_rows])
    assert kept.halves == 1


def test_settings_are_measured_once(found: Callable[..., Settings]) -> None:
    first = found(lambda recipe: 1000.0 * recipe.n_threads)
    assert found(lambda recipe: pytest.fail("measured again")) == first
    assert measure.settings(TRY_FROM) == first


def test_a_short_budget_is_not_spent_on_trials(
    found: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    def speed(recipe: Recipe) -> float:
        return 1000.0 / recipe.n_threads  # one thread would be faster

    monkeypatch.setattr(measure, "in_turns", lambda *_: pytest.fail("tried"))
    guessed = found(speed, bfloat16=400.0, budget=TRY_FROM - 1)
    assert (guessed.n_threads, guessed.dtype, guessed.tried) == (2, "bfloat16", {})
    kept = found(speed)
    assert kept.n_threads == 1
    assert measure.settings(TRY_FROM - 1) == kept


def test_another_number_of_cores_is_another_machine(found: Callable[..., Settings]) -> None:
    found(lambda recipe: 1000.0 * recipe.n_threads, cores=2)
    assert found(lambda recipe: 1000.0 * recipe.n_threads, cores=4).n_threads == 4


def test_a_damaged_finding_is_found_again(found: Callable[..., Settings]) -> None:
    found(lambda recipe: 1000.0 * recipe.n_threads)
    for path in (machine.home() / "machine").iterdir():
        path.write_text("{")
    assert found(lambda recipe: 500.0).n_threads == 1


@pytest.mark.parametrize(("eager", "compiled"), [(1000.0, 1100.0), (1000.0, 900.0)])
def test_compiling_is_tried_once_for_a_model(
    eager: float, compiled: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = compared(monkeypatch, {(False, "fused"): eager, (True, "fused"): compiled})
    assert fastest(trial(1)).compile is (compiled > eager)
    assert fastest(trial(1)).compile is (compiled > eager)
    assert len(asked) == 1
    other = trial(1).model_copy(update={"model": trial(1).model.model_copy(update={"n_layer": 5})})
    fastest(other)
    assert len(asked) == 2


@pytest.mark.parametrize(
    ("dtype", "plain", "chosen"),
    [("bfloat16", 1200.0, "plain"), ("bfloat16", 1000.0, "fused"), ("float32", 1200.0, "fused")],
)
def test_attention_is_the_faster_one(
    dtype: str, plain: float, chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    speeds = {(False, "fused"): 1000.0, (True, "fused"): 1100.0, (True, "plain"): plain}
    compared(monkeypatch, speeds)
    found = fastest(trial(1).model_copy(update={"dtype": dtype}))
    assert (found.compile, found.attention) == (True, chosen)


def compared(
    monkeypatch: pytest.MonkeyPatch, speeds: dict[tuple[bool, str], float]
) -> list[Recipe]:
    """Recipes have the speeds of (compiled, attention); returns those that are tried."""
    asked: list[Recipe] = []

    def in_turns(one: Recipe, other: Recipe, seconds: float) -> tuple[float, float]:
        asked.append(other)
        first, second = (speeds[r.compile, r.attention] for r in (one, other))
        return first, second

    monkeypatch.setattr(measure, "tokens_per_second", lambda recipe, seconds: 1.0)
    monkeypatch.setattr(measure, "in_turns", in_turns)
    return asked


def test_a_compiler_that_fails_does_not_pay(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(recipe: Recipe, seconds: float) -> float:
        raise RuntimeError("Python.h: no such file")

    monkeypatch.setattr(measure, "tokens_per_second", fail)
    assert not fastest(trial(1)).compile
    assert "Python.h" in capsys.readouterr().err


def test_speed_is_what_was_done_in_the_time_stalls_and_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a second a step, and every tenth takes five: a median would not see those."""

    def clock() -> Iterator[float]:
        now = 0.0
        for step in range(10_000):
            yield now
            now += 5.0 if step % 10 == 9 else 0.5
            yield now

    ticks = clock()
    monkeypatch.setattr(measure.time, "perf_counter", lambda: next(ticks))
    monkeypatch.setattr(measure, "accumulate", lambda *args: 0.0)
    monkeypatch.setattr(measure.Optimizer, "step", lambda self, scale: None)
    monkeypatch.setattr(measure.Optimizer, "gradient_norm", lambda self: 0.0)
    speed = measure.tokens_per_second(trial(1), 400.0)
    assert speed == pytest.approx(ROWS * SEQ_LEN * 10 / 9.5, rel=0.05)


def test_two_settings_are_compared_in_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that becomes twice as slow in the middle says the same of both."""
    taken: list[str] = []

    def training_step(recipe: Recipe) -> Callable[[], float]:
        name = "whole" if recipe.base.micro_rows == ROWS else "halves"

        def step() -> float:
            taken.append(name)
            return (1.0 if len(taken) < 60 else 2.0) * (1.2 if name == "halves" else 1.0)

        return step

    monkeypatch.setattr(measure, "training_step", training_step)
    stage = trial(1).base.model_copy(update={"micro_rows": ROWS // 2})
    one, other = measure.in_turns(trial(1), trial(1).model_copy(update={"base": stage}), 100.0)
    assert one / other == pytest.approx(1.2)
    assert taken[4:10] == ["whole", "halves"] * 3


def test_a_measurement_leaves_the_number_of_threads_as_it_was() -> None:
    before = torch.get_num_threads()
    tiny = trial(1).model.model_copy(update={"n_layer": 1, "vocab_size": 300})
    recipe = trial(before + 1).model_copy(update={"model": tiny})
    assert measure.tokens_per_second(recipe, 0.0) > 0
    assert torch.get_num_threads() == before
