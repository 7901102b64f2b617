"""`firstwords chat`: the conversation in the terminal.

Answers go to stdout as they are generated, everything else to stderr.
"""

import contextlib
import secrets
import sys
from typing import Any, NamedTuple

import click

from firstwords import checkpoint, console, machine
from firstwords import run as runs
from firstwords.errors import UserError
from firstwords.inference.chat import Chat
from firstwords.inference.decoder import Decoder
from firstwords.inference.engine import Engine
from firstwords.inference.sampling import Sampling
from firstwords.recipe import Stage
from firstwords.stages.common import load_tokenizer


class Opened(NamedTuple):
    chat: Chat
    title: str
    new_seeds: bool  # every answer is drawn anew


def open_chat(
    name: str | None, stage: Stage | None, seed: int | None, sampling: dict[str, Any]
) -> Opened:
    """The newest checkpoint of a run's stage, ready to talk. Raises UserError."""
    run = runs.open_run(name)
    chosen, found = run.newest_of(stage)
    machine.setup(run.recipe.n_threads)
    model = checkpoint.load_model(found.directory, machine.at_hand(run.recipe.device))
    chat = Chat(
        Engine(Decoder(model, slots=1)),
        load_tokenizer(run),
        Sampling(**sampling, seed=seed or 0),
    )
    return Opened(chat, f"{run.name}, {chosen}, step {found.step:,}", seed is None)


def answer_once(opened: Opened, prompt: str) -> None:
    """The answer on stdout, and nothing else there."""
    for event in opened.chat.say(prompt):
        if event.kind == "text":
            click.echo(event.text, nl=False)
    click.echo()
    _say_what_was_left_out(opened.chat)


def converse(opened: Opened) -> None:
    chat = opened.chat
    console.say(f"{opened.title}. Ctrl-C stops an answer, Ctrl-D leaves.")
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401  (line editing and history for input)
    while True:
        text = _read_line()
        if text is None:
            return
        if not text.strip():
            continue
        if opened.new_seeds:
            chat.sampling = chat.sampling.model_copy(update={"seed": secrets.randbits(31)})
        _stream(chat, text)
        _say_what_was_left_out(chat)


def _read_line() -> str | None:
    """What the user typed; an interrupted line is empty; None at the end of the input."""
    try:
        return input("\n> " if sys.stdin.isatty() else "")
    except EOFError:
        return None
    except KeyboardInterrupt:
        return ""
    except UnicodeDecodeError:
        raise UserError("the input", "it is not UTF-8; set the terminal to UTF-8") from None


def _stream(chat: Chat, text: str) -> None:
    try:
        for event in chat.say(text):
            if event.kind == "tool":
                click.secho(f"[{event.text} = {event.result}] ", nl=False, dim=True)
            else:
                click.echo(event.text, nl=False)
    except KeyboardInterrupt:
        click.secho(" [stopped]", nl=False, dim=True)
    click.echo()


def _say_what_was_left_out(chat: Chat) -> None:
    if chat.dropped:
        console.warn(f"the context is full: the first {chat.dropped} messages are no longer seen")
    if chat.cut:
        console.warn("this message is longer than the context: the model saw only its end")
