"""`firstwords data`: one thin subcommand per job."""

import json
from pathlib import Path
from typing import Any

import click

from firstwords.data.catalogue import EVAL
from firstwords.options import EXISTING_RUN, JSON, SEED


@click.group()
def data() -> None:
    """The data that a model learns from: look at it, fetch it, take it to another machine."""


@data.command()
@click.argument("source", metavar="SRC")
@click.option("--conversations", is_flag=True, help="Show conversations instead of text.")
@click.option("--kind", help="Only this kind of the starter curriculum; 'list' names them.")
@click.option(
    "--n", "count", type=click.IntRange(min=1), default=3, show_default=True, help="How many."
)
@click.option("--seed", type=SEED, default=0, show_default=True, help="Other samples.")
@JSON
def show(source: str, as_json: bool, **options: Any) -> None:
    """Show samples of SRC: starter, a file, a directory of files, or hub:NAME."""
    from firstwords.data.samples import render, samples

    shown = samples(source, **options)
    click.echo(json.dumps(shown, indent=2, ensure_ascii=False) if as_json else render(shown))


@data.command("list")
@JSON
def list_known(as_json: bool) -> None:
    """The corpora that fetch knows by name, their sizes, and what is here of them."""
    from firstwords.data import listing

    known = listing.known()
    click.echo(json.dumps(known, indent=2) if as_json else listing.render(known))


class Shards(click.ParamType):
    name = "N"

    def convert(self, value: Any, param: Any, ctx: Any) -> int:
        if str(value).isdigit() and int(value) > 0:
            return int(value)
        if value != "all":
            self.fail(f"{value!r} is neither a number from 1 on nor all", param, ctx)
        return 1_000_000


@data.command()
@click.argument("name", metavar="NAME")
@click.option(
    "--shards",
    type=Shards(),
    metavar="N",
    help="At least so many files to train on, or all.  [default: see data list]",
)
@click.option(
    "--jobs",
    type=click.IntRange(1, 32),
    default=4,
    show_default=True,
    help="Files that are fetched at a time.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Where to.  [default: the place in $FIRSTWORDS_HOME where train and eval look for it]",
)
def fetch(name: str, shards: int | None, jobs: int, out: Path | None) -> None:
    """Download the corpus NAME, or eval: the published benchmarks (some 200 MB).

    Training fetches nothing by itself. Revisions are pinned and every file is checked; what is
    here and whole is not fetched again. Ctrl-C and dropped connections lose nothing: the
    same command goes on.
    """
    from firstwords import console
    from firstwords.data import catalogue, contents
    from firstwords.errors import UserError

    folder = out or contents.folder_of(name)
    if name == EVAL:
        from firstwords.evaluation.fetch import fetch as fetch_eval

        if shards:
            raise UserError("--shards", "eval comes whole; leave it out")
        count = fetch_eval(folder, jobs)
        console.say(f"{count} files fetched, now in {folder}" if count else f"all there: {folder}")
        return
    from firstwords.data.fetch import fetch_corpus

    entry = catalogue.entry(name)
    done = fetch_corpus(name, entry, folder, shards, jobs)
    new = f"{done.new} fetched" if done.new else "all were there"
    console.say(f"{done.files} files, {console.size(done.bytes)} ({new}) in {folder}")
    source = folder if out else f"hub:{name}"
    console.say(f"learn from it: firstwords train {entry.option} {source}")


@data.command()
@click.argument("names", metavar="[NAME]...", nargs=-1)
@JSON
@click.pass_context
def verify(context: click.Context, names: tuple[str, ...], as_json: bool) -> None:
    """Read all fetched data, or that of NAME, and find files that are missing or damaged.

    The exit code is 1 if there are any.
    """
    from firstwords.data import verify as verifying

    found = verifying.verify(names)
    click.echo(json.dumps(found, indent=2) if as_json else verifying.render(found))
    context.exit(0 if all(not one["problems"] for one in found.values()) else 1)


@data.command()
@EXISTING_RUN
def encode(name: str | None) -> None:
    """Turn all text and conversations of a run into tokens, before it trains.

    Training does the same when it needs them; a machine with GPUs need not wait for it. Stop it at
    any time; the same command continues.
    """
    from firstwords import run as runs
    from firstwords.signals import Stop
    from firstwords.stages import common

    run = runs.open_run(name)
    with Stop().listening(), runs.locked(run.name):
        common.encode_data(run)


@data.command()
@click.option("--run", metavar="NAME", help="A run so far, with its sources and all it made.")
@click.option("--data", metavar="SRC", help="Text, as for train.")
@click.option("--chat-data", metavar="SRC", help="Conversations, as for train.")
@click.option("--eval", is_flag=True, help="The benchmarks' data, too.")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    required=True,
    help="The archive: a name that ends in .tar, or in .tar.zst to compress it.",
)
def bundle(run: str | None, **options: Any) -> None:
    """Pack what a run needs into one archive, for a machine without internet.

    It holds a SHA-256 of every file; unbundle checks them there. The same files make the same
    bytes.
    """
    from firstwords import console
    from firstwords.data import bundle as bundles
    from firstwords.errors import UserError

    if run and (options["data"] or options["chat_data"]):
        raise UserError("--run", "a run knows its sources; leave out --data and --chat-data")
    request = bundles.Request(run=run, **options)
    made = bundles.bundle(request)
    packed = console.size(request.out.stat().st_size)
    console.say(f"{len(made.files)} files, {console.size(made.bytes)}, in {request.out} ({packed})")
    console.say(f"copy it, and there run: firstwords data unbundle {request.out.name}")


@data.command()
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
def unbundle(file: Path) -> None:
    """Check a bundle and put what it holds in place.

    If anything in it is damaged, nothing is unpacked.
    """
    from firstwords import console
    from firstwords.data import unbundle as unpacking

    done = unpacking.unbundle(file)
    for unit in done.there:
        console.say(f"{unit} was here already")
    for unit in done.new:
        console.say(f"{unit} is now in {done.home}")
    console.say(unpacking.next_step(done))
