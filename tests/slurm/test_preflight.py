"""The preflight checks: each problem is reported with a hint on how to fix it."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from end_to_end import Bench, one_line
from sites import write_program, write_site

from firstwords.cli.main import run_command
from firstwords.pipeline.request import new_manifest
from firstwords.runs import registry
from firstwords.slurm.check_result import CheckResult
from firstwords.slurm.preflight import run_checks
from firstwords.slurm.site import read_site
from firstwords.slurm.train_request import recipe_of, train_request

PYTHON_INFO = {"python": "3.12.1", "firstwords": "0.1.0", "torch": "2.13.0+cpu", "cuda": None}
PYTHON_INFO |= {"gpus": 0, "gpu_name": ""}


@pytest.fixture
def bench(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A bench with an sbatch that accepts every job, and three partitions."""
    bench = Bench(tmp_path, home)
    programs = tmp_path / "programs"
    write_program(programs, "sbatch", 'echo "sbatch: Job 5 to start at once" >&2')
    write_program(programs, "sinfo", "printf '%s\n' 'gpu 1-12:00:00' 'cpu* 30:00' 'long infinite'")
    monkeypatch.setenv("PATH", f"{programs}:{Path(sys.executable).parent}:/usr/bin:/bin")
    monkeypatch.delenv("SLURMD_NODENAME", raising=False)
    monkeypatch.delenv("SLURM_ARRAY_TASK_ID", raising=False)
    return bench


