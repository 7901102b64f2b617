"""`firstwords slurm`: train on a Slurm cluster."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from firstwords.cli.options import UserPath
from firstwords.common.errors import UserError
from firstwords.common.terminal import echo

if TYPE_CHECKING:
    from firstwords.slurm.site import Site

SITE = click.option(
    "--site",
    "path",
    type=UserPath(dir_okay=False),
    required=True,
    metavar="SITE.toml",
    help="Site file: what to train, the job, the cluster. firstwords slurm init writes one.",
)


@click.group()
def slurm() -> None:
    """Train on a Slurm cluster, with or without internet on its nodes.

    Start with `firstwords slurm init`, fill in the file, then submit.
    """


@slurm.command()
@click.argument("path", type=UserPath(dir_okay=False), default="site.toml")
def init(path: Path) -> None:
    """Write a site file to fill in, by default site.toml."""
    from firstwords.common import console, files
    from firstwords.slurm import script

    if path.exists():
        raise UserError(f"{path} already exists", "edit it, or write to another file")
    files.write_output("the site file", path, script.sample_site())
    console.say(f"wrote {path}; fill it in, then run: firstwords slurm submit --site {path}")


@slurm.command()
@SITE
@click.option(
    "--out",
    type=UserPath(dir_okay=False),
    metavar="FILE",
    help="File to write instead of stdout.",
)
def render(path: Path, out: Path | None) -> None:
    """Print the batch script of a site file."""
    from firstwords.common import files
    from firstwords.slurm import script
    from firstwords.slurm.site import read_site

    text = script.render_script(read_site(path))
    if out:
        files.write_output("--out", out, text)
    else:
        echo(text, nl=False)


@slurm.command()
@SITE
def check(path: Path) -> None:
    """Check that everything the job needs is in place.

    Runs on a login node or inside a job. Each failed check comes with a hint on how to fix it.
    """
    print_checks(load_site(path), path)


@slurm.command()
@SITE
@click.option("--check-only", is_flag=True, help="Only run the checks on the compute nodes.")
def submit(path: Path, check_only: bool) -> None:
    """Check, then submit the job, or a chain of jobs if the run needs several."""
    from firstwords.slurm import submit as submission

    site = load_site(path)
    print_checks(site, path)
    submitted = submission.submit(site, path, check_only)
    job_ids = ", ".join(str(job_id) for job_id in submitted.job_ids)
    echo(f"submitted: {job_ids}\nlog: {submitted.log}")
    echo(f"status: firstwords slurm status --site {path}")


@slurm.command()
@SITE
def status(path: Path) -> None:
    """Show the jobs in Slurm's queue and the progress of the run."""
    from firstwords.slurm.status import site_status

    for paragraph in site_status(load_site(path)):
        echo(paragraph)


def load_site(path: Path) -> "Site":
    """Read the site file and use its home as $FIRSTWORDS_HOME of this process."""
    from firstwords.slurm.site import read_site

    site = read_site(path)
    os.environ["FIRSTWORDS_HOME"] = str(site.home)
    return site


def print_checks(site: "Site", path: Path) -> None:
    """Print each check's result as it arrives. Raises UserError if any failed."""
    from firstwords.slurm import preflight

    failed = []
    for result in preflight.run_checks(site):
        echo(result.render())
        if result.status == "FAIL":
            failed.append(result.subject)
    if failed:
        raise UserError(
            f"{path}: preflight failed ({', '.join(dict.fromkeys(failed))})",
            "fix the checks marked FAIL above",
        )
