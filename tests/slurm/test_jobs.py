"""Submitting and asking how it goes, with stand-ins for Slurm's programs."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from end_to_end import Bench, one_line
from sites import program, write_site

from firstwords import run as runs
from firstwords import start
from firstwords.cli import run_command
from firstwords.slurm.script import render
from firstwords.slurm.site import read_site
from firstwords.slurm.status import status
from firstwords.slurm.submit import submit

# Numbers from 11 on; the arguments are kept. squeue and scontrol say what a file says.
SBATCH = r"""
echo "$@" >>"$SLURM_TEST/asked"
[[ $* != *--test-only* ]] || exit 0
echo "$((10 + $(grep -vc test-only "$SLURM_TEST/asked")));cluster"
"""


class Stand:
    """Slurm's place, taken."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        program(root, "sbatch", SBATCH)
        program(
            root, "squeue", 'grep -F "$([[ $* == *%T* ]] && echo "|")" "$SLURM_TEST/queue"; exit 0'
        )
        program(root, "sinfo", "echo 'gpu* infinite'")
        program(root, "scontrol", 'cat "$SLURM_TEST/jobs"')
        self.queue()
        monkeypatch.setenv("PATH", f"{root}:{os.environ['PATH']}")
        monkeypatch.setenv("SLURM_TEST", str(root))
        monkeypatch.delenv("SLURMD_NODENAME", raising=False)

    def queue(self, *lines: str) -> None:
        (self.root / "queue").write_text("".join(f"{line}\n" for line in lines))

    def ended(self, text: str) -> None:
        (self.root / "jobs").write_text(text)

    def submitted(self) -> list[list[str]]:
        lines = (self.root / "asked").read_text().splitlines()
        return [line.split() for line in lines if "--test-only" not in line]


@pytest.fixture
def bench(tmp_path: Path, home: Path) -> Bench:
    return Bench(tmp_path, home)


@pytest.fixture
def stand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stand:
    return Stand(tmp_path / "slurm", monkeypatch)


def python(bench: Bench) -> str:
    says = {"python": "3", "torch": "2", "firstwords": "0", "cuda": None, "gpus": 0, "kind": ""}
    return str(program(bench.root / "slurm", "py", f"echo '{json.dumps(says)}'"))


def site(bench: Bench, *sweep: Any, **fields: Any) -> Path:
    return write_site(bench, *sweep, paths__python=python(bench), **fields)


# --- submit ---------------------------------------------------------------------------------------


def test_submit_says_where_everything_is(
    bench: Bench, stand: Stand, capsys: pytest.CaptureFixture[str]
) -> None:
    path = site(bench)
    assert run_command(["slurm", "submit", "--site", str(path)]) == 0
    said, folder = capsys.readouterr().out, bench.home / "jobs" / "x"
    assert "submitted: 11\n" in said
    assert f"log: {folder}/%j.log" in said
    assert f"firstwords slurm status --site {path}" in said
    assert stand.submitted() == [
        [
            "--parsable",
            f"--output={folder}/%j.log",
            f"{folder}/job.slurm",
            f"{folder}/site.toml",
        ]
    ]
    assert (folder / "job.slurm").read_text() == render(read_site(path))
    assert (folder / "site.toml").read_text() == path.read_text()


def test_a_job_keeps_the_site_that_it_was_submitted_with(bench: Bench, stand: Stand) -> None:
    path = site(bench)
    submit(read_site(path), path, only_check=False)
    kept = bench.home / "jobs" / "x" / "site.toml"
    before = path.read_text()
    path.write_text("half an edi")
    assert kept.read_text() == before
    submit(read_site(kept), kept, only_check=False)  # and can be submitted from there
    assert kept.read_text() == before


def test_a_chain_waits_job_for_job(bench: Bench, stand: Stand) -> None:
    path = site(bench, job__on_limit="chain", run__time="2m")
    assert submit(read_site(path), path, only_check=False).jobs == [11, 12, 13]
    first, second, third = stand.submitted()
    assert not any("dependency" in word for word in first)
    assert "--dependency=afterany:11" in second
    assert "--dependency=afterany:12" in third


def test_a_check_is_one_short_job(bench: Bench, stand: Stand) -> None:
    sweep = [{"name": "a"}, {"name": "b"}]
    path = site(bench, sweep, job__on_limit="chain", run__time="1h")
    assert submit(read_site(path), path, only_check=True).jobs == [11]
    [asked] = stand.submitted()
    assert asked[-1] == "check"
    assert {"--time=10:00", "--array=0"} <= set(asked)


def test_what_is_not_ready_is_not_submitted(
    bench: Bench, stand: Stand, capsys: pytest.CaptureFixture[str]
) -> None:
    path = site(bench, run__data=str(bench.root / "gone"))
    assert run_command(["slurm", "submit", "--site", str(path)]) == 2
    assert "not ready (data)" in capsys.readouterr().err
    assert stand.submitted() == []


