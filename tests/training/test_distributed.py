"""Several processes on one run, started by torchrun: the same losses for any number of them."""

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import warm_start
from end_to_end import (
    CAREFUL,
    STAGES,
    Bench,
    final_checkpoint,
    fingerprint,
    metrics,
    one_line,
    recipe,
)
from safetensors.numpy import load_file
from waiting import LIMIT_SECONDS, wait_until

from firstwords.model.transformer import Transformer
from firstwords.recipe import ModelConfig
from firstwords.training.gradient_sync import assign_owners

STEPS = {"pretrain": 12, "midtrain": 5, "sft": 5}
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    made = Bench(tmp_path_factory.mktemp("distributed"), **STEPS)
    alone(made, "alone")
    return made


@pytest.fixture(scope="module")
def by_two(bench: Bench) -> Path:
    """The run of two processes."""
    return together(bench, 2, "by-2")


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
    _, stderr = process.communicate(timeout=LIMIT_SECONDS)
    assert process.returncode == 0, stderr
    assert stderr.count("Phase 2 of 5") == 1, "only the main process prints"
    return bench.directory(run)


def alone(bench: Bench, run: str) -> Path:
    done = bench.firstwords(*bench.train(run))
    assert done.returncode == 0, done.stderr
    return bench.directory(run)


def pretrained_copy(run: Path, name: str) -> None:
    """Copy a run as it was at the end of its pretraining."""
    for part in ("run.json", "tokenizer", "checkpoints/pretrain", "metrics/pretrain.jsonl"):
        source, target = run / part, run.with_name(name) / part
        target.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if source.is_dir() else shutil.copy2)(source, target)


def losses(directory: Path) -> list[float]:
    return [step["loss"] for stage in STAGES for step in metrics(directory, stage)]


@pytest.mark.parametrize("n", [2, 4])
def test_processes_share_a_batch_and_have_the_same_losses(
    n: int, bench: Bench, by_two: Path
) -> None:
    single, shared = bench.directory("alone"), by_two if n == 2 else together(bench, n, f"by-{n}")
    assert losses(shared) == pytest.approx(losses(single), rel=2e-3)
    for stage in STAGES:
        one, other = (
            load_file(final_checkpoint(directory, stage) / "optimizer.safetensors")
            for directory in (single, shared)
        )
        assert {name: value.shape for name, value in one.items()} == {
            name: value.shape for name, value in other.items()
        }
        assert [step["grad_norm"] for step in metrics(shared, stage)] == pytest.approx(
            [step["grad_norm"] for step in metrics(single, stage)], rel=0.05
        )
    shared_scores = json.loads((shared / "evaluation" / "sft.json").read_text())
    single_scores = json.loads((single / "evaluation" / "sft.json").read_text())
    bits = "bits_per_byte"
    assert shared_scores["tasks"][bits]["score"] == pytest.approx(
        single_scores["tasks"][bits]["score"], rel=0.01
    )
    assert (shared / "report.html").exists()


# Slices of uneven size, two micro-batches.
UNEVEN = {"model__vocab_size": 401, "pretrain__micro_batch_size": 1}


