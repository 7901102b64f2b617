"""Several processes at work on one run, started by torchrun: the same losses, however many."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from end_to_end import STAGES, Bench, final_checkpoint, fingerprint, metrics, recipe
from safetensors.numpy import load_file

from firstwords.distributed import owners
from firstwords.model import Transformer
from firstwords.recipe import ModelConfig

STEPS = {"base": 12, "mid": 5, "sft": 5}
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    made = Bench(tmp_path_factory.mktemp("distributed"), **STEPS)
    done = made.firstwords(*made.train("alone"))
    assert done.returncode == 0, done.stderr
    return made


def torchrun(bench: Bench, n: int, *arguments: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += [f"--nproc-per-node={n}", "-m", "firstwords", "--", *arguments]
    return subprocess.Popen(
        command,
        env={**bench.environment, "OMP_NUM_THREADS": "1"},
        cwd=bench.cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def together(bench: Bench, n: int, run: str) -> Path:
    process = torchrun(bench, n, *bench.train(run))
    _, stderr = process.communicate(timeout=240)
    assert process.returncode == 0, stderr
    assert stderr.count("Phase 2 of 5") == 1, "only the leader speaks"
    return bench.directory(run)


def losses(directory: Path) -> list[float]:
    return [step["loss"] for stage in STAGES for step in metrics(directory, stage)]


@pytest.mark.parametrize("n", [2, 4])
def test_processes_share_a_batch_and_learn_the_same(bench: Bench, n: int) -> None:
    alone, shared = bench.directory("alone"), together(bench, n, f"by-{n}")
    assert losses(shared) == pytest.approx(losses(alone), rel=2e-3)
    for stage in STAGES:
        one, other = (
            load_file(final_checkpoint(directory, stage) / "optimizer.safetensors")
            for directory in (alone, shared)
        )
        assert {name: value.shape for name, value in one.items()} == {
            name: value.shape for name, value in other.items()
        }
        assert [step["gradient"] for step in metrics(shared, stage)] == pytest.approx(
            [step["gradient"] for step in metrics(alone, stage)], rel=0.05
        )
    told = json.loads((shared / "evaluation" / "sft.json").read_text())
    wanted = json.loads((alone / "evaluation" / "sft.json").read_text())
    bits = "bits_per_byte"
    assert told["tasks"][bits]["score"] == pytest.approx(wanted["tasks"][bits]["score"], rel=0.01)
    assert (shared / "report.html").exists()


@pytest.mark.parametrize("compiled", [False, True])
def test_weights_that_are_cut_up_learn_the_same(tmp_path: Path, compiled: bool) -> None:
    """Slices of uneven size, two parts to a batch; then the same run goes on in one process."""
    changes = {"model__vocab_size": 401, "base__micro_rows": 1, "compile": compiled}
    whole = Bench(tmp_path / "whole", **STEPS, **changes)
    assert whole.firstwords(*whole.train("alone")).returncode == 0
    cut = Bench(tmp_path / "cut", whole.home, **STEPS, **changes, shard="weights")
    alone, shared = whole.directory("alone"), together(cut, 2, "shared")
    assert losses(shared) == pytest.approx(losses(alone), rel=2e-3)
    for key in ("gradient", "update"):
        one, other = (
            [step[key] for stage in STAGES for step in metrics(run, stage) if step[key]]
            for run in (alone, shared)
        )
        assert other == pytest.approx(one, rel=0.05), key
    for name in ("model", "optimizer"):
        one, other = (
            load_file(final_checkpoint(run, "sft") / f"{name}.safetensors")
            for run in (alone, shared)
        )
        assert {key: value.shape for key, value in one.items()} == {
            key: value.shape for key, value in other.items()
        }
    pages = [sorted(path.name for path in (run / "album").iterdir()) for run in (alone, shared)]
    assert pages[0] == pages[1]
    if not compiled:
        stage_by_stage(cut, "shrunk", 2, "tokenizer", "pretrain")
        stage_by_stage(cut, "shrunk", 1, "midtrain", "sft", "report")
        assert losses(cut.directory("shrunk")) == pytest.approx(losses(alone), rel=2e-3)


def test_weights_are_cut_up_for_even_shares_only(tmp_path: Path) -> None:
    cut = Bench(tmp_path, **STEPS, shard="weights", mid__batch_rows=3)
    process = torchrun(cut, 2, *cut.train("x"))
    _, stderr = process.communicate(timeout=240)
    assert process.returncode != 0
    assert "cannot share a batch of 3 rows evenly" in stderr
    assert "mid.batch_rows" in stderr


def test_as_many_processes_give_the_same_bytes(bench: Bench) -> None:
    first, second = (fingerprint(together(bench, 2, name)) for name in ("twice-a", "twice-b"))
    assert first == second


def test_a_run_goes_on_with_more_processes_or_fewer(bench: Bench) -> None:
    for name, first, second in (("grown", 1, 2), ("shrunk", 2, 1)):
        stage_by_stage(bench, name, first, "tokenizer", "pretrain")
        stage_by_stage(bench, name, second, "midtrain", "sft", "report")
        assert losses(bench.directory(name)) == pytest.approx(
            losses(bench.directory("alone")), rel=2e-3
        )


def stage_by_stage(bench: Bench, run: str, n: int, *commands: str) -> None:
    for command in commands:
        arguments = bench.train(run, command) if command == "tokenizer" else [command, "--run", run]
        process = torchrun(bench, n, *arguments)
        _, stderr = process.communicate(timeout=240)
        assert process.returncode == 0, stderr


def workers(process: Any) -> list[psutil.Process]:
    children = psutil.Process(process.pid).children(recursive=True)
    return [child for child in children if "firstwords" in child.cmdline()]


def wait_for_step(bench: Bench, run: str, process: Any) -> None:
    deadline = time.monotonic() + 120
    while len(metrics_so_far(bench.directory(run))) < 3:
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def metrics_so_far(directory: Path) -> list[str]:
    path = directory / "metrics" / "base.jsonl"
    return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def long(tmp_path: Path) -> Bench:
    made = Bench(tmp_path / "long", base=400, mid=2, sft=2)
    return made


@pytest.mark.parametrize("killed", [0, 1])
def test_where_one_is_killed_all_stop_and_the_same_command_goes_on(
    long: Bench, killed: int
) -> None:
    process = torchrun(long, 2, *long.train("x"))
    wait_for_step(long, "x", process)
    at_work = sorted(workers(process), key=lambda worker: int(worker.environ()["RANK"]))
    at_work[killed].kill()
    start = time.monotonic()
    assert process.wait(timeout=60) != 0
    assert time.monotonic() - start < 30
    assert not any(worker.is_running() for worker in at_work)
    together(long, 2, "x")
    assert len(metrics(long.directory("x"), "base")) == 400


def test_a_signal_saves_in_the_midst_and_the_rest_is_the_same(long: Bench) -> None:
    process = torchrun(long, 2, *long.train("x"))
    wait_for_step(long, "x", process)
    os.killpg(process.pid, signal.SIGTERM)
    process.communicate(timeout=60)
    saved = list((long.directory("x") / "checkpoints" / "base").glob("[0-9]*"))
    assert saved, "nothing was saved"
    cut, whole = together(long, 2, "x"), together(long, 2, "y")
    for stage in STAGES:
        assert (final_checkpoint(cut, stage) / "model.safetensors").read_bytes() == (
            final_checkpoint(whole, stage) / "model.safetensors"
        ).read_bytes()


def test_more_processes_than_rows_are_refused(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "narrow", **STEPS)
    narrow = recipe(**STEPS, base__batch_rows=1, base__micro_rows=1)
    bench.recipe.write_text(json.dumps(narrow), encoding="utf-8")
    process = torchrun(bench, 2, *bench.train("x"))
    _, stderr = process.communicate(timeout=120)
    assert process.returncode != 0
    assert "2 processes cannot share a batch of 1 rows" in stderr


def test_owners_share_evenly(tiny_model: ModelConfig) -> None:
    parameters = dict(Transformer(tiny_model).named_parameters())
    for size in (1, 2, 3, 8):
        owned = owners(parameters, size)
        assert set(owned) == set(parameters)
        loads = [sum(parameters[n].numel() for n in owned if owned[n] == r) for r in range(size)]
        largest = max(parameter.numel() for parameter in parameters.values())
        assert max(loads) - min(loads) <= largest
