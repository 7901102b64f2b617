"""The checks before a job: what is missing is named, with what gets it."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from end_to_end import Bench, one_line
from sites import program, write_site

from firstwords import run as runs
from firstwords import start
from firstwords.cli import run_command
from firstwords.slurm.finding import Finding
from firstwords.slurm.preflight import check
from firstwords.slurm.site import read_site

SAYS = {"python": "3.12.1", "firstwords": "0.1.0", "torch": "2.13.0+cpu", "cuda": None}
SAYS |= {"gpus": 0, "kind": ""}


@pytest.fixture
def bench(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """With a Python that answers at once and an sbatch that takes everything."""
    made = Bench(tmp_path, home)
    programs = tmp_path / "programs"
    program(programs, "sbatch", 'echo "sbatch: Job 5 to start at once" >&2')
    program(programs, "sinfo", "printf '%s\n' 'gpu 1-12:00:00' 'cpu* 30:00' 'long infinite'")
    monkeypatch.setenv("PATH", f"{programs}:{Path(sys.executable).parent}:/usr/bin:/bin")
    monkeypatch.delenv("SLURMD_NODENAME", raising=False)
    monkeypatch.delenv("SLURM_ARRAY_TASK_ID", raising=False)
    return made


@pytest.fixture
def in_a_job(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURMD_NODENAME", "node7")


def findings(
    bench: Bench, sweep: list[dict[str, Any]] | None = None, **fields: Any
) -> list[Finding]:
    site = write_site(bench, sweep, **{"paths__python": with_torch(bench)} | fields)
    return list(check(read_site(site)))


def look(bench: Bench, *sweep: Any, **fields: Any) -> dict[str, Finding]:
    """The findings by what they are about; the last one where there are several."""
    return {finding.what: finding for finding in findings(bench, *sweep, **fields)}


def with_torch(bench: Bench, **says: Any) -> str:
    """A Python whose torch is like that."""
    name = f"python{len(says)}"
    return str(program(bench.root / "programs", name, f"echo '{json.dumps(SAYS | says)}'"))


def wrong(finding: Finding) -> str:
    assert finding.level == "wrong", finding
    assert finding.mend
    return finding.line()


def test_all_is_well_on_the_login_node(bench: Bench) -> None:
    found = look(bench)
    assert [f for f in found.values() if f.level == "wrong"] == []
    assert "login node" in found["where"].text
    assert "3.12.1 with torch 2.13.0+cpu" in found["python"].text
    assert "Job 5" in found["slurm"].text
    assert set(found) >= {"python", "recipe", "data", "home", "run", "time", "slurm"}
    assert not bench.home.exists()  # a look changes nothing


@pytest.mark.usefixtures("in_a_job")
def test_all_is_well_in_a_job(bench: Bench) -> None:
    found = look(bench, paths__scratch=str(bench.root))
    assert [f for f in found.values() if f.level == "wrong"] == []
    assert found["where"].text == "compute node node7"
    assert "nothing here needs it" in found["network"].text
    assert set(found) >= {"scratch", "compiler", "network"}
    assert "slurm" not in found  # compute nodes may not have sbatch


# --- Python and GPUs ------------------------------------------------------------------------------


def test_a_python_that_is_not_there(bench: Bench) -> None:
    line = wrong(look(bench, paths__python="/no/python")["python"])
    assert "/no/python" in line
    assert "scripts/local_cpu_train.sh --help" in line


def test_a_python_without_torch(bench: Bench) -> None:
    bare = program(bench.root / "programs", "bare", "echo \"No module named 'torch'\" >&2; exit 1")
    line = wrong(look(bench, paths__python=str(bare))["python"])
    assert "No module named 'torch'" in line
    assert "cluster.modules" in line


def test_a_torch_without_cuda_for_gpus(bench: Bench) -> None:
    line = wrong(look(bench, job__gpus=1)["python"])
    assert "not for GPUs" in line
    assert "pip install --force-reinstall torch==2.13.0" in line


@pytest.mark.usefixtures("in_a_job")
def test_fewer_gpus_than_asked_for(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    says = SAYS | {"cuda": "13.0", "gpus": 3, "kind": "H100"}
    monkeypatch.setattr("firstwords.slurm.probe.look", lambda: says)
    few = look(bench, job__gpus=4, job__cpus=4)["gpus"]
    assert "torch sees 3, and job.gpus is 4" in wrong(few)
    all_there = look(bench, job__gpus=3, job__cpus=4)["gpus"]
    assert (all_there.level, all_there.text) == ("ok", "3 x H100")


# --- files ----------------------------------------------------------------------------------------


def test_every_source_that_is_missing_is_named(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    gone, also = str(bench.root / "gone.txt"), str(bench.root / "also.jsonl")
    python = with_torch(bench)
    site = write_site(bench, run__data=gone, run__chat_data=also, paths__python=python)
    assert run_command(["slurm", "check", "--site", str(site)]) == 2
    said = capsys.readouterr()
    assert f"--data {gone}" in said.out
    assert f"--chat-data {also}" in said.out
    assert "firstwords data unbundle" in said.out
    line = one_line(said.err.replace(f"asking {python} for its PyTorch\n", ""))
    assert "not ready (data, data)" in line


def test_where_there_is_internet_nothing_is_said_of_bundles(bench: Bench) -> None:
    absent = {"run__data": str(bench.root / "gone.txt")}
    assert "unbundle" in look(bench, **absent | {"run__chat_data": "starter"})["benchmarks"].mend
    assert "unbundle" not in look(bench, **absent, cluster__internet="direct")["benchmarks"].mend


def test_damaged_data_is_wrong(bench: Bench) -> None:
    damaged = bench.root / "text.parquet"
    damaged.write_bytes(b"PAR1 and then nothing")
    found = findings(bench, run__data=str(damaged))
    assert "not a readable parquet file" in wrong(next(f for f in found if f.what == "data"))


def test_empty_data_is_wrong(bench: Bench) -> None:
    bench.chat.write_text("")
    assert "it is empty" in wrong(look(bench)["data"])


def test_a_recipe_that_is_missing_is_told_once(bench: Bench) -> None:
    found = findings(bench, run__recipe=str(bench.root / "gone.json"))
    about = [finding for finding in found if "gone.json" in finding.text]
    assert [finding.what for finding in about] == ["recipe"]
    assert "gone.json" in wrong(about[0])


def test_a_change_that_a_recipe_cannot_have_is_wrong(bench: Bench) -> None:
    found = look(bench, run__set={"base.steps": 0})["recipe"]
    assert "base.steps" in wrong(found)


def test_a_home_that_cannot_be_written_is_wrong(bench: Bench) -> None:
    home = bench.text / "home"  # below a file
    assert "paths.home" in wrong(look(bench, paths__home=str(home))["home"])


def test_a_full_disk_is_wrong(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("firstwords.machine.free_disk", lambda path: 1e6)
    assert "free some space" in wrong(look(bench)["home"])


@pytest.mark.usefixtures("in_a_job")
def test_a_scratch_that_a_node_does_not_have_is_wrong(bench: Bench) -> None:
    assert "paths.scratch" in wrong(look(bench, paths__scratch="/no/scratch")["scratch"])


@pytest.mark.usefixtures("in_a_job")
def test_without_a_compiler_a_compiled_recipe_is_wrong(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("firstwords.machine.can_compile", lambda: False)
    assert look(bench)["compiler"].level == "note"
    assert "cluster.modules" in wrong(look(bench, run__set={"compile": True})["compiler"])


# --- the run, its time, and Slurm -----------------------------------------------------------------


def test_a_run_that_was_started_otherwise_is_wrong(bench: Bench) -> None:
    request = read_site(write_site(bench)).run.request()
    runs.create(bench.directory("x"), start.new_manifest(request))
    assert "x goes on with tokenizer" in look(bench)["run"].text
    line = wrong(look(bench, run__seed=5)["run"])
    assert "--seed" in line
    assert "started with another one" in line


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "one job of 2:00 is enough"),
        ({"run__time": "3m"}, "goes back into the queue about 2 times"),
        ({"run__time": "3m", "job__on_limit": "chain"}, "a chain of 4 jobs of 2:00"),
    ],
)
def test_the_time_is_held_against_the_limit(
    fields: dict[str, Any], words: str, bench: Bench
) -> None:
    assert words in look(bench, **fields)["time"].text


def test_the_longest_run_of_a_sweep_counts(bench: Bench) -> None:
    sweep = [{"name": "a"}, {"name": "b", "time": "3m"}]
    assert "about 3:00 left" in look(bench, sweep)["time"].text


@pytest.mark.usefixtures("in_a_job")
def test_a_job_of_an_array_looks_at_its_own_run(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep = [{"name": "a", "recipe": str(bench.root / "gone.json")}, {"name": "b"}]
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "1")
    assert look(bench, sweep)["recipe"].level == "ok"
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "0")
    assert "gone.json" in wrong(look(bench, sweep)["recipe"])


@pytest.mark.parametrize(
    ("complaint", "field"),
    [
        ("sbatch: error: invalid partition specified: gpux", "cluster.partition"),
        ("sbatch: error: Invalid account or account/partition combination", "cluster.account"),
        ("allocation failure: Requested node configuration is not available", "[job]"),
        ("allocation failure: Node count specification invalid", "job.nodes"),
        (
            "sbatch: error: Batch job submission failed: Requested time limit is invalid",
            "job.limit",
        ),
        ("sbatch: error: something new", "[job] and [cluster]"),
    ],
)
def test_what_slurm_refuses_is_named_by_its_field(complaint: str, field: str, bench: Bench) -> None:
    program(bench.root / "programs", "sbatch", f"echo '{complaint}' >&2; exit 1")
    line = wrong(look(bench)["slurm"])
    assert field in line
    assert complaint.split("error: ")[-1] in line


@pytest.mark.parametrize(
    ("partition", "limit", "level"),
    [
        ("gpu", "36h", "ok"),
        ("gpu", "37h", "wrong"),
        ("cpu", "31m", "wrong"),
        (None, "30m", "ok"),
        (None, "31m", "wrong"),  # cpu is the usual one
        ("cpu,gpu", "36h", "ok"),
        ("long", "900h", "ok"),
        ("hidden", "900h", "ok"),  # sinfo does not show it; sbatch knows
    ],
)
def test_a_limit_that_a_partition_does_not_give_is_wrong(
    partition: str | None, limit: str, level: str, bench: Bench
) -> None:
    fields = {"job__limit": limit, "cluster__partition": partition}
    found = look(bench, **fields)["slurm"]
    assert found.level == level, found
    if level == "wrong":
        assert "job.on_limit" in wrong(found)


def test_without_slurm_one_is_sent_to_the_login_node(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(bench.root))
    assert "login node" in wrong(look(bench)["slurm"])


def test_a_run_takes_changes_of_its_recipe(bench: Bench) -> None:
    request = start.Request(recipe=bench.recipe, changes=("base.steps=7", "compile=true"))
    made = start.recipe_in(request)
    assert made is not None
    assert (made.base.steps, made.compile, made.mid.steps) == (7, True, 20)
