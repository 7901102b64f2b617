"""`firstwords serve`: from the options to a server that runs until it is told to end."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import uvicorn

from firstwords import console, machine
from firstwords import run as runs
from firstwords.errors import UserError
from firstwords.run import Run
from firstwords.serve.app import FindRuns, Limits, create_app
from firstwords.serve.models import Models

GRACE = 30.0  # seconds for the answers that run when the server is told to end


class Options(NamedTuple):
    host: str
    port: int
    names: tuple[str, ...]  # of runs; none: all
    slots: int
    queue: int
    timeout: float
    api_key: str | None
    origins: tuple[str, ...]


class Server(uvicorn.Server):
    """uvicorn's, which ends in peace: it would send itself the signal once more."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        before = {s: signal.signal(s, self.handle_exit) for s in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def serve(options: Options) -> None:
    """Serve until SIGINT or SIGTERM; what runs then is finished. Raises UserError."""

    named = [runs.open_run(name) for name in options.names]
    told: set[Path] = set()

    def find_runs() -> list[Run]:
        return [run for run in named if runs.exists(run.directory)] if named else every_run(told)

    models = opened(find_runs, options)
    listening = bound(options.host, options.port)
    limits = Limits(seconds=options.timeout, api_key=options.api_key, origins=options.origins)
    config = uvicorn.Config(
        create_app(models, limits, find_runs),
        log_level="warning",
        timeout_graceful_shutdown=round(GRACE),
        lifespan="on",
        server_header=False,
    )
    host, port = listening.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    console.say(
        f"models: {', '.join(models.entries) or 'none has a checkpoint yet'}\n"
        f"chat: http://{shown}:{port}\nX-ray: http://{shown}:{port}/xray/\n"
        f"training: http://{shown}:{port}/live.html\n"
        f"API: http://{shown}:{port}/v1, described at /docs.html (Ctrl-C ends)"
    )
    if not host.startswith("127.") and host != "::1" and not options.api_key:
        console.warn(
            "anybody who reaches this machine can ask the models; --api-key closes the API"
        )
    asyncio.run(Server(config).serve(sockets=[listening]))


def opened(find_runs: FindRuns, options: Options) -> Models:
    """The models of these runs, also of those that come later. A run without a checkpoint can be
    watched. Raises UserError if there is no run."""
    found = find_runs()
    if not found:
        raise UserError("there is no run to serve", "make one with: firstwords train")
    machine.setup(found[0].recipe.n_threads)
    return Models(find_runs, options.slots, options.queue)


def every_run(told: set[Path]) -> list[Run]:
    """All runs, the one that was started last first. Those that cannot be read are passed over,
    which is said once of each."""
    found = []
    for directory in runs.started_runs():
        try:
            found.append(runs.open_directory(directory))
        except UserError as error:
            if directory not in told:
                console.warn(f"{directory.name} is left out: {error}")
            told.add(directory)
    return found


def bound(host: str, port: int) -> socket.socket:
    """A socket that listens there. Raises UserError."""
    try:
        family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind, proto)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
    except OSError as error:
        raise UserError(
            f"cannot listen on {host}:{port} ({error.strerror or error})",
            "choose another --port, or end what uses it",
        ) from None
    return listening
