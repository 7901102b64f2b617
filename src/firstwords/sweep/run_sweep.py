"""Train the runs of a sweep one after another, each in a process of its own.

A process of its own has the code as it is now, all of the memory, and cannot take the sweep down.
"""

import shlex
import subprocess
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

from firstwords.common import console, files, paths
from firstwords.common.errors import Interrupted, UserError
from firstwords.data.mixing import SourceSpec, format_source
from firstwords.recipe import Recipe
from firstwords.runs import registry
from firstwords.runs.run import Run
from firstwords.sweep.ledger import code_digest, order_by_variant, read_experiments, record
from firstwords.sweep.plan import variant_recipes
from firstwords.sweep.results import render_results
from firstwords.sweep.spec import TRAIN, SweepSpec


class Job(NamedTuple):
    """A run to train: a variant with a seed."""

    variant: str
    seed: int
    run: str
    recipe: Recipe
    settings: dict[str, Any]


def run_sweep(name: str, spec: SweepSpec, label: str = "") -> bool:
    """Train all runs of a sweep that are not in the ledger; return whether all are.

    The first seed of every variant comes first, so that a sweep that is stopped compares something.
    Raises UserError before any training if something is wrong, and Interrupted.
    """
    folder = paths.home() / "sweeps" / name
    jobs = list(_jobs(name, spec, label, variant_recipes(spec, folder)))
    experiments = read_experiments(name)
    for number, job in enumerate(jobs, 1):
        done = _find_done(experiments, label, job)
        if done is None:
            console.header(f"Run {number} of {len(jobs)} · {job.variant}, seed {job.seed}")
            recipe = folder / "recipes" / f"{job.run}.json"
            files.write_json(recipe, job.recipe.model_dump())
            _train(spec, job, str(recipe))
            run = _finished(job.run)
            if run is None:
                console.warn(f"{job.run} did not finish; the same command tries it again")
                continue
            experiments.append(record(name, job.variant, label, run, job.settings))
        elif done["code"] != code_digest():
            console.warn(
                f"{job.run} was trained with other code; --label NAME measures the code as it is"
            )
        console.say(render_results(name, order_by_variant(experiments, spec.changes)))
    return all(_find_done(experiments, label, job) for job in jobs)


def _jobs(name: str, spec: SweepSpec, label: str, recipes: dict[str, Recipe]) -> Iterator[Job]:
    for seed in spec.seeds:
        for variant, settings in spec.changes.items():
            parts = [name, variant, *([label] if label else []), str(seed)]
            run = ".".join(parts)
            registry.check_name(run)
            yield Job(variant, seed, run, recipes[variant].replace(seed=seed), settings)


def _find_done(experiments: list[dict[str, Any]], label: str, job: Job) -> dict[str, Any] | None:
    """Return the job's line of the ledger, if it is finished."""
    key = (job.variant, label, job.seed)
    for line in experiments:
        if (line["variant"], line["label"], line["seed"]) == key:
            return line
    return None


def _train(spec: SweepSpec, job: Job, recipe: str) -> None:
    """Run the command of the sweep. Raises Interrupted if it was stopped."""
    places: dict[str, SourceSpec] = {"run": job.run, "recipe": recipe, "seed": str(job.seed)}
    places |= {"data": spec.data, "chat_data": spec.chat_data}
    words = fill_places(shlex.split(spec.command), places)
    if spec.from_run and spec.command == TRAIN:
        words += ["--from", spec.from_run]
    if words[0] == "firstwords":  # of this environment, also where it is not on the PATH
        words[:1] = [sys.executable, "-m", "firstwords"]
    try:
        code = subprocess.run(words).returncode
    except OSError as error:
        raise UserError(
            f"cannot run {words[0]} ({error.strerror})", "correct the command of the sweep"
        ) from None
    if code in (Interrupted.exit_code, -2, -15):
        raise Interrupted(job.run)


def fill_places(words: list[str], places: dict[str, SourceSpec]) -> list[str]:
    """Replace {NAME} in the words of a command. The option before a mixture is repeated for each of
    its sources."""
    filled: list[str] = []
    for word in words:
        mixture = places.get(word[1:-1]) if word[:1] == "{" else None
        if isinstance(mixture, tuple):
            option = filled.pop()
            filled += [part for source in mixture for part in (option, source)]
            continue
        for place, value in places.items():
            word = word.replace(f"{{{place}}}", format_source(value))
        filled.append(word)
    return filled


def _finished(name: str) -> Run | None:
    """Return a run if its last stage is evaluated."""
    try:
        run = registry.open_run(name)
    except UserError:
        return None
    last = run.recipe.stages[-1]
    return run if run.finished(last) and run.read_evaluation(last) else None
