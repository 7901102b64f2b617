"""`firstwords chat`."""

from typing import Any

import click

from firstwords.cli.options import EXISTING_RUN, SEED, STAGE, Count, sampling_options
from firstwords.common.errors import UserError


@click.command()
@EXISTING_RUN
@click.option("-p", "--prompt", help="Print the answer to this message and exit.")
@STAGE
@sampling_options
@click.option(
    "--max-tokens",
    type=Count(min=1),
    default=256,
    show_default=True,
    help="Maximum length of an answer in tokens.",
)
@click.option(
    "--seed",
    type=SEED,
    help="Random seed; the same seed gives the same answer.  [default: 0 with -p, else random]",
)
def chat(
    name: str | None, prompt: str | None, stage: Any, seed: int | None, **sampling: Any
) -> None:
    """Chat with a model. Ctrl-C stops an answer, Ctrl-D exits."""
    from firstwords.cli import terminal_chat

    if prompt is not None and not prompt.strip():
        raise UserError("-p is empty", "give it a message")
    opened = terminal_chat.open_chat(name, stage, seed, sampling)
    if prompt is None:
        terminal_chat.converse(opened)
    else:
        terminal_chat.answer_once(opened, prompt)
