"""The `firstwords` command: one thin subcommand per job."""

import errno
import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

import click

from firstwords import __version__
from firstwords.bench.commands import bench
from firstwords.data.commands import data
from firstwords.errors import Diverged, Interrupted, UserError
from firstwords.labs.commands import lab
from firstwords.options import (
    EXISTING_RUN,
    JSON,
    NEW_RUN,
    SEED,
    STAGE,
    TRACK,
    Tasks,
    new_run_options,
    sampling_options,
)
from firstwords.recipe import STAGES
from firstwords.slurm.commands import slurm
from firstwords.trace.commands import trace
from firstwords.xray.commands import xray

OF_EXTRAS = {  # packages that only some commands need
    "uvicorn": "serve",
    "fastapi": "serve",
    "prometheus_client": "serve",
    "gguf": "export",
}


def main() -> None:
    """Run the command and turn what went wrong into one line and an exit code."""
    # A thread that waits for the others spins for a while before it sleeps. By default that is so
    # long that another program on one core slows training down by a factor of twenty; this is
    # as fast on an idle machine (docs/lab-notebook.md). It is read when torch is loaded.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    threading.excepthook = _thread_failed
    sys.exit(run_command(sys.argv[1:]))


def _thread_failed(failure: threading.ExceptHookArgs) -> None:
    """Of a full disk the run itself speaks, when its own next file meets it: TensorBoard's writer,
    a thread, may meet it first."""
    error = failure.exc_value
    if not (isinstance(error, OSError) and error.errno == errno.ENOSPC):
        threading.__excepthook__(failure)


def run_command(arguments: list[str]) -> int:
    try:
        code = cli.main(args=arguments, prog_name="firstwords", standalone_mode=False)
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
    except ModuleNotFoundError as error:
        if error.name not in OF_EXTRAS:
            raise
        extra = OF_EXTRAS[error.name]
        mend = f"pip install 'firstwords[{extra}]', with its .venv activated"
        return _fail(f"this command needs {error.name}, which is not installed: {mend}", 2)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (MemoryError, RuntimeError) as error:
        if "CUDA out of memory" in str(error):
            return _fail(
                "the GPU's memory is full: end what else uses it, or start another run with fewer "
                "rows at a time (--set base.micro_rows=1, and so for mid and sft)",
                1,
            )
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
    return code if isinstance(code, int) else 0  # what a command asked to exit with


def _fail(message: str, code: int) -> int:
    click.echo(f"firstwords: {' '.join(message.split())}", err=True)
    return code


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


@cli.command()
@new_run_options
@NEW_RUN
@TRACK
def train(trackers: tuple[Any, ...], **request: Any) -> None:
    """Train a model, from text to chat.

    The five phases: tokenizer, pretraining, midtraining, finetuning, evaluation with report. Stop
    it at any time; the same command continues. The report is written to the run's directory and
    copied here, as report.html and report.md.
    """
    from firstwords import console, pipeline, start
    from firstwords.report.report import publish

    with start.started(start.Request(**request), trackers) as (run, stop):
        for phase in pipeline.PHASES:
            pipeline.run_phase(run, phase, stop)
        if not run.world.leads:
            return
        total = sum(phase["seconds"] for phase in run.timings().values())
        console.header(f"Done in {console.duration(total)}")
        console.say(f"report: {publish(run)}\ntalk to it: firstwords chat --run {run.name}")


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
    @TRACK
    def command(name: str | None, trackers: tuple[Any, ...]) -> None:
        from firstwords import pipeline, start

        with start.continued(name, trackers) as (run, stop):
            chosen = next(p for p in pipeline.PHASES if p.name == phase)
            pipeline.run_phase(run, chosen, stop)


_stage_command("pretrain", "base", "Phase 2: base pretraining of a run that has a tokenizer.")
_stage_command("midtrain", "mid", "Phase 3: midtraining of a run that is pretrained.")
_stage_command("sft", "sft", "Phase 4: supervised finetuning of a run that is midtrained.")


@cli.command()
@new_run_options
@click.option(
    "--gpus",
    metavar="8xH100",
    help="What a recipe by depth (--recipe speedrun) would take on so many GPUs that are not here: "
    "A100, H100, H200 or RTX4090.",
)
@click.option(
    "--price", type=click.FloatRange(min=0), help="Dollars for an hour of one of the --gpus."
)
@JSON
def plan(as_json: bool, gpus: str | None, price: float | None, **request: Any) -> None:
    """Say what train would do here, without doing it."""
    from firstwords import start

    if gpus:
        _plan_elsewhere(start.Request(**request), gpus, price, as_json)
        return
    if price is not None:
        raise UserError("--price is that of GPUs", "add --gpus 8xH100 or the like, or leave it out")
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


