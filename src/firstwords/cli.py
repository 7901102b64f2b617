"""The `firstwords` command: one thin subcommand per job."""

import errno
import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from firstwords import __version__
from firstwords.errors import Diverged, Interrupted, UserError
from firstwords.recipe import STAGES


def main() -> None:
    """Run the command and turn what went wrong into one line and an exit code."""
    # A thread that waits for the others spins for a while before it sleeps. By default that is so
    # long that another program on one core slows training down by a factor of twenty; this is
    # as fast on an idle machine (docs/lab-notebook.md). It is read when torch is loaded.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    sys.exit(run_command(sys.argv[1:]))


def run_command(arguments: list[str]) -> int:
    try:
        cli.main(args=arguments, prog_name="firstwords", standalone_mode=False)
    except click.exceptions.Exit as exit_request:
        return exit_request.exit_code
    except click.ClickException as error:
        return _fail(f"{error.format_message()} (see firstwords --help)", 2)
    except UserError as error:
        return _fail(str(error), error.exit_code)
    except (Interrupted, click.Abort, KeyboardInterrupt) as error:
        where = f" ({error})" if str(error) else ""
        return _fail(f"interrupted{where}; the same command continues", Interrupted.exit_code)
    except Diverged as error:
        mend = "start another run with lower learning rates in its recipe"
        return _fail(f"training diverged, {error}: {mend}", error.exit_code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and "allocate memory" not in str(error):
            raise
        return _fail(
            "out of memory: close other programs, or raise the limit of the container, the job or "
            "ulimit -v; then the same command continues, nothing already made is lost",
            1,
        )
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        return _fail(
            f"the disk is full ({error.filename or 'while writing'}): free some space, then the "
            "same command continues; nothing already made is lost",
            1,
        )
    return 0


def _fail(message: str, code: int) -> int:
    click.echo(f"firstwords: {' '.join(message.split())}", err=True)
    return code


class Duration(click.ParamType):
    name = "TIME"

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        if isinstance(value, float):
            return value
        parts = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s?)?", str(value).strip())
        if not value or not parts or not any(parts.groups()):
            self.fail(f"{value!r} is not a time; write it like 90s, 10m, 1h or 1h30m", param, ctx)
        hours, minutes, seconds = (int(part or 0) for part in parts.groups())
        return float(hours * 3600 + minutes * 60 + seconds)


