"""Site files: an error is one line that names the wrong field and how to fix it."""

from pathlib import Path
from typing import Any

import pytest
from end_to_end import Bench, one_line
from sites import render_toml, site_tables, write_site

from firstwords.cli.main import run_command
from firstwords.common.errors import UserError
from firstwords.slurm.site import Site, read_site
from firstwords.slurm.train_request import train_request


@pytest.fixture
def bench(tmp_path: Path, home: Path) -> Bench:
    return Bench(tmp_path, home)


def load(bench: Bench, **fields: Any) -> Site:
    return read_site(write_site(bench, **fields))


def error_of(path: Path) -> str:
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
        ("run__name", "a b", ['run.name = "a b"', "letters"]),
        ("run__name", "../x", ["run.name"]),
        ("run__time", "4 hours", ["run.time", "1h30m"]),
        ("run__time", "0s", ["run.time", "1h30m"]),
        ("run__seed", -1, ["run.seed", "0"]),
        ("run__data", "corpus", ["run.data", "$VARIABLE"]),
        ("run__data", "/a; rm -rf /", ["run.data", "$VARIABLE"]),
        ("run__data", "/a$(id)", ["run.data"]),
        ("run__recipe", 'r"$(id)".json', ["run.recipe", "begins with /"]),
        ("run__set", {"optimizer.lr": 1}, ["run.set", "optimizer.matrix_lr"]),
        ("run__set", {"pretrain.steps": "$(id)"}, ["run.set", "one word"]),
        (
            "run__colour",
            "red",
            ["run.colour", "not a known field", "run has the fields", "chat_data"],
        ),
        ("job__nodes", 0, ["job.nodes", "greater than or equal to 1"]),
        ("job__nodes", "two", ["job.nodes", "integer"]),
        ("job__cpus_per_node", None, ["job.cpus_per_node", "is missing"]),
        ("job__gpus_per_node", -1, ["job.gpus_per_node"]),
        ("job__gpu_type", "h100", ["job", "gpu_type needs gpus_per_node"]),
        ("job__processes_per_node", 2, ["job", "cpus_per_node must be at least one"]),
        ("job__memory_per_node", "lots", ["job.memory_per_node", "64G"]),
        ("job__time_limit", "90s", ["job", "whole minutes"]),
        ("job__time_limit", "1m", ["job", "twice save_time"]),
        ("job__on_time_limit", "retry", ["job.on_time_limit", "requeue", "chain"]),
        ("cluster__account", "a b", ["cluster.account", "letters"]),
        ("cluster__sbatch_options", ["-C a100"], ["cluster.sbatch_options.0", "--constraint=a100"]),
        ("cluster__sbatch_options", ["--gres=gpu:1"], ["cluster", "job.gpus_per_node"]),
        ("cluster__modules", ["cuda; id"], ["cluster.modules.0", "module avail"]),
        ("cluster__mail_user", "me", ["cluster.mail_user", "address"]),
        ("cluster__internet", "proxy", ["cluster", "proxy"]),
        ("cluster__internet", "yes", ["cluster.internet", "none", "proxy", "direct"]),
        ("cluster__proxy", "http://p:1", ["cluster", "or neither"]),
        ("paths__python", "python3", ["paths.python", "begin with /"]),
        ("paths__home", "/a\n#SBATCH --x", ["paths.home"]),
        ("paths__home", None, ["paths.home", "is missing"]),
    ],
)
def test_an_error_names_the_field_and_a_fix(
    field: str, value: Any, words: list[str], bench: Bench
) -> None:
    if value is None:
        path = write_site(bench)
        path.write_text(render_toml(site_tables(bench, **{field: None})))
    else:
        path = write_site(bench, **{field: value})
    error = error_of(path)
    for word in words:
        assert word in error, error


def test_two_processes_on_one_gpu_are_rejected(bench: Bench) -> None:
    path = write_site(bench, job__gpus_per_node=2, job__processes_per_node=4, job__cpus_per_node=4)
    assert "at most gpus_per_node" in error_of(path)


def test_an_unknown_table_is_rejected(bench: Bench) -> None:
    path = write_site(bench)
    path.write_text("[jobs]\nnodes = 1\n" + path.read_text())
    assert "run, job, cluster, paths, sweep" in error_of(path)


def test_sweep_entries_need_different_names(bench: Bench) -> None:
    path = write_site(bench, sweep=[{"name": "a"}, {"name": "a", "seed": 1}])
    assert "named a" in error_of(path)


@pytest.mark.parametrize("content", [b"[run", b"\xff\xfe", b"run = 3"])
def test_a_file_that_is_not_a_site_is_rejected(content: bytes, bench: Bench) -> None:
    path = bench.root / "site.toml"
    path.write_bytes(content)
    error_of(path)


def test_a_missing_file_names_the_init_command(bench: Bench) -> None:
    assert "firstwords slurm init" in error_of(bench.root / "absent.toml")


@pytest.mark.parametrize("command", ["render", "check", "submit", "status"])
def test_every_command_reports_a_site_error_in_one_line(
    command: str, bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_site(bench, job__nodes=0)
    assert run_command(["slurm", command, "--site", str(path)]) == 2
    assert "job.nodes" in one_line(capsys.readouterr().err)


def test_a_sweep_entry_overrides_the_run(bench: Bench) -> None:
    sweep = [
        {"name": "one", "seed": 1},
        {"name": "slow", "time": "2m", "set": {"optimizer.matrix_lr": 0.5}},
    ]
    overrides = {"optimizer.norm_lr": 0.25, "optimizer.matrix_lr": 0.1}
    site = read_site(write_site(bench, sweep=sweep, run__set=overrides))
    one, slow = site.runs
    assert (one.name, one.seed, one.time, slow.name, slow.time) == ("x-one", 1, 60, "x-slow", 120)
    assert one.recipe == slow.recipe == str(bench.recipe)
    assert one.overrides() == ("optimizer.norm_lr=0.25", "optimizer.matrix_lr=0.1")
    assert slow.overrides() == ("optimizer.norm_lr=0.25", "optimizer.matrix_lr=0.5")


def test_processes_default_to_one_per_gpu(bench: Bench) -> None:
    assert load(bench).job.world_size == 1
    assert (
        load(bench, job__nodes=2, job__gpus_per_node=8, job__cpus_per_node=8).job.world_size == 16
    )
    three_each = load(bench, job__nodes=2, job__processes_per_node=3, job__cpus_per_node=8)
    assert three_each.job.world_size == 6


def test_a_chain_has_one_spare_job(bench: Bench) -> None:
    chained = load(bench, job__on_time_limit="chain")  # a job trains one of its two minutes
    assert [chained.chain_length(seconds) for seconds in (0, 59, 60, 61, 130)] == [1, 1, 1, 3, 4]
    assert load(bench).chain_length(1000) == 1  # it requeues itself instead


def test_variables_and_tilde_are_expanded(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/people/ada")
    monkeypatch.setenv("SCRATCH", "/scratch")
    home = load(bench, paths__home="${SCRATCH}/ada/x").home
    assert home == Path("/scratch/ada/x")
    site = load(bench, run__data="$SCRATCH/c", run__recipe="~/r.json", run__chat_data="starter")
    request = train_request(site.run)
    assert (request.data, request.chat_data) == ("/scratch/c", "starter")
    assert request.recipe == Path("/people/ada/r.json")


def test_an_unset_variable_is_named(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SCRATCH", raising=False)
    with pytest.raises(UserError, match="SCRATCH, which is not set"):
        _ = load(bench, paths__home="$SCRATCH/x").home
