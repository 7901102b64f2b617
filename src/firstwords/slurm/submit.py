"""Hand a job to Slurm, as a chain of several where one limit is too short.

What was submitted lies in `jobs/RUN` of Firstwords' home, on the file system that the nodes see:
`job.slurm` and `site.toml` as they were then, `submitted.json` with the jobs' numbers, and logs.
"""

import shutil
from pathlib import Path
from typing import NamedTuple

from firstwords import files
from firstwords.errors import UserError
from firstwords.slurm import programs, script
from firstwords.slurm.looks_at_run import seconds_left
from firstwords.slurm.site import Site

CHECK_LIMIT = "10:00"  # a look around on busy nodes; asking for little is served sooner


class Submitted(NamedTuple):
    jobs: list[int]
    logs: Path  # %j is a job's number, %A and %a those of an array and of its part


def submit(site: Site, path: Path, only_check: bool) -> Submitted:
    """Submit what `path` describes. Raises UserError if Slurm refuses or a job is there already."""
    if waiting := queued(site):
        raise UserError(
            f"job {', '.join(waiting)} is already in the queue for {site.run.name}",
            f"wait for it, or first: scancel {' '.join(waiting)}",
        )
    folder = site.folder
    folder.mkdir(parents=True, exist_ok=True)
    job, kept, log = folder / "job.slurm", folder / "site.toml", folder / log_name(site)
    files.write_text(job, script.render(site))
    if path.resolve() != kept.resolve():
        shutil.copyfile(path, kept)
    asked = ["sbatch", "--parsable", f"--output={log}"]
    if only_check:
        asked += [f"--time={CHECK_LIMIT}", *(["--array=0"] if site.sweep else [])]
    arguments = [str(job), str(kept), *(["check"] if only_check else [])]
    jobs: list[int] = []
    for _ in range(1 if only_check else site.chain(max(map(seconds_left, site.runs)))):
        after = [f"--dependency=afterany:{jobs[-1]}"] if jobs else []
        said = programs.told(*asked, *after, *arguments)
        jobs.append(int(said.split(";")[0]))  # "12", or "12;cluster"
        remember(site, jobs[-1])
    return Submitted(jobs, log)


def log_name(site: Site) -> str:
    return "%A_%a.log" if site.sweep else "%j.log"


def queued(site: Site) -> list[str]:
    """Which of the jobs submitted before are still waiting or running."""
    submitted = {str(job) for job in submitted_before(site)}
    if not submitted:
        return []
    waiting = programs.told("squeue", "--me", "--noheader", "--format=%A")
    return sorted(submitted & set(waiting.split()), key=int)


def submitted_before(site: Site) -> list[int]:
    path = site.folder / "submitted.json"
    return list(files.read_json(path)) if path.exists() else []


def remember(site: Site, job: int) -> None:
    files.write_json(site.folder / "submitted.json", [*submitted_before(site), job])
