"""What a look at one thing finds."""

import os
from typing import Literal, NamedTuple

from firstwords.slurm.site import Site, Training


class Finding(NamedTuple):
    level: Literal["ok", "note", "wrong"]
    what: str
    text: str
    mend: str = ""

    def line(self) -> str:
        text = f"{self.level:<6} {self.what:<10} {self.text}"
        return f"{text}\n{'':18}-> {self.mend}" if self.mend else text


def in_job() -> bool:
    """Whether this is a node that a job runs on. (A shell of salloc has the job's number too.)"""
    return "SLURMD_NODENAME" in os.environ


def runs_here(site: Site) -> tuple[Training, ...]:
    """The run of this job in an array; all of them elsewhere."""
    number = os.environ.get("SLURM_ARRAY_TASK_ID")
    return site.runs if number is None else site.runs[int(number) :][:1]
