"""Run Slurm's client commands (sbatch, squeue, sinfo, scontrol) and explain their errors."""

import math
import re
import shutil
import subprocess
from typing import NamedTuple

from firstwords.common.errors import UserError

COMMAND_TIMEOUT_SECONDS = 60.0  # a busy controller answers slowly

# Words in an error of Slurm, and the field of the site file that causes it.
HINTS = (
    ("invalid partition", "set cluster.partition; sinfo -s lists the partitions"),
    ("invalid account", "set cluster.account; sacctmgr show associations user=$USER lists yours"),
    ("invalid qos", "set cluster.qos; sacctmgr show associations user=$USER format=account,qos"),
    ("generic resource", "see job.gpus_per_node and job.gpu_type; sinfo -o '%N %G' lists GPUs"),
    ("gres", "see job.gpus_per_node and job.gpu_type; sinfo -o '%N %G' lists GPUs"),
    ("time limit", "lower job.time_limit; sinfo -o '%P %l' shows the limit of each partition"),
    ("node count", "lower job.nodes; sinfo -s shows how many each partition has"),
    ("node configuration", "[job] exceeds what a node has; see sinfo -N -o '%N %c %m %G'"),
    ("memory specification", "lower job.memory_per_node; see sinfo -N -o '%N %m'"),
    ("cpu count", "lower job.cpus_per_node; see sinfo -N -o '%N %c'"),
)


class CommandOutput(NamedTuple):
    """The exit code and the output of a command."""

    code: int
    stdout: str
    stderr: str

    @property
    def message(self) -> str:
        """Return stderr in one line, without its `sbatch: error: ` prefixes."""
        lines = [line.strip() for line in self.stderr.splitlines() if line.strip()]
        return "; ".join(line.split("error: ", 1)[-1] for line in lines) or f"code {self.code}"


def run(command: str, *arguments: str) -> CommandOutput:
    """Run one of Slurm's commands. Raises UserError if it is not installed or times out."""
    if shutil.which(command) is None:
        raise UserError(f"{command} is not installed", "run this on a login node of the cluster")
    try:
        done = subprocess.run(
            [command, *arguments],
            capture_output=True,
            text=True,
            timeout=COMMAND_TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise UserError(
            f"{command} did not answer within {COMMAND_TIMEOUT_SECONDS:g} s",
            "the controller of the cluster is down or busy; try again later",
        ) from None
    return CommandOutput(done.returncode, done.stdout, done.stderr)


def run_or_fail(command: str, *arguments: str) -> str:
    """Run one of Slurm's commands and return its stdout. Raises UserError if it fails."""
    output = run(command, *arguments)
    if output.code:
        raise UserError(f"{command} failed ({output.message})", hint_for(output.message))
    return output.stdout.strip()


def partition_time_limit(partitions: str | None) -> float:
    """Return the longest time limit in seconds of these partitions, by default the default one.

    On many clusters, Slurm accepts a job beyond this limit and never starts it.
    """
    names = partitions.split(",") if partitions else []
    limits = []
    for line in run_or_fail("sinfo", "--noheader", "--format=%P %l").splitlines():
        name, limit = line.split()
        if name.rstrip("*") in names or (not names and name.endswith("*")):
            limits.append(_parse_time_limit(limit))
    return max(limits, default=math.inf)


def _parse_time_limit(limit: str) -> float:
    """Return the seconds of `2-12:00:00`, `12:00:00` or `30:00`; infinity for anything else."""
    parts = re.fullmatch(r"(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+)", limit)
    if not parts:
        return math.inf
    days, hours, minutes, seconds = (int(part or 0) for part in parts.groups())
    return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)


def hint_for(message: str) -> str:
    """Return which field of the site file to change after an error of Slurm."""
    for words, hint in HINTS:
        if words in message.lower():
            return hint
    return "see [job] and [cluster] in the site file, or ask the support of the cluster"
