"""How a job is doing: what Slurm says of it, beside what its run has written so far."""

import time
from collections.abc import Iterator
from pathlib import Path

from firstwords import checkpoint, console, pipeline
from firstwords import run as runs
from firstwords.errors import UserError
from firstwords.progress import pace
from firstwords.recipe import STAGES, Stage
from firstwords.run import Run
from firstwords.slurm import programs
from firstwords.slurm.site import Site, Training
from firstwords.slurm.submit import submitted_before

LOG_LINES = 5
QUEUE = "%i|%T|%M|%l|%R|%S"  # number, state, time used, limit, nodes or reason, start


def status(site: Site) -> Iterator[str]:
    """Paragraphs to print."""
    yield "\n".join(jobs_in_words(site))
    for training in site.runs:
        yield "\n".join(run_in_words(training))
    yield from log_in_words(site)


# --- Slurm ----------------------------------------------------------------------------------------


def jobs_in_words(site: Site) -> Iterator[str]:
    """A line for each job that Slurm still knows."""
    jobs = submitted_before(site)
    if not jobs:
        yield f"no job submitted for {site.run.name}: firstwords slurm submit"
        return
    yield f"jobs of {site.run.name}"
    try:
        queue = programs.told("squeue", "--me", "--noheader", f"--format={QUEUE}")
    except UserError as error:
        yield f"  not known here ({error})"
        return
    waiting = [line.split("|") for line in queue.splitlines()]
    for job in jobs:
        lines = [line for line in waiting if line[0].split("_")[0] == str(job)]
        yield from (f"  {in_queue(*line)}" for line in lines)
        if not lines and job == jobs[-1]:
            yield f"  {ended(job)}"


def in_queue(number: str, state: str, used: str, limit: str, where: str, begins: str) -> str:
    line = f"{number:<10} {state.lower():<11}"
    if state == "PENDING":
        expected = f", expected to start {begins}" if begins not in ("N/A", "") else ""
        return f"{line} {where.strip('()')}{expected}"
    return f"{line} {used} of {limit} on {where}"


def ended(job: int) -> str:
    """The last that Slurm knows; it forgets a job some minutes after its end."""
    answer = programs.ask("scontrol", "--oneliner", "show", "job", str(job))
    fields = dict(word.split("=", 1) for word in answer.stdout.split() if "=" in word)
    state = fields.get("JobState", "no longer in the queue").lower()
    code = fields.get("ExitCode", "").split(":")[0]
    return f"{job:<10} {state}" + (f", exit code {code}" if code not in ("", "0") else "")


# --- the run's own files --------------------------------------------------------------------------


def run_in_words(training: Training) -> Iterator[str]:
    directory = runs.runs_home() / training.name
    if not runs.exists(directory):
        yield f"run {training.name}: not started yet"
        return
    run = runs.open_directory(directory)
    unfinished = pipeline.unfinished(run)
    if not unfinished:
        yield f"run {run.name}: finished; report: {directory / 'report.md'}"
        return
    phase = unfinished[0]
    at = pipeline.PHASES.index(phase) + 1
    step = step_in_words(run, phase.name) if phase.name in STAGES else ""
    yield f"run {run.name}: phase {at} of {len(pipeline.PHASES)}, {phase.title.lower()}{step}"
    yield f"  {newest_in_words(run)}"


def step_in_words(run: Run, stage: Stage) -> str:
    metrics = runs.read_metrics(run.metrics(stage))
    if not metrics:
        return ", before its first step"
    step, steps, speed, left = pace(run, stage, metrics)
    loss = runs.course(metrics).last_loss
    return (
        f", step {step:,} of {steps:,} ({step / steps:.0%}), loss {loss:.3f}, "
        f"{speed:,.0f} tokens/s, {console.duration(left)} left in it"
    )


def newest_in_words(run: Run) -> str:
    """The newest checkpoint by its name and age; whether it is whole, the next start looks."""
    for stage in reversed(STAGES):
        if found := checkpoint.newest_first(run.checkpoints(stage)):
            age = time.time() - (found[0].directory / "training.json").stat().st_mtime
            return (
                f"newest checkpoint: {stage}, step {found[0].step:,}, {console.duration(age)} ago"
            )
    return "no checkpoint yet"


def log_in_words(site: Site) -> Iterator[str]:
    logs = sorted(site.folder.glob("*.log"), key=lambda path: path.stat().st_mtime)
    if logs:
        yield "\n".join([f"{logs[-1]} ends with", *(f"  {line}" for line in last_lines(logs[-1]))])


def last_lines(path: Path) -> list[str]:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 8192))
        text = file.read().decode("utf-8", "replace")
    return [line for line in text.splitlines() if line.strip()][-LOG_LINES:]
