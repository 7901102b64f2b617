"""A run whose recipe follows from a depth, from the command to the report."""

import json
from pathlib import Path

import pytest
from end_to_end import Bench

PRESET = """
description = "the smallest"
depth = 1
vocab_size = 512
seq_len = 64
tokens_per_parameter = {tokens}
midtrain_fraction = 0.2
sft_fraction = 0.2
"""


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("preseted"))


def command(bench: Bench, preset: Path, *more: str) -> list[str]:
    sources = ["--data", str(bench.text), "--chat-data", str(bench.chat)]
    return ["train", "--recipe", str(preset), *sources, "--run", "x", *more]


@pytest.mark.slow
def test_it_is_planned_trained_reported_and_resumed(bench: Bench) -> None:
    preset = bench.root / "mine.toml"
    preset.write_text(PRESET.format(tokens=0.2))
    done = bench.firstwords(*command(bench, preset))
    assert done.returncode == 0, done.stderr
    manifest = json.loads((bench.directory("x") / "run.json").read_text())
    recipe, predicted = manifest["recipe"], manifest["predicted"]
    assert (recipe["model"]["n_layer"], recipe["model"]["n_embd"]) == (1, 128)
    assert predicted["total_seconds"] > 0
    assert "bits per byte" in (bench.directory("x") / "report.md").read_text()
    again = bench.firstwords(*command(bench, preset))
    assert again.returncode == 0, again.stderr
    assert again.stderr.count("already done") == 5
    preset.write_text(PRESET.format(tokens=0.3))
    other = bench.firstwords(*command(bench, preset))
    assert other.returncode == 2
    assert "--recipe differs from that of run x" in other.stderr
    seed = bench.firstwords(*command(bench, preset, "--seed", "1"))
    assert seed.returncode == 2


@pytest.mark.slow
def test_a_plan_of_a_preset_estimates_it_for_this_machine(bench: Bench) -> None:
    done = bench.firstwords("plan", "--recipe", "laptop", "--json")
    assert done.returncode == 0, done.stderr
    planned = json.loads(done.stdout)
    assert planned["recipe"]["model"]["n_layer"] == 4
    assert planned["predicted"]["phase_seconds"]["pretrain"] > 0
    done = bench.firstwords("plan", "--recipe", "laptop", "--set", "pretrain.steps=10", "--json")
    shorter = json.loads(done.stdout)
    assert shorter["recipe"]["pretrain"]["steps"] == 10
    whole = planned["predicted"]["phase_seconds"]["pretrain"]
    assert shorter["predicted"]["phase_seconds"]["pretrain"] < whole / 10
    text = bench.firstwords("plan", "--recipe", "laptop").stdout
    assert "4 layers x 256 channels" in text
    assert "expected" in text
