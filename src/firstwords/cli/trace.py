"""`firstwords trace`."""

import json
from pathlib import Path
from typing import Any

import click

from firstwords.cli.options import EXISTING_RUN, JSON, STAGE, Count, UserPath
from firstwords.common.errors import UserError
from firstwords.common.terminal import echo

DEFAULT_ANSWER = "Hello! It is good to hear from you."


@click.command()
@click.argument("text")
@EXISTING_RUN
@STAGE
@click.option("--fresh", is_flag=True, help="Use the initial weights of the run's recipe.")
@click.option(
    "--chat",
    is_flag=True,
    help="Treat TEXT as a user's message; the assistant's answer is the target.",
)
@click.option(
    "--answer",
    metavar="TEXT",
    help=f"Assistant's answer, with --chat.  [default: {DEFAULT_ANSWER}]",
)
@click.option(
    "--layer",
    type=Count(min=0),
    default=0,
    show_default=True,
    help="Block to show in full; the others get one line each.",
)
@click.option(
    "--out",
    type=UserPath(dir_okay=False),
    metavar="FILE.md",
    help="Write a Markdown document instead of printing the trace.",
)
@JSON
def trace(
    text: str,
    name: str | None,
    stage: Any,
    fresh: bool,
    chat: bool,
    answer: str | None,
    layer: int,
    out: Path | None,
    as_json: bool,
) -> None:
    """Explain one training step on TEXT, from characters to updated weights.

    The step runs the training code on a copy of the run's model. For every operation you see its
    line of code, shape, FLOPs and first values, and what it is for. The run itself is not changed.
    """
    from firstwords.inspect.trace.inputs import TraceRequest, open_input
    from firstwords.inspect.trace.trace_step import trace_step

    if answer is not None and not chat:
        raise UserError("--answer needs a conversation", "add --chat")
    if chat and answer is None:
        answer = DEFAULT_ANSWER
    with open_input(TraceRequest(text, answer, name, stage, fresh)) as inputs:
        n_blocks = inputs.recipe.model.n_layer
        if layer >= n_blocks:
            raise UserError(
                f"--layer {layer} is not a block of this model", f"choose 0 to {n_blocks - 1}"
            )
        traced = trace_step(inputs)
    if out is not None:
        from firstwords.common import console, files
        from firstwords.inspect.trace.markdown import render_markdown

        files.write_output("--out", out, render_markdown(traced, layer))
        console.say(f"trace: {out}")
    if as_json:
        echo(json.dumps(traced.document(), indent=2, ensure_ascii=False))
    elif out is None:
        from firstwords.inspect.trace.terminal import print_trace

        print_trace(traced, layer)
