"""A machine, looked at: its Python and GPUs, the places to write to, compiler and network."""

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from firstwords import console, forecast, machine, start
from firstwords.errors import UserError
from firstwords.slurm import probe
from firstwords.slurm.finding import Finding, in_job, runs_here
from firstwords.slurm.site import Site, Training
from firstwords.slurm.values import expanded

LEAST_FREE = 2e9  # bytes, where the size of the model is not known yet
PATIENCE = 300.0  # seconds; importing torch from a busy file system takes minutes at times

SET_UP = (
    "bash scripts/local_cpu_train.sh --help in a checkout makes .venv/bin/python; name that in "
    "paths.python"
)


# --- Python and the GPUs that it sees -------------------------------------------------------------


def look_at_python(site: Site) -> Iterator[Finding]:
    python = expanded(site.paths.python)
    if not os.access(python, os.X_OK):
        raise UserError(f"there is no {python}", SET_UP)
    found = probe.look() if in_job() else asked(python)  # in a job it is this very Python
    yield Finding(
        "ok",
        "python",
        f"{found['python']} with torch {found['torch']}, firstwords "
        f"{found['firstwords']} ({python})",
    )
    if site.job.gpus and not found["cuda"]:
        raise UserError(
            f"its torch {found['torch']} is not for GPUs, and job.gpus is {site.job.gpus}",
            f"{python} -m pip install --force-reinstall torch=={found['torch'].partition('+')[0]}",
        )
    if site.job.gpus and in_job():
        yield gpus(site, found)


def asked(python: Path) -> dict[str, Any]:
    """What that Python says about itself. Raises UserError."""
    console.say(f"asking {python} for its PyTorch")  # the first time it takes a while
    command = [str(python), "-m", "firstwords.slurm.probe"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
    except subprocess.TimeoutExpired:
        raise UserError(
            f"{python} has not loaded torch within {PATIENCE:g} s",
            "its file system is busy or far away; set Firstwords up on a faster one",
        ) from None
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no word why"])[-1]
        raise UserError(
            f"{python} cannot use Firstwords ({last})",
            f"{SET_UP}; if a library is missing, name its module in cluster.modules",
        )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def gpus(site: Site, found: dict[str, Any]) -> Finding:
    if found["gpus"] >= site.job.gpus:
        return Finding("ok", "gpus", f"{found['gpus']} x {found['kind']}")
    return Finding(
        "wrong",
        "gpus",
        f"torch sees {found['gpus']}, and job.gpus is {site.job.gpus}",
        "look at nvidia-smi in a job; a driver older than torch's CUDA "
        f"{found['cuda']} shows none: pick a torch for it, or another partition",
    )


# --- where files go -------------------------------------------------------------------------------


def look_at_home(site: Site) -> Iterator[Finding]:
    free = writable(site.home, "paths.home")
    needed = sum(disk_bytes(run) for run in runs_here(site))
    if free < needed:
        raise UserError(
            f"{site.home} has {console.size(free)} free, and needs about {console.size(needed)}",
            "free some space, or name another place in paths.home",
        )
    yield Finding("ok", "home", f"{site.home}, {console.size(free)} free")


def disk_bytes(run: Training) -> float:
    """What a run will write, as far as that is known before it is planned."""
    recipe = start.recipe_in(run.request())
    return LEAST_FREE if recipe is None else forecast.disk_bytes(recipe)


def look_at_scratch(site: Site) -> Iterator[Finding]:
    if site.paths.scratch is None:
        return
    scratch = expanded(site.paths.scratch)
    if not scratch.is_dir():
        raise UserError(f"there is no {scratch} on this node", "mend paths.scratch, or drop it")
    free = console.size(writable(scratch, "paths.scratch"))
    yield Finding("ok", "scratch", f"{scratch}, {free} free")


def writable(directory: Path, field: str) -> int:
    """Bytes free where a directory is or will be. Raises UserError if nothing can be written."""
    there = next(path for path in (directory, *directory.parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise UserError(
            f"cannot write into {there} ({error.strerror})", f"name another place in {field}"
        ) from None
    return machine.free_disk(there)


# --- compiler and network -------------------------------------------------------------------------


def look_at_compiler(site: Site) -> Iterator[Finding]:
    if machine.can_compile():
        yield Finding("ok", "compiler", "there is one: training is compiled where that pays")
        return
    mend = "name the module of one in cluster.modules, such as gcc"
    for run in runs_here(site):
        recipe = start.recipe_in(run.request())
        if recipe is not None and recipe.compile:
            raise UserError(
                f"there is no C++ compiler, and the recipe {run.recipe} needs one", mend
            )
    yield Finding("note", "compiler", "there is no C++ compiler: training is slower", mend)


def look_at_network(site: Site) -> Iterator[Finding]:
    text = {
        "none": "no internet, and nothing here needs it",
        "proxy": f"internet by way of {site.cluster.proxy}; nothing here needs it",
        "direct": "internet; nothing here needs it",
    }
    yield Finding("ok", "network", text[site.cluster.internet])
