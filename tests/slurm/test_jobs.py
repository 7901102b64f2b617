"""Submission and status of jobs, with fake versions of Slurm's commands."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from end_to_end import Bench, one_line
from factories import save_tokenizer
from sites import write_program, write_site

from firstwords.cli.main import run_command
from firstwords.pipeline.request import new_manifest
from firstwords.runs import registry
from firstwords.slurm.script import render_script
from firstwords.slurm.site import read_site
from firstwords.slurm.status import site_status
from firstwords.slurm.submit import submit
from firstwords.slurm.train_request import train_request
from firstwords.tokenizer.bpe import Tokenizer

# Job ids count from 11; sbatch logs its arguments. squeue and scontrol print the content of a file.
SBATCH = r"""
echo "$@" >>"$SLURM_TEST/sbatch.log"
[[ $* != *--test-only* ]] || exit 0
echo "$((10 + $(grep -vc test-only "$SLURM_TEST/sbatch.log")));cluster"
"""


class FakeSlurm:
    """Fake Slurm commands at the front of the PATH."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        write_program(root, "sbatch", SBATCH)
        write_program(
            root, "squeue", 'grep -F "$([[ $* == *%T* ]] && echo "|")" "$SLURM_TEST/queue"; exit 0'
        )
        write_program(root, "sinfo", "echo 'gpu* infinite'")
        write_program(root, "scontrol", 'cat "$SLURM_TEST/jobs"')
        self.set_queue()
        monkeypatch.setenv("PATH", f"{root}:{os.environ['PATH']}")
        monkeypatch.setenv("SLURM_TEST", str(root))
        monkeypatch.delenv("SLURMD_NODENAME", raising=False)

    def set_queue(self, *lines: str) -> None:
        (self.root / "queue").write_text("".join(f"{line}\n" for line in lines))

    def set_ended_jobs(self, text: str) -> None:
        (self.root / "jobs").write_text(text)

    def submissions(self) -> list[list[str]]:
        """Return the arguments of every sbatch command that submitted a job."""
        lines = (self.root / "sbatch.log").read_text().splitlines()
        return [line.split() for line in lines if "--test-only" not in line]


@pytest.fixture
def bench(tmp_path: Path, home: Path) -> Bench:
    return Bench(tmp_path, home)


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSlurm:
    return FakeSlurm(tmp_path / "slurm", monkeypatch)


def fake_python(bench: Bench) -> str:
    info = {"python": "3", "torch": "2", "firstwords": "0", "cuda": None, "gpus": 0, "gpu_name": ""}
    return str(write_program(bench.root / "slurm", "py", f"echo '{json.dumps(info)}'"))


def site_file(bench: Bench, *sweep: Any, **fields: Any) -> Path:
    return write_site(bench, *sweep, paths__python=fake_python(bench), **fields)


# --- submit ---------------------------------------------------------------------------------------


def test_submit_prints_job_id_log_and_status_command(
    bench: Bench, slurm: FakeSlurm, capsys: pytest.CaptureFixture[str]
) -> None:
    path = site_file(bench)
    assert run_command(["slurm", "submit", "--site", str(path)]) == 0
    output, folder = capsys.readouterr().out, bench.home / "jobs" / "x"
    assert "submitted: 11\n" in output
    assert f"log: {folder}/%j.log" in output
    assert f"firstwords slurm status --site {path}" in output
    assert slurm.submissions() == [
        [
            "--parsable",
            f"--output={folder}/%j.log",
            f"{folder}/job.slurm",
            f"{folder}/site.toml",
        ]
    ]
    assert (folder / "job.slurm").read_text() == render_script(read_site(path))
    assert (folder / "site.toml").read_text() == path.read_text()


def test_a_job_uses_a_copy_of_the_site_file(bench: Bench, slurm: FakeSlurm) -> None:
    path = site_file(bench)
    submit(read_site(path), path, check_only=False)
    copy = bench.home / "jobs" / "x" / "site.toml"
    before = path.read_text()
    path.write_text("half an edi")
    assert copy.read_text() == before
    submit(read_site(copy), copy, check_only=False)  # the copy can be submitted as well
    assert copy.read_text() == before


def test_each_job_of_a_chain_depends_on_the_one_before(bench: Bench, slurm: FakeSlurm) -> None:
    path = site_file(bench, job__on_time_limit="chain", run__time="2m")
    assert submit(read_site(path), path, check_only=False).job_ids == [11, 12, 13]
    first, second, third = slurm.submissions()
    assert not any("dependency" in word for word in first)
    assert "--dependency=afterany:11" in second
    assert "--dependency=afterany:12" in third


def test_check_only_submits_one_short_job(bench: Bench, slurm: FakeSlurm) -> None:
    sweep = [{"name": "a"}, {"name": "b"}]
    path = site_file(bench, sweep, job__on_time_limit="chain", run__time="1h")
    assert submit(read_site(path), path, check_only=True).job_ids == [11]
    [arguments] = slurm.submissions()
    assert arguments[-1] == "check"
    assert {"--time=10:00", "--array=0"} <= set(arguments)


def test_a_failed_check_prevents_submission(
    bench: Bench, slurm: FakeSlurm, capsys: pytest.CaptureFixture[str]
) -> None:
    path = site_file(bench, run__data=str(bench.root / "gone"))
    assert run_command(["slurm", "submit", "--site", str(path)]) == 2
    assert "preflight failed (data); fix the checks marked FAIL above" in capsys.readouterr().err
    assert slurm.submissions() == []


