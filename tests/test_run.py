"""Runs: one directory, one process at a time, nothing known but what its files say."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from fakes import save_step

from firstwords import files, pipeline
from firstwords import run as runs
from firstwords.errors import UserError
from firstwords.recipe import ModelConfig, Recipe, StageConfig
from firstwords.run import Manifest, Run, Sources
from firstwords.tokenizer import Tokenizer


@pytest.fixture
def manifest(tiny_model: ModelConfig) -> Manifest:
    stage = StageConfig(steps=4, batch_rows=2, micro_rows=2, seq_len=32)
    return Manifest(
        firstwords="0",
        created="2026-01-01T00:00:00+00:00",
        time=60.0,
        sources=Sources(),
        recipe=Recipe(
            n_threads=1, tokenizer_bytes=1000, model=tiny_model, base=stage, mid=stage, sft=stage
        ),
        machine={"cpu": "abacus"},
        predicted={"tokens_per_second": 3.5},
    )


@pytest.fixture
def run(manifest: Manifest) -> Run:
    with runs.locked("first") as directory:
        return runs.create(directory, manifest)


def test_a_run_comes_back_from_its_directory(run: Run, manifest: Manifest, home: Path) -> None:
    assert run.directory == home / "runs" / "first"
    assert runs.open_run("first").manifest == manifest
    assert runs.open_run("first").name == "first"


def test_without_a_name_the_run_started_last_is_meant(manifest: Manifest, home: Path) -> None:
    for age, name in ((300, "b"), (100, "a"), (200, "c")):
        with runs.locked(name) as directory:
            path = runs.create(directory, manifest).directory / "run.json"
        os.utime(path, (1e9 - age, 1e9 - age))
    assert runs.open_run(None).name == "a"


def test_without_any_run_the_mend_is_named(home: Path) -> None:
    with pytest.raises(UserError, match="firstwords train"):
        runs.open_run(None)


def test_an_unknown_run_is_named_with_those_that_exist(run: Run) -> None:
    with pytest.raises(UserError, match=r"--run frist: no such run \(there are: first\)"):
        runs.open_run("frist")


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/tmp/a", "../first", ".hidden", "a/"])
def test_a_name_cannot_leave_the_directory_of_runs(name: str, home: Path) -> None:
    with pytest.raises(UserError), runs.locked(name):
        pass
    with pytest.raises(UserError):
        runs.open_run(name)
    assert not home.exists() or list(home.iterdir()) == []


@pytest.mark.parametrize("content", ["", "{", "[]", '{"time": 3}'])
def test_a_damaged_run_json_is_named(content: str, run: Run) -> None:
    (run.directory / "run.json").write_text(content)
    with pytest.raises(UserError, match=r"run\.json"):
        runs.open_run("first")


HOLD = "import filelock, sys\nwith filelock.FileLock(sys.argv[1]): print(flush=True), input()"


def test_a_run_that_another_process_works_on_is_refused(home: Path) -> None:
    with runs.locked("first") as directory:
        lock = directory / "lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()  # it has the lock now
        with (
            pytest.raises(UserError, match="--run first: another process is working on this run"),
            runs.locked("first"),
        ):
            pass
        other.communicate(b"\n")
    with runs.locked("first"):
        pass


def test_the_lock_is_free_after_an_error(home: Path) -> None:
    with pytest.raises(RuntimeError), runs.locked("first"):
        raise RuntimeError
    with runs.locked("first"):
        pass


def test_a_stage_is_finished_with_its_last_step(run: Run, tiny_tokenizer: Tokenizer) -> None:
    assert run.finished("base") is None
    save_step(run, "base", 3, tiny_tokenizer)
    assert run.newest("base") is not None
    assert run.finished("base") is None
    last = save_step(run, "base", 4, tiny_tokenizer)
    assert run.finished("base") == (last, 4)
    (last / "model.safetensors").write_bytes(b"")
    assert run.finished("base") is None, "a damaged last checkpoint does not count"


def test_a_missing_stage_names_the_command_that_makes_it(run: Run) -> None:
    for stage, command in (("base", "pretrain"), ("mid", "midtrain"), ("sft", "sft")):
        with pytest.raises(UserError, match=f"firstwords {command} --run first"):
            run.finished_or_fail(stage)


def test_the_furthest_stage_is_taken_where_none_is_named(
    run: Run, tiny_tokenizer: Tokenizer
) -> None:
    with pytest.raises(UserError, match="no checkpoint"):
        run.newest_of(None)
    base = save_step(run, "base", 4, tiny_tokenizer)
    mid = save_step(run, "mid", 1, tiny_tokenizer)
    assert run.newest_of(None) == ("mid", (mid, 1))
    assert run.newest_of("base") == ("base", (base, 4))
    with pytest.raises(UserError, match="no checkpoint of sft"):
        run.newest_of("sft")


def test_times_of_a_phase_add_up_even_if_it_fails(run: Run) -> None:
    with pytest.raises(RuntimeError), run.timed("base"):
        raise RuntimeError
    first = run.timings()["base"]["seconds"]
    with run.timed("base"):
        pass
    assert run.timings()["base"]["seconds"] >= first > 0
    assert run.timings()["base"]["peak_memory"] > 1e7
    assert set(run.timings()) == {"base"}


def test_half_a_line_of_metrics_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "base.jsonl"
    lines = [json.dumps({"step": step, "loss": 1.5}) for step in (1, 2, 3)]
    path.write_text("\n".join(lines) + '\n{"step": 4, "lo')
    assert [m["step"] for m in runs.read_metrics(path)] == [1, 2, 3]
    assert runs.read_metrics(tmp_path / "absent.jsonl") == []


def test_metrics_after_a_step_are_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "base.jsonl"
    path.write_text("".join(json.dumps({"step": s, "loss": 1.0}) + "\n" for s in range(1, 9)))
    whole = path.read_bytes()
    runs.keep_metrics(path, 8)
    assert path.read_bytes() == whole
    runs.keep_metrics(path, 3)
    assert [m["step"] for m in runs.read_metrics(path)] == [1, 2, 3]
    runs.keep_metrics(tmp_path / "new" / "mid.jsonl", 0)
    assert (tmp_path / "new" / "mid.jsonl").read_text() == ""


def test_the_time_left_is_honest_on_a_machine_that_became_slower(
    tmp_path: Path, manifest: Manifest
) -> None:
    """What is left takes longer in the same proportion as what is done did."""
    planned = {"tokenizer": 10.0, "base": 100.0, "mid": 60.0, "sft": 50.0, "evaluation": 30.0}
    predicted = {"phase_seconds": planned}
    run = runs.create(tmp_path, manifest.model_copy(update={"predicted": predicted}))
    tokenizer, base, mid = pipeline.PHASES[:3]
    assert pipeline.time_left(run, tokenizer) == 250
    times = {"tokenizer": {"seconds": 30.0}}
    files.write_json(tmp_path / "timings.json", times)
    assert pipeline.time_left(run, base) == 240  # ten seconds say little about the machine
    files.write_json(tmp_path / "timings.json", times | {"base": {"seconds": 190.0}})
    assert pipeline.time_left(run, mid) == 2 * 140
    half = times | {"base": {"seconds": 190.0}, "mid": {"seconds": 40.0}}
    files.write_json(tmp_path / "timings.json", half)
    assert pipeline.time_left(run, mid) == 2 * 140 - 40
    assert pipeline.time_left(runs.create(tmp_path / "recipe", manifest), base) == 0
