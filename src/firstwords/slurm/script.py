"""Render the batch script of a site from one template."""

import re
import shlex
from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined

from firstwords import __version__
from firstwords.common.units import format_duration
from firstwords.slurm.site import RunConfig, Site

TEMPLATE_NAME = "job.slurm.jinja"
SAMPLE_NAME = "site.toml"


def render_script(site: Site) -> str:
    """Return the batch script, to be submitted with `sbatch SCRIPT SITE.toml`."""
    environment = Environment(
        loader=PackageLoader("firstwords", "slurm"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # field_types.py allows no character that would need escaping
    )
    environment.filters |= {
        "path": quote_path,
        "slurm_time": format_duration,
        "options": train_options,
    }
    template = environment.get_template(TEMPLATE_NAME)
    return template.render(site=site, job=site.job, cluster=site.cluster, version=__version__)


def sample_site() -> str:
    """Return the text of a site file with every field, to be filled in."""
    return resources.files("firstwords.slurm").joinpath(SAMPLE_NAME).read_text(encoding="utf-8")


def quote_path(path: str) -> str:
    """Return the path as one bash word, in which only variables expand."""
    return '"' + re.sub(r"^~(?=/)", "$HOME", path) + '"'


def train_options(run: RunConfig) -> list[str]:
    """Return the options of `firstwords train` for a run, one with its value in each string."""
    options = [f"--run {run.name}", f"--time {format_time_option(run.time)}"]
    for option, source in (
        ("--recipe", run.recipe),
        ("--data", run.data),
        ("--chat-data", run.chat_data),
    ):
        for one in (source,) if isinstance(source, str) else source or ():
            options.append(f"{option} {quote_path(one) if '/' in one else one}")
    if run.seed is not None:
        options.append(f"--seed {run.seed}")
    return options + [f"--set {shlex.quote(override)}" for override in run.overrides()]


def format_time_option(seconds: float) -> str:
    """Format seconds as `--time` reads them: 5400.0 becomes 1h30m."""
    minutes, second = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = ((hours, "h"), (minutes, "m"), (second, "s"))
    return "".join(f"{count}{unit}" for count, unit in parts if count)
