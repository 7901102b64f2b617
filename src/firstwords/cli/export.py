"""`firstwords export`."""

from typing import Any

import click

from firstwords.cli.options import EXISTING_RUN, STAGE, UserPath
from firstwords.common.terminal import echo


@click.command()
@EXISTING_RUN
@STAGE
@click.option(
    "--format",
    "kind",
    type=click.Choice(["html", "hf", "gguf"]),
    required=True,
    help="File format: html is a page that chats in any browser, offline; hf is a directory for "
    "transformers, vLLM and the Hub; gguf is a file for llama.cpp and Ollama.",
)
@click.option(
    "--dtype",
    type=click.Choice(["f32", "f16", "int9", "q8_0"]),
    help="Dtype of the matrices. The smallest are int9 for html and q8_0 for gguf.  [default: int9 "
    "for html, else f32]",
)
@click.option(
    "--out",
    type=UserPath(),
    metavar="PATH",
    required=True,
    help="Output file for html, such as chat.html, else output directory; existing files of the "
    "same names are replaced.",
)
def export(name: str | None, **request: Any) -> None:
    """Export a model for other tools, with a model card made from its run."""
    from firstwords.export.export import export as write
    from firstwords.runs import registry

    written = write(registry.open_run(name), **request)
    echo("\n".join(str(path) for path in written))
