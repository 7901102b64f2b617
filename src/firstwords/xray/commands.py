"""`firstwords xray`."""

import json
from pathlib import Path
from typing import Any

import click

from firstwords.options import EXISTING_RUN, JSON, SEED, sampling_options
from firstwords.recipe import STAGES
from firstwords.xray.words import WORDS


@click.command()
@click.argument("text")
@EXISTING_RUN
@click.option(
    "--stage",
    type=click.Choice([*STAGES, "all"]),
    help="Which stage's model; all for every one side by side.  [default: the furthest]",
)
@click.option("--chat", is_flag=True, help="TEXT is what a user says, and the model is to answer.")
@click.option(
    "--generate",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="Go on with up to N tokens, look at them too, and show the KV cache growing.",
)
@sampling_options
@click.option(
    "--view",
    "chosen",
    type=click.Choice(list(WORDS)),
    multiple=True,
    help="Show only this; may be given several times.",
)
@click.option("--seed", type=SEED, default=0, show_default=True, help="Other tokens to go on with.")
@click.option(
    "--html",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write a page to look at in a browser, which needs no network.",
)
@JSON
def xray(
    text: str,
    name: str | None,
    stage: str | None,
    chat: bool,
    generate: int,
    chosen: tuple[str, ...],
    html: Path | None,
    as_json: bool,
    **sampling: Any,
) -> None:
    """See what the model does with TEXT, on any run, also one that is still training.

    Its tokens and their neighbours, every head's attention, what each layer would say next, how the
    next token is drawn, the loss of every token, and the KV cache.
    """
    from firstwords import console, files, machine
    from firstwords import run as runs
    from firstwords.inference.sampling import Sampling
    from firstwords.xray import page, terminal
    from firstwords.xray.look import Ask, document
    from firstwords.xray.subjects import subjects

    run = runs.open_run(name)
    looked_at = subjects(run, stage)
    machine.setup(run.recipe.n_threads)
    seen = document(run.name, looked_at, Ask(text, chat, generate, Sampling(**sampling)))
    if chosen:
        seen["views"] = {name: words for name, words in seen["views"].items() if name in chosen}
    if html:
        files.write_chosen("--html", html, page.render(seen))
        console.say(f"X-ray: {html}")
    if as_json:
        click.echo(json.dumps(seen, ensure_ascii=False, separators=(",", ":")))
    elif not html:
        terminal.show(seen)
