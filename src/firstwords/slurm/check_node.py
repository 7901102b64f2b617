"""Checks of a node: Python and its GPUs, directories to write to, compiler, network."""

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from firstwords.common import console, hardware, paths
from firstwords.common.errors import UserError
from firstwords.common.units import format_size
from firstwords.planning import estimates
from firstwords.slurm import probe
from firstwords.slurm.check_result import CheckResult, on_compute_node, runs_to_check
from firstwords.slurm.field_types import expand_path
from firstwords.slurm.site import RunConfig, Site
from firstwords.slurm.train_request import recipe_of

UNPLANNED_RUN_BYTES = 2e9  # free disk required while the size of the model is not known yet
PROBE_TIMEOUT_SECONDS = 300.0  # importing torch from a busy network file system can take minutes

SETUP_HINT = (
    "name a Python with Firstwords in paths.python: .venv/bin/python, which bash "
    "scripts/local_cpu_train.sh --help creates in a checkout, or that of an environment in which "
    "you ran pip install firstwords"
)


# --- Python and the GPUs that it sees -------------------------------------------------------------


def check_python(site: Site) -> Iterator[CheckResult]:
    python = expand_path(site.paths.python)
    if not os.access(python, os.X_OK):
        raise UserError(f"{python} does not exist or is not executable", SETUP_HINT)
    # In a job, this process already runs in that Python.
    info = probe.probe_environment() if on_compute_node() else probe_python(python)
    yield CheckResult(
        "ok",
        "python",
        f"{info['python']} with torch {info['torch']}, firstwords {info['firstwords']} ({python})",
    )
    gpus = site.job.gpus_per_node
    if gpus and not info["cuda"]:
        raise UserError(
            f"torch {info['torch']} is built without CUDA, but job.gpus_per_node is {gpus}",
            f"{python} -m pip install --force-reinstall torch=={info['torch'].partition('+')[0]}",
        )
    if gpus and on_compute_node():
        yield check_gpus(site, info)


def probe_python(python: Path) -> dict[str, Any]:
    """Return the versions and GPUs that another Python reports about itself. Raises UserError."""
    console.say(f"checking PyTorch in {python}")  # the first import takes a while
    command = [str(python), "-m", "firstwords.slurm.probe"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=PROBE_TIMEOUT_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise UserError(
            f"{python} did not import torch within {PROBE_TIMEOUT_SECONDS:g} s",
            "its file system is slow or busy; install Firstwords on a faster one",
        ) from None
    if done.returncode:
        last_line = (done.stderr.strip().splitlines() or ["no error message"])[-1]
        raise UserError(
            f"{python} cannot import Firstwords ({last_line})",
            f"{SETUP_HINT}; if a library is missing, add its module to cluster.modules",
        )
    info: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return info


def check_gpus(site: Site, info: dict[str, Any]) -> CheckResult:
    requested = site.job.gpus_per_node
    if info["gpus"] >= requested:
        return CheckResult("ok", "gpus", f"{info['gpus']} x {info['gpu_name']}")
    return CheckResult(
        "FAIL",
        "gpus",
        f"torch sees {info['gpus']} GPUs, but job.gpus_per_node is {requested}",
        f"run nvidia-smi in a job; a driver older than CUDA {info['cuda']}, which this torch is "
        "built for, hides all GPUs: install a torch for that driver, or use another partition",
    )


# --- directories ----------------------------------------------------------------------------------


def check_home(site: Site) -> Iterator[CheckResult]:
    free = free_bytes_if_writable(site.home, "paths.home")
    needed = sum(disk_bytes(run) for run in runs_to_check(site))
    if free < needed:
        raise UserError(
            f"{site.home} has {format_size(free)} free, but about {format_size(needed)} are needed",
            "free some space, or use another directory in paths.home",
        )
    yield CheckResult("ok", "home", f"{site.home}, {format_size(free)} free")


def disk_bytes(run: RunConfig) -> float:
    """Return the bytes that a run writes, as far as known before it is planned."""
    recipe = recipe_of(run)
    return UNPLANNED_RUN_BYTES if recipe is None else estimates.disk_bytes(recipe)


def check_scratch(site: Site) -> Iterator[CheckResult]:
    if site.paths.scratch is None:
        return
    scratch = expand_path(site.paths.scratch)
    if not scratch.is_dir():
        raise UserError(
            f"{scratch} does not exist on this node", "correct paths.scratch, or remove the line"
        )
    free = format_size(free_bytes_if_writable(scratch, "paths.scratch"))
    yield CheckResult("ok", "scratch", f"{scratch}, {free} free")


def free_bytes_if_writable(directory: Path, field: str) -> int:
    """Return the free bytes where a directory is or will be. Raises UserError if not writable."""
    existing = next(path for path in (directory, *directory.parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        raise UserError(
            f"cannot write to {existing} ({error.strerror})", f"use another directory in {field}"
        ) from None
    return paths.free_disk(existing)


# --- compiler and network -------------------------------------------------------------------------


def check_compiler(site: Site) -> Iterator[CheckResult]:
    if hardware.has_compiler():
        yield CheckResult("ok", "compiler", "C++ compiler found; training is compiled if faster")
        return
    hint = "add the module of a compiler to cluster.modules, such as gcc"
    for run in runs_to_check(site):
        recipe = recipe_of(run)
        if recipe is not None and recipe.step_kind != "eager":
            raise UserError(
                f"no C++ compiler found, but the recipe {run.recipe} compiles the training step",
                hint,
            )
    yield CheckResult("note", "compiler", "no C++ compiler found; training is slower", hint)


def check_network(site: Site) -> Iterator[CheckResult]:
    messages = {
        "none": "no internet; none is needed",
        "proxy": f"internet through {site.cluster.proxy}; none is needed",
        "direct": "internet; none is needed",
    }
    yield CheckResult("ok", "network", messages[site.cluster.internet])
