"""The result of one preflight check, and where the checks run."""

import os
from typing import Literal, NamedTuple

from firstwords.slurm.site import RunConfig, Site


class CheckResult(NamedTuple):
    """What one check found out about `subject`; `hint` says how to fix it."""

    status: Literal["ok", "note", "FAIL"]
    subject: str
    message: str
    hint: str = ""

    def render(self) -> str:
        """Return the result as one line, with the hint on a second one."""
        line = f"{self.status:<6} {self.subject:<10} {self.message}"
        return f"{line}\n{'':18}-> {self.hint}" if self.hint else line


def on_compute_node() -> bool:
    """Return whether this process runs in a job, on a compute node.

    SLURM_JOB_ID would not do: the shell that `salloc` opens on the login node has it too.
    """
    return "SLURMD_NODENAME" in os.environ


def runs_to_check(site: Site) -> tuple[RunConfig, ...]:
    """Return the run of this array task inside an array job, and all runs of the site elsewhere."""
    task = os.environ.get("SLURM_ARRAY_TASK_ID")
    return site.runs if task is None else site.runs[int(task) :][:1]
