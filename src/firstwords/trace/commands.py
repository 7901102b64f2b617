"""`firstwords trace`."""

import json
from pathlib import Path
from typing import Any

import click

from firstwords.errors import UserError
from firstwords.options import EXISTING_RUN, JSON, STAGE

ANSWER = "Hello! It is good to hear from you."


@click.command()
@click.argument("text")
@EXISTING_RUN
@STAGE
@click.option("--fresh", is_flag=True, help="Take the weights before training, of the same recipe.")
@click.option(
    "--chat",
    is_flag=True,
    help="Take the text as what a user says; what the assistant answers is then the target.",
)
@click.option(
    "--answer",
    metavar="TEXT",
    help=f"What the assistant answers, with --chat.  [default: {ANSWER}]",
)
@click.option(
    "--layer",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="The block to show in full; the others get a line each.",
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE.md",
    help="Write a Markdown document instead of showing it.",
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
    """One training step on TEXT, explained: from characters to updated weights.

    It runs the code that trains, on a copy of a run's model, and shows every operation with its
    place in the code, shape, work and first values, and why it is there. The run stays as it is.
    """
    from firstwords.trace.subject import Request, opened
    from firstwords.trace.walk import walk

    if answer is not None and not chat:
        raise UserError("--answer", "only conversations have answers; add --chat")
    said = (ANSWER if answer is None else answer) if chat else None
    with opened(Request(text, said, name, stage, fresh)) as subject:
        blocks = subject.recipe.model.n_layer
        if layer >= blocks:
            raise UserError(f"--layer {layer}", f"this model has the blocks 0 to {blocks - 1}")
        traced = walk(subject)
    if out is not None:
        from firstwords import console, files
        from firstwords.trace.markdown import render

        files.write_chosen("--out", out, render(traced, layer))
        console.say(f"trace: {out}")
    if as_json:
        click.echo(json.dumps(traced.document(), indent=2, ensure_ascii=False))
    elif out is None:
        from firstwords.trace.show import show

        show(traced, layer)
