"""From a site to its batch script: one template, filled in."""

import re
import shlex
from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined

from firstwords import __version__, console
from firstwords.slurm.site import Site, Training

TEMPLATE = "job.slurm.jinja"
SAMPLE = "site.toml"


def render(site: Site) -> str:
    """The script for `sbatch SCRIPT SITE.toml`."""
    environment = Environment(
        loader=PackageLoader("firstwords", "slurm"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # what a site may hold needs no escapes: see site.py
    )
    environment.filters |= {"path": in_bash, "clock": console.duration, "options": options}
    template = environment.get_template(TEMPLATE)
    return template.render(site=site, job=site.job, cluster=site.cluster, version=__version__)


def sample() -> str:
    """A site file with every field, to fill in."""
    return resources.files("firstwords.slurm").joinpath(SAMPLE).read_text(encoding="utf-8")


def in_bash(path: str) -> str:
    """A path as a word of bash that fills in its variables, and does nothing else."""
    return '"' + re.sub(r"^~(?=/)", "$HOME", path) + '"'


def options(run: Training) -> list[str]:
    """What `firstwords train` is given for a run, one option with its value in each string."""
    given = [f"--run {run.name}", f"--time {spelled(run.time)}"]
    for option, source in (
        ("--recipe", run.recipe),
        ("--data", run.data),
        ("--chat-data", run.chat_data),
    ):
        if source is not None:
            given.append(f"{option} {in_bash(source) if '/' in source else source}")
    if run.seed is not None:
        given.append(f"--seed {run.seed}")
    return given + [f"--set {shlex.quote(change)}" for change in run.changes()]


def spelled(seconds: float) -> str:
    """5400.0 as 1h30m: what `--time` takes."""
    minutes, second = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = ((hours, "h"), (minutes, "m"), (second, "s"))
    return "".join(f"{count}{unit}" for count, unit in parts if count)