@pytest.fixture
def in_a_job(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURMD_NODENAME", "node7")


def results(
    bench: Bench, sweep: list[dict[str, Any]] | None = None, **fields: Any
) -> list[CheckResult]:
    site = write_site(bench, sweep, **{"paths__python": fake_python(bench)} | fields)
    return list(run_checks(read_site(site)))


def by_subject(bench: Bench, *sweep: Any, **fields: Any) -> dict[str, CheckResult]:
    """Return the results by subject; the last one where there are several."""
    return {result.subject: result for result in results(bench, *sweep, **fields)}


def fake_python(bench: Bench, **info: Any) -> str:
    """Write a Python that reports these versions of itself."""
    name = f"python{len(info)}"
    body = f"echo '{json.dumps(PYTHON_INFO | info)}'"
    return str(write_program(bench.root / "programs", name, body))


def failure(result: CheckResult) -> str:
    """Return the output of a check that must have failed with a hint."""
    assert result.status == "FAIL", result
    assert result.hint
    return result.render()


def test_every_check_passes_on_the_login_node(bench: Bench) -> None:
    checks = by_subject(bench)
    assert [result for result in checks.values() if result.status == "FAIL"] == []
    assert "login node" in checks["node"].message
    assert "3.12.1 with torch 2.13.0+cpu" in checks["python"].message
    assert "Job 5" in checks["slurm"].message
    assert set(checks) >= {"python", "recipe", "data", "home", "run", "time", "slurm"}
    assert not bench.home.exists()  # checks write nothing


@pytest.mark.usefixtures("in_a_job")
def test_every_check_passes_in_a_job(bench: Bench) -> None:
    checks = by_subject(bench, paths__scratch=str(bench.root))
    assert [result for result in checks.values() if result.status == "FAIL"] == []
    assert checks["node"].message == "compute node node7"
    assert "none is needed" in checks["network"].message
    assert set(checks) >= {"scratch", "compiler", "network"}
    assert "slurm" not in checks  # compute nodes may not have sbatch


# --- Python and GPUs ------------------------------------------------------------------------------


def test_a_missing_python_fails(bench: Bench) -> None:
    line = failure(by_subject(bench, paths__python="/no/python")["python"])
    assert "/no/python" in line
    assert "scripts/local_cpu_train.sh --help" in line


def test_a_python_without_torch_fails(bench: Bench) -> None:
    bare = write_program(
        bench.root / "programs", "bare", "echo \"No module named 'torch'\" >&2; exit 1"
    )
    line = failure(by_subject(bench, paths__python=str(bare))["python"])
    assert "No module named 'torch'" in line
    assert "cluster.modules" in line


def test_a_torch_without_cuda_fails_a_gpu_job(bench: Bench) -> None:
    line = failure(by_subject(bench, job__gpus_per_node=1)["python"])
    assert "built without CUDA" in line
    assert "pip install --force-reinstall torch==2.13.0" in line


@pytest.mark.usefixtures("in_a_job")
def test_fewer_gpus_than_requested_fail(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    info = PYTHON_INFO | {"cuda": "13.0", "gpus": 3, "gpu_name": "H100"}
    monkeypatch.setattr("firstwords.slurm.probe.probe_environment", lambda: info)
    few = by_subject(bench, job__gpus_per_node=4, job__cpus_per_node=4)["gpus"]
    assert "torch sees 3 GPUs, but job.gpus_per_node is 4" in failure(few)
    enough = by_subject(bench, job__gpus_per_node=3, job__cpus_per_node=4)["gpus"]
    assert (enough.status, enough.message) == ("ok", "3 x H100")


# --- files ----------------------------------------------------------------------------------------


def test_every_missing_source_is_reported(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    gone, also = str(bench.root / "gone.txt"), str(bench.root / "also.jsonl")
    python = fake_python(bench)
    site = write_site(bench, run__data=gone, run__chat_data=also, paths__python=python)
    assert run_command(["slurm", "check", "--site", str(site)]) == 2
    output = capsys.readouterr()
    assert f"--data {gone}" in output.out
    assert f"--chat-data {also}" in output.out
    assert "firstwords data unbundle" in output.out
    assert "preflight failed (data)" in one_line(output.err)


def test_a_hint_about_bundles_is_only_given_without_internet(bench: Bench) -> None:
    offline = by_subject(bench)["benchmarks"]
    online = by_subject(bench, cluster__internet="direct")["benchmarks"]
    assert "unbundle" in offline.hint
    assert "unbundle" not in online.hint


def test_damaged_data_fails(bench: Bench) -> None:
    damaged = bench.root / "text.parquet"
    damaged.write_bytes(b"PAR1 and then nothing")
    checks = results(bench, run__data=str(damaged))
    data = next(result for result in checks if result.subject == "data")
    assert str(damaged) in failure(data)


def test_empty_data_fails(bench: Bench) -> None:
    bench.chat.write_text("")
    assert "is empty" in failure(by_subject(bench)["data"])


def test_a_missing_recipe_is_reported_once(bench: Bench) -> None:
    checks = results(bench, run__recipe=str(bench.root / "gone.json"))
    reports = [result for result in checks if "gone.json" in result.message]
    assert [result.subject for result in reports] == ["recipe"]
    assert "gone.json" in failure(reports[0])


def test_an_invalid_override_fails(bench: Bench) -> None:
    result = by_subject(bench, run__set={"pretrain.steps": 0})["recipe"]
    assert "pretrain.steps" in failure(result)


def test_a_home_that_cannot_be_created_fails(bench: Bench) -> None:
    home = bench.text / "home"  # inside a file
    assert "paths.home" in failure(by_subject(bench, paths__home=str(home))["home"])


def test_a_full_disk_fails(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("firstwords.common.paths.free_disk", lambda path: 1e6)
    assert "free some space" in failure(by_subject(bench)["home"])


@pytest.mark.usefixtures("in_a_job")
def test_a_missing_scratch_directory_fails(bench: Bench) -> None:
    assert "paths.scratch" in failure(by_subject(bench, paths__scratch="/no/scratch")["scratch"])


@pytest.mark.usefixtures("in_a_job")
def test_a_compiled_recipe_without_a_compiler_fails(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("firstwords.common.hardware.has_compiler", lambda: False)
    assert by_subject(bench)["compiler"].status == "note"
    assert "cluster.modules" in failure(by_subject(bench, run__set={"compile": True})["compiler"])


# --- the run, its time, and Slurm -----------------------------------------------------------------


def test_a_run_with_other_options_fails(bench: Bench) -> None:
    request = train_request(read_site(write_site(bench)).run)
    registry.create_run(bench.directory("x"), new_manifest(request))
    assert "x resumes with tokenizer" in by_subject(bench)["run"].message
    line = failure(by_subject(bench, run__seed=5)["run"])
    assert "--seed differs" in line


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "one job of 2:00 is enough"),
        ({"run__time": "3m"}, "is requeued about 2 times"),
        ({"run__time": "3m", "job__on_time_limit": "chain"}, "a chain of 4 jobs of 2:00"),
    ],
)
def test_the_time_check_counts_the_jobs(fields: dict[str, Any], words: str, bench: Bench) -> None:
    assert words in by_subject(bench, **fields)["time"].message


def test_the_time_check_uses_the_longest_run_of_a_sweep(bench: Bench) -> None:
    sweep = [{"name": "a"}, {"name": "b", "time": "3m"}]
    assert "about 3:00 left" in by_subject(bench, sweep)["time"].message


@pytest.mark.usefixtures("in_a_job")
def test_an_array_task_checks_only_its_own_run(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep = [{"name": "a", "recipe": str(bench.root / "gone.json")}, {"name": "b"}]
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "1")
    assert by_subject(bench, sweep)["recipe"].status == "ok"
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "0")
    assert "gone.json" in failure(by_subject(bench, sweep)["recipe"])


@pytest.mark.parametrize(
    ("message", "field"),
    [
        ("sbatch: error: invalid partition specified: gpux", "cluster.partition"),
        ("sbatch: error: Invalid account or account/partition combination", "cluster.account"),
        ("allocation failure: Requested node configuration is not available", "[job]"),
        ("allocation failure: Node count specification invalid", "job.nodes"),
        (
            "sbatch: error: Batch job submission failed: Requested time limit is invalid",
            "job.time_limit",
        ),
        ("sbatch: error: something new", "[job] and [cluster]"),
    ],
)
def test_a_rejection_by_slurm_names_the_field(message: str, field: str, bench: Bench) -> None:
    write_program(bench.root / "programs", "sbatch", f"echo '{message}' >&2; exit 1")
    line = failure(by_subject(bench)["slurm"])
    assert field in line
    assert message.split("error: ")[-1] in line


@pytest.mark.parametrize(
    ("partition", "limit", "status"),
    [
        ("gpu", "36h", "ok"),
        ("gpu", "37h", "FAIL"),
        ("cpu", "31m", "FAIL"),
        (None, "30m", "ok"),
        (None, "31m", "FAIL"),  # cpu is the default
        ("cpu,gpu", "36h", "ok"),
        ("long", "900h", "ok"),
        ("hidden", "900h", "ok"),  # sinfo does not list it; sbatch decides
    ],
)
def test_a_time_limit_beyond_the_partition_fails(
    partition: str | None, limit: str, status: str, bench: Bench
) -> None:
    fields = {"job__time_limit": limit, "cluster__partition": partition}
    result = by_subject(bench, **fields)["slurm"]
    assert result.status == status, result
    if status == "FAIL":
        assert "job.on_time_limit" in failure(result)


def test_without_slurm_the_hint_names_the_login_node(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(bench.root))
    assert "login node" in failure(by_subject(bench)["slurm"])


def test_overrides_change_the_recipe(bench: Bench) -> None:
    overrides = {"pretrain.steps": 7, "compile": True}
    recipe = recipe_of(read_site(write_site(bench, run__set=overrides)).run)
    assert recipe is not None
    assert (recipe.pretrain.steps, recipe.compile, recipe.midtrain.steps) == (7, True, 20)
