"""`firstwords serve`: start the server from the command's options and run it until a signal."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import uvicorn

from firstwords.common import console, devices
from firstwords.common.errors import UserError
from firstwords.runs import registry
from firstwords.runs.run import Run
from firstwords.serve.app import FindRuns, ServerLimits, create_app
from firstwords.serve.model_pool import ModelPool

SHUTDOWN_SECONDS = 30  # for the running answers, after the signal to stop


class ServeOptions(NamedTuple):
    """The options of `firstwords serve`."""

    host: str
    port: int
    names: tuple[str, ...]  # of runs; empty: all
    max_batch_size: int
    max_queue: int
    timeout: float
    api_key: str | None
    cors_origins: tuple[str, ...]


class Server(uvicorn.Server):
    """A uvicorn server that exits with code 0 after a signal, where uvicorn would re-raise it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        signals = (signal.SIGINT, signal.SIGTERM)
        previous = {number: signal.signal(number, self.handle_exit) for number in signals}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)


def serve(options: ServeOptions) -> None:
    """Serve until SIGINT or SIGTERM, then finish the running answers. Raises UserError."""
    find_runs = run_finder(options.names)
    models = open_models(find_runs, options)
    listening = listen(options.host, options.port)
    limits = ServerLimits(
        timeout=options.timeout, api_key=options.api_key, cors_origins=options.cors_origins
    )
    config = uvicorn.Config(
        create_app(models, limits, find_runs),
        log_level="warning",
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        lifespan="on",
        server_header=False,
    )
    host, port = listening.getsockname()[:2]
    address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    console.say(
        f"models: {', '.join(models.available) or 'none has a checkpoint yet'}\n"
        f"chat: {address}\nX-ray: {address}/xray/\ntraining: {address}/training.html\n"
        f"API: {address}/v1 (documented at {address}/docs.html)\npress Ctrl-C to stop"
    )
    if not host.startswith("127.") and host != "::1" and not options.api_key:
        console.warn(
            "anyone who can reach this machine can use the models; set --api-key to require a key"
        )
    asyncio.run(Server(config).serve(sockets=[listening]))


def run_finder(names: tuple[str, ...]) -> FindRuns:
    """Return a function that lists the named runs that still exist, or all runs without names.

    Raises UserError if a named run does not exist now.
    """
    named = [registry.open_run(name) for name in names]
    warned: set[Path] = set()

    def find_runs() -> list[Run]:
        if not named:
            return readable_runs(warned)
        return [run for run in named if registry.run_exists(run.directory)]

    return find_runs


def readable_runs(warned: set[Path]) -> list[Run]:
    """Return all runs, the newest first. Skip unreadable ones, with one warning for each:
    `warned` collects their directories."""
    runs = []
    for directory in registry.list_runs():
        try:
            runs.append(registry.open_run_directory(directory))
        except UserError as error:
            if directory not in warned:
                console.warn(f"skipping run {directory.name}: {error}")
            warned.add(directory)
    return runs


def open_models(find_runs: FindRuns, options: ServeOptions) -> ModelPool:
    """Return the models of these runs and of later ones. A run without a checkpoint counts, since
    its training can be watched. Raises UserError if there is no run."""
    runs = find_runs()
    if not runs:
        raise UserError("there is no run to serve", "train one with: firstwords train")
    devices.configure_torch(runs[0].recipe.n_threads)
    return ModelPool(find_runs, options.max_batch_size, options.max_queue)


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that is bound to an address. Raises UserError if that fails."""
    try:
        family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind, proto)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
    except OSError as error:
        raise UserError(
            f"cannot listen on {host}:{port} ({error.strerror or error})",
            "choose another --port, or stop the program that uses this one",
        ) from None
    return listening