@pytest.fixture(scope="module")
def uneven(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run in one process, not compiled, to compare with sharded ones."""
    return alone(Bench(tmp_path_factory.mktemp("uneven"), **STEPS, **UNEVEN), "alone")


@pytest.mark.parametrize("compiled", [False, True])
def test_sharded_weights_have_the_same_losses(compiled: bool, uneven: Path, tmp_path: Path) -> None:
    """Those of a run in one process, in which the sharded run then resumes."""
    cut = Bench(tmp_path, **STEPS, **UNEVEN, compile=compiled, shard="weights")
    shared = together(cut, 2, "shared")
    assert losses(shared) == pytest.approx(losses(uneven), rel=2e-3)
    for key in ("grad_norm", "update_norm"):
        one, other = (
            [step[key] for stage in STAGES for step in metrics(run, stage) if step[key]]
            for run in (uneven, shared)
        )
        assert other == pytest.approx(one, rel=0.05), key
    for name in ("model", "optimizer"):
        one, other = (
            load_file(final_checkpoint(run, "sft") / f"{name}.safetensors")
            for run in (uneven, shared)
        )
        assert {key: value.shape for key, value in one.items()} == {
            key: value.shape for key, value in other.items()
        }
    pages = [sorted(path.name for path in (run / "samples").iterdir()) for run in (uneven, shared)]
    assert pages[0] == pages[1]
    if not compiled:
        pretrained_copy(shared, "shrunk")
        assert losses(alone(cut, "shrunk")) == pytest.approx(losses(uneven), rel=2e-3)


def test_sharded_weights_need_an_even_split_of_the_batch(tmp_path: Path) -> None:
    cut = Bench(tmp_path, **STEPS, shard="weights", midtrain__batch_size=3)
    process = torchrun(cut, 2, *cut.train("x"))
    _, stderr = process.communicate(timeout=LIMIT_SECONDS)
    assert process.returncode != 0
    assert "a batch of 3 rows cannot be split evenly among 2 processes" in stderr
    assert "midtrain.batch_size" in stderr


def test_the_same_number_of_processes_gives_the_same_bytes(bench: Bench, by_two: Path) -> None:
    assert fingerprint(by_two) == fingerprint(together(bench, 2, "again"))


def test_a_run_resumes_with_fewer_processes(bench: Bench, by_two: Path) -> None:
    pretrained_copy(by_two, "shrunk")
    shrunk = alone(bench, "shrunk")
    assert losses(shrunk) == pytest.approx(losses(bench.directory("alone")), rel=2e-3)


def test_a_run_resumes_with_more_processes_stage_by_stage(bench: Bench) -> None:
    pretrained_copy(bench.directory("alone"), "grown")
    for command in ("midtrain", "sft"):
        process = torchrun(bench, 2, command, "--run", "grown")
        _, stderr = process.communicate(timeout=LIMIT_SECONDS)
        assert process.returncode == 0, stderr
    grown = bench.directory("grown")
    assert losses(grown) == pytest.approx(losses(bench.directory("alone")), rel=2e-3)


def workers(process: Any) -> list[psutil.Process]:
    children = psutil.Process(process.pid).children(recursive=True)
    return [child for child in children if "firstwords" in child.cmdline()]


def wait_for_step(bench: Bench, run: str, process: Any) -> None:
    def still_running() -> None:
        assert process.poll() is None, process.stderr.read()

    wait_until(lambda: len(metrics_so_far(bench.directory(run))) >= 3, still_running)


def metrics_so_far(directory: Path) -> list[str]:
    path = directory / "metrics" / "pretrain.jsonl"
    return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def long(tmp_path: Path) -> Bench:
    made = Bench(tmp_path / "long", pretrain=400, midtrain=2, sft=2)
    return made


@pytest.mark.parametrize("killed", [0, 1])
def test_a_killed_process_stops_all_and_the_run_resumes(long: Bench, killed: int) -> None:
    process = torchrun(long, 2, *long.train("x"))
    wait_for_step(long, "x", process)
    running = sorted(workers(process), key=lambda worker: int(worker.environ()["RANK"]))
    running[killed].kill()
    assert process.wait(timeout=LIMIT_SECONDS) != 0
    assert not any(worker.is_running() for worker in running)
    together(long, 2, "x")
    assert len(metrics(long.directory("x"), "pretrain")) == 400


def test_sigterm_saves_and_the_run_ends_with_the_same_bytes(long: Bench) -> None:
    process = torchrun(long, 2, *long.train("x"))
    wait_for_step(long, "x", process)
    os.killpg(process.pid, signal.SIGTERM)
    process.communicate(timeout=LIMIT_SECONDS)
    saved = list((long.directory("x") / "checkpoints" / "pretrain").glob("[0-9]*"))
    assert saved, "nothing was saved"
    cut, whole = together(long, 2, "x"), together(long, 2, "y")
    for stage in STAGES:
        assert (final_checkpoint(cut, stage) / "model.safetensors").read_bytes() == (
            final_checkpoint(whole, stage) / "model.safetensors"
        ).read_bytes()


def test_more_processes_than_rows_are_refused(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "narrow", **STEPS)
    narrow = recipe(**STEPS, pretrain__batch_size=1, pretrain__micro_batch_size=1)
    bench.recipe.write_text(json.dumps(narrow), encoding="utf-8")
    process = torchrun(bench, 2, *bench.train("x"))
    _, stderr = process.communicate(timeout=LIMIT_SECONDS)
    assert process.returncode != 0
    assert "a batch of 1 rows is too small for 2 processes" in stderr


# --- reinforcement learning -----------------------------------------------------------------------

# Two processes that meet in a file instead of at torchrun's port: a start takes a second. The
# number of steps must not depend on their speed.
MEETING = """
import functools, os, torch.distributed as dist
place = {"rank": int(os.environ["RANK"]), "world_size": int(os.environ["WORLD_SIZE"])}
dist.init_process_group = functools.partial(
    dist.init_process_group, init_method=os.environ["MEETING"], **place
)
from firstwords.pipeline import rl_run
rl_run.MIN_STEPS, measured = 4, rl_run.seconds_per_step
rl_run.seconds_per_step = lambda session: measured(session) and 1.0
"""
REWARD = """import os
COUNT = []
def reward(conversation, answer):
    COUNT.append(1)
    if FAILS and os.environ.get("RANK") == "1" and len(COUNT) > 40:
        raise ValueError("enough")
    return -len(answer) / 9
"""
RL = {
    "rl.batch_size": 36, "rl.group_size": 8, "rl.sft_rows": 4, "rl.seq_len": 64,
    "rl.micro_batch_size": 8, "rl.max_answer_tokens": 16, "rl.lr_scale": 0.1,
}  # fmt: skip
meetings = itertools.count()


def pair(bench: Bench, *arguments: str) -> list[tuple[int, str]]:
    """Run a command by two processes. Returns the exit code and stderr of each."""
    code, meeting = MEETING + CAREFUL.format(seconds=30), bench.root / f"meeting-{next(meetings)}"
    logs = [bench.root / f"stderr-{rank}.txt" for rank in (0, 1)]
    started = []
    for rank, log in enumerate(logs):
        variables = {"RANK": str(rank), "WORLD_SIZE": "2", "MEETING": f"file://{meeting}"}
        environment = {**bench.environment, **variables, "OMP_NUM_THREADS": "1"}
        with log.open("w") as stderr, Path(os.devnull).open("w") as stdout:
            output = [stdout.fileno(), stderr.fileno()]
            started.append(warm_start.start(code, list(arguments), environment, bench.cwd, output))
    codes = [process.wait(LIMIT_SECONDS) for process in started]
    return [(code, log.read_text()) for code, log in zip(codes, logs, strict=True)]


def test_two_processes_share_the_questions_of_reinforcement_learning(bench: Bench) -> None:
    """They have the losses of one process, a reward that fails in one of them ends both, and the
    run resumes to the bytes of one that nothing stopped. Steps are measured by both together."""
    file = bench.root / "reward.py"
    settings = [part for name, value in RL.items() for part in ("--set", f"{name}={value}")]

    def rl(run: str) -> list[str]:
        source = ["rl", "--from", "alone", "--run", run, "--reward", str(file)]
        return [*source, "--time", "1s", *settings]

    file.write_text(f"FAILS = True\n{REWARD}")
    (code, stderr), other = pair(bench, *rl("stopped"))
    assert f"--reward {file}, line 7: ValueError: enough, on the answer" in one_line(stderr)
    assert (code, other) == (2, (2, "")), "the main process alone prints"
    assert final_checkpoint(bench.directory("stopped"), "rl").name == "0000002"
    file.write_text(f"FAILS = False\n{REWARD}")
    for run in ("stopped", "whole"):
        for code, stderr in pair(bench, *rl(run)):
            assert code == 0, stderr
    done = bench.firstwords(*rl("single"), "--set", "rl.steps=4", careful=30)
    assert done.returncode == 0, done.stderr
    stopped, whole, single = map(bench.directory, ("stopped", "whole", "single"))
    for name in ("model", "optimizer"):
        one, other_one, third = (
            final_checkpoint(run, "rl") / f"{name}.safetensors" for run in (stopped, whole, single)
        )
        assert one.read_bytes() == other_one.read_bytes()
        for key, value in load_file(one).items():
            np.testing.assert_allclose(value, load_file(third)[key], rtol=0.01, atol=1e-3)
    for key in ("loss", "reward", "mixed_groups", "divergence"):
        one, other_one, third = (
            [m[key] for m in metrics(r, "rl")] for r in (stopped, whole, single)
        )
        assert one == other_one
        assert one == pytest.approx(third, rel=0.02, abs=1e-4), key
    assert any(step["mixed_groups"] for step in metrics(whole, "rl"))


def test_owners_have_even_loads(tiny_model: ModelConfig) -> None:
    parameters = dict(Transformer(tiny_model).named_parameters())
    for size in (1, 2, 3, 8):
        owned = assign_owners(parameters, size)
        assert set(owned) == set(parameters)
        loads = [sum(parameters[n].numel() for n in owned if owned[n] == r) for r in range(size)]
        largest = max(parameter.numel() for parameter in parameters.values())
        assert max(loads) - min(loads) <= largest
