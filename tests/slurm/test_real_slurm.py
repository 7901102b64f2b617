"""Jobs on a real Slurm (see conftest.py): interrupted, requeued, chained, on two nodes.

The first start of a run that is to be interrupted takes a second for each step while a file of its
name is there, so that it cannot be finished before, however fast the machine.
"""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import Cluster, wait_for
from end_to_end import Bench, fingerprint, metrics
from sites import tables, toml, write_site

from firstwords.cli import run_command
from firstwords.errors import UserError
from firstwords.slurm import looks_at_run
from firstwords.slurm.site import read_site

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
SLOW = """
import os, time
from pathlib import Path
name = os.environ.get("SLURM_JOB_NAME")
if name and os.environ.get("SLURM_RESTART_COUNT", "0") == "0":
    from firstwords.console import Meter
    advance, slow = Meter.advance, Path(__file__).with_name(name)
    def slower(self, amount, note=""):
        if note.startswith("step") and slow.exists():
            time.sleep(1)
        advance(self, amount, note)
    Meter.advance = slower
"""


class Played:
    """A bench whose commands reach the cluster, and whose steps can be slowed down."""

    def __init__(self, root: Path, cluster: Cluster) -> None:
        self.bench, self.cluster = Bench(root, base=150, mid=10, sft=8), cluster
        self.slow = root / "slow"
        self.slow.mkdir()
        (self.slow / "sitecustomize.py").write_text(SLOW)
        path = os.pathsep.join([str(self.slow), *filter(None, [os.environ.get("PYTHONPATH")])])
        self.env = self.bench.environment | cluster.env | {"PYTHONPATH": path}

    def firstwords(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "firstwords", *arguments]
        return self.run(command)

    def run(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            env=self.env,
            cwd=self.bench.cwd,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def submit(self, path: Path, *options: str) -> list[int]:
        done = self.firstwords("slurm", "submit", "--site", str(path), *options)
        assert done.returncode == 0, done.stdout + done.stderr
        [line] = [line for line in done.stdout.splitlines() if line.startswith("submitted: ")]
        return [int(number) for number in line.removeprefix("submitted: ").split(", ")]

    def site(self, name: str, *sweep: Any, **fields: Any) -> Path:
        """A limit that is not reached, unless another is given."""
        return write_site(self.bench, *sweep, **{"run__name": name, "job__limit": "10m"} | fields)

    def hold_back(self, run: str) -> Path:
        marker = self.slow / run
        marker.touch()
        return marker

    def log(self, run: str, name: str) -> str:
        path = self.bench.home / "jobs" / run / f"{name}.log"
        return path.read_text() if path.exists() else ""

    def steps(self, run: str) -> int:
        path = self.bench.directory(run)
        return len(metrics(path, "base")) if (path / "metrics" / "base.jsonl").exists() else 0


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory, cluster: Cluster) -> Played:
    return Played(tmp_path_factory.mktemp("slurm"), cluster)


@pytest.fixture(scope="module")
def limited(played: Played) -> int:
    """A job that runs into its limit while the other tests are at work."""
    played.hold_back("limited")
    [job] = played.submit(played.site("limited", job__limit="2m"))
    return job


@pytest.fixture(scope="module")
def expected(played: Played, limited: int) -> dict[str, str]:
    """The run that nobody interrupted, and no cluster trained."""
    done = played.firstwords(*played.bench.train("whole"))
    assert done.returncode == 0, done.stderr
    return fingerprint(played.bench.directory("whole"))


# --- what Slurm takes and refuses -----------------------------------------------------------------


