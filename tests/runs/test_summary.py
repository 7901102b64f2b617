"""The list of runs: summaries, differences, renaming, removing, and moving between machines."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from factories import make_manifest, make_metrics_line, make_recipe
from filelock import FileLock

from firstwords.cli.main import run_command
from firstwords.runs import registry, summary
from firstwords.runs.differences import Difference, run_differences
from firstwords.runs.manifest import Sources
from firstwords.runs.run import Run
from firstwords.runs.summary import RunSummaries, summarize

MakeRun = Callable[..., Run]
Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def make_run(home: Path) -> MakeRun:
    """Create a run; `changes` are those of `make_recipe`."""

    def make(name: str, **changes: object) -> Run:
        with registry.lock_run(name) as directory:
            return registry.create_run(directory, make_manifest(make_recipe(**changes)))

    return make


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    """Run `firstwords runs ...` and return its exit code, stdout and stderr."""

    def run(*arguments: str | Path) -> tuple[int, str, str]:
        code = run_command(["runs", *map(str, arguments)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def write_steps(run: Run, count: int) -> None:
    run.metrics("pretrain").parent.mkdir()
    lines = "".join(make_metrics_line(step) + "\n" for step in range(1, count + 1))
    run.metrics("pretrain").write_text(lines + '{"step": 9')  # the writer is at work


def test_a_summary_tells_progress_from_the_last_complete_step(make_run: MakeRun) -> None:
    run = make_run("first")
    write_steps(run, 6)
    found = summarize(run.directory)
    assert (found["state"], found["stage"]) == ("stopped", "pretrain")
    assert found["tokens"] == 6 * run.recipe.pretrain.batch_tokens
    assert found["progress"] == pytest.approx(6 / 60)
    assert found["exam"] is None


def test_the_time_of_a_run_includes_its_benchmark(home: Path) -> None:
    with registry.lock_run("first") as directory:
        manifest = make_manifest(predicted={"measuring_seconds": 12.5})
        run = registry.create_run(directory, manifest)
    run.timings_path.write_text(json.dumps({"sft": {"seconds": 30.0, "peak_memory": 1.0}}))
    assert summarize(run.directory)["seconds"] == 42.5
    assert run.phase_seconds() == {"benchmarking": 12.5, "sft": 30.0}


def test_a_file_written_anew_is_noticed_whatever_the_clock_says(make_run: MakeRun) -> None:
    run, summaries = make_run("first"), RunSummaries()
    run.timings_path.write_text('{"sft": {"seconds": 30.0, "peak_memory": 1.0}}')
    assert summaries.list([run.directory])[0]["seconds"] == 30
    written = run.timings_path.with_name("new")
    written.write_text('{"sft": {"seconds": 40.0, "peak_memory": 1.0}}')
    os.utime(written, (1e9, 1e9))
    written.replace(run.timings_path)
    assert summaries.list([run.directory])[0]["seconds"] == 40


def test_a_run_whose_lock_is_held_is_training(make_run: MakeRun) -> None:
    run, summaries = make_run("first"), RunSummaries()
    for held in (False, True, False):
        lock = FileLock(run.directory / "lock")
        if held:
            lock.acquire()
        [found] = summaries.list([run.directory])
        assert found["state"] == ("training" if held else "stopped")
        lock.release()


def test_a_run_with_a_damaged_manifest_is_broken(make_run: MakeRun, command: Command) -> None:
    run = make_run("first")
    for name in registry.MANIFEST_NAMES:
        (run.directory / name).write_text("{")
    assert summarize(run.directory)["state"] == "broken"
    assert "broken" in command()[1]
    assert command("rm", "first", "--yes")[0] == 0
    assert not run.directory.exists()


def test_a_summary_is_computed_again_only_after_a_change(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, summaries, computed = make_run("first"), RunSummaries(), []
    original = summary._summarize
    monkeypatch.setattr(
        summary, "_summarize", lambda *given: computed.append(given) or original(*given)
    )
    summaries.list([run.directory])
    summaries.list([run.directory])
    assert len(computed) == 1
    write_steps(run, 2)
    assert summaries.list([run.directory])[0]["progress"] > 0
    assert len(computed) == 2


def test_only_differences_are_shown(make_run: MakeRun, command: Command) -> None:
    first = make_run("first")
    second = make_run("second", seed=3, optimizer={"matrix_lr": 0.004})
    assert run_differences([first, first]) == []
    assert run_differences([first, second]) == [
        Difference("recipe", "seed", [0, 3]),
        Difference("recipe", "optimizer.matrix_lr", [0.008, 0.004]),
    ]
    moved = Run(first.directory, first.manifest.replace(sources=Sources(data="a.txt"), time=90.0))
    names = [(d.section, d.name) for d in run_differences([first, moved])]
    assert names == [("data", "data"), ("time budget", "time")]
    assert "optimizer.matrix_lr" in command("diff", "first", "second")[1]


def test_runs_are_listed_as_a_table_and_as_json(make_run: MakeRun, command: Command) -> None:
    assert "no run yet" in command()[2]
    make_run("first")
    make_run("second")
    lines = command()[1].splitlines()
    assert [line.split()[0] for line in lines[:3]] == ["run", "second", "first"]
    assert [one["name"] for one in json.loads(command("--json")[1])] == ["second", "first"]


def test_a_name_that_does_not_exist_suggests_the_closest(
    make_run: MakeRun, command: Command
) -> None:
    make_run("first")
    code, _, err = command("show", "frist")
    assert (code, err) == (2, "firstwords: run frist does not exist; did you mean first?\n")


def test_rename(make_run: MakeRun, command: Command) -> None:
    make_run("first")
    make_run("second")
    assert "run second already exists" in command("rename", "first", "second")[2]
    assert "not valid" in command("rename", "first", "../x")[2]
    assert command("rename", "first", "third")[0] == 0
    assert {path.name for path in registry.list_runs()} == {"second", "third"}


def test_a_run_at_work_is_neither_removed_nor_renamed(make_run: MakeRun, command: Command) -> None:
    run, other = make_run("first"), make_run("second")
    with FileLock(run.directory / "lock"):
        for arguments in (("rm", "second", "first", "--yes"), ("rename", "first", "third")):
            code, _, err = command(*arguments)
            assert code == 2
            assert "run first is in use by another process" in err
    assert run.directory.exists()
    assert other.directory.exists()


def test_rm_asks(make_run: MakeRun, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run("first")
    questions: list[str] = []
    for answer in (False, True):
        monkeypatch.setattr(
            "click.confirm", lambda text, err, answer=answer: questions.append(text) or answer
        )
        assert command("rm", "first")[0] == 0
        assert run.directory.exists() is not answer
    assert "Remove first (" in questions[0]


def test_a_run_moves_to_another_machine(
    make_run: MakeRun, command: Command, tmp_path: Path, home: Path
) -> None:
    run = make_run("first")
    write_steps(run, 3)
    archive = tmp_path / "first.tar.zst"
    assert command("export", "first", archive)[0] == 0
    files = {p.name: p.read_bytes() for p in run.directory.rglob("*.json*")}
    shutil.rmtree(home)
    assert command("import", archive)[0] == 0
    assert command("import", archive, "--name", "again")[0] == 0
    for name in ("first", "again"):
        directory = registry.runs_home() / name
        assert {p.name: p.read_bytes() for p in directory.rglob("*.json*")} == files
        assert registry.open_run(name).manifest == run.manifest
    assert "already exists with the same files" in command("import", archive)[2]
    (registry.runs_home() / "first" / "metrics" / "pretrain.jsonl").write_text("")
    assert "differs from the run in the bundle" in command("import", archive)[2]
    assert "unknown file type" in command("export", "first", tmp_path / "first.zip")[2]
