"""A real Slurm for the tests: a controller and two node daemons on the loopback interface.

It needs no cgroups, no accounting and no root, none of which a user's job would notice. Each node
claims 64 cores and 8 GPUs (empty device files), so that scripts for large nodes can be tested.
"""

import contextlib
import os
import random
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from getpass import getuser
from pathlib import Path

import psutil
import pytest
from waiting import wait_until

DAEMONS = ("munged", "slurmctld", "slurmd")
CONF = """
ClusterName=tests
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={root}/munge.socket,cred_expire=5
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
StateSaveLocation={root}/state
SlurmdSpoolDir={root}/spool/%n
SlurmctldPidFile={root}/slurmctld.pid
SlurmdPidFile={root}/slurmd.%n.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=bf_interval=1,sched_interval=1,sched_min_interval=0,batch_sched_delay=0
SlurmdParameters=config_overrides
ReturnToService=2
SlurmdTimeout=15
KillWait=5
MinJobAge=3600
GresTypes=gpu
NodeName=node1 NodeHostname=localhost NodeAddr=127.0.0.1 Port={ports[1]} CPUs=64 \
RealMemory=64000 Gres=gpu:h100:8
NodeName=node2 NodeHostname=localhost NodeAddr=127.0.0.1 Port={ports[2]} CPUs=64 \
RealMemory=64000 Gres=gpu:h100:8
PartitionName=gpu Nodes=ALL Default=YES MaxTime=24:00:00 State=UP
"""


class Cluster:
    """A context manager that runs the daemons."""

    def __init__(self, root: Path) -> None:
        self.root, self.conf = root, root / "slurm.conf"
        self._daemons: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> "Cluster":
        try:
            self._configure()
            self._start("munged", "--foreground", "--force", *self._munge_files())
            wait_until((self.root / "munge.socket").exists)
            self._start("slurmctld", "-D")
            self._start("slurmd", "-D", "-N", "node1")
            self._start("slurmd", "-D", "-N", "node2")
            wait_until(lambda: self.output("sinfo", "-h", "-N", "-o", "%T").split() == ["idle"] * 2)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        subprocess.run(["scancel", "--full", "--user", getuser()], env=self.env, check=False)
        for daemon in reversed(self._daemons):
            daemon.terminate()
        for daemon in self._daemons:
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        for process in self.processes():
            process.kill()
        shutil.rmtree(self.root, ignore_errors=True)

    def _configure(self) -> None:
        text = CONF.format(root=self.root, user=getuser(), ports=free_ports(3))
        self.conf.write_text(text)
        gpus = self.root / "gpu"
        for folder in (gpus, self.root / "state", self.root / "spool"):
            folder.mkdir()
        for number in range(8):
            (gpus / f"gpu{number}").symlink_to(os.devnull)
        (self.root / "gres.conf").write_text(f"Name=gpu Type=h100 File={gpus}/gpu[0-7]\n")
        (self.root / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n")
        key = self.root / "munge.key"
        key.touch(mode=0o600)
        key.write_bytes(os.urandom(128))

    def _munge_files(self) -> list[str]:
        kinds = {"socket": "socket", "key": "key-file", "pid": "pid-file"}
        kinds |= {"log": "log-file", "seed": "seed-file"}
        return [f"--{option}={self.root}/munge.{name}" for name, option in kinds.items()]

    def _start(self, program: str, *arguments: str) -> None:
        """Start a daemon that ends with this process, even if it is killed."""
        prefix = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
        with (self.root / f"{program}.log").open("ab") as log:
            self._daemons.append(
                subprocess.Popen(
                    [*prefix, program, *arguments], env=self.env, stdout=log, stderr=log
                )
            )

    @property
    def env(self) -> dict[str, str]:
        path = f"{os.environ['PATH']}:/usr/sbin"
        without_slurm = {k: v for k, v in os.environ.items() if not k.startswith("SLURM")}
        return without_slurm | {"SLURM_CONF": str(self.conf), "PATH": path}

    def processes(self) -> list[psutil.Process]:
        """Return the processes of this cluster's daemons and jobs."""
        processes = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("SLURM_CONF") == str(self.conf):
                    processes.append(process)
            except psutil.Error:
                continue
        return processes

    def output(self, *command: str) -> str:
        done = subprocess.run(command, env=self.env, capture_output=True, text=True, check=False)
        return done.stdout

    def job(self, number: int) -> dict[str, str]:
        """Return what the controller knows about a job."""
        words = self.output("scontrol", "-o", "show", "job", str(number)).split()
        return dict(word.split("=", 1) for word in words if "=" in word)

    def wait_for_end(self, number: int) -> str:
        """Wait for the end of a job; return its last state."""
        end_states = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL")
        wait_until(lambda: self.job(number).get("JobState") in end_states)
        return self.job(number)["JobState"]


def free_ports(count: int) -> list[int]:
    """Return free ports below those that the system gives to programs which ask for any port, so
    that none of these takes one before the daemons do."""
    ports: set[int] = set()
    while len(ports) < count:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            ports.add(port)
    return list(ports)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    path = f"{os.environ['PATH']}:/usr/sbin"
    missing = [daemon for daemon in DAEMONS if not shutil.which(daemon, path=path)]
    if missing:
        pytest.skip(
            f"needs Slurm, but {', '.join(missing)} is not installed: "
            "apt-get install --no-install-recommends slurm-wlm munge"
        )
    with Cluster(Path(tempfile.mkdtemp(prefix="fw-slurm-"))) as started:
        yield started
