"""`firstwords train`, and one command for each of its phases."""

from typing import TYPE_CHECKING, Any

import click

from firstwords.cli.options import (
    EXISTING_RUN,
    LOG_TO,
    NEW_RUN,
    Count,
    Duration,
    UserPath,
    new_run_options,
)
from firstwords.common.errors import UserError
from firstwords.common.units import format_duration

if TYPE_CHECKING:
    from firstwords.pipeline.request import TrainRequest


@click.command()
@new_run_options
@NEW_RUN
@LOG_TO
@click.option(
    "--repeat",
    type=Count(min=1),
    default=1,
    metavar="N",
    help="Train N runs, NAME.repeat.SEED, with one seed after another, and show their mean.",
)
def train(log_to: tuple[Any, ...], repeat: int, **request: Any) -> None:
    """Train a model, from text to chat.

    The five phases are tokenizer, pretraining, midtraining, supervised finetuning and evaluation.
    Stop it at any time; run the same command again to resume. The report is written to the run's
    directory and copied to the current one, as report.html and report.md.
    """
    from firstwords.common import console
    from firstwords.pipeline import launch, phases
    from firstwords.pipeline.request import TrainRequest
    from firstwords.report.report import publish

    if repeat > 1:
        _repeat(TrainRequest(**request), repeat, log_to)
        return
    with launch.start_run(TrainRequest(**request), log_to) as session:
        phases.run_all(session)
        if not session.world.is_main:
            return
        console.header(f"Done in {format_duration(session.run.total_seconds())}")
        console.say(f"report: {publish(session.run)}")
        console.say(f"chat with the model: firstwords chat --run {session.run.name}")


def _repeat(request: "TrainRequest", count: int, log_to: tuple[Any, ...]) -> None:
    """Train a recipe with several seeds: a sweep with one variant."""
    from firstwords.pipeline.request import DEFAULT_SECONDS, run_name
    from firstwords.runs.manifest import Sources
    from firstwords.runs.origins import find_source
    from firstwords.sweep.run_sweep import run_sweep
    from firstwords.sweep.spec import SweepSpec

    for option, given in (("--log-to", log_to), ("--personality", request.personality)):
        if given:
            raise UserError(f"{option} does not go with --repeat", "leave one of them out")
    name = run_name(request)
    first = request.seed or (1 if request.from_run else 0)
    sources = find_source(request.from_run).run.manifest.sources if request.from_run else Sources()
    spec = SweepSpec(
        from_run=request.from_run,
        time=f"{round(request.seconds or DEFAULT_SECONDS)}s",
        equal="tokens",
        seeds=tuple(range(first, first + count)),
        data=request.data or sources.data,
        chat_data=request.chat_data or sources.chat_data,
        recipe=None if request.recipe is None else str(request.recipe),
        changes={"repeat": dict(setting.split("=", 1) for setting in request.overrides)},
    )
    if not run_sweep(name, spec):
        click.get_current_context().exit(1)


@click.command()
@new_run_options
@NEW_RUN
def tokenizer(**request: Any) -> None:
    """Phase 1: plan a new run and train its tokenizer."""
    from firstwords.pipeline import launch, phases
    from firstwords.pipeline.request import TrainRequest

    with launch.start_run(TrainRequest(**request)) as session:
        phases.run_phase(session, "tokenizer")


@click.command()
@EXISTING_RUN
@LOG_TO
def pretrain(name: str | None, log_to: tuple[Any, ...]) -> None:
    """Phase 2: pretrain a run that has a tokenizer."""
    _resume(name, log_to, "pretrain")


@click.command()
@EXISTING_RUN
@LOG_TO
def midtrain(name: str | None, log_to: tuple[Any, ...]) -> None:
    """Phase 3: midtrain a run that is pretrained."""
    _resume(name, log_to, "midtrain")


@click.command()
@EXISTING_RUN
@LOG_TO
def sft(name: str | None, log_to: tuple[Any, ...]) -> None:
    """Phase 4: finetune a run that is midtrained."""
    _resume(name, log_to, "sft")


@click.command()
@click.option(
    "--from",
    "source",
    metavar="NAME",
    help="Run whose finetuned model to start from.  [default: the newest without this stage]",
)
@click.option(
    "--run",
    "name",
    metavar="NAME",
    help="Name of the new run. If it exists and is unfinished, it resumes.  [default: the name of "
    "the other run, a dash, and the reward]",
)
@click.option(
    "--reward",
    type=UserPath(dir_okay=False),
    metavar="FILE",
    help="Python file with your own reward, a function reward(conversation, answer). It runs as "
    "your own code.  [default: the rules of the exam]",
)
@click.option(
    "--time",
    "seconds",
    type=Duration(),
    help="Time for the stage, like 90s or 10m; evaluation comes after it.  [default: 3m]",
)
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="NAME=VALUE",
    help="Override one hyper-parameter, such as rl.group_size=8 (repeatable).",
)
@LOG_TO
def rl(log_to: tuple[Any, ...], **request: Any) -> None:
    """Train a finetuned model on its own answers, graded by a program.

    This reinforcement learning makes a new run, a copy of the other one with one more stage. It
    answers questions in groups; answers with a higher reward than their group become more likely.
    """
    from firstwords.common import console
    from firstwords.pipeline import launch, phases
    from firstwords.pipeline.rl_run import RLRequest
    from firstwords.report.report import publish

    with launch.start_rl(RLRequest(**request), log_to) as session:
        phases.run_all(session)
        if not session.world.is_main:
            return
        console.say(f"report: {publish(session.run)}")
        console.say(f"chat with the model: firstwords chat --run {session.run.name}")


def _resume(name: str | None, log_to: tuple[Any, ...], phase: str) -> None:
    from firstwords.pipeline import launch, phases

    with launch.resume_run(name, log_to) as session:
        phases.run_phase(session, phase)
