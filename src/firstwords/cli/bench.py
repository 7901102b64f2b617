"""`firstwords bench`: one thin subcommand per benchmark."""

import json
from pathlib import Path
from typing import Any

import click

from firstwords.cli.options import (
    EXISTING_RUN,
    JSON,
    SEED,
    STAGE,
    Count,
    Duration,
    FiniteRange,
    UserPath,
)
from firstwords.common.errors import UserError
from firstwords.common.terminal import echo

BENCH_DATA = click.option(
    "--data",
    "source",
    metavar="SRC",
    default="starter",
    show_default=True,
    help="Text to use, as for train.",
)


def rounds_option(default: int) -> Any:
    """Return the option for the number of rounds."""
    return click.option(
        "--rounds",
        type=Count(min=1),
        default=default,
        show_default=True,
        help="Number of turns of each contender.",
    )


@click.group()
def bench() -> None:
    """Benchmark this machine."""


@bench.command("train")
@click.option("--run", "name", metavar="NAME", help="Use the model of this run.")
@click.option(
    "--time",
    "seconds",
    type=Duration(),
    default=1800.0,
    show_default="30m",
    help="Without --run, use the model that a plan for this time chooses.",
)
@rounds_option(default=10)
@JSON
def bench_train(name: str | None, seconds: float, rounds: int, as_json: bool) -> None:
    """Measure the speed of a training step.

    The result is also given as a fraction of the machine's ceiling, the rate of the step's matrix
    products alone. Compares with the same model in eager PyTorch with its defaults, and with a
    plain GPT of the same size and AdamW. A turn takes a second.
    """
    from firstwords.bench import train as benchmark
    from firstwords.runs import registry

    if name is None:
        from firstwords.pipeline.request import TrainRequest, resolve

        recipe = resolve(TrainRequest(seconds=seconds)).plan.recipe
    else:
        recipe = registry.open_run(name).recipe
    if recipe.device != "cpu":
        raise UserError(
            f"bench train measures CPUs, but the recipe trains on a GPU ({recipe.device})",
            "hide the GPU (CUDA_VISIBLE_DEVICES=), or choose a run trained on a CPU with --run",
        )
    result = benchmark.bench_train(recipe, rounds)
    echo(json.dumps(result, indent=2) if as_json else benchmark.render_train(result))


@bench.command("decode")
@EXISTING_RUN
@STAGE
@rounds_option(default=5)
@JSON
def bench_decode(name: str | None, stage: Any, rounds: int, as_json: bool) -> None:
    """Measure how fast a run's model generates.

    It generates one answer and sixteen at a time. Compares with transformers and llama.cpp
    (llama-cpp-python and gguf) if they are installed, with the same weights.
    """
    from firstwords.bench import decode as benchmark
    from firstwords.runs import registry

    result = benchmark.bench_decode(registry.open_run(name), stage, rounds)
    echo(json.dumps(result, indent=2) if as_json else benchmark.render_decode(result))


@bench.command("tokenizer")
@BENCH_DATA
@click.option(
    "--megabytes",
    type=FiniteRange(min=0.01),
    default=10.0,
    show_default=True,
    help="Amount of text.",
)
@click.option(
    "--vocab-size",
    type=click.IntRange(min=263, max=65_536),
    default=4096,
    show_default=True,
    help="Number of tokens in the vocabulary.",
)
@rounds_option(default=3)
@JSON
def bench_tokenizer(
    source: str, megabytes: float, vocab_size: int, rounds: int, as_json: bool
) -> None:
    """Measure tokenizer training and encoding.

    Compares with rustbpe, tiktoken and tokenizers, used directly.
    """
    from firstwords.bench import tokenizer as benchmark

    result = benchmark.bench_tokenizer(source, round(megabytes * 1e6), vocab_size, rounds)
    echo(json.dumps(result, indent=2) if as_json else benchmark.render_tokenizer(result))


@bench.command("race")
@BENCH_DATA
@click.option(
    "--time",
    "seconds",
    type=Duration(),
    default=600.0,
    show_default="10m",
    help="Time from the first measurement to the last step.",
)
@click.option("--seed", type=SEED, metavar="N", default=0, show_default=True, help="Random seed.")
@JSON
def bench_race(source: str, seconds: float, seed: int, as_json: bool) -> None:
    """Pretrain for a given time, then measure.

    The tokenizer is trained before the clock starts. Benchmarking this machine, choosing a model,
    encoding, compiling and training count. Use a new FIRSTWORDS_HOME to start without caches.
    """
    from firstwords.bench import race
    from firstwords.common.signals import StopSignal

    with StopSignal().listening() as stop:
        result = race.race(source, seconds, seed, stop)
    echo(json.dumps(result, indent=2) if as_json else race.render_race(result))


@bench.command("miniseries")
@BENCH_DATA
@click.option(
    "--out",
    type=UserPath(file_okay=False),
    help="Directory for the JSON document and the plot, miniseries-SRC.json and .png.",
)
@JSON
def bench_miniseries(source: str, out: Path | None, as_json: bool) -> None:
    """Train a series of models and fit a law.

    Takes an hour or two on two cores; if interrupted, run the same command again to resume. The
    planner uses the laws in src/firstwords/planning/scaling_laws.
    """
    from firstwords.bench import miniseries
    from firstwords.common.signals import StopSignal

    with StopSignal().listening() as stop:
        result = miniseries.run_series(source, stop)
    if out:
        miniseries.write_series(result, out)
    echo(json.dumps(result, indent=2) if as_json else miniseries.render_series(result))
