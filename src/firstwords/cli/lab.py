"""`firstwords lab`: exercises on the real code."""

import sys
from pathlib import Path

import click

from firstwords.cli.options import Count, UserPath
from firstwords.common.documents import document_path
from firstwords.common.terminal import echo
from firstwords.runs.manifest import now

NUMBER = click.argument("number", metavar="N", type=Count(min=1))
DIRECTORY = click.option(
    "--dir",
    "directory",
    type=UserPath(),
    metavar="DIR",
    help="Directory of the lab.  [default: ./lab-N]",
)


@click.group(invoke_without_command=True)
@click.pass_context
def lab(context: click.Context) -> None:
    """Exercises on the real code: predict, write, run, compare.

    Without a subcommand, list the labs. `start` names the page of a lab; `firstwords serve` shows
    it at /docs/, too.
    """
    if context.invoked_subcommand is None:
        context.invoke(list_labs)


@lab.command("list")
def list_labs() -> None:
    """List the labs, and which of them you passed."""
    from firstwords.labs.catalog import LABS
    from firstwords.labs.progress import read_progress

    labs_file = read_progress()
    for one in LABS:
        passed = labs_file.progress(one.number).passed
        state = f"passed {passed[:10]}" if passed else "open"
        echo(f"{one.number:>2}  {one.title:<46} about {one.minutes} min  {state}")
    echo("\nstart one with: firstwords lab start N")


@lab.command()
@NUMBER
@DIRECTORY
def start(number: int, directory: Path | None) -> None:
    """Create a directory with the files to edit. Existing files stay unchanged."""
    from firstwords.labs.catalog import find_lab
    from firstwords.labs.folder import PREDICTION, start_lab

    one = find_lab(number)
    path = directory or Path(f"lab-{number}")
    started = start_lab(one, path)
    echo(f"lab {number}: {one.title}\ntask: {one.task}\n")
    for names, verb in ((started.created, "created"), (started.existing, "unchanged")):
        for name in names:
            echo(f"{verb}: {path / name}")
    option = "" if directory is None else f" --dir {directory}"
    echo(
        f"\nread {document_path(one.page)}, write your predictions into {path / PREDICTION},\n"
        f"then: firstwords lab check {number}{option} (about {one.minutes} min of computing)"
    )


@lab.command()
@NUMBER
@DIRECTORY
@click.option(
    "--run",
    "name",
    metavar="NAME",
    help="Run whose finetuned model to use, in the labs that use one.  [default: a small model "
    "that the labs train once, in a minute or two]",
)
def check(number: int, directory: Path | None, name: str | None) -> None:
    """Check your files; if they pass, run the experiment.

    The exit code is 0 if the lab is passed and 1 if not yet.
    """
    from firstwords.common.errors import UserError
    from firstwords.labs.catalog import find_lab
    from firstwords.labs.checking import LabCheck
    from firstwords.labs.folder import LabFolder
    from firstwords.labs.lab import LabSettings
    from firstwords.labs.progress import update_progress
    from firstwords.labs.render import format_item

    one = find_lab(number)
    if name is not None and not one.uses_run:
        raise UserError(f"--run has no effect in lab {number}", "leave it out")
    folder = LabFolder(one, directory or Path(f"lab-{number}"))
    lab_check = LabCheck(folder, LabSettings(run_name=name))
    echo(f"lab {number}: {one.title}")
    for section in lab_check.sections():
        echo(f"\n{section.title}", bold=True)
        for item in section.items:
            click.echo(format_item(item))  # styled and escaped
    if not lab_check.passed:
        echo(f"\nnot passed yet; for a hint: firstwords lab hint {number}")
        sys.exit(1)
    update_progress(number, passed=now())
    echo(f"\npassed; for the explanation see the end of {document_path(one.page)}")


@lab.command()
@NUMBER
def hint(number: int) -> None:
    """Show one more hint than the last time."""
    from firstwords.labs.catalog import find_lab
    from firstwords.labs.progress import read_progress, update_progress
    from firstwords.labs.render import wrap_text

    one = find_lab(number)
    count = min(read_progress().progress(number).hints + 1, len(one.hints))
    update_progress(number, hints=count)
    for index, text in enumerate(one.hints[:count], 1):
        echo(wrap_text(f"{index} of {len(one.hints)}: {text}"))
    if count == len(one.hints):
        echo(f"no more hints; the answer is at the end of {document_path(one.page)}")