def _plan_elsewhere(request: Any, gpus: str, price: float | None, as_json: bool) -> None:
    from firstwords import rented, start

    sketch = start.sketch_in(request.recipe)
    if sketch is None:
        raise UserError(
            "--gpus needs a recipe by depth",
            "add --recipe speedrun, or another one that gives a depth",
        )
    seed = start.given(request.seed, 0)
    planned = rented.plan(sketch, rented.parse_gpus(gpus), price, seed, request.changes)
    click.echo(json.dumps(planned, indent=2) if as_json else rented.describe(sketch, planned))


cli.add_command(data)


@cli.command("eval")
@EXISTING_RUN
@click.option(
    "--stage",
    type=click.Choice([*STAGES, "all"]),
    help="Which stage's model; all for a table of every stage.  [default: the furthest]",
)
@click.option(
    "--tasks",
    type=Tasks(),
    help="What to measure, joined by commas: bits_per_byte of held-out text; exam, the questions "
    "of the starter curriculum that training never shows; and the published benchmarks core, "
    "arc_easy, arc_challenge, mmlu, gsm8k, humaneval.  [default: all that there is data for]",
)
@click.option(
    "--max-items",
    type=click.IntRange(min=0),
    metavar="N",
    help="At most this many held-out documents, and items in each part of a benchmark; 0 for all.  "
    "[default: those of train, otherwise 100]",
)
@click.option(
    "--eval-data",
    "folder",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The benchmarks' data.  [default: what firstwords data fetch eval has fetched]",
)
@click.option(
    "--unsafe-code",
    is_flag=True,
    help="Run the programs that the model writes for humaneval without a sandbox, as yourself.",
)
@JSON
def evaluate(name: str | None, as_json: bool, **request: Any) -> None:
    """How good a model is, with 95 % intervals and what guessing would get.

    What came of every item is written to the run's directory, evaluation/STAGE.TASK.jsonl.
    """
    from firstwords import run as runs
    from firstwords.evaluation import stage as stages
    from firstwords.evaluation.table import text_table

    result = stages.evaluate(runs.open_run(name), stages.Request(**request))
    click.echo(json.dumps(result, indent=2) if as_json else text_table(result))


cli.add_command(bench)
cli.add_command(lab)
cli.add_command(trace)
cli.add_command(slurm)


@cli.command()
@EXISTING_RUN
def report(name: str | None) -> None:
    """Phase 5: evaluate what is trained, and write report.html and report.md."""
    from firstwords import console, pipeline, start
    from firstwords.report.report import publish

    with start.continued(name) as (run, stop):
        pipeline.run_phase(run, pipeline.PHASES[-1], stop)
        if run.world.leads:
            console.say(f"report: {publish(run)}")


@cli.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8000,
    show_default=True,
    help="At which port; 0 for any that is free.",
)
@click.option(
    "--run",
    "names",
    multiple=True,
    metavar="NAME",
    help="A run to serve; may be given several times.  [default: all]",
)
@click.option(
    "--slots",
    type=click.IntRange(1, 256),
    default=16,
    show_default=True,
    help="Answers of a model that are generated at a time.",
)
@click.option(
    "--queue",
    type=click.IntRange(0),
    default=64,
    show_default=True,
    help="Requests that may wait for a slot; more are told to come back.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=1),
    default=120.0,
    show_default=True,
    help="Seconds that an answer may take.",
)
@click.option(
    "--api-key",
    envvar="FIRSTWORDS_API_KEY",
    show_envvar=True,
    help="Ask for this key at /v1.",
)
@click.option(
    "--origin",
    "origins",
    multiple=True,
    metavar="URL",
    help="Another site whose scripts may ask; may be given several times.",
)
def serve(**options: Any) -> None:
    """Chat and X-ray in the browser, and an OpenAI-compatible API."""
    from firstwords.serve import run as server

    server.serve(server.Options(**options))


cli.add_command(xray)


@cli.command()
@EXISTING_RUN
@STAGE
@click.option(
    "--format",
    "kind",
    type=click.Choice(["hf", "gguf"]),
    required=True,
    help="hf: a directory for transformers, vLLM and the Hub; gguf: a file for llama.cpp and "
    "Ollama.",
)
@click.option(
    "--dtype",
    type=click.Choice(["f32", "f16", "q8_0"]),
    default="f32",
    show_default=True,
    help="Of the matrices; q8_0, about 8 bits each, is for gguf.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="DIR",
    required=True,
    help="Where to; files of the same names are replaced.",
)
def export(name: str | None, **request: Any) -> None:
    """Take a model elsewhere, with a model card made from its run."""
    from firstwords import run as runs
    from firstwords.export.export import export as write

    written = write(runs.open_run(name), **request)
    click.echo("\n".join(str(path) for path in written))


@cli.command()
@EXISTING_RUN
@click.option("-p", "--prompt", help="Answer this one message on stdout and leave.")
@STAGE
@sampling_options
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
