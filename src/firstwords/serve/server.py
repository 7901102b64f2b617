"""`firstwords serve`: start the server from the command's options and run it until a signal."""

import asyncio
import contextlib
import errno
import resource
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import uvicorn
from fastapi import FastAPI

from firstwords.common import console, devices, hardware
from firstwords.common.errors import UserError
from firstwords.runs import registry
from firstwords.runs.run import Run
from firstwords.serve.app import FindRuns, ServerLimits, create_app
from firstwords.serve.connections import ClientTimeoutProtocol
from firstwords.serve.model_pool import ModelPool

SHUTDOWN_SECONDS = 30  # for the running answers, after the signal to stop
# Clients reuse idle connections for 4 to 15 s; one that the server closes just then is an error.
KEEP_ALIVE_SECONDS = 30
MAX_OPEN_FILES = 65_536  # the default limit of macOS is 256, which idle connections can use up
NO_MODEL = "none yet; train one with: firstwords train (this server then finds it)"
BIND_HINTS = {
    errno.EADDRNOTAVAIL: "choose a --host that is an address of this machine, or 0.0.0.0",
    errno.EACCES: "choose a --port above 1023",
}


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
    check_api_key(options.api_key)
    find_runs = run_finder(options.names)
    models = open_models(find_runs, options)
    limits = ServerLimits(
        timeout=options.timeout,
        api_key=options.api_key,
        cors_origins=options.cors_origins,
        host=options.host,
    )
    config = server_config(create_app(models, limits, find_runs))
    listening = listen(options.host, options.port)
    raise_open_files_limit()
    host, port = listening.getsockname()[:2]
    address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    console.say(
        f"models: {', '.join(models.available) or NO_MODEL}\n"
        f"chat: {address}\nX-ray: {address}/xray/\ntraining: {address}/training/\n"
        f"API: {address}/v1 (documented at {address}/api/)\npress Ctrl-C to stop"
    )
    if not host.startswith("127.") and host != "::1" and not options.api_key:
        console.warn(
            "anyone who can reach this machine can use the models; set --api-key to require a key"
        )
    asyncio.run(Server(config).serve(sockets=[listening]))


def server_config(app: FastAPI) -> uvicorn.Config:
    """Return uvicorn's configuration for the app."""
    return uvicorn.Config(
        app,
        http=ClientTimeoutProtocol,
        ws="none",
        log_level="warning",
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        lifespan="on",
        server_header=False,
    )


def raise_open_files_limit() -> None:
    """Let this process have as many connections as the machine permits."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_OPEN_FILES if hard == resource.RLIM_INFINITY else min(MAX_OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


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
    """Return the models of these runs and of later ones. There may be none yet: training can be
    watched from its beginning."""
    runs = find_runs()
    devices.configure_torch(runs[0].recipe.n_threads if runs else hardware.physical_cores())
    return ModelPool(find_runs, options.max_batch_size, options.max_queue)


def check_api_key(key: str | None) -> None:
    """Raises UserError for a key that no client can send."""
    if key is not None and (not key.strip() or not key.isascii() or not key.isprintable()):
        raise UserError(
            "--api-key is empty or has characters that a header cannot have",
            "use letters, digits and signs of ASCII",
        )


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens on an address. Raises UserError if that fails."""
    try:
        family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, ValueError) as error:  # "a..b" is a UnicodeError, which is a ValueError
        reason = error.strerror if isinstance(error, OSError) else "no host name has this form"
        raise UserError(
            f"--host {host} is not a name or address ({reason})",
            "use 127.0.0.1 for this machine only, or 0.0.0.0 for its network",
        ) from None
    listening = socket.socket(family, kind, proto)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(address)
        listening.listen()  # clients may connect as soon as they read the address
    except OSError as error:
        listening.close()
        in_use = "choose another --port, or stop the program that uses this one"
        raise UserError(
            f"cannot listen on {host}:{port} ({error.strerror or error})",
            BIND_HINTS.get(error.errno or 0, in_use),
        ) from None
    return listening
