"""Checks of what is trained: recipe, data, the state of the run, its time, Slurm's approval."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from firstwords.common.errors import UserError
from firstwords.common.units import format_duration
from firstwords.data import corpora
from firstwords.data.checks import check_conversations, check_has_text
from firstwords.data.mixing import SourceSpec
from firstwords.data.records import Kind
from firstwords.evaluation import eval_data
from firstwords.pipeline.request import (
    check_unchanged,
    or_default,
    read_recipe_file,
)
from firstwords.runs import phases, registry
from firstwords.slurm import client, script
from firstwords.slurm.check_result import CheckResult, runs_to_check
from firstwords.slurm.field_types import resolve_recipe, resolve_source
from firstwords.slurm.site import RunConfig, Site
from firstwords.slurm.time_left import seconds_left
from firstwords.slurm.train_request import recipe_of, train_request

# --- recipe and data ------------------------------------------------------------------------------


def check_recipe(site: Site) -> Iterator[CheckResult]:
    for run in (run for run in runs_to_check(site) if run.recipe):
        try:
            recipe_of(run)
            yield CheckResult("ok", "recipe", " ".join([f"{run.recipe}", *run.overrides()]))
        except UserError as error:
            yield CheckResult("FAIL", "recipe", error.problem, error.hint)


def check_data(site: Site) -> Iterator[CheckResult]:
    """Check every source, so that all missing ones are reported at once."""
    pairs = [text_and_chat_sources(run) for run in runs_to_check(site)]
    for text in dict.fromkeys(text for text, _ in pairs):
        yield from check_source(site, text, "--data", "text")
    for chat in dict.fromkeys(chat for _, chat in pairs):
        yield from check_source(site, chat, "--chat-data", "messages")
    benchmarks = eval_data.eval_data_home()
    if not benchmarks.is_dir():
        yield CheckResult(
            "note",
            "benchmarks",
            f"{benchmarks} does not exist; CORE, BLiMP, ARC, MMLU, GSM8K and HumanEval are skipped",
            f"FIRSTWORDS_HOME={site.home} firstwords data fetch eval{offline_hint(site)}",
        )


def check_source(site: Site, source: SourceSpec, option: str, kind: Kind) -> Iterator[CheckResult]:
    try:
        corpus = corpora.open_corpus(source, option)
        name = f"{option} {corpus.name}"
        corpus.text_bytes(kind)  # opens every file that has an index
        if kind == "text":
            check_has_text(corpus, option)
        else:
            check_conversations(corpus, option)
        yield CheckResult("ok", "data", name)
    except UserError as error:
        field = "run.data" if option == "--data" else "run.chat_data"
        hint = f"{error.hint}, or use another source in {field}{offline_hint(site)}"
        yield CheckResult("FAIL", "data", error.problem, hint)


def text_and_chat_sources(run: RunConfig) -> tuple[SourceSpec, SourceSpec]:
    """Return the sources of text and conversations that `train` uses: the run's or the recipe's."""
    defaults = read_recipe_file(resolve_recipe(run.recipe)).sources
    return (
        or_default(resolve_source(run.data), defaults.data),
        or_default(resolve_source(run.chat_data), defaults.chat_data),
    )


def offline_hint(site: Site) -> str:
    """Return how data gets to a cluster without internet; nothing where there is internet."""
    if site.cluster.internet != "none":
        return ""
    return " (without internet: firstwords data bundle elsewhere, then firstwords data unbundle)"


# --- the run and its time -------------------------------------------------------------------------


def check_run(site: Site) -> Iterator[CheckResult]:
    for config in runs_to_check(site):
        directory = registry.runs_home() / config.name
        if not registry.run_exists(directory):
            yield CheckResult("ok", "run", f"{config.name} is new, {format_duration(config.time)}")
            continue
        run = registry.open_run_directory(directory)
        check_unchanged(run, train_request(config))
        unfinished = phases.unfinished(run)
        state = f"resumes with {unfinished[0].title.lower()}" if unfinished else "is finished"
        yield CheckResult("ok", "run", f"{config.name} {state}")


def check_time(site: Site) -> Iterator[CheckResult]:
    longest_run = max(seconds_left(run) for run in site.runs)
    n_jobs, limit = site.jobs_needed(longest_run), format_duration(site.job.time_limit)
    if n_jobs == 1:
        jobs = f"one job of {limit} is enough"
    elif site.job.on_time_limit == "requeue":
        times = "once" if n_jobs == 2 else f"{n_jobs - 1} times"
        jobs = f"a job of {limit} is requeued about {times}"
    else:
        jobs = f"a chain of {site.chain_length(longest_run)} jobs of {limit}, including a spare one"
    yield CheckResult("ok", "time", f"about {format_duration(longest_run)} left to train: {jobs}")


# --- Slurm ----------------------------------------------------------------------------------------


def check_slurm(site: Site) -> Iterator[CheckResult]:
    """Ask Slurm whether it would accept the job, without submitting it."""
    partition_limit = client.partition_time_limit(site.cluster.partition)
    if site.job.time_limit > partition_limit:
        raise UserError(
            f"job.time_limit is {format_duration(site.job.time_limit)}, but the partition allows "
            f"{format_duration(partition_limit)}",
            "lower it; a longer run resumes in further jobs (job.on_time_limit)",
        )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "job.slurm"
        path.write_text(script.render_script(site), encoding="utf-8")
        output = client.run("sbatch", "--test-only", str(path), "site.toml")
    if output.code:
        raise UserError(
            f"Slurm would reject the job ({output.message})", client.hint_for(output.message)
        )
    yield CheckResult("ok", "slurm", output.message.removeprefix("sbatch: "))