@pytest.mark.usefixtures("limited")
def test_slurm_takes_the_script_for_eight_gpus(played: Played) -> None:
    script = str(ROOT / "scripts" / "speedrun.slurm")
    done = played.run(["sbatch", "--test-only", script, "site.toml"])
    assert done.returncode == 0, done.stderr
    assert "to start at" in done.stderr


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"job__gpus": 9, "job__cpus": 9}, "[job]"),
        ({"job__gpus": 8, "job__cpus": 8, "job__gpu_type": "abacus"}, "[job]"),
        ({"job__nodes": 3}, "[job]"),
        ({"cluster__partition": "cpu"}, "cluster.partition"),
        ({"job__limit": "48h"}, "job.limit"),
    ],
)
def test_what_slurm_refuses_is_known_before(
    fields: dict[str, Any], named: str, played: Played, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SLURM_CONF", "PATH"):
        monkeypatch.setenv(name, played.env[name])
    path = played.site("refused", **fields)
    with pytest.raises(UserError) as caught:
        list(looks_at_run.look_at_slurm(read_site(path)))
    assert named in str(caught.value)


# --- jobs -----------------------------------------------------------------------------------------


def test_all_processes_of_two_nodes_meet(played: Played) -> None:
    site = played.site("two", job__nodes=2)
    [job] = played.submit(site, "--check-only")
    assert played.cluster.ends(job) == "COMPLETED"
    log = played.log("two", str(job))
    assert "2 processes on 2 nodes have met" in log, log
    assert "compute node node1" in log
    assert "compute node node2" in log
    assert "ready to train" in log
    assert not played.bench.directory("two").exists()


def test_a_job_that_is_not_ready_ends_at_once_and_says_why(played: Played) -> None:
    made = tables(played.bench, run__name="unready", run__data=str(played.bench.root / "gone.txt"))
    site, script = played.bench.root / "unready.toml", played.bench.root / "unready.slurm"
    site.write_text(toml(made))
    assert run_command(["slurm", "render", "--site", str(site), "--out", str(script)]) == 0
    log = played.bench.root / "unready.log"
    job = int(
        played.run(["sbatch", "--parsable", f"--output={log}", str(script), str(site)]).stdout
    )
    assert played.cluster.ends(job) == "FAILED"
    assert played.cluster.job(job)["ExitCode"] == "2:0"
    assert "gone.txt: no such file" in log.read_text()
    assert "nothing was trained" in log.read_text()


def test_a_sweep_is_an_array_of_runs(played: Played) -> None:
    sweep = [{"name": "a", "seed": 1}, {"name": "b", "set": {"optimizer.matrix_lr": 0.02}}]
    site = played.site("sweep", sweep, run__set={"base.steps": 8, "mid.steps": 4})
    [job] = played.submit(site)
    wait_for(lambda: not played.cluster.told("squeue", "-h", "--job", str(job)).strip())
    a, b = (fingerprint(played.bench.directory(f"sweep-{name}")) for name in "ab")
    assert a["base/model.safetensors"] != b["base/model.safetensors"]
    for number in (0, 1):
        assert "done: " in played.log("sweep", f"{job}_{number}")


def test_a_chain_goes_on_where_the_job_before_it_stopped(
    played: Played, expected: dict[str, str]
) -> None:
    marker = played.hold_back("chained")
    site = played.site("chained", run__time="15m", job__on_limit="chain")
    first, second, third = played.submit(site)
    wait_for(lambda: played.steps("chained") > 3)
    assert "Dependency" in played.firstwords("slurm", "status", "--site", str(site)).stdout
    again = played.firstwords("slurm", "submit", "--site", str(site))
    assert again.returncode == 2
    assert "already in the queue" in again.stderr
    played.cluster.told("scancel", "--batch", "--signal=USR1", str(first))
    marker.unlink()
    assert played.cluster.ends(first) == "COMPLETED"
    assert "the next job of the chain goes on" in played.log("chained", str(first))
    assert played.cluster.ends(second) == "COMPLETED"
    assert "continuing after step" in played.log("chained", str(second))
    assert fingerprint(played.bench.directory("chained")) == expected
    assert played.cluster.ends(third) == "COMPLETED"
    assert played.log("chained", str(third)).count("done before: ") == 5


def test_interrupted_by_its_limit_and_requeued_a_run_ends_with_the_same_bytes(
    limited: int, played: Played, expected: dict[str, str]
) -> None:
    assert played.cluster.ends(limited, 300) == "COMPLETED"
    log = played.log("limited", str(limited))
    assert int(played.cluster.job(limited)["Restarts"]) == log.count("back into the queue") >= 1
    assert "time is almost up: saving" in log
    assert "start 2, on" in log
    assert "continuing after step" in log
    assert fingerprint(played.bench.directory("limited")) == expected
    site = played.bench.root / "limited.toml"
    said = played.firstwords("slurm", "status", "--site", str(site)).stdout
    assert " completed\n" in said
    assert "run limited: finished" in said


@pytest.mark.skipif(
    importlib.util.find_spec("firstwords.distributed") is None,
    reason="training with several processes (firstwords.distributed) is not here",
)
def test_interrupted_on_two_nodes_and_requeued_a_run_ends_with_the_same_bytes(
    played: Played,
) -> None:
    """Against two processes of this machine: sums over other numbers of them round otherwise."""
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    launch += ["--nproc-per-node=2", "-m", "--", "firstwords", *played.bench.train("together")]
    done = played.run(launch)
    assert done.returncode == 0, done.stderr
    played.hold_back("apart")
    [job] = played.submit(played.site("apart", job__nodes=2))
    wait_for(lambda: played.steps("apart") > 3, 90)
    played.cluster.told("scancel", "--batch", "--signal=USR1", str(job))
    assert played.cluster.ends(job, 120) == "COMPLETED"
    assert "2 processes on 2 nodes have met" in played.log("apart", str(job))
    assert "continuing after step" in played.log("apart", str(job))
    apart, together = (fingerprint(played.bench.directory(n)) for n in ("apart", "together"))
    assert apart == together


def test_a_cancelled_job_leaves_no_process_behind(played: Played) -> None:
    played.hold_back("cancelled")
    [job] = played.submit(played.site("cancelled"))
    wait_for(lambda: played.steps("cancelled") > 3)
    played.cluster.told("scancel", str(job))
    assert played.cluster.ends(job) == "CANCELLED"
    wait_for(lambda: not [p for p in played.cluster.processes() if "cancelled" in str(p.cmdline())])
