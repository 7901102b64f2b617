"""Runs: one directory, one process at a time, and no state outside its files."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from factories import make_manifest, make_metrics_line, make_recipe, save_step, save_tokenizer
from hypothesis import given
from hypothesis import strategies as st

from firstwords.common import files
from firstwords.common.errors import UserError
from firstwords.recipe import REQUIRED_STAGES, ModelConfig
from firstwords.runs import phases, registry
from firstwords.runs.datasets import load_tokenizer
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
    with pytest.raises(UserError, match=r"run frist does not exist; did you mean first\?"):
        registry.open_run("frist")


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/tmp/a", "../first", ".hidden", "a/"])
def test_a_name_cannot_escape_the_runs_directory(name: str, home: Path) -> None:
    with pytest.raises(UserError), registry.lock_run(name):
        pass
    with pytest.raises(UserError):
        registry.open_run(name)
    assert not home.exists() or list(home.iterdir()) == []


@pytest.mark.parametrize("content", ["", "{", "[]", '{"time": 3}'])
def test_a_damaged_run_json_is_replaced_by_its_copy(
    content: str, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    path, copy = run.directory / "run.json", run.directory / "checkpoints" / "run.json"
    path.write_text(content)
    opened = registry.open_run("first")
    assert opened.manifest == run.manifest
    assert f"{path} is missing or damaged" in capsys.readouterr().err
    registry.restore_manifest(opened)
    assert path.read_bytes() == copy.read_bytes()
    path.write_text(content)
    copy.unlink()
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
    for stage in REQUIRED_STAGES:
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


def test_half_a_line_of_metrics_is_ignored(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "pretrain.jsonl"
    path.write_text("\n".join(map(make_metrics_line, (1, 2, 3))) + '\n{"step": 4, "lo')
    assert [m["step"] for m in read_metrics(path)] == [1, 2, 3]
    assert capsys.readouterr().err == ""  # its writer may be at work
    assert read_metrics(tmp_path / "absent.jsonl") == []


def test_metrics_after_a_step_are_removed(tmp_path: Path) -> None:
    path = tmp_path / "pretrain.jsonl"
    path.write_text("".join(make_metrics_line(step) + "\n" for step in range(1, 9)))
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


def timing(seconds: float) -> dict[str, float]:
    return {"seconds": seconds, "peak_memory": 1.0}


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
    times = {"tokenizer": timing(30.0)}
    files.write_json(tmp_path / "timings.json", times)
    assert phases.seconds_left(run, base) == 240  # ten seconds say little about the machine
    files.write_json(tmp_path / "timings.json", times | {"pretrain": timing(190.0)})
    assert phases.seconds_left(run, mid) == 2 * 140
    half = times | {
        "pretrain": timing(190.0),
        "midtrain": timing(40.0),
    }
    files.write_json(tmp_path / "timings.json", half)
    assert phases.seconds_left(run, mid) == 2 * 140 - 40
    assert phases.seconds_left(registry.create_run(tmp_path / "recipe", manifest), base) == 0


# --- damage ---------------------------------------------------------------------------------------


def test_copies_beside_checkpoints_and_runs_are_ignored(
    run: Run, tiny_tokenizer: Tokenizer, home: Path
) -> None:
    saved = save_step(run, "pretrain", 4, tiny_tokenizer)
    for name in ("0000004 (1)", "4 copy", "step 10 copy", "5", ".DS_Store", "0000009~"):
        shutil.copytree(saved, saved.with_name(name))
    (saved.parent / "0000007").write_text("not a directory")
    assert run.newest("pretrain") == (saved, 4)
    save_step(run, "pretrain", 5, tiny_tokenizer)  # removing old checkpoints leaves them alone
    assert (saved.parent / "0000004 (1)").is_dir()
    shutil.copytree(run.directory, home / "runs" / "first (1)")
    assert registry.list_runs() == [run.directory]


@pytest.mark.parametrize("sums", ["{}", "[]", '{"model.safetensors": 3}', "null"])
def test_checksums_without_the_checkpoint_s_files_are_damage(
    sums: str, run: Run, tiny_tokenizer: Tokenizer
) -> None:
    (save_step(run, "pretrain", 4, tiny_tokenizer) / "checksums.json").write_text(sums)
    assert run.newest("pretrain") is None


def test_a_lost_tokenizer_is_that_of_a_checkpoint(
    run: Run, tiny_tokenizer: Tokenizer, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UserError, match="run first has no tokenizer; first run: firstwords"):
        load_tokenizer(run)
    save_tokenizer(run, tiny_tokenizer)
    saved = save_step(run, "pretrain", 4, tiny_tokenizer)
    assert run.find_tokenizer() == run.tokenizer_path
    content = run.tokenizer_path.read_bytes()
    run.tokenizer_path.write_bytes(content.replace(b"fox", b"fix", 1))
    assert run.find_tokenizer() == saved / "tokenizer.json"
    assert "using the tokenizer of" in capsys.readouterr().err
    assert load_tokenizer(run).sha256 == tiny_tokenizer.sha256


def test_directories_in_the_place_of_files_are_moved_aside(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("timings.json", "metrics/pretrain.jsonl", "report.html"):
        (run.directory / name / "inside").mkdir(parents=True)
    (run.directory / "samples").write_text("a file")
    with registry.lock_run("first") as directory:
        assert (directory / "timings.json.aside" / "inside").is_dir()
        assert not (directory / "timings.json").exists()
    assert (run.directory / "samples.aside").read_text() == "a file"
    assert capsys.readouterr().err.count("has the wrong type; renaming it to") == 4
    (run.directory / "timings.json").mkdir()
    with registry.lock_run("first"):
        assert (run.directory / "timings.json.2.aside").is_dir()


@given(content=st.binary(max_size=80) | st.text(max_size=40).map(str.encode))
def test_any_content_of_a_file_that_is_only_read_is_ignored_or_valid(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        run = Run(Path(folder), make_manifest())
        names = ("timings.json", "samples/sft-0000001.json", "evaluation/sft.json")
        names += ("evaluation/sft.exam.jsonl", "metrics/sft.jsonl", "tokenizer/stats.json")
        for name in names:
            files.write_text(run.directory / name, "")
            (run.directory / name).write_bytes(content)
        assert summarize_loss(read_metrics(run.metrics("sft"))) is None
        assert (run.timings(), run.samples(), run.answers("sft", "exam")) == ({}, [], [])
        assert (run.read_evaluation("sft"), run.tokenizer_stats()) == (None, None)


def test_the_manifest_comes_back_if_it_is_deleted_during_training(run: Run) -> None:
    with Session(run).timed("pretrain"):
        shutil.rmtree(run.directory)
    assert registry.open_run("first").manifest == run.manifest
