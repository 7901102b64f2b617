"""`firstwords rollout`."""

import json
from pathlib import Path
from typing import Any

import click

from firstwords.cli.options import EXISTING_RUN, JSON, Count, UserPath
from firstwords.common.terminal import echo


@click.command()
@EXISTING_RUN
@click.option(
    "--stage",
    type=click.Choice(["sft", "rl"]),
    help="Stage whose model answers.  [default: rl if the run has it, else sft]",
)
@click.option(
    "--kind",
    metavar="KIND",
    help="Part of the exam to ask questions of, such as stories.  [default: those of the recipe]",
)
@click.option(
    "--reward",
    type=UserPath(dir_okay=False),
    metavar="FILE",
    help="Python file with your own reward, as in rl. It runs as your own code.",
)
@click.option(
    "--question",
    type=Count(min=0),
    metavar="N",
    help="Number of the question.  [default: the first whose answers differ in reward]",
)
@JSON
def rollout(
    name: str | None,
    stage: Any,
    kind: str | None,
    reward: Path | None,
    question: int | None,
    as_json: bool,
) -> None:
    """Explain one update of reinforcement learning, from a question to the tokens that moved.

    The model answers a question in a group of samples; a program grades them, and one step makes
    answers above the mean more likely. The step is taken on a copy; the run itself is not changed.
    """
    from firstwords.inspect.rollout.explain import RolloutRequest, explain_rollout

    explanation = explain_rollout(RolloutRequest(name, stage, kind, reward, question))
    if as_json:
        echo(json.dumps(explanation.document(), indent=2, ensure_ascii=False))
        return
    from firstwords.inspect.rollout.terminal import print_rollout

    print_rollout(explanation)
