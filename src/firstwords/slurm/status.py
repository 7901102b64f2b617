"""Report the jobs of a site, as Slurm knows them, and how far its runs are. Needs no torch."""

import time
from collections.abc import Iterator
from pathlib import Path

from firstwords.common.errors import UserError
from firstwords.common.units import format_duration
from firstwords.recipe import STAGES, Stage
from firstwords.runs import checkpoints, phases, registry
from firstwords.runs.metrics import read_metrics, summarize_loss
from firstwords.runs.run import Run
from firstwords.runs.status import stage_progress
from firstwords.slurm import client
from firstwords.slurm.site import RunConfig, Site
from firstwords.slurm.submit import load_job_ids

N_LOG_LINES = 5
LOG_TAIL_BYTES = 8192
# Job id, state, time used, time limit, nodes or the reason for waiting, expected start.
SQUEUE_FORMAT = "%i|%T|%M|%l|%R|%S"


def site_status(site: Site) -> Iterator[str]:
    """Yield paragraphs to print: the jobs, each run, the end of the newest log."""
    yield "\n".join(job_lines(site))
    for config in site.runs:
        yield "\n".join(run_lines(config))
    yield from log_paragraph(site)


# --- jobs -----------------------------------------------------------------------------------------


def job_lines(site: Site) -> Iterator[str]:
    """Yield a line for each job in the queue, and for the last one even if it has ended."""
    job_ids = load_job_ids(site)
    if not job_ids:
        yield f"no job submitted for {site.run.name}; to submit it: firstwords slurm submit"
        return
    yield f"jobs of {site.run.name}"
    try:
        output = client.run_or_fail("squeue", "--me", "--noheader", f"--format={SQUEUE_FORMAT}")
    except UserError as error:
        yield f"  unknown ({error})"
        return
    queue = [line.split("|") for line in output.splitlines()]
    for job_id in job_ids:
        entries = [entry for entry in queue if entry[0].split("_")[0] == str(job_id)]
        yield from (f"  {queued_job_line(*entry)}" for entry in entries)
        if not entries and job_id == job_ids[-1]:
            yield f"  {ended_job_line(job_id)}"


def queued_job_line(
    job_id: str, state: str, used: str, limit: str, nodes_or_reason: str, start: str
) -> str:
    line = f"{job_id:<10} {state.lower():<11}"
    if state == "PENDING":
        expected = f", expected to start {start}" if start not in ("N/A", "") else ""
        return f"{line} {nodes_or_reason.strip('()')}{expected}"
    return f"{line} {used} of {limit} on {nodes_or_reason}"


def ended_job_line(job_id: int) -> str:
    """Return the job's last state. Slurm forgets a job some minutes after its end."""
    output = client.run("scontrol", "--oneliner", "show", "job", str(job_id))
    fields = dict(word.split("=", 1) for word in output.stdout.split() if "=" in word)
    state = fields.get("JobState", "no longer in the queue").lower()
    code = fields.get("ExitCode", "").split(":")[0]
    return f"{job_id:<10} {state}" + (f", exit code {code}" if code not in ("", "0") else "")


# --- runs -----------------------------------------------------------------------------------------


def run_lines(config: RunConfig) -> Iterator[str]:
    """Yield the phase of a run, and its newest checkpoint."""
    directory = registry.runs_home() / config.name
    if not registry.run_exists(directory):
        yield f"run {config.name}: not started yet"
        return
    try:
        run = registry.open_run_directory(directory)
    except UserError as error:
        yield f"run {config.name}: unknown ({error})"
        return
    unfinished = phases.unfinished(run)
    if not unfinished:
        yield f"run {run.name}: finished; report: {directory / 'report.md'}"
        return
    phase = unfinished[0]
    every = phases.phases_of(run)
    number = every.index(phase) + 1
    progress = format_progress(run, phase.name) if phase.name in STAGES else ""
    yield f"run {run.name}: phase {number} of {len(every)}, {phase.title.lower()}{progress}"
    yield f"  {format_newest_checkpoint(run)}"


def format_progress(run: Run, stage: Stage) -> str:
    metrics = read_metrics(run.metrics(stage))
    losses = summarize_loss(metrics)
    if losses is None:
        return ", before its first step"
    step, steps, tokens_per_second, seconds_left = stage_progress(run, stage, metrics)
    return (
        f", step {step:,} of {steps:,} ({step / steps:.0%}), loss {losses.last_loss:.3f}, "
        f"{tokens_per_second:,.0f} tokens/s, {format_duration(seconds_left)} left in this phase"
    )


def format_newest_checkpoint(run: Run) -> str:
    """Return the name and age of the newest checkpoint, without verifying its checksums."""
    for stage in reversed(STAGES):
        if stored := checkpoints.list_checkpoints(run.checkpoints(stage)):
            newest = stored[0]
            written = newest.directory.stat().st_mtime
            age = max(0.0, time.time() - written)  # clocks of two machines may differ
            return f"newest checkpoint: {stage}, step {newest.step:,}, {format_duration(age)} ago"
    return "no checkpoint yet"


# --- log ------------------------------------------------------------------------------------------


def log_paragraph(site: Site) -> Iterator[str]:
    """Yield the last lines of the newest log, if there is one."""
    logs = sorted(site.job_folder.glob("*.log"), key=lambda path: path.stat().st_mtime)
    if logs:
        newest = logs[-1]
        yield "\n".join([f"last lines of {newest}", *(f"  {line}" for line in last_lines(newest))])


def last_lines(path: Path) -> list[str]:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - LOG_TAIL_BYTES))
        text = file.read().decode("utf-8", "replace")
    return [line for line in text.splitlines() if line.strip()][-N_LOG_LINES:]
