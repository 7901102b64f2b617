"""The miniseries and the race: whole trainings, small ones."""

import json
from pathlib import Path

import pytest
import torch

from firstwords.bench import miniseries, race
from firstwords.bench.law_fit import Point
from firstwords.bench.pretraining import pretrain_only
from firstwords.cli.main import run_command
from firstwords.common import devices, hardware
from firstwords.common.errors import Interrupted
from firstwords.common.signals import StopSignal
from firstwords.planning import autotune, choose_model
from firstwords.planning.autotune import MachineSettings, trial_recipe
from firstwords.planning.model_sizes import MODEL_SIZES
from firstwords.planning.scaling_law import load_law
from firstwords.recipe import Recipe
from firstwords.runs.run import Run

SETTINGS = MachineSettings(
    n_threads=1,
    dtype="float32",
    kernel="pytorch",
    batch_halvings=0,
    flops_per_second=2e10,
    matmul_gflops={"float32": 50.0},
    speedups={"1 threads": 0.5},
)


@pytest.fixture
def text_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, sample_text: list[str]) -> str:
    """A file of text, on a machine with known settings and no compiler."""
    monkeypatch.setattr(devices, "configure_torch", lambda n_threads: torch.set_num_threads(1))
    monkeypatch.setattr(hardware, "has_compiler", lambda: False)
    monkeypatch.setattr(autotune, "machine_settings", lambda seconds: SETTINGS)
    monkeypatch.setattr(choose_model, "MODEL_SIZES", MODEL_SIZES[:2])
    path = tmp_path / "words.txt"
    path.write_text("\n\n".join(sample_text * 60))
    return str(path)


def test_the_learning_rate_of_a_single_stage_decays_to_its_end() -> None:
    recipe = pretrain_only(trial_recipe(1), 100_000)
    assert recipe.pretrain.tokens == pytest.approx(100_000, rel=0.02)
    assert recipe.pretrain.final_lr_fraction < 0.1
    assert recipe.pretrain.warmup_steps < recipe.pretrain.steps
    assert pretrain_only(trial_recipe(1), 1.0).pretrain.steps == 1


@pytest.mark.slow
def test_an_interrupted_series_resumes(text_path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = [((2, 128, 2), 6e3, True), ((3, 128, 2), 6e3, True), ((2, 128, 2), 9e3, False)]
    monkeypatch.setattr(miniseries, "grid", lambda vocab_size: runs)
    monkeypatch.setattr(miniseries, "fit", lambda points: load_law("text"))
    trained: list[Path] = []
    pretrain = miniseries.pretrain

    def interrupt_third_run(run: Run, stop: StopSignal) -> None:
        if len(trained) == 2:
            raise Interrupted("in the third run")
        pretrain(run, stop)
        trained.append(run.directory)

    monkeypatch.setattr(miniseries, "pretrain", interrupt_third_run)
    with pytest.raises(Interrupted):
        miniseries.run_series(text_path, StopSignal())
    monkeypatch.setattr(miniseries, "pretrain", pretrain)
    result = miniseries.run_series(text_path, StopSignal())
    points = [Point(**point) for point in result["points"]]
    assert [(p.n_layer, p.decayed) for p in points] == [(2, True), (3, True), (2, False)]
    assert all(0 < p.bits_per_byte < 8 for p in points)
    assert result["kind"] == "text"
    assert miniseries.run_series(text_path, StopSignal()) == result


@pytest.mark.slow
def test_a_race_keeps_its_time_and_measures_bits_per_byte(
    text_path: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(["bench", "race", "--data", text_path, "--time", "30s", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["seconds_taken"] < 40
    assert 0 < result["bits_per_byte"]["score"] < 6
    recipe = Recipe.model_validate(result["recipe"])
    assert result["tokens"] == recipe.pretrain.tokens
    assert f"{result['bits_per_byte']['score']:.4f} bits per byte" in race.render_race(result)
