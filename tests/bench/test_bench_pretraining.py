"""The miniseries and the race: whole trainings, small ones."""

import json
from pathlib import Path

import pytest
import torch

from firstwords import machine, measure
from firstwords import plan as plans
from firstwords.bench import miniseries, race
from firstwords.bench.miniseries import Point, run_series
from firstwords.bench.pretraining import alone
from firstwords.cli import run_command
from firstwords.errors import Interrupted
from firstwords.measure import Settings, trial
from firstwords.recipe import Recipe
from firstwords.scaling import law
from firstwords.signals import Stop

SETTINGS = Settings(
    n_threads=1,
    dtype="float32",
    halves=0,
    flops_per_second=2e10,
    matmul_gflops={"float32": 50.0},
    tried={"1 threads": 2000.0},
)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, sample_text: list[str]) -> str:
    """A machine that is known already, no compiler, and a file of text."""
    monkeypatch.setattr(machine, "setup", lambda n_threads: torch.set_num_threads(1))
    monkeypatch.setattr(machine, "can_compile", lambda: False)
    monkeypatch.setattr(measure, "settings", lambda seconds: SETTINGS)
    monkeypatch.setattr(plans, "LADDER", plans.LADDER[:2])
    path = tmp_path / "words.txt"
    path.write_text("\n\n".join(sample_text * 60))
    return str(path)


def test_a_stage_that_stands_for_itself_decays_to_the_end() -> None:
    recipe = alone(trial(1), 100_000)
    assert recipe.base.tokens == pytest.approx(100_000, rel=0.02)
    assert recipe.base.final_lr < 0.1
    assert recipe.base.warmup_steps < recipe.base.steps
    assert alone(trial(1), 1.0).base.steps == 1


@pytest.mark.slow
def test_a_series_goes_on_where_it_was_stopped(
    quick: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = [((2, 128, 2), 6e3, True), ((3, 128, 2), 6e3, True), ((2, 128, 2), 9e3, False)]
    monkeypatch.setattr(miniseries, "grid", lambda vocab_size: wanted)
    monkeypatch.setattr(miniseries, "fit", lambda points: law("text"))
    trained: list[Path] = []
    pretrain = miniseries.pretrain

    def counted(run: object, stop: Stop) -> None:
        if len(trained) == 2:
            raise Interrupted("here")
        pretrain(run, stop)  # type: ignore[arg-type]
        trained.append(run.directory)  # type: ignore[attr-defined]

    monkeypatch.setattr(miniseries, "pretrain", counted)
    with pytest.raises(Interrupted):
        run_series(quick, Stop())
    monkeypatch.setattr(miniseries, "pretrain", pretrain)
    result = run_series(quick, Stop())
    points = [Point(**point) for point in result["points"]]
    assert [(p.n_layer, p.decayed) for p in points] == [(2, True), (3, True), (2, False)]
    assert all(0 < p.bits_per_byte < 8 for p in points)  # words that repeat are soon known
    assert result["kind"] == "text"
    assert run_series(quick, Stop()) == result
    capsys.readouterr()


@pytest.mark.slow
def test_a_race_keeps_its_time_and_says_what_came(
    quick: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(["bench", "race", "--data", quick, "--time", "30s", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["seconds_taken"] < 40
    assert 0 < result["bits_per_byte"]["score"] < 6
    recipe = Recipe.model_validate(result["recipe"])
    assert result["tokens"] == recipe.base.tokens
    assert f"{result['bits_per_byte']['score']:.4f} bits per byte" in race.describe(result)
