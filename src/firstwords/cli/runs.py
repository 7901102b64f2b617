"""`firstwords runs`: list, show, rename, remove and move the runs of this machine."""

import json
from pathlib import Path

import click

from firstwords.cli.options import JSON, UserPath
from firstwords.common.terminal import echo
from firstwords.common.units import format_size


class RunsGroup(click.Group):
    """Lists its commands in the order they are written; the default is the list of runs."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


@click.group(cls=RunsGroup, invoke_without_command=True)
@JSON
@click.pass_context
def runs(context: click.Context, as_json: bool) -> None:
    """List all runs with state, size, time, score and disk, the newest first.

    The commands below show, compare, rename, remove and move them.
    """
    from firstwords.common import console
    from firstwords.runs import registry
    from firstwords.runs.render import render_runs
    from firstwords.runs.summary import RunSummaries

    if context.invoked_subcommand:
        return
    summaries = RunSummaries().list(registry.list_runs())
    if as_json:
        echo(json.dumps(summaries, indent=2, ensure_ascii=False))
    elif summaries:
        echo(render_runs(summaries))
    else:
        console.say("there is no run yet; create one: firstwords train")


@runs.command()
@click.argument("name")
@JSON
def show(name: str, as_json: bool) -> None:
    """Show one run."""
    from firstwords.runs import registry
    from firstwords.runs.render import render_run
    from firstwords.runs.summary import summarize

    summary = summarize(registry.find_directory(name))
    echo(json.dumps(summary, indent=2, ensure_ascii=False) if as_json else render_run(summary))


@runs.command()
@click.argument("names", metavar="A B...", nargs=-1, required=True)
@JSON
def diff(names: tuple[str, ...], as_json: bool) -> None:
    """Show what differs between runs: recipe, data, machine and version.

    `firstwords compare` compares their results.
    """
    from firstwords.common.errors import UserError
    from firstwords.runs import registry
    from firstwords.runs.differences import run_differences
    from firstwords.runs.render import render_differences

    if len(names) < 2:
        raise UserError("one run has no differences", "give the names of two or more")
    differences = run_differences([registry.open_run(name) for name in names])
    if as_json:
        echo(json.dumps([difference._asdict() for difference in differences], indent=2))
    else:
        echo(render_differences(list(names), differences))


@runs.command()
@click.argument("name")
@click.argument("new_name")
def rename(name: str, new_name: str) -> None:
    """Rename a run."""
    from firstwords.common import console
    from firstwords.runs.manage import rename_run

    console.say(f"renamed {name} to {rename_run(name, new_name).name}")


@runs.command()
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@click.option("--yes", is_flag=True, help="Do not ask.")
def rm(names: tuple[str, ...], yes: bool) -> None:
    """Remove runs with everything in them, after asking.

    A run that another process works on is never removed.
    """
    from firstwords.common import console
    from firstwords.common.signals import StopSignal
    from firstwords.runs import manage, registry
    from firstwords.runs.summary import directory_size

    directories = [registry.find_directory(name) for name in dict.fromkeys(names)]
    for directory in directories:
        manage.check_unused(directory)
    sizes = [directory_size(directory).disk_bytes for directory in directories]
    listed = ", ".join(
        f"{directory.name} ({format_size(size)})"
        for directory, size in zip(directories, sizes, strict=True)
    )
    if not yes and not click.confirm(f"Remove {listed}? This cannot be undone.", err=True):
        console.say("nothing was removed")
        return
    with StopSignal().listening():
        for directory in directories:
            manage.remove_run(directory)
    console.say(f"removed {listed}; freed {format_size(sum(sizes))}")


@runs.command("export")
@click.argument("name")
@click.argument("file", type=UserPath(dir_okay=False))
def export_(name: str, file: Path) -> None:
    """Pack a run into FILE (.tar.zst or .tar) for another machine.

    The archive holds the run with all checkpoints, and the SHA-256 of every file. Text and
    conversations of your own stay here; `firstwords data bundle` packs them too.
    """
    from firstwords.bundle.bundle import BundleRequest, create_bundle
    from firstwords.common import console
    from firstwords.common.signals import StopSignal

    with StopSignal().listening():
        packed = create_bundle(BundleRequest(file, run=name, sources=False))
    console.say(
        f"packed run {name}, {len(packed.files)} files, {format_size(packed.bytes)}, into {file} "
        f"({format_size(file.stat().st_size)})"
    )
    console.say(f"copy it to the other machine and run: firstwords runs import {file.name}")


@runs.command("import")
@click.argument("file", type=UserPath())
@click.option("--name", metavar="NEW", help="Name of the run here.  [default: its name there]")
def import_(file: Path, name: str | None) -> None:
    """Unpack the run in FILE, which `firstwords runs export` wrote.

    Every file is checked first: if one is damaged, nothing is unpacked.
    """
    from firstwords.bundle.unbundle import unpack_bundle
    from firstwords.common import console
    from firstwords.common.signals import StopSignal

    with StopSignal().listening():
        result = unpack_bundle(file, run_name=name)
    run = name or result.manifest.run
    console.say(
        f"imported run {run} into {result.home / 'runs'}"
        if result.new
        else f"run {run} already exists with the same files"
    )
    console.say(f"to look at it: firstwords runs show {run}")
