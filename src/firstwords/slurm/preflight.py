"""What a job needs, looked at before it starts: on the login node, and again where it runs.

What is wrong comes with the command that mends it.
"""

import os
import socket
from collections.abc import Callable, Iterator

from firstwords.errors import UserError
from firstwords.slurm import looks_at_node as node
from firstwords.slurm import looks_at_run as run
from firstwords.slurm.finding import Finding, in_job
from firstwords.slurm.site import Site

Look = Callable[[Site], Iterator[Finding]]

EVERYWHERE: dict[str, Look] = {
    "python": node.look_at_python,
    "recipe": run.look_at_recipe,
    "data": run.look_at_data,
    "home": node.look_at_home,
    "run": run.look_at_run,
}
IN_A_JOB: dict[str, Look] = {
    "scratch": node.look_at_scratch,
    "compiler": node.look_at_compiler,
    "network": node.look_at_network,
}
AT_THE_LOGIN: dict[str, Look] = {"time": run.look_at_time, "slurm": run.look_at_slurm}


def check(site: Site) -> Iterator[Finding]:
    """Everything about a site that can be known here; the same trouble is told once."""
    inside = in_job()
    name = os.environ["SLURMD_NODENAME"] if inside else socket.gethostname()
    yield Finding("ok", "where", f"{'compute' if inside else 'login'} node {name}")
    told = set()
    for what, look in (EVERYWHERE | (IN_A_JOB if inside else AT_THE_LOGIN)).items():
        try:
            for finding in look(site):
                told.add(finding.text)
                yield finding
        except UserError as error:
            if error.problem not in told:
                told.add(error.problem)
                yield Finding("wrong", what, error.problem, error.mend)
