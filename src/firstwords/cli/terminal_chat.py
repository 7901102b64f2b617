"""The conversation of `firstwords chat` in the terminal.

Answers are streamed to stdout as they are generated; everything else goes to stderr.
"""

import contextlib
import secrets
import sys
from typing import Any, NamedTuple

from firstwords.common import console, devices
from firstwords.common.errors import UserError
from firstwords.common.terminal import echo
from firstwords.inference.chat import Chat
from firstwords.inference.decoder import Decoder
from firstwords.inference.engine import Engine
from firstwords.inference.models import load_newest
from firstwords.inference.sampling import Sampling
from firstwords.recipe import Stage
from firstwords.runs import registry


class ChatSession(NamedTuple):
    """A chat with a checkpoint, and the checkpoint's name for the user."""

    chat: Chat
    title: str
    random_seeds: bool  # draw a new seed for every answer


def open_chat(
    name: str | None, stage: Stage | None, seed: int | None, sampling: dict[str, Any]
) -> ChatSession:
    """Load the newest checkpoint of a run's stage for a chat. Raises UserError."""
    run = registry.open_run(name)
    devices.configure_torch(run.recipe.n_threads)
    newest = load_newest(run, stage)
    engine = Engine(Decoder(newest.model, slots=1))
    chat = Chat(engine, newest.tokenizer, Sampling(**sampling, seed=seed or 0))
    title = f"{run.name}, {newest.stage}, step {newest.checkpoint.step:,}"
    if own_name := run.assistant_name(newest.stage):
        title = f"{own_name} ({title})"
    return ChatSession(chat, title, random_seeds=seed is None)


def answer_once(session: ChatSession, prompt: str) -> None:
    """Print the text of the answer to stdout, and nothing else."""
    for event in session.chat.send(prompt):
        if event.kind == "text":
            echo(event.text, nl=False)
    echo()
    _warn_if_shortened(session.chat)


def converse(session: ChatSession) -> None:
    """Answer messages from stdin until it ends."""
    chat = session.chat
    console.say(f"{session.title}. Ctrl-C stops an answer, Ctrl-D exits.")
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401  (line editing and history for input)
    while True:
        text = _read_line()
        if text is None:
            return
        if not text.strip():
            continue
        if session.random_seeds:
            chat.sampling = chat.sampling.replace(seed=secrets.randbits(31))
        _stream(chat, text)
        _warn_if_shortened(chat)


def _read_line() -> str | None:
    """Return the next line, empty if interrupted by Ctrl-C; None at the end of the input."""
    try:
        return input("\n> " if sys.stdin.isatty() else "")
    except EOFError:
        return None
    except KeyboardInterrupt:
        return ""
    except UnicodeDecodeError:
        raise UserError("the input is not UTF-8", "set the terminal to UTF-8") from None


def _stream(chat: Chat, text: str) -> None:
    try:
        for event in chat.send(text):
            if event.kind == "tool":
                echo(f"[{event.text} = {event.result}] ", nl=False, dim=True)
            else:
                echo(event.text, nl=False)
    except KeyboardInterrupt:
        echo(" [stopped]", nl=False, dim=True)
    echo()


def _warn_if_shortened(chat: Chat) -> None:
    if chat.n_dropped:
        console.warn(f"context window full; dropping the first {chat.n_dropped} messages")
    if chat.truncated:
        console.warn("message longer than the context window; the model saw only its end")
