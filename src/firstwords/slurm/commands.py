"""`firstwords slurm`: one thin subcommand per job."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from firstwords.errors import UserError

if TYPE_CHECKING:
    from firstwords.slurm.site import Site

SITE = click.option(
    "--site",
    "path",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    metavar="SITE.toml",
    help="The site file: what to train, the job, the cluster. firstwords slurm init writes one.",
)


@click.group()
def slurm() -> None:
    """Train on a Slurm cluster, with or without internet on its nodes.

    Start with `firstwords slurm init`, fill in the file, then submit.
    """


@slurm.command()
@click.argument("path", type=click.Path(dir_okay=False, path_type=Path), default="site.toml")
def init(path: Path) -> None:
    """Write a site file to fill in: PATH, by default site.toml."""
    from firstwords import console, files
    from firstwords.slurm import script

    if path.exists():
        raise UserError(f"{path} is there already", "edit it, or name another file")
    files.write_chosen("the site file", path, script.sample())
    console.say(f"{path} is written: fill it in, then firstwords slurm submit --site {path}")


@slurm.command()
@SITE
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write it there instead of on stdout.",
)
def render(path: Path, out: Path | None) -> None:
    """Show the batch script that a site file makes."""
    from firstwords import files
    from firstwords.slurm import script
    from firstwords.slurm.site import read_site

    text = script.render(read_site(path))
    if out:
        files.write_chosen("--out", out, text)
    else:
        click.echo(text, nl=False)


@slurm.command()
@SITE
def check(path: Path) -> None:
    """Look whether everything that the job needs is there.

    On a login node, or inside a job. What is missing comes with the command that gets it.
    """
    checked(at_home(path), path)


@slurm.command()
@SITE
@click.option("--check-only", is_flag=True, help="Only look around on the compute nodes.")
def submit(path: Path, check_only: bool) -> None:
    """Check, then submit: as often as the run needs, one job after the other."""
    from firstwords.slurm import submit as jobs

    site = at_home(path)
    checked(site, path)
    submitted = jobs.submit(site, path, check_only)
    numbers = ", ".join(str(job) for job in submitted.jobs)
    click.echo(f"submitted: {numbers}\nlog: {submitted.logs}")
    click.echo(f"how it is doing: firstwords slurm status --site {path}")


@slurm.command()
@SITE
def status(path: Path) -> None:
    """What Slurm says of the jobs, and how far the run is."""
    from firstwords.slurm.status import status as paragraphs

    for paragraph in paragraphs(at_home(path)):
        click.echo(paragraph)


def at_home(path: Path) -> "Site":
    """The site, with its home as this process's own."""
    from firstwords.slurm.site import read_site

    site = read_site(path)
    os.environ["FIRSTWORDS_HOME"] = str(site.home)
    return site


def checked(site: "Site", path: Path) -> None:
    """Print each finding as it comes. Raises UserError if something is wrong."""
    from firstwords.slurm import preflight

    wrong = []
    for finding in preflight.check(site):
        click.echo(finding.line())
        if finding.level == "wrong":
            wrong.append(finding.what)
    if wrong:
        raise UserError(
            f"{path}: not ready ({', '.join(wrong)})", "mend what is marked wrong above"
        )
