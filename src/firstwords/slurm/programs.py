"""Slurm's own programs, asked and understood."""

import math
import re
import shutil
import subprocess
from typing import NamedTuple

from firstwords.errors import UserError

PATIENCE = 60.0  # seconds; a busy controller takes its time

# What Slurm says, and what it means for a site file.
MENDS = (
    ("invalid partition", "cluster.partition: sinfo -s lists the partitions there are"),
    ("invalid account", "cluster.account: sacctmgr show associations user=$USER lists yours"),
    ("invalid qos", "cluster.qos: sacctmgr show associations user=$USER format=account,qos"),
    ("generic resource", "job.gpus, job.gpu_type: sinfo -o '%N %G' shows what the nodes have"),
    ("gres", "job.gpus, job.gpu_type: sinfo -o '%N %G' shows what the nodes have"),
    ("time limit", "job.limit: sinfo -o '%P %l' shows the longest of each partition"),
    ("node count", "job.nodes: sinfo -s shows how many each partition has"),
    ("node configuration", "[job] asks for more than a node has: sinfo -N -o '%N %c %m %G'"),
    ("memory specification", "job.memory: sinfo -N -o '%N %m' shows what the nodes have"),
    ("cpu count", "job.cpus: sinfo -N -o '%N %c' shows what the nodes have"),
)


class Answer(NamedTuple):
    code: int
    stdout: str
    stderr: str

    @property
    def complaint(self) -> str:
        """What was wrong, in one line."""
        lines = [line.strip() for line in self.stderr.splitlines() if line.strip()]
        return "; ".join(line.split("error: ", 1)[-1] for line in lines) or f"code {self.code}"


def ask(program: str, *arguments: str) -> Answer:
    """Run one of Slurm's programs. Raises UserError if it is not there or does not answer."""
    if shutil.which(program) is None:
        raise UserError(
            f"{program} is not here", "give this command on a login node of the cluster"
        )
    try:
        done = subprocess.run(
            [program, *arguments], capture_output=True, text=True, timeout=PATIENCE, check=False
        )
    except subprocess.TimeoutExpired:
        raise UserError(
            f"{program} does not answer", "the cluster's controller is down or busy; try later"
        ) from None
    return Answer(done.returncode, done.stdout, done.stderr)


def told(program: str, *arguments: str) -> str:
    """What it prints. Raises UserError if it complains."""
    answer = ask(program, *arguments)
    if answer.code:
        raise UserError(f"{program}: {answer.complaint}", mend(answer.complaint))
    return answer.stdout.strip()


def longest(partitions: str | None) -> float:
    """Seconds that a job may ask for in one of these partitions, or in the usual one. Slurm takes
    a longer job as well, on many clusters, and never starts it."""
    wanted = partitions.split(",") if partitions else []
    limits = []
    for line in told("sinfo", "--noheader", "--format=%P %l").splitlines():
        name, limit = line.split()
        if name.rstrip("*") in wanted or (not wanted and name.endswith("*")):
            limits.append(_seconds(limit))
    return max(limits, default=math.inf)


def _seconds(limit: str) -> float:
    """Of 2-12:00:00, 12:00:00 or 30:00; infinite without a limit."""
    parts = re.fullmatch(r"(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+)", limit)
    if not parts:
        return math.inf
    days, hours, minutes, seconds = (int(part or 0) for part in parts.groups())
    return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)


def mend(complaint: str) -> str:
    """Where to look in the site file."""
    for words, advice in MENDS:
        if words in complaint.lower():
            return advice
    return "see the site file's [job] and [cluster], or ask the cluster's support"
