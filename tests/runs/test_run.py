"""Runs: one directory, one process at a time, and no state outside its files."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from factories import make_manifest, make_recipe, save_step

from firstwords.common import files
from firstwords.common.errors import UserError
from firstwords.recipe import STAGES, ModelConfig
from firstwords.runs import phases, registry
from firstwords.runs.manifest import Manifest
from firstwords.runs.metrics import read_metrics, summarize_loss, truncate_metrics
from firstwords.runs.run import Run
from firstwords.tokenizer.bpe import Tokenizer
from firstwords.training.session import Session


@pytest.fixture
def manifest(tiny_model: ModelConfig) -> Manifest:
    recipe = make_recipe(model=tiny_model).replace_stages(steps=4)
    machine, predicted = {"cpu": "abacus"}, {"tokens_per_second": 3.5}
    return make_manifest(recipe, machine=machine, predicted=predicted)


@pytest.fixture
def run(manifest: Manifest) -> Run:
    with registry.lock_run("first") as directory:
        return registry.create_run(directory, manifest)


def test_a_run_comes_back_from_its_directory(run: Run, manifest: Manifest, home: Path) -> None:
    assert run.directory == home / "runs" / "first"
    assert registry.open_run("first").manifest == manifest
    assert registry.open_run("first").name == "first"


def test_the_newest_run_is_the_default(manifest: Manifest, home: Path) -> None:
    for age, name in ((300, "b"), (100, "a"), (200, "c")):
        with registry.lock_run(name) as directory:
            path = registry.create_run(directory, manifest).directory / "run.json"
        os.utime(path, (1e9 - age, 1e9 - age))
    assert registry.open_run(None).name == "a"


@pytest.mark.parametrize("days", [-31, 31])
def test_the_newest_run_is_the_one_created_last_whatever_the_clock_says(
    days: int, manifest: Manifest, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, name in enumerate(("b", "a", "c")):
        now = 1.8e9 + number * days * 24 * 3600
        monkeypatch.setattr(time, "time", lambda now=now: now)
        with registry.lock_run(name) as directory:
            registry.create_run(directory, manifest)
    assert [directory.name for directory in registry.list_runs()] == ["c", "a", "b"]


def test_without_any_run_the_hint_names_train(home: Path) -> None:
    with pytest.raises(UserError, match="firstwords train"):
        registry.open_run(None)


def test_an_unknown_run_is_reported_with_the_existing_ones(run: Run) -> None:
    with pytest.raises(UserError, match=r"--run frist does not exist; choose one of: first"):
        registry.open_run("frist")


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/tmp/a", "../first", ".hidden", "a/"])
def test_a_name_cannot_escape_the_runs_directory(name: str, home: Path) -> None:
    with pytest.raises(UserError), registry.lock_run(name):
        pass
    with pytest.raises(UserError):
        registry.open_run(name)
    assert not home.exists() or list(home.iterdir()) == []


@pytest.mark.parametrize("content", ["", "{", "[]", '{"time": 3}'])
def test_a_damaged_run_json_is_reported(content: str, run: Run) -> None:
    (run.directory / "run.json").write_text(content)
    with pytest.raises(UserError, match=r"run\.json"):
        registry.open_run("first")


HOLD = "import filelock, sys\nwith filelock.FileLock(sys.argv[1]): print(flush=True), input()"


def test_a_run_in_use_by_another_process_is_refused(home: Path) -> None:
    with registry.lock_run("first") as directory:
        lock = directory / "lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()  # it has the lock now
        with (
            pytest.raises(UserError, match="--run first is in use by another process"),
            registry.lock_run("first"),
        ):
            pass
        other.communicate(b"\n")
    with registry.lock_run("first"):
        pass


def test_a_run_that_cannot_be_written_to_needs_no_lock(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    with registry.lock_run("first"), monkeypatch.context() as patch:
        patch.setattr(os, "access", lambda path, mode: False)
        with registry.lock_run("first") as directory:
            assert directory == run.directory


def test_the_lock_is_released_after_an_error(home: Path) -> None:
    with pytest.raises(RuntimeError), registry.lock_run("first"):
        raise RuntimeError
    with registry.lock_run("first"):
        pass


def test_a_stage_is_finished_with_its_last_step(run: Run, tiny_tokenizer: Tokenizer) -> None:
    assert run.finished("pretrain") is None
    save_step(run, "pretrain", 3, tiny_tokenizer)
    assert run.newest("pretrain") is not None
    assert run.finished("pretrain") is None
    last = save_step(run, "pretrain", 4, tiny_tokenizer)
    assert run.finished("pretrain") == (last, 4)
    (last / "model.safetensors").write_bytes(b"")
    assert run.finished("pretrain") is None, "a damaged last checkpoint does not count"


def test_a_missing_stage_names_its_command(run: Run) -> None:
    for stage in STAGES:
        with pytest.raises(UserError, match=f"firstwords {stage} --run first"):
            run.finished_or_fail(stage)


def test_the_latest_stage_is_the_default(run: Run, tiny_tokenizer: Tokenizer) -> None:
    with pytest.raises(UserError, match="no checkpoint"):
        run.newest_of(None)
    base = save_step(run, "pretrain", 4, tiny_tokenizer)
    mid = save_step(run, "midtrain", 1, tiny_tokenizer)
    assert run.newest_of(None) == ("midtrain", (mid, 1))
    assert run.newest_of("pretrain") == ("pretrain", (base, 4))
    with pytest.raises(UserError, match="no checkpoint of sft"):
        run.newest_of("sft")


def test_the_times_of_a_phase_add_up_even_if_it_fails(run: Run) -> None:
    session = Session(run)
    with pytest.raises(RuntimeError), session.timed("pretrain"):
        raise RuntimeError
    first = run.timings()["pretrain"]["seconds"]
    with session.timed("pretrain"):
        pass
    assert run.timings()["pretrain"]["seconds"] >= first > 0
    assert run.timings()["pretrain"]["peak_memory"] > 1e7
    assert set(run.timings()) == {"pretrain"}


def test_half_a_line_of_metrics_is_ignored(tmp_path: Path) -> None:
    path = tmp_path / "pretrain.jsonl"
    lines = [json.dumps({"step": step, "loss": 1.5}) for step in (1, 2, 3)]
    path.write_text("\n".join(lines) + '\n{"step": 4, "lo')
    assert [m["step"] for m in read_metrics(path)] == [1, 2, 3]
    assert read_metrics(tmp_path / "absent.jsonl") == []


def test_metrics_after_a_step_are_removed(tmp_path: Path) -> None:
    path = tmp_path / "pretrain.jsonl"
    path.write_text("".join(json.dumps({"step": s, "loss": 1.0}) + "\n" for s in range(1, 9)))
    whole = path.read_bytes()
    assert truncate_metrics(path, 8) == 0
    assert path.read_bytes() == whole
    assert truncate_metrics(path, 3) == 0
    assert [m["step"] for m in read_metrics(path)] == [1, 2, 3]
    assert truncate_metrics(path, 5) == 2, "the steps 4 and 5 are missing"
    assert truncate_metrics(tmp_path / "new" / "midtrain.jsonl", 0) == 0
    assert (tmp_path / "new" / "midtrain.jsonl").read_text() == ""


def test_missing_metrics_have_no_summary() -> None:
    assert summarize_loss([]) is None
    steps = [{"loss": 3.0, "seconds": 0.5}, {"loss": 1.0, "seconds": 1.5}]
    assert summarize_loss(steps) == (3.0, 2.0, 2.0, 1.0)


def test_seconds_left_follow_the_ratio_of_actual_to_planned_time(
    tmp_path: Path, manifest: Manifest
) -> None:
    """The rest is expected to be as much slower than planned as the finished phases were."""
    planned = {
        "tokenizer": 10.0,
        "pretrain": 100.0,
        "midtrain": 60.0,
        "sft": 50.0,
        "evaluation": 30.0,
    }
    predicted = {"phase_seconds": planned}
    run = registry.create_run(tmp_path, manifest.replace(predicted=predicted))
    tokenizer, base, mid = phases.PHASES[:3]
    assert phases.seconds_left(run, tokenizer) == 250
    times = {"tokenizer": {"seconds": 30.0}}
    files.write_json(tmp_path / "timings.json", times)
    assert phases.seconds_left(run, base) == 240  # ten seconds say little about the machine
    files.write_json(tmp_path / "timings.json", times | {"pretrain": {"seconds": 190.0}})
    assert phases.seconds_left(run, mid) == 2 * 140
    half = times | {"pretrain": {"seconds": 190.0}, "midtrain": {"seconds": 40.0}}
    files.write_json(tmp_path / "timings.json", half)
    assert phases.seconds_left(run, mid) == 2 * 140 - 40
    assert phases.seconds_left(registry.create_run(tmp_path / "recipe", manifest), base) == 0
