"""The preflight checks of a job, on the login node before submission and again in the job.

Every failed check comes with a hint: the command or the field of the site file that fixes it.
"""

import os
import socket
from collections.abc import Callable, Iterator

from firstwords.common.errors import UserError
from firstwords.slurm import check_node as node
from firstwords.slurm import check_run as run
from firstwords.slurm.check_result import CheckResult, on_compute_node
from firstwords.slurm.site import Site

Check = Callable[[Site], Iterator[CheckResult]]

COMMON_CHECKS: dict[str, Check] = {
    "python": node.check_python,
    "recipe": run.check_recipe,
    "data": run.check_data,
    "home": node.check_home,
    "run": run.check_run,
}
COMPUTE_NODE_CHECKS: dict[str, Check] = {
    "scratch": node.check_scratch,
    "compiler": node.check_compiler,
    "network": node.check_network,
}
LOGIN_NODE_CHECKS: dict[str, Check] = {"time": run.check_time, "slurm": run.check_slurm}


def run_checks(site: Site) -> Iterator[CheckResult]:
    """Run every check that applies to this node; report the same problem only once."""
    in_job = on_compute_node()
    host = os.environ["SLURMD_NODENAME"] if in_job else socket.gethostname()
    yield CheckResult("ok", "node", f"{'compute' if in_job else 'login'} node {host}")
    reported = set()
    for subject, check in (
        COMMON_CHECKS | (COMPUTE_NODE_CHECKS if in_job else LOGIN_NODE_CHECKS)
    ).items():
        try:
            for result in check(site):
                reported.add(result.message)
                yield result
        except UserError as error:
            if error.problem not in reported:
                reported.add(error.problem)
                yield CheckResult("FAIL", subject, error.problem, error.hint)
