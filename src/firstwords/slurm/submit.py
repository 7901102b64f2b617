"""Submit a job, or a chain of jobs where the time limit is too short for one. Needs no torch.

`jobs/RUN` in Firstwords' home, on the file system that the nodes share, holds what was submitted:
`job.slurm`, `site.toml`, `submitted.json` with the job ids, and the logs.
"""

import shutil
from pathlib import Path
from typing import NamedTuple

from firstwords.common import files
from firstwords.common.errors import UserError
from firstwords.runs.documents import read_or_none
from firstwords.slurm import client, script
from firstwords.slurm.site import Site
from firstwords.slurm.time_left import seconds_left

CHECK_TIME_LIMIT = "10:00"  # enough for the checks on busy nodes; short jobs start sooner


class Submission(NamedTuple):
    """The ids of the submitted jobs, and the path of their logs.

    In the path, %j stands for a job id, and %A_%a for the id and the task number of an array.
    """

    job_ids: list[int]
    log: Path


def submit(site: Site, path: Path, check_only: bool) -> Submission:
    """Submit the site file at `path`.

    Raises UserError if Slurm rejects the job, or a job of the same run is already in the queue.
    """
    if queued := queued_job_ids(site):
        raise UserError(
            f"job {', '.join(queued)} is already in the queue for {site.run.name}",
            f"wait for it, or cancel it first: scancel {' '.join(queued)}",
        )
    folder = site.job_folder
    folder.mkdir(parents=True, exist_ok=True)
    job_script, site_copy, log = folder / "job.slurm", folder / "site.toml", folder / log_name(site)
    files.write_text(job_script, script.render_script(site))
    if path.resolve() != site_copy.resolve():
        shutil.copyfile(path, site_copy)
    command = ["sbatch", "--parsable", f"--output={log}"]
    if check_only:
        command += [f"--time={CHECK_TIME_LIMIT}", *(["--array=0"] if site.sweep else [])]
    arguments = [str(job_script), str(site_copy), *(["check"] if check_only else [])]
    n_jobs = 1 if check_only else site.chain_length(max(map(seconds_left, site.runs)))
    job_ids: list[int] = []
    for _ in range(n_jobs):
        dependency = [f"--dependency=afterany:{job_ids[-1]}"] if job_ids else []
        output = client.run_or_fail(*command, *dependency, *arguments)
        job_ids.append(int(output.split(";")[0]))  # "12", or "12;cluster"
        save_job_id(site, job_ids[-1])
    return Submission(job_ids, log)


def log_name(site: Site) -> str:
    """Return the name of the log, in the placeholders of sbatch."""
    return "%A_%a.log" if site.sweep else "%j.log"


def queued_job_ids(site: Site) -> list[str]:
    """Return the ids of the site's submitted jobs that are pending or running."""
    submitted = {str(job_id) for job_id in load_job_ids(site)}
    if not submitted:
        return []
    queue = client.run_or_fail("squeue", "--me", "--noheader", "--format=%A")
    return sorted(submitted & set(queue.split()), key=int)


def load_job_ids(site: Site) -> list[int]:
    """Return the ids of all jobs ever submitted for the site's run, in order."""
    path = site.job_folder / "submitted.json"
    return read_or_none(list[int], path) or []


def save_job_id(site: Site, job_id: int) -> None:
    files.write_json(site.job_folder / "submitted.json", [*load_job_ids(site), job_id])
