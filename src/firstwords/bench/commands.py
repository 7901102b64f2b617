"""`firstwords bench`: one thin subcommand per benchmark."""

import json
from pathlib import Path
from typing import Any

import click

from firstwords.errors import UserError
from firstwords.options import EXISTING_RUN, JSON, SEED, STAGE, Duration

BENCH_DATA = click.option(
    "--data",
    "source",
    metavar="SRC",
    default="starter",
    show_default=True,
    help="Text to learn from, as for train.",
)


@click.group()
def bench() -> None:
    """The performance figures of this machine."""


@bench.command("train")
@click.option("--run", "name", metavar="NAME", help="The model of this run, instead of a plan's.")
@click.option(
    "--time",
    "seconds",
    type=Duration(),
    default=1800.0,
    show_default="30m",
    help="The model that a plan for this time picks here.",
)
@click.option(
    "--rounds",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    help="How many times the contenders take turns, a second each.",
)
@JSON
def bench_train(name: str | None, seconds: float, rounds: int, as_json: bool) -> None:
    """How fast a training step is, and what share of this machine's ceiling that is.

    Beside it, in the same run: the same model in eager PyTorch with its defaults, and a plain GPT
    of the same size with AdamW.
    """
    from firstwords import run as runs
    from firstwords import start
    from firstwords.bench import train as benchmark

    if name is None:
        recipe = start.resolve(start.Request(seconds=seconds))[2].recipe
    else:
        recipe = runs.open_run(name).recipe
    if recipe.device != "cpu":
        raise UserError(
            f"bench train measures processors, and this recipe trains on a GPU ({recipe.device})",
            "hide the GPU (CUDA_VISIBLE_DEVICES=), or name a run of a processor with --run",
        )
    result = benchmark.bench_train(recipe, rounds)
    click.echo(json.dumps(result, indent=2) if as_json else benchmark.describe(result))


@bench.command("decode")
@EXISTING_RUN
@STAGE
@click.option(
    "--rounds",
    type=click.IntRange(min=1),
    default=5,
    show_default=True,
    help="How many times the contenders take turns.",
)
@JSON
def bench_decode(name: str | None, stage: Any, rounds: int, as_json: bool) -> None:
    """How fast a run's model answers, one answer at a time and sixteen.

    Beside it, in the same run and where they are installed: transformers and llama.cpp
    (llama-cpp-python and gguf), with the same weights.
    """
    from firstwords import run as runs
    from firstwords.bench import decode as benchmark

    result = benchmark.bench_decode(runs.open_run(name), stage, rounds)
    click.echo(json.dumps(result, indent=2) if as_json else benchmark.describe(result))


@bench.command("tokenizer")
@BENCH_DATA
@click.option(
    "--megabytes",
    type=click.FloatRange(min=0.01),
    default=10.0,
    show_default=True,
    help="How much text.",
)
@click.option(
    "--vocab-size",
    type=click.IntRange(min=263, max=65_536),
    default=4096,
    show_default=True,
    help="Tokens in all.",
)
@click.option(
    "--rounds",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    help="How many times the contenders take turns.",
)
@JSON
def bench_tokenizer(
    source: str, megabytes: float, vocab_size: int, rounds: int, as_json: bool
) -> None:
    """How fast the tokenizer is trained and encodes, beside rustbpe, tiktoken and tokenizers."""
    from firstwords.bench import tokenizer as benchmark

    result = benchmark.bench_tokenizer(source, round(megabytes * 1e6), vocab_size, rounds)
    click.echo(json.dumps(result, indent=2) if as_json else benchmark.describe(result))


@bench.command("race")
@BENCH_DATA
@click.option(
    "--time",
    "seconds",
    type=Duration(),
    default=600.0,
    show_default="10m",
    help="From the first measurement to the last step.",
)
@click.option("--seed", type=SEED, metavar="N", default=0, show_default=True, help="Another model.")
@JSON
def bench_race(source: str, seconds: float, seed: int, as_json: bool) -> None:
    """Pretrain for a given time, and say how few bits per byte came of it.

    The tokenizer is trained before the clock starts; measuring this machine, choosing a model,
    encoding, compiling and training count. With a new FIRSTWORDS_HOME nothing is known from before.
    """
    from firstwords.bench import race
    from firstwords.signals import Stop

    with Stop().listening() as stop:
        result = race.race(source, seconds, seed, stop)
    click.echo(json.dumps(result, indent=2) if as_json else race.describe(result))


@bench.command("miniseries")
@BENCH_DATA
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Also write the JSON document and the plot there, as miniseries-SRC.json and .png.",
)
@JSON
def bench_miniseries(source: str, out: Path | None, as_json: bool) -> None:
    """Train a series of sizes with more and more text, and fit a law to their losses.

    Takes about an hour or two on two cores; stop it at any time, the same command continues. The
    planner chooses models by such laws: src/firstwords/miniseries has the ones it uses.
    """
    from firstwords.bench import miniseries
    from firstwords.signals import Stop

    with Stop().listening() as stop:
        result = miniseries.run_series(source, stop)
    if out:
        miniseries.write(result, out)
    click.echo(json.dumps(result, indent=2) if as_json else miniseries.describe(result))
