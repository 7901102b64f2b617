"""`firstwords sweep`."""

import json
from pathlib import Path

import click

from firstwords.cli.options import JSON, UserPath
from firstwords.common.terminal import echo


@click.command()
@click.argument("file", type=UserPath(dir_okay=False))
@click.option("--name", help="Name of the sweep.  [default: the name of FILE]")
@click.option(
    "--label",
    default="",
    help="Name of a change of the code: trains every variant again, beside those of other labels.",
)
@click.option(
    "--command",
    help="Command that trains a run, with {run} and {recipe} in it, instead of firstwords train.",
)
@click.option("--show", is_flag=True, help="Show the results so far and train nothing.")
@JSON
def sweep(
    file: Path, name: str | None, label: str, command: str | None, show: bool, as_json: bool
) -> None:
    """Train variants of a recipe with several seeds, and compare them.

    FILE is a TOML file with the changes of each variant. Stop it at any time; run the same command
    again to resume. Every finished run adds a line to experiments.jsonl in the home of Firstwords.
    """
    from firstwords.common.errors import UserError
    from firstwords.sweep.ledger import read_experiments
    from firstwords.sweep.results import render_results
    from firstwords.sweep.run_sweep import run_sweep
    from firstwords.sweep.spec import NAME, SweepSpec, read_spec

    spec = read_spec(file)
    if command:
        spec = SweepSpec.model_validate({**dict(spec), "command": command})
    name = name or file.stem
    for option, value in (("--name", name), ("--label", label or "none")):
        if not NAME.fullmatch(value):
            raise UserError(
                f"{option} {value} is not a name", "use up to 32 letters, digits and dashes"
            )
    finished = show or run_sweep(name, spec, label)
    experiments = read_experiments(name, spec.changes)
    if as_json:
        echo(json.dumps(experiments, indent=2))
    elif experiments:
        echo(render_results(name, experiments))
    if not finished:
        click.get_current_context().exit(1)