class InOrder(click.Group):
    """Lists its commands in the order of the work, not of the alphabet."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


@click.group(
    cls=InOrder,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="firstwords")
def cli() -> None:
    """Raise a small chat model on the CPU of an ordinary laptop, and see every step.

    Start with `firstwords train`, then `firstwords chat`.
    """


SEED = click.IntRange(min=0, max=2**32 - 1)
EXISTING_RUN = click.option("--run", "name", metavar="NAME", help="Which run.  [default: the last]")
NEW_RUN = click.option(
    "--run",
    "name",
    metavar="NAME",
    default="default",
    show_default=True,
    help="The run's name. An unfinished run of that name goes on.",
)
BENCH_DATA = click.option(
    "--data",
    "source",
    metavar="SRC",
    default="starter",
    show_default=True,
    help="Text to learn from, as for train.",
)
JSON = click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
STAGE = click.option(
    "--stage", type=click.Choice(STAGES), help="Which stage's model.  [default: the furthest]"
)


def new_run_options(command: Callable[..., None]) -> Callable[..., None]:
    """What a new run is made from; an existing run already knows all of it."""
    options = [
        click.option(
            "--time",
            "seconds",
            type=Duration(),
            help="The budget for everything, like 90s, 10m or 1h.  [default: 30m]",
        ),
        click.option(
            "--data",
            metavar="SRC",
            help="Text to learn from: starter (made by firstwords itself), a .parquet, .jsonl, "
            ".jsonl.gz or .txt file, or a directory of them.  [default: starter]",
        ),
        click.option(
            "--chat-data",
            metavar="SRC",
            help="Conversations: starter, a .jsonl, .jsonl.gz or .parquet file with "
            '"messages", or a directory of them.  [default: starter]',
        ),
        click.option(
            "--seed",
            type=SEED,
            metavar="N",
            help="Another seed, another model.  [default: 0]",
        ),
        click.option(
            "--recipe",
            type=click.Path(exists=True, dir_okay=False, path_type=Path),
            help="Take every hyper-parameter from a run.json or recipe file instead of planning.",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


@cli.command()
@new_run_options
@NEW_RUN
def train(**request: Any) -> None:
    """Train a model, from text to chat.

    The five phases: tokenizer, pretraining, midtraining, finetuning, evaluation with report. Stop
    it at any time; the same command continues. The report is written to the run's directory and
    copied here as report.md.
    """
    from firstwords import console, pipeline, start
    from firstwords import report as reports

    with start.started(start.Request(**request)) as (run, stop):
        for phase in pipeline.PHASES:
            pipeline.run_phase(run, phase, stop)
        total = sum(phase["seconds"] for phase in run.timings().values())
        console.header(f"Done in {console.duration(total)}")
        console.say(f"report: {reports.publish(run)}\ntalk to it: firstwords chat --run {run.name}")


@cli.command()
@new_run_options
@NEW_RUN
def tokenizer(**request: Any) -> None:
    """Phase 1: plan a new run and train its tokenizer."""
    from firstwords import pipeline, start

    with start.started(start.Request(**request)) as (run, stop):
        pipeline.run_phase(run, pipeline.PHASES[0], stop)


def _stage_command(name: str, phase: str, text: str) -> None:
    @cli.command(name, help=text)
    @EXISTING_RUN
    def command(name: str | None) -> None:
        from firstwords import pipeline, start

        with start.continued(name) as (run, stop):
            chosen = next(p for p in pipeline.PHASES if p.name == phase)
            pipeline.run_phase(run, chosen, stop)


_stage_command("pretrain", "base", "Phase 2: base pretraining of a run that has a tokenizer.")
_stage_command("midtrain", "mid", "Phase 3: midtraining of a run that is pretrained.")
_stage_command("sft", "sft", "Phase 4: supervised finetuning of a run that is midtrained.")


@cli.command()
@new_run_options
@JSON
def plan(as_json: bool, **request: Any) -> None:
    """Say what train would do here, without doing it."""
    from firstwords import start

    _, sources, made = start.resolve(start.Request(**request))
    document = {
        "sources": sources.model_dump(),
        "recipe": made.recipe.model_dump(),
        "predicted": made.predicted,
    }
    if as_json:
        click.echo(json.dumps(document, indent=2))
        return
    from firstwords.plan_text import describe

    click.echo(describe(made))


@cli.group()
def data() -> None:
    """Look at the data that a model learns from."""


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
    """Show samples of SRC: starter, a file, or a directory of files."""
    from firstwords.data.samples import render, samples

    shown = samples(source, **options)
    click.echo(json.dumps(shown, indent=2, ensure_ascii=False) if as_json else render(shown))


class Tasks(click.ParamType):
    name = "LIST"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[str, ...]:
        from firstwords.evaluation.stage import TASKS

        chosen = tuple(dict.fromkeys(part.strip() for part in str(value).split(",")))
        for task in chosen:
            if task not in TASKS:
                self.fail(f"{task!r} is no task; choose from {', '.join(TASKS)}", param, ctx)
        return chosen


@cli.command("eval")
@EXISTING_RUN
@STAGE
@click.option(
    "--tasks",
    type=Tasks(),
    default="bits_per_byte",
    show_default=True,
    help="What to measure, joined by commas: bits_per_byte of held-out text, and exam, the "
    "questions of the starter curriculum that training never shows.",
)
@click.option(
    "--max-items",
    type=click.IntRange(min=0),
    metavar="N",
    help="At most this many held-out documents, and questions in each category of the exam; 0 for "
    "all.  [default: those of train]",
)
@JSON
def evaluate(
    name: str | None, stage: Any, tasks: tuple[str, ...], max_items: int | None, as_json: bool
) -> None:
    """How good a stage's model is, with 95 % intervals and what guessing would get."""
    from firstwords import run as runs
    from firstwords.evaluation import stage as stages

    run = runs.open_run(name)
    result = stages.evaluate(run, stage, tasks, max_items)
    click.echo(json.dumps(result, indent=2) if as_json else stages.describe(result))


@cli.group()
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
    result = benchmark.bench_train(recipe, rounds)
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

    if out:
        miniseries.check_can_plot()
    with Stop().listening() as stop:
        result = miniseries.run_series(source, stop)
    if out:
        miniseries.write(result, out)
    click.echo(json.dumps(result, indent=2) if as_json else miniseries.describe(result))


@cli.command()
@EXISTING_RUN
def report(name: str | None) -> None:
    """Phase 5: evaluate what is trained and write report.md."""
    from firstwords import console, pipeline, start
    from firstwords import report as reports

    with start.continued(name) as (run, stop):
        pipeline.run_phase(run, pipeline.PHASES[-1], stop)
        console.say(f"report: {reports.publish(run)}")


@cli.command()
@EXISTING_RUN
@click.option("-p", "--prompt", help="Answer this one message on stdout and leave.")
@STAGE
@click.option(
    "--temperature",
    type=click.FloatRange(min=0),
    default=0.7,
    show_default=True,
    help="0 always takes the likeliest token.",
)
@click.option(
    "--top-k",
    type=click.IntRange(min=0),
    default=50,
    show_default=True,
    help="Choose among the k likeliest tokens; 0: among all.",
)
@click.option(
    "--top-p",
    type=click.FloatRange(min=0, min_open=True, max=1),
    default=0.95,
    show_default=True,
    help="Choose among the likeliest tokens that make up this share.",
)
@click.option(
    "--max-tokens",
    type=click.IntRange(min=1),
    default=256,
    show_default=True,
    help="The longest answer.",
)
@click.option(
    "--seed",
    type=SEED,
    help="The same answer each time.  [default: 0 with -p, otherwise different each time]",
)
def chat(
    name: str | None, prompt: str | None, stage: Any, seed: int | None, **sampling: Any
) -> None:
    """Talk to a model. Ctrl-C stops an answer, Ctrl-D leaves."""
    from firstwords import terminal_chat

    if prompt is not None and not prompt.strip():
        raise UserError("-p", "the prompt is empty; write something")
    opened = terminal_chat.open_chat(name, stage, seed, sampling)
    if prompt is None:
        terminal_chat.converse(opened)
    else:
        terminal_chat.answer_once(opened, prompt)
