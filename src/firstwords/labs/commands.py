"""`firstwords lab`: exercises on the real code."""

import sys
from pathlib import Path

import click

NUMBER = click.argument("number", metavar="N", type=click.IntRange(min=1))
FOLDER = click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The folder of the lab.  [default: lab-N here]",
)


@click.group(invoke_without_command=True)
@click.pass_context
def lab(context: click.Context) -> None:
    """Exercises on the real code: predict, write, run, compare.

    Without a command it lists them. Their pages are docs/labs/01-causal-mask.md and so on.
    """
    if context.invoked_subcommand is None:
        context.invoke(list_labs)


@lab.command("list")
def list_labs() -> None:
    """What there is, and what is passed."""
    from firstwords.labs import progress
    from firstwords.labs.catalog import LABS

    done = progress.read()
    for one in LABS:
        passed = done.of(one.number).passed
        state = f"passed {passed[:10]}" if passed else "open"
        click.echo(f"{one.number:>2}  {one.title:<46} about {one.minutes} min  {state}")
    click.echo("\nbegin one with: firstwords lab start N")


@lab.command()
@NUMBER
@FOLDER
def start(number: int, folder: Path | None) -> None:
    """Make a folder with the files that you edit. What is there already is left as it is."""
    from firstwords.labs import folder as folders
    from firstwords.labs.catalog import lab_of

    one = lab_of(number)
    path = folder or Path(f"lab-{number}")
    made = folders.start(one, path)
    click.echo(f"lab {number}: {one.title}\nto do: {one.task}\n")
    for names, what in ((made.new, "made"), (made.kept, "left as it was")):
        for name in names:
            click.echo(f"{what}: {path / name}")
    where = "" if folder is None else f" --dir {folder}"
    click.echo(
        f"\nread {one.page}, write down what you expect in {path / folders.PREDICTION},\n"
        f"then: firstwords lab check {number}{where} (about {one.minutes} minutes of computing)"
    )


@lab.command()
@NUMBER
@FOLDER
@click.option(
    "--run",
    "name",
    metavar="NAME",
    help="Ask the finetuned model of this run, in the labs that ask a trained one.  [default: a "
    "little model that the labs raise once, in a minute or two]",
)
def check(number: int, folder: Path | None, name: str | None) -> None:
    """Look at what you wrote, item by item; when it is right, run the experiment.

    The exit code is 0 when the lab is passed, 1 when it is not yet.
    """
    from firstwords import run as runs
    from firstwords.errors import UserError
    from firstwords.labs import progress
    from firstwords.labs.catalog import lab_of
    from firstwords.labs.checking import Check
    from firstwords.labs.folder import Folder
    from firstwords.labs.lab import Setting
    from firstwords.labs.shown import shown

    one = lab_of(number)
    if name is not None and not one.takes_run:
        raise UserError("--run", f"lab {number} trains models of its own; leave it out")
    checked = Check(Folder(one, folder or Path(f"lab-{number}")), Setting(run=name))
    click.echo(f"lab {number}: {one.title}")
    for part in checked.parts():
        click.secho(f"\n{part.title}", bold=True)
        for item in part.items:
            click.echo(shown(item))
    if not checked.passed:
        click.echo(f"\nnot yet passed; hints: firstwords lab hint {number}")
        sys.exit(1)
    progress.note(number, passed=runs.now())
    click.echo(f"\npassed; what it means stands at the end of {one.page}")


@lab.command()
@NUMBER
def hint(number: int) -> None:
    """One hint more than the last time."""
    from firstwords.labs import progress
    from firstwords.labs.catalog import lab_of
    from firstwords.labs.shown import wrapped

    one = lab_of(number)
    count = min(progress.read().of(number).hints + 1, len(one.hints))
    progress.note(number, hints=count)
    for place, text in enumerate(one.hints[:count], 1):
        click.echo(wrapped(f"{place} of {len(one.hints)}: {text}"))
    if count == len(one.hints):
        click.echo(f"those are all; the end of {one.page} has the answer")
