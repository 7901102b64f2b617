"""`firstwords data`: look at, check, convert, fetch, verify, encode and bundle training data."""

import json
from pathlib import Path
from typing import Any

import click

from firstwords.cli.options import EXISTING_RUN, JSON, PERSONALITY, SEED, Count, UserPath, as_source
from firstwords.cli.own_data import check, convert, notes
from firstwords.common.terminal import echo
from firstwords.common.units import format_size
from firstwords.data.hub.catalogue import EVAL

ALL_SHARDS = 1_000_000  # more than any corpus has


class Shards(click.ParamType):
    """A number of shards, or `all`."""

    name = "N"

    def convert(self, value: Any, param: Any, ctx: Any) -> int:
        if str(value).isdigit() and int(value) > 0:
            return int(value)
        if value != "all":
            self.fail(f"{value!r} is neither a number of at least 1 nor all", param, ctx)
        return ALL_SHARDS


@click.group()
def data() -> None:
    """Look at, check, convert, fetch, verify, encode and bundle training data."""


@data.command()
@click.argument("source", metavar="SRC")
@click.option("--conversations", is_flag=True, help="Show conversations of the starter curriculum.")
@click.option("--kind", help="Kind of starter samples to show; 'list' prints all kinds.")
@click.option(
    "--n",
    "count",
    type=Count(min=1),
    default=3,
    show_default=True,
    help="Number of samples.",
)
@click.option("--seed", type=SEED, default=0, show_default=True, help="Random seed.")
@PERSONALITY
@JSON
def show(source: str, as_json: bool, **options: Any) -> None:
    """Say what SRC was recognised as, and show samples of it.

    SRC is starter, a file, a directory of files, or hub:NAME.
    """
    from firstwords.data.samples import load_samples

    shown = load_samples(source, **options)
    found = shown.to_json()
    echo(json.dumps(found, indent=2, ensure_ascii=False) if as_json else shown.render())


data.add_command(check)
data.add_command(convert)
data.add_command(notes)


@data.command("list")
@JSON
def list_(as_json: bool) -> None:
    """List the corpora that can be fetched by name, and which were."""
    from firstwords.data.hub.listing import list_corpora, render_corpora

    corpora = list_corpora()
    echo(json.dumps(corpora, indent=2) if as_json else render_corpora(corpora))


@data.command()
@click.argument("name", metavar="NAME")
@click.option(
    "--shards",
    type=Shards(),
    metavar="N",
    help="Minimum number of training files, or all.  [default: see data list]",
)
@click.option(
    "--jobs",
    type=click.IntRange(1, 32),
    default=4,
    show_default=True,
    help="Number of files to download at a time.",
)
@click.option(
    "--out",
    type=UserPath(file_okay=False),
    metavar="DIR",
    help="Directory for the files.  [default: in $FIRSTWORDS_HOME, where train and eval find them]",
)
def fetch(name: str, shards: int | None, jobs: int, out: Path | None) -> None:
    """Download the corpus NAME, or eval: the published benchmarks (about 225 MB).

    Revisions are pinned and every file is checked; files that are present and intact are not
    downloaded again. After Ctrl-C or a dropped connection, run the same command again to resume.
    Training never downloads anything by itself.
    """
    from firstwords.common import console
    from firstwords.common.errors import UserError
    from firstwords.data.hub import catalogue, manifest

    folder = out or manifest.corpus_folder(name)
    if name == EVAL:
        from firstwords.evaluation.fetch import fetch_benchmarks

        if shards:
            raise UserError("--shards is not supported for eval", "leave it out")
        n_fetched = fetch_benchmarks(folder, jobs)
        console.say(f"fetched {n_fetched} files; {EVAL} is complete in {folder}")
        return
    from firstwords.data.hub.fetch import fetch_corpus

    entry = catalogue.find_entry(name)
    result = fetch_corpus(name, entry, folder, shards, jobs)
    size = format_size(result.bytes)
    console.say(f"{result.n_files} files ({result.n_new} fetched now), {size}, in {folder}")
    console.say(
        f"to train on it: firstwords train {entry.option} {folder if out else f'hub:{name}'}"
    )


@data.command()
@click.argument("names", metavar="[NAME]...", nargs=-1)
@JSON
@click.pass_context
def verify(context: click.Context, names: tuple[str, ...], as_json: bool) -> None:
    """Verify the checksums of all fetched data, or of NAME.

    Exits with 1 if a file is missing or damaged.
    """
    from firstwords.data.hub.verify import render_verification, verify_corpora

    results = verify_corpora(names)
    echo(json.dumps(results, indent=2) if as_json else render_verification(results))
    context.exit(1 if any(result["problems"] for result in results.values()) else 0)


@data.command()
@EXISTING_RUN
def encode(name: str | None) -> None:
    """Encode all text and conversations of a run before it trains.

    Training encodes what is missing, but a machine with GPUs would have to wait for it. Stop it at
    any time; run the same command again to resume.
    """
    from firstwords.common.signals import StopSignal
    from firstwords.runs import datasets, registry

    run = registry.open_run(name)
    with StopSignal().listening(), registry.lock_run(run.name):
        datasets.encode_data(run)


@data.command()
@click.option("--run", metavar="NAME", help="Run to pack, with its sources and everything it made.")
@click.option(
    "--data",
    metavar="SRC",
    multiple=True,
    callback=as_source,
    help="Text to pack, as for train (repeatable).",
)
@click.option(
    "--chat-data",
    metavar="SRC",
    multiple=True,
    callback=as_source,
    help="Conversations to pack, as for train (repeatable).",
)
@click.option("--eval", is_flag=True, help="Also pack the benchmarks' data.")
@click.option(
    "--out",
    type=UserPath(dir_okay=False),
    metavar="FILE",
    required=True,
    help="Archive to write; the name ends in .tar, or in .tar.zst to compress it.",
)
def bundle(run: str | None, **options: Any) -> None:
    """Pack what a run needs into one archive, for a machine without internet.

    The archive holds the SHA-256 of every file, which unbundle checks. The same files give the same
    bytes.
    """
    from firstwords.bundle.bundle import BundleRequest, create_bundle
    from firstwords.common import console
    from firstwords.common.errors import UserError

    if run and (options["data"] or options["chat_data"]):
        raise UserError(
            "--run cannot be combined with --data or --chat-data",
            "leave them out; the run's sources are packed with it",
        )
    request = BundleRequest(run=run, **options)
    packed = create_bundle(request)
    archive_size = format_size(request.out.stat().st_size)
    console.say(
        f"packed {len(packed.files)} files, {format_size(packed.bytes)}, into {request.out} "
        f"({archive_size})"
    )
    console.say(
        f"copy it to the other machine and run: firstwords data unbundle {request.out.name}"
    )


@data.command()
@click.argument("file", metavar="FILE", type=UserPath())
def unbundle(file: Path) -> None:
    """Check a bundle and unpack it into $FIRSTWORDS_HOME.

    If any file in it is damaged, nothing is unpacked.
    """
    from firstwords.bundle.unbundle import next_step, unpack_bundle
    from firstwords.common import console

    result = unpack_bundle(file)
    for unit in result.existing:
        console.say(f"{unit} already exists with the same files")
    for unit in result.new:
        console.say(f"unpacked {unit} into {result.home}")
    console.say(next_step(result.manifest))