def test_a_job_that_is_in_the_queue_is_not_doubled(
    bench: Bench, stand: Stand, capsys: pytest.CaptureFixture[str]
) -> None:
    path = site(bench)
    submit(read_site(path), path, only_check=False)
    stand.queue("9", "11", "110")
    assert run_command(["slurm", "submit", "--site", str(path)]) == 2
    assert "scancel 11" in capsys.readouterr().err
    stand.queue("110")
    assert submit(read_site(path), path, only_check=False).jobs == [12]


def test_a_refusal_is_one_line(
    bench: Bench, stand: Stand, capsys: pytest.CaptureFixture[str]
) -> None:
    refusal = "sbatch: error: Batch job submission failed: Job violates accounting/QOS policy"
    program(stand.root, "sbatch", f"[[ $* == *test-only* ]] || {{ echo '{refusal}' >&2; exit 1; }}")
    path = site(bench)
    assert run_command(["slurm", "submit", "--site", str(path)]) == 2
    said = capsys.readouterr().err.replace(f"asking {python(bench)} for its PyTorch\n", "")
    assert "violates accounting/QOS policy" in one_line(said)


# --- status ---------------------------------------------------------------------------------------


def shown(path: Path) -> str:
    return "\n".join(status(read_site(path)))


def test_before_anything_is_submitted_status_says_so(bench: Bench, stand: Stand) -> None:
    said = shown(site(bench))
    assert "no job submitted for x: firstwords slurm submit" in said
    assert "run x: not started yet" in said


def test_status_shows_the_queue_job_for_job(bench: Bench, stand: Stand) -> None:
    path = site(bench, job__on_limit="chain", run__time="2m")
    submit(read_site(path), path, only_check=False)
    stand.queue(
        "11|RUNNING|1:02|2:00|node[1-2]|2030-01-01T00:00:00",
        "12|PENDING|0:00|2:00|(Dependency)|N/A",
        "13|PENDING|0:00|2:00|(Priority)|2030-01-01T12:00:00",
        "99|RUNNING|1:02|2:00|node3|N/A",
    )
    said = shown(path)
    assert "11         running     1:02 of 2:00 on node[1-2]" in said
    assert "12         pending     Dependency\n" in said
    assert "13         pending     Priority, expected to start 2030-01-01T12:00:00" in said
    assert "99" not in said


def test_status_says_how_the_last_job_ended(bench: Bench, stand: Stand) -> None:
    path = site(bench)
    submit(read_site(path), path, only_check=False)
    stand.ended("JobId=11 JobName=x JobState=FAILED ExitCode=2:0 TimeLimit=00:02:00")
    assert "11         failed, exit code 2" in shown(path)
    stand.ended("JobId=11 JobState=COMPLETED ExitCode=0:0")
    assert "11         completed\n" in shown(path)
    stand.ended("")  # Slurm has forgotten it
    assert "11         no longer in the queue" in shown(path)


def test_status_reads_the_runs_own_files(bench: Bench, stand: Stand) -> None:
    path = site(bench)
    made = read_site(path)
    run = runs.create(bench.directory("x"), start.new_manifest(made.run.request()))
    assert "phase 1 of 5, tokenizer" in shown(path)
    assert "no checkpoint yet" in shown(path)
    run.tokenizer_path.parent.mkdir()
    run.tokenizer_path.touch()
    run.tokenizer_stats_path.touch()
    assert "base pretraining, before its first step" in shown(path)
    metrics = run.metrics("base")
    metrics.parent.mkdir()
    lines = [{"step": n, "loss": 3.0, "lr": 0.1, "seconds": 0.5} for n in range(1, 13)]
    metrics.write_text("".join(json.dumps(line) + "\n" for line in lines))
    at = run.checkpoints("base") / "0000010"
    at.mkdir(parents=True)
    (at / "training.json").touch()
    made.folder.mkdir(parents=True)
    (made.folder / "11.log").write_text("first\n\nbase: 40%\n" + "later\n" * 5)
    said = shown(path)
    # A batch of the tests' recipe is 4 rows of 64 tokens.
    assert "step 12 of 30 (40%), loss 3.000, 512 tokens/s, 0:09 left in it" in said
    assert "newest checkpoint: base, step 10, 0:0" in said
    assert f"{made.folder / '11.log'} ends with\n  later\n" in said
    assert "base: 40%" not in said


def test_without_slurm_status_shows_the_run_alone(
    bench: Bench, stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = site(bench)
    submit(read_site(path), path, only_check=False)
    monkeypatch.setenv("PATH", str(bench.root))
    said = shown(path)
    assert "squeue is not here" in said
    assert "run x: not started yet" in said


def test_status_of_a_sweep_shows_every_run(bench: Bench, stand: Stand) -> None:
    path = site(bench, [{"name": "a"}, {"name": "b"}])
    submit(read_site(path), path, only_check=False)
    stand.queue("11_0|RUNNING|1:02|2:00|node1|N/A", "11_[1]|PENDING|0:00|2:00|(Resources)|N/A")
    said = shown(path)
    assert "11_0       running" in said
    assert "11_[1]     pending     Resources" in said
    assert "run x-a: not started yet" in said
    assert "run x-b: not started yet" in said
