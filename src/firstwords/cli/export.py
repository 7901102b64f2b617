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
    type=click.Choice(["hf", "gguf"]),
    required=True,
    help="File format: hf is a directory for transformers, vLLM and the Hub; gguf is a file for "
    "llama.cpp and Ollama.",
)
@click.option(
    "--dtype",
    type=click.Choice(["f32", "f16", "q8_0"]),
    default="f32",
    show_default=True,
    help="Dtype of the matrices; q8_0, about 8 bits each, is for gguf only.",
)
@click.option(
    "--out",
    type=UserPath(),
    metavar="DIR",
    required=True,
    help="Output directory; existing files of the same names are replaced.",
)
def export(name: str | None, **request: Any) -> None:
    """Export a model for other tools, with a model card made from its run."""
    from firstwords.export.export import export as write
    from firstwords.runs import registry

    written = write(registry.open_run(name), **request)
    echo("\n".join(str(path) for path in written))
