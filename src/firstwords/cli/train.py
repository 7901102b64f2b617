"""`firstwords train`, and one command for each of its phases."""

from typing import Any

import click

from firstwords.cli.options import EXISTING_RUN, LOG_TO, NEW_RUN, new_run_options
from firstwords.common.units import format_duration


@click.command()
@new_run_options
@NEW_RUN
@LOG_TO
def train(log_to: tuple[Any, ...], **request: Any) -> None:
    """Train a model, from text to chat.

    The five phases are tokenizer, pretraining, midtraining, supervised finetuning and evaluation.
    Stop it at any time; run the same command again to resume. The report is written to the run's
    directory and copied to the current one, as report.html and report.md.
    """
    from firstwords.common import console
    from firstwords.pipeline import launch, phases
    from firstwords.pipeline.request import TrainRequest
    from firstwords.report.report import publish

    with launch.start_run(TrainRequest(**request), log_to) as session:
        phases.run_all(session)
        if not session.world.is_main:
            return
        total = sum(phase["seconds"] for phase in session.run.timings().values())
        console.header(f"Done in {format_duration(total)}")
        console.say(f"report: {publish(session.run)}")
        console.say(f"chat with the model: firstwords chat --run {session.run.name}")


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


def _resume(name: str | None, log_to: tuple[Any, ...], phase: str) -> None:
    from firstwords.pipeline import launch, phases

    with launch.resume_run(name, log_to) as session:
        phases.run_phase(session, phase)
