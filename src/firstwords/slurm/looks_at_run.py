"""What is trained, looked at: data, the run so far, the time it takes, what Slurm says to it."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from firstwords import console, pipeline, start
from firstwords import run as runs
from firstwords.data import corpora
from firstwords.errors import UserError
from firstwords.evaluation import data as eval_data
from firstwords.slurm import programs, script
from firstwords.slurm.finding import Finding, runs_here
from firstwords.slurm.site import Site, Training
from firstwords.slurm.values import expanded_recipe, expanded_source


def look_at_recipe(site: Site) -> Iterator[Finding]:
    for run in (run for run in runs_here(site) if run.recipe):
        try:
            start.recipe_in(run.request())  # or a sketch
            yield Finding("ok", "recipe", " ".join([f"{run.recipe}", *run.changes()]))
        except UserError as error:
            yield Finding("wrong", "recipe", error.problem, error.mend)


def look_at_data(site: Site) -> Iterator[Finding]:
    """Every source, so that all that are missing are named at once."""
    pairs = [sources(run) for run in runs_here(site)]
    for text in dict.fromkeys(text for text, _ in pairs):
        yield from look_at_source(site, text, "--data", "text")
    for chat in dict.fromkeys(chat for _, chat in pairs):
        yield from look_at_source(site, chat, "--chat-data", "messages")
    if not eval_data.home().is_dir():
        yield Finding(
            "note",
            "benchmarks",
            f"there is no {eval_data.home()}: CORE, ARC, MMLU, GSM8K and HumanEval are left out",
            f"FIRSTWORDS_HOME={site.home} firstwords data fetch eval{how_to_bring(site)}",
        )


def look_at_source(site: Site, source: str, option: str, column: str) -> Iterator[Finding]:
    try:
        corpus = corpora.open_corpus(source, option)
        corpus.text_bytes(column)  # opens every file that has an index
        read = corpora.texts if option == "--data" else corpora.conversations
        start.check_not_empty(f"{option} {source}", lambda split: read(corpus, split, 0))
        yield Finding("ok", "data", f"{option} {source}")
    except UserError as error:
        field = "run.data" if option == "--data" else "run.chat_data"
        mend = f"bring it there, or name another in {field}{how_to_bring(site)}"
        yield Finding("wrong", "data", str(error), mend)


def sources(run: Training) -> tuple[str, str]:
    """Text and conversations, as `train` would choose them."""
    earlier = start.sources_in(expanded_recipe(run.recipe))
    return (
        start.given(expanded_source(run.data), earlier.data),
        start.given(expanded_source(run.chat_data), earlier.chat_data),
    )


def how_to_bring(site: Site) -> str:
    if site.cluster.internet != "none":
        return ""
    return (
        " (on a login node, or where there is internet: firstwords data bundle, and here "
        "firstwords data unbundle)"
    )


def look_at_run(site: Site) -> Iterator[Finding]:
    for training in runs_here(site):
        directory = runs.runs_home() / training.name
        if not runs.exists(directory):
            yield Finding("ok", "run", f"{training.name} is new, {console.duration(training.time)}")
            continue
        run = runs.open_directory(directory)
        start.check_same(run, training.request())
        unfinished = pipeline.unfinished(run)
        then = f"goes on with {unfinished[0].title.lower()}" if unfinished else "is finished"
        yield Finding("ok", "run", f"{training.name} {then}")


def look_at_time(site: Site) -> Iterator[Finding]:
    longest = max(seconds_left(run) for run in site.runs)
    jobs, limit = site.jobs_for(longest), console.duration(site.job.limit)
    if jobs == 1:
        then = f"one job of {limit} is enough"
    elif site.job.on_limit == "requeue":
        then = f"a job of {limit} goes back into the queue about {jobs - 1} times"
    else:
        then = f"a chain of {site.chain(longest)} jobs of {limit}, one of them to spare"
    yield Finding("ok", "time", f"about {console.duration(longest)} left to train: {then}")


def seconds_left(training: Training) -> float:
    """What is left of a run, as it was planned or else as the site file says."""
    directory = runs.runs_home() / training.name
    if not runs.exists(directory):
        return training.time
    run = runs.open_directory(directory)
    unfinished = pipeline.unfinished(run)
    if not unfinished:
        return 0.0
    if run.manifest.predicted:
        return pipeline.time_left(run, unfinished[0])
    return max(0.0, training.time - sum(t["seconds"] for t in run.timings().values()))


def look_at_slurm(site: Site) -> Iterator[Finding]:
    """Slurm itself says whether it would take the job."""
    longest = programs.longest(site.cluster.partition)
    if site.job.limit > longest:
        raise UserError(
            f"job.limit is {console.duration(site.job.limit)}, and the partition gives a job "
            f"{console.duration(longest)}",
            "ask for no more: what is left then goes on in another job (job.on_limit)",
        )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "job.slurm"
        path.write_text(script.render(site), encoding="utf-8")
        answer = programs.ask("sbatch", "--test-only", str(path), "site.toml")
    if answer.code:
        raise UserError(
            f"Slurm would refuse the job ({answer.complaint})", programs.mend(answer.complaint)
        )
    yield Finding("ok", "slurm", answer.complaint.removeprefix("sbatch: "))
