"""`firstwords compare`."""

import json
from pathlib import Path

import click

from firstwords.cli.options import JSON, UserPath
from firstwords.common.terminal import echo
from firstwords.recipe import STAGES


@click.command()
@click.argument("names", metavar="A B...", nargs=-1, required=True)
@click.option(
    "--stage",
    type=click.Choice(STAGES),
    help="Stage to compare.  [default: the latest that all runs have; instead of sft, the rl of "
    "runs with that]",
)
@click.option(
    "--prompt",
    "-p",
    "prompts",
    metavar="TEXT",
    multiple=True,
    help="Prompt that every model answers (repeatable).  [default: a few questions]",
)
@click.option(
    "--html",
    type=UserPath(dir_okay=False),
    metavar="FILE",
    help="Write a page for the browser that needs no network.",
)
@JSON
def compare(
    names: tuple[str, ...],
    stage: str | None,
    prompts: tuple[str, ...],
    html: Path | None,
    as_json: bool,
) -> None:
    """Compare runs: a verdict, scores with paired intervals, recipes, curves and answers.

    The first run is the one that the others are compared with.
    """
    from firstwords.common import console, devices, files
    from firstwords.compare import page, terminal
    from firstwords.compare.document import CompareRequest, compare_runs
    from firstwords.runs import registry

    runs = [registry.open_run(name) for name in names]
    devices.configure_torch(runs[0].recipe.n_threads)
    document = compare_runs(runs, CompareRequest(stage, prompts or None))  # type: ignore[arg-type]
    if html:
        files.write_output("--html", html, page.render_page(document))
        console.say(f"comparison: {html}")
    if as_json:
        echo(json.dumps(document, indent=2, ensure_ascii=False))
    elif not html:
        echo(terminal.render_comparison(document))
