"""Jobs on a real Slurm (see conftest.py): interrupted, requeued, chained, on two nodes.

A run that a test interrupts must not finish first, however fast the machine. While a file of its
name exists, each step of its first start therefore takes a second.
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import Cluster
from end_to_end import Bench, fingerprint, metrics
from sites import render_toml, site_tables, write_site
from waiting import LIMIT_SECONDS, wait_until

from firstwords.cli.main import run_command
from firstwords.common.errors import UserError
from firstwords.slurm import check_run
from firstwords.slurm.site import read_site

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
SLOW = """
import os, time
from pathlib import Path
name = os.environ.get("SLURM_JOB_NAME")
if name and os.environ.get("SLURM_RESTART_COUNT", "0") == "0":
    from firstwords.common.console import Meter
    advance, slow = Meter.advance, Path(__file__).with_name(name)
    def slower(self, amount, note=""):
        if note.startswith("step") and slow.exists():
            time.sleep(1)
        advance(self, amount, note)
    Meter.advance = slower
"""


class ClusterBench:
    """A bench whose commands use the cluster, and whose training steps can be slowed down."""

    def __init__(self, root: Path, cluster: Cluster) -> None:
        self.local, self.cluster = Bench(root, pretrain=150, midtrain=10, sft=8), cluster
        self.slow = root / "slow"
        self.slow.mkdir()
        (self.slow / "sitecustomize.py").write_text(SLOW)
        path = os.pathsep.join([str(self.slow), *filter(None, [os.environ.get("PYTHONPATH")])])
        self.env = self.local.environment | cluster.env | {"PYTHONPATH": path}

    def firstwords(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "firstwords", *arguments]
        return self.run(command)

    def run(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            env=self.env,
            cwd=self.local.cwd,
            capture_output=True,
            text=True,
            timeout=LIMIT_SECONDS,
            check=False,
        )

    def submit(self, path: Path, *options: str) -> list[int]:
        done = self.firstwords("slurm", "submit", "--site", str(path), *options)
        assert done.returncode == 0, done.stdout + done.stderr
        [line] = [line for line in done.stdout.splitlines() if line.startswith("submitted: ")]
        return [int(number) for number in line.removeprefix("submitted: ").split(", ")]

    def site(self, name: str, *sweep: Any, **fields: Any) -> Path:
        """Write a site; its default time limit is never reached."""
        return write_site(
            self.local, *sweep, **{"run__name": name, "job__time_limit": "10m"} | fields
        )

    def slow_down(self, run: str) -> Path:
        marker = self.slow / run
        marker.touch()
        return marker

    def log(self, run: str, name: str) -> str:
        path = self.local.home / "jobs" / run / f"{name}.log"
        return path.read_text() if path.exists() else ""

    def steps(self, run: str) -> int:
        path = self.local.directory(run)
        return (
            len(metrics(path, "pretrain")) if (path / "metrics" / "pretrain.jsonl").exists() else 0
        )


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, cluster: Cluster) -> ClusterBench:
    return ClusterBench(tmp_path_factory.mktemp("slurm"), cluster)


@pytest.fixture(scope="module")
def limited(bench: ClusterBench) -> int:
    """A job that reaches its time limit while the other tests run."""
    bench.slow_down("limited")
    [job] = bench.submit(bench.site("limited", job__time_limit="2m"))
    return job


@pytest.fixture(scope="module")
def expected(bench: ClusterBench, limited: int) -> dict[str, str]:
    """The same run, trained without interruption and without Slurm."""
    done = bench.firstwords(*bench.local.train("whole"))
    assert done.returncode == 0, done.stderr
    return fingerprint(bench.local.directory("whole"))


# --- validation by Slurm --------------------------------------------------------------------------


@pytest.mark.usefixtures("limited")
def test_slurm_accepts_speedrun_slurm(bench: ClusterBench) -> None:
    script = str(ROOT / "scripts" / "speedrun.slurm")
    done = bench.run(["sbatch", "--test-only", script, "site.toml"])
    assert done.returncode == 0, done.stderr
    assert "to start at" in done.stderr


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"job__gpus_per_node": 9, "job__cpus_per_node": 9}, "[job]"),
        ({"job__gpus_per_node": 8, "job__cpus_per_node": 8, "job__gpu_type": "abacus"}, "[job]"),
        ({"job__nodes": 3}, "[job]"),
        ({"cluster__partition": "cpu"}, "cluster.partition"),
        ({"job__time_limit": "48h"}, "job.time_limit"),
    ],
)
def test_the_preflight_finds_what_slurm_rejects(
    fields: dict[str, Any], field: str, bench: ClusterBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SLURM_CONF", "PATH"):
        monkeypatch.setenv(name, bench.env[name])
    path = bench.site("rejected", **fields)
    with pytest.raises(UserError) as caught:
        list(check_run.check_slurm(read_site(path)))
    assert field in str(caught.value)


# --- jobs -----------------------------------------------------------------------------------------


def test_the_processes_of_two_nodes_connect(bench: ClusterBench) -> None:
    site = bench.site("two", job__nodes=2)
    [job] = bench.submit(site, "--check-only")
    assert bench.cluster.wait_for_end(job) == "COMPLETED"
    log = bench.log("two", str(job))
    assert "2 processes on 2 nodes are connected" in log, log
    assert "compute node node1" in log
    assert "compute node node2" in log
    assert "preflight passed" in log
    assert not bench.local.directory("two").exists()


def test_a_failed_check_ends_the_job_with_its_reason(bench: ClusterBench) -> None:
    tables = site_tables(
        bench.local, run__name="unready", run__data=str(bench.local.root / "gone.txt")
    )
    site, script = bench.local.root / "unready.toml", bench.local.root / "unready.slurm"
    site.write_text(render_toml(tables))
    assert run_command(["slurm", "render", "--site", str(site), "--out", str(script)]) == 0
    log = bench.local.root / "unready.log"
    job = int(bench.run(["sbatch", "--parsable", f"--output={log}", str(script), str(site)]).stdout)
    assert bench.cluster.wait_for_end(job) == "FAILED"
    assert bench.cluster.job(job)["ExitCode"] == "2:0"
    assert "gone.txt" in log.read_text()
    assert "training not started" in log.read_text()


def test_a_sweep_trains_every_run(bench: ClusterBench) -> None:
    sweep = [{"name": "a", "seed": 1}, {"name": "b", "set": {"optimizer.matrix_lr": 0.02}}]
    site = bench.site("sweep", sweep, run__set={"pretrain.steps": 8, "midtrain.steps": 4})
    [job] = bench.submit(site)
    wait_until(lambda: not bench.cluster.output("squeue", "-h", "--job", str(job)).strip())
    a, b = (fingerprint(bench.local.directory(f"sweep-{name}")) for name in "ab")
    assert a["pretrain/model.safetensors"] != b["pretrain/model.safetensors"]
    for number in (0, 1):
        assert "finished; report: " in bench.log("sweep", f"{job}_{number}")


def test_the_next_job_of_a_chain_resumes(bench: ClusterBench, expected: dict[str, str]) -> None:
    marker = bench.slow_down("chained")
    site = bench.site("chained", run__time="15m", job__on_time_limit="chain")
    first, second, third = bench.submit(site)
    wait_until(lambda: bench.steps("chained") > 3)
    assert "Dependency" in bench.firstwords("slurm", "status", "--site", str(site)).stdout
    again = bench.firstwords("slurm", "submit", "--site", str(site))
    assert again.returncode == 2
    assert "already in the queue" in again.stderr
    bench.cluster.output("scancel", "--batch", "--signal=USR1", str(first))
    marker.unlink()
    assert bench.cluster.wait_for_end(first) == "COMPLETED"
    assert "the next job of the chain resumes" in bench.log("chained", str(first))
    assert bench.cluster.wait_for_end(second) == "COMPLETED"
    assert "resuming after step" in bench.log("chained", str(second))
    assert fingerprint(bench.local.directory("chained")) == expected
    assert bench.cluster.wait_for_end(third) == "COMPLETED"
    assert bench.log("chained", str(third)).count("already done: ") == 5


def test_a_run_requeued_at_its_time_limit_ends_with_the_same_bytes(
    limited: int, bench: ClusterBench, expected: dict[str, str]
) -> None:
    assert bench.cluster.wait_for_end(limited) == "COMPLETED"
    log = bench.log("limited", str(limited))
    assert int(bench.cluster.job(limited)["Restarts"]) == log.count("saved; requeueing") >= 1
    assert "time limit approaching; saving" in log
    assert "start 2, on" in log
    assert "resuming after step" in log
    assert fingerprint(bench.local.directory("limited")) == expected
    site = bench.local.root / "limited.toml"
    output = bench.firstwords("slurm", "status", "--site", str(site)).stdout
    assert " completed\n" in output
    assert "run limited: finished" in output


def test_a_run_requeued_on_two_nodes_ends_with_the_same_bytes(bench: ClusterBench) -> None:
    """Compared with two local processes, since the number changes how sums round."""
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    launch += ["--nproc-per-node=2", "-m", "--", "firstwords", *bench.local.train("together")]
    done = bench.run(launch)
    assert done.returncode == 0, done.stderr
    bench.slow_down("apart")
    [job] = bench.submit(bench.site("apart", job__nodes=2))
    wait_until(lambda: bench.steps("apart") > 3)
    bench.cluster.output("scancel", "--batch", "--signal=USR1", str(job))
    assert bench.cluster.wait_for_end(job) == "COMPLETED"
    assert "2 processes on 2 nodes are connected" in bench.log("apart", str(job))
    assert "resuming after step" in bench.log("apart", str(job))
    apart, together = (fingerprint(bench.local.directory(n)) for n in ("apart", "together"))
    assert apart == together


def test_a_cancelled_job_leaves_no_process_behind(bench: ClusterBench) -> None:
    bench.slow_down("cancelled")
    [job] = bench.submit(bench.site("cancelled"))
    wait_until(lambda: bench.steps("cancelled") > 3)
    bench.cluster.output("scancel", str(job))
    assert bench.cluster.wait_for_end(job) == "CANCELLED"
    wait_until(
        lambda: not [p for p in bench.cluster.processes() if "cancelled" in str(p.cmdline())]
    )