def test_a_run_with_a_queued_job_is_not_submitted_again(
    bench: Bench, slurm: FakeSlurm, capsys: pytest.CaptureFixture[str]
) -> None:
    path = site_file(bench)
    submit(read_site(path), path, check_only=False)
    slurm.set_queue("9", "11", "110")
    assert run_command(["slurm", "submit", "--site", str(path)]) == 2
    assert "scancel 11" in capsys.readouterr().err
    slurm.set_queue("110")
    assert submit(read_site(path), path, check_only=False).job_ids == [12]


def test_a_rejection_by_slurm_is_one_line(
    bench: Bench, slurm: FakeSlurm, capsys: pytest.CaptureFixture[str]
) -> None:
    message = "sbatch: error: Batch job submission failed: Job violates accounting/QOS policy"
    body = f"[[ $* == *test-only* ]] || {{ echo '{message}' >&2; exit 1; }}"
    write_program(slurm.root, "sbatch", body)
    path = site_file(bench)
    assert run_command(["slurm", "submit", "--site", str(path)]) == 2
    error = one_line(capsys.readouterr().err)
    assert "sbatch failed" in error
    assert "violates accounting/QOS policy" in error


# --- status ---------------------------------------------------------------------------------------


def status_text(path: Path) -> str:
    return "\n".join(site_status(read_site(path)))


def test_status_before_submission_names_the_submit_command(bench: Bench, slurm: FakeSlurm) -> None:
    text = status_text(site_file(bench))
    assert "no job submitted for x; to submit it: firstwords slurm submit" in text
    assert "run x: not started yet" in text


def test_status_shows_each_queued_job(bench: Bench, slurm: FakeSlurm) -> None:
    path = site_file(bench, job__on_time_limit="chain", run__time="2m")
    submit(read_site(path), path, check_only=False)
    slurm.set_queue(
        "11|RUNNING|1:02|2:00|node[1-2]|2030-01-01T00:00:00",
        "12|PENDING|0:00|2:00|(Dependency)|N/A",
        "13|PENDING|0:00|2:00|(Priority)|2030-01-01T12:00:00",
        "99|RUNNING|1:02|2:00|node3|N/A",
    )
    text = status_text(path)
    assert "11         running     1:02 of 2:00 on node[1-2]" in text
    assert "12         pending     Dependency\n" in text
    assert "13         pending     Priority, expected to start 2030-01-01T12:00:00" in text
    assert "99" not in text


def test_status_shows_how_the_last_job_ended(bench: Bench, slurm: FakeSlurm) -> None:
    path = site_file(bench)
    submit(read_site(path), path, check_only=False)
    slurm.set_ended_jobs("JobId=11 JobName=x JobState=FAILED ExitCode=2:0 TimeLimit=00:02:00")
    assert "11         failed, exit code 2" in status_text(path)
    slurm.set_ended_jobs("JobId=11 JobState=COMPLETED ExitCode=0:0")
    assert "11         completed\n" in status_text(path)
    slurm.set_ended_jobs("")  # Slurm forgets a job after some minutes
    assert "11         no longer in the queue" in status_text(path)


def test_status_shows_the_progress_of_the_run(
    bench: Bench, slurm: FakeSlurm, tiny_tokenizer: Tokenizer
) -> None:
    path = site_file(bench)
    site = read_site(path)
    run = registry.create_run(bench.directory("x"), new_manifest(train_request(site.run)))
    assert "phase 1 of 5, tokenizer" in status_text(path)
    assert "no checkpoint yet" in status_text(path)
    save_tokenizer(run, tiny_tokenizer)
    assert "pretraining, before its first step" in status_text(path)
    metrics = run.metrics("pretrain")
    metrics.parent.mkdir()
    line = {"loss": 3.0, "lr": 0.1, "seconds": 0.5, "grad_norm": 1.0, "update_norm": None}
    metrics.write_text("".join(json.dumps({"step": n, **line}) + "\n" for n in range(1, 13)))
    checkpoint = run.checkpoints("pretrain") / "0000010"
    checkpoint.mkdir(parents=True)
    site.job_folder.mkdir(parents=True)
    (site.job_folder / "11.log").write_text("first\n\npretrain: 40%\n" + "later\n" * 5)
    text = status_text(path)
    # A batch of the tests' recipe has 4 rows of 64 tokens.
    assert "step 12 of 30 (40%), loss 3.000, 512 tokens/s, 0:09 left in this phase" in text
    assert "newest checkpoint: pretrain, step 10, 0:0" in text
    assert f"last lines of {site.job_folder / '11.log'}\n  later\n" in text
    assert "pretrain: 40%" not in text


def test_status_without_slurm_still_shows_the_run(
    bench: Bench, slurm: FakeSlurm, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = site_file(bench)
    submit(read_site(path), path, check_only=False)
    monkeypatch.setenv("PATH", str(bench.root))
    text = status_text(path)
    assert "squeue is not installed" in text
    assert "run x: not started yet" in text


def test_status_of_a_sweep_shows_every_run(bench: Bench, slurm: FakeSlurm) -> None:
    path = site_file(bench, [{"name": "a"}, {"name": "b"}])
    submit(read_site(path), path, check_only=False)
    slurm.set_queue("11_0|RUNNING|1:02|2:00|node1|N/A", "11_[1]|PENDING|0:00|2:00|(Resources)|N/A")
    text = status_text(path)
    assert "11_0       running" in text
    assert "11_[1]     pending     Resources" in text
    assert "run x-a: not started yet" in text
    assert "run x-b: not started yet" in text
