"""`firstwords eval` and `firstwords report`."""

import json
from typing import Any

import click

from firstwords.cli.options import EXISTING_RUN, JSON, Count, Tasks, UserPath
from firstwords.common.terminal import echo
from firstwords.recipe import STAGES


@click.command("eval")
@EXISTING_RUN
@click.option(
    "--stage",
    type=click.Choice([*STAGES, "all"]),
    help="Stage to evaluate; all compares them in a table.  [default: the latest]",
)
@click.option(
    "--tasks",
    type=Tasks(),
    help="Comma-separated tasks: bits_per_byte of held-out text; exam, the starter curriculum's "
    "questions that training never shows; babble, whether answers to open prompts are English; and "
    "the published benchmarks core, blimp, arc_easy, arc_challenge, mmlu, gsm8k, humaneval.  "
    "[default: all that there is data for]",
)
@click.option(
    "--max-items",
    type=Count(min=0),
    metavar="N",
    help="Maximum number of held-out documents, and of items in each part of a benchmark; 0 for "
    "all.  [default: as in training, otherwise 100]",
)
@click.option(
    "--eval-data",
    "folder",
    type=UserPath(),
    metavar="DIR",
    help="Directory of the benchmarks' data.  [default: what firstwords data fetch eval fetched]",
)
@click.option(
    "--unsafe-code",
    is_flag=True,
    help="Run the programs that the model writes for humaneval as yourself, without a sandbox.",
)
@JSON
def evaluate(name: str | None, as_json: bool, **request: Any) -> None:
    """Measure a model, with 95 % intervals and the score of guessing.

    The model's answer to every item is written to the run's directory, evaluation/STAGE.TASK.jsonl.
    """
    from firstwords.evaluation import evaluate as evaluation
    from firstwords.evaluation.table import text_table
    from firstwords.runs import registry

    result = evaluation.evaluate(registry.open_run(name), evaluation.EvalRequest(**request))
    echo(json.dumps(result, indent=2) if as_json else text_table(result))


@click.command()
@EXISTING_RUN
def report(name: str | None) -> None:
    """Phase 5: evaluate a trained run and write report.html and report.md."""
    from firstwords.common import console
    from firstwords.pipeline import launch, phases
    from firstwords.report.report import publish

    with launch.resume_run(name) as session:
        phases.run_phase(session, "evaluation")
        if session.world.is_main:
            console.say(f"report: {publish(session.run)}")
