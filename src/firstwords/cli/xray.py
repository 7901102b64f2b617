"""`firstwords xray`."""

import json
from pathlib import Path
from typing import Any

import click

from firstwords.cli.options import EXISTING_RUN, JSON, SEED, Count, UserPath, sampling_options
from firstwords.common.errors import UserError
from firstwords.common.terminal import echo
from firstwords.inspect.xray.views import VIEWS
from firstwords.recipe import STAGES


@click.command()
@click.argument("text", required=False)
@EXISTING_RUN
@click.option(
    "--stage",
    type=click.Choice([*STAGES, "all"]),
    help="Stage whose model to inspect; all for every stage.  [default: the latest]",
)
@click.option(
    "--conversation",
    type=UserPath(dir_okay=False),
    metavar="FILE",
    help='Inspect a conversation instead of TEXT: JSON messages [{"role": …, "content": …}].',
)
@click.option("--chat", is_flag=True, help="Treat TEXT as a user's message that the model answers.")
@click.option(
    "--generate",
    type=Count(min=0),
    default=0,
    metavar="N",
    help="Generate up to N tokens, inspect them too, and show how the KV cache grows.",
)
@sampling_options
@click.option(
    "--view",
    "view_names",
    type=click.Choice(list(VIEWS)),
    multiple=True,
    help="Show only this view (repeatable).",
)
@click.option("--seed", type=SEED, default=0, show_default=True, help="Random seed of --generate.")
@click.option(
    "--html",
    type=UserPath(dir_okay=False),
    metavar="FILE",
    help="Write a page for the browser that needs no network.",
)
@JSON
def xray(
    text: str | None,
    name: str | None,
    stage: str | None,
    conversation: Path | None,
    chat: bool,
    generate: int,
    view_names: tuple[str, ...],
    html: Path | None,
    as_json: bool,
    **sampling: Any,
) -> None:
    """Show what the model does with TEXT, for any run, also while it is training.

    You see what it writes, the distribution of the next token, what every layer adds, the attention
    of every head, what each layer would predict, the loss of every token, the KV cache, and the
    tokens with their nearest neighbors.
    """
    from firstwords.common import console, devices, files
    from firstwords.inference.sampling import Sampling
    from firstwords.inspect.xray import page, terminal
    from firstwords.inspect.xray.checkpoints import load_checkpoints
    from firstwords.inspect.xray.conversation import read_conversation
    from firstwords.inspect.xray.inspect_run import InspectRequest, inspect_text
    from firstwords.runs import registry

    if (text is None) == (conversation is None):
        raise UserError("give either TEXT or --conversation", "firstwords xray --help shows how")
    messages = read_conversation(conversation) if conversation else None
    run = registry.open_run(name)
    models = load_checkpoints(run, stage)
    devices.configure_torch(run.recipe.n_threads)
    request = InspectRequest(text or "", chat, generate, Sampling(**sampling), messages)
    document = inspect_text(run.name, models, request)
    if view_names:
        views = document["views"]
        document["views"] = {name: view for name, view in views.items() if name in view_names}
    if html:
        files.write_output("--html", html, page.render_page(document))
        console.say(f"X-ray: {html}")
    if as_json:
        echo(json.dumps(document, ensure_ascii=False, separators=(",", ":")))
    elif not html:
        terminal.print_xray(document)
