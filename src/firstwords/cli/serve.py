"""`firstwords serve`."""

from typing import Any

import click

from firstwords.cli.options import Count, FiniteRange


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8000,
    show_default=True,
    help="Port to listen on; 0 picks a free one.",
)
@click.option(
    "--run",
    "names",
    multiple=True,
    metavar="NAME",
    help="Run to serve (repeatable).  [default: all]",
)
@click.option(
    "--max-batch-size",
    type=click.IntRange(1, 256),
    default=16,
    show_default=True,
    help="Maximum number of answers that a model generates at a time.",
)
@click.option(
    "--max-queue",
    type=Count(min=0),
    default=64,
    show_default=True,
    help="Maximum queued requests; further ones get 429.",
)
@click.option(
    "--timeout",
    type=FiniteRange(min=1),
    default=120.0,
    show_default=True,
    help="Seconds after which an answer is cut off.",
)
@click.option(
    "--api-key",
    envvar="FIRSTWORDS_API_KEY",
    show_envvar=True,
    help="Key that requests to /v1 must send.",
)
@click.option(
    "--cors-origin",
    "cors_origins",
    multiple=True,
    metavar="URL",
    help="Allowed CORS origin (repeatable).",
)
def serve(**options: Any) -> None:
    """Serve chat, training and X-ray pages, and an OpenAI-compatible API."""
    from firstwords.serve import server

    server.serve(server.ServeOptions(**options))
