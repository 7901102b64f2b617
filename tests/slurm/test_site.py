"""Site files: every mistake is one line that names the field and how to mend it."""

from pathlib import Path
from typing import Any

import pytest
from end_to_end import Bench, one_line
from sites import tables, toml, write_site

from firstwords.cli import run_command
from firstwords.errors import UserError
from firstwords.slurm.site import Site, read_site


@pytest.fixture
def bench(tmp_path: Path, home: Path) -> Bench:
    return Bench(tmp_path, home)


def site_of(bench: Bench, **fields: Any) -> Site:
    return read_site(write_site(bench, **fields))


def refusal(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        read_site(path)
    text = str(caught.value)
    assert str(path) in text
    assert "Value error" not in text
    return text


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("run__name", None, ["run.name", "is missing", "add name ="]),
        ("run__name", "a b", ["run.name", "letters, digits, dots and dashes"]),
        ("run__name", "../x", ["run.name"]),
        ("run__time", "4 hours", ["run.time", "1h30m"]),
        ("run__time", "0s", ["run.time", "1h30m"]),
        ("run__seed", -1, ["run.seed", "0"]),
        ("run__data", "corpus", ["run.data", "$VARIABLE"]),
        ("run__data", "/a; rm -rf /", ["run.data", "$VARIABLE"]),
        ("run__data", "/a$(id)", ["run.data"]),
        ("run__recipe", 'r"$(id)".json', ["run.recipe", "begin with /"]),
        ("run__set", {"optimizer.lr": 1}, ["run.set", "optimizer.matrix_lr"]),
        ("run__set", {"base.steps": "$(id)"}, ["run.set", "one word"]),
        ("run__colour", "red", ["run.colour", "no such field", "run has", "chat_data"]),
        ("job__nodes", 0, ["job.nodes", "greater than or equal to 1"]),
        ("job__nodes", "two", ["job.nodes", "integer"]),
        ("job__cpus", None, ["job.cpus", "is missing"]),
        ("job__gpus", -1, ["job.gpus"]),
        ("job__gpu_type", "h100", ["job", "gpus is 0"]),
        ("job__processes", 2, ["job", "cpus must be at least one for each process"]),
        ("job__memory", "lots", ["job.memory", "64G"]),
        ("job__limit", "90s", ["job", "whole minutes"]),
        ("job__limit", "1m", ["job", "twice the warning"]),
        ("job__on_limit", "pray", ["job.on_limit", "requeue", "chain"]),
        ("cluster__account", "a b", ["cluster.account", "letters"]),
        ("cluster__options", ["-C a100"], ["cluster.options.0", "--constraint=a100"]),
        ("cluster__options", ["--gres=gpu:1"], ["cluster", "job.gpus"]),
        ("cluster__modules", ["cuda; id"], ["cluster.modules.0", "module avail"]),
        ("cluster__mail", "me", ["cluster.mail", "address"]),
        ("cluster__internet", "proxy", ["cluster", "proxy"]),
        ("cluster__internet", "yes", ["cluster.internet", "none", "proxy", "direct"]),
        ("cluster__proxy", "http://p:1", ["cluster", "belong together"]),
        ("paths__python", "python3", ["paths.python", "begin with /"]),
        ("paths__home", "/a\n#SBATCH --x", ["paths.home"]),
        ("paths__home", None, ["paths.home", "is missing"]),
    ],
)
def test_a_mistake_is_named_by_its_field(
    field: str, value: Any, words: list[str], bench: Bench
) -> None:
    if value is None:
        path = write_site(bench)
        path.write_text(toml(tables(bench, **{field: None})))
    else:
        path = write_site(bench, **{field: value})
    said = refusal(path)
    for word in words:
        assert word in said, said


def test_processes_that_would_share_a_gpu_are_refused(bench: Bench) -> None:
    path = write_site(bench, job__gpus=2, job__processes=4, job__cpus=4)
    assert "at most gpus" in refusal(path)


def test_a_table_that_is_not_there_is_named(bench: Bench) -> None:
    path = write_site(bench)
    path.write_text("[jobs]\nnodes = 1\n" + path.read_text())
    assert "run, job, cluster, paths, sweep" in refusal(path)


def test_two_runs_of_a_sweep_need_two_names(bench: Bench) -> None:
    path = write_site(bench, sweep=[{"name": "a"}, {"name": "a", "seed": 1}])
    assert "named a" in refusal(path)


@pytest.mark.parametrize("content", [b"[run", b"\xff\xfe", b"run = 3"])
def test_a_file_that_is_no_site_is_named(content: bytes, bench: Bench) -> None:
    path = bench.root / "site.toml"
    path.write_bytes(content)
    refusal(path)


def test_without_a_file_the_command_that_makes_one_is_named(bench: Bench) -> None:
    assert "firstwords slurm init" in refusal(bench.root / "absent.toml")


@pytest.mark.parametrize("command", ["render", "check", "submit", "status"])
def test_the_commands_say_it_in_one_line(
    command: str, bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_site(bench, job__nodes=0)
    assert run_command(["slurm", command, "--site", str(path)]) == 2
    assert "job.nodes" in one_line(capsys.readouterr().err)


def test_a_sweep_is_the_run_with_changes(bench: Bench) -> None:
    sweep = [
        {"name": "one", "seed": 1},
        {"name": "slow", "time": "2m", "set": {"optimizer.matrix_lr": 0.5}},
    ]
    kept = {"optimizer.norm_lr": 0.25, "optimizer.matrix_lr": 0.1}
    site = read_site(write_site(bench, sweep=sweep, run__set=kept))
    one, slow = site.runs
    assert (one.name, one.seed, one.time, slow.name, slow.time) == ("x-one", 1, 60, "x-slow", 120)
    assert one.recipe == slow.recipe == str(bench.recipe)
    assert one.changes() == ("optimizer.norm_lr=0.25", "optimizer.matrix_lr=0.1")
    assert slow.changes() == ("optimizer.norm_lr=0.25", "optimizer.matrix_lr=0.5")


def test_processes_follow_the_gpus(bench: Bench) -> None:
    assert site_of(bench).job.processes_in_all == 1
    assert site_of(bench, job__nodes=2, job__gpus=8, job__cpus=8).job.processes_in_all == 16
    of_two = site_of(bench, job__nodes=2, job__processes=3, job__cpus=8)
    assert of_two.job.processes_in_all == 6


def test_a_run_longer_than_a_job_takes_a_chain_with_one_to_spare(bench: Bench) -> None:
    chained = site_of(bench, job__on_limit="chain")  # of two minutes one is for saving
    assert [chained.chain(seconds) for seconds in (0, 59, 60, 61, 130)] == [1, 1, 1, 3, 4]
    assert site_of(bench).chain(1000) == 1  # it goes back into the queue instead


def test_variables_and_the_home_directory_are_filled_in(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/people/ada")
    monkeypatch.setenv("SCRATCH", "/scratch")
    home = site_of(bench, paths__home="${SCRATCH}/ada/x").home
    assert home == Path("/scratch/ada/x")
    site = site_of(bench, run__data="$SCRATCH/c", run__recipe="~/r.json", run__chat_data="starter")
    request = site.run.request()
    assert (request.data, request.chat_data) == ("/scratch/c", "starter")
    assert request.recipe == Path("/people/ada/r.json")


def test_a_variable_that_is_not_set_is_named(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SCRATCH", raising=False)
    with pytest.raises(UserError, match="SCRATCH is not set"):
        _ = site_of(bench, paths__home="$SCRATCH/x").home
