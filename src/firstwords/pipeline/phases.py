"""The work of each phase of `firstwords train`. A finished phase is not repeated."""

from collections.abc import Callable
from typing import NamedTuple

from firstwords.common import console
from firstwords.common.memory import release_freed_memory
from firstwords.common.units import format_duration
from firstwords.evaluation.stages import evaluate_stages
from firstwords.recipe import Stage
from firstwords.rl.stage import reinforce
from firstwords.runs.metrics import read_metrics, read_rollouts, summarize_loss
from firstwords.runs.phases import phases_of, seconds_left
from firstwords.runs.run import Run
from firstwords.training.session import Session
from firstwords.training.stages import finetune, midtrain, pretrain
from firstwords.training.tokenizer_stage import summarize_tokenizer, train_tokenizer


class Work(NamedTuple):
    """What a phase does, and its result in words. `main_only`: in the main process alone."""

    run: Callable[[Session], None]
    summary: Callable[[Run], str]
    main_only: bool = False


def run_all(session: Session) -> None:
    """Run every phase that is not done."""
    for phase in phases_of(session.run):
        run_phase(session, phase.name)


def run_phase(session: Session, name: str) -> None:
    """Run a phase unless it is done, and print its summary and time."""
    run, world, work = session.run, session.world, WORK[name]
    phases = phases_of(run)
    number, phase = next((n, p) for n, p in enumerate(phases, 1) if p.name == name)
    left = seconds_left(run, phase)
    console.header(
        f"Phase {number} of {len(phases)} · {phase.title}"
        + (f" · about {format_duration(left)} left in total" if left else "")
    )
    was_done = phase.is_done(run)
    world.barrier()  # every process has looked before any of them starts
    if not was_done:
        with session.timed(name):
            if world.is_main or not work.main_only:
                work.run(session)
            world.barrier()
        release_freed_memory()
    seconds = run.timings().get(name, {}).get("seconds", 0.0)
    already = "already done: " if was_done else ""
    console.say(f"{already}{work.summary(run)} ({format_duration(seconds)})")


def _stage_summary(stage: Stage) -> Callable[[Run], str]:
    def summary(run: Run) -> str:
        config = run.recipe.stage(stage)
        if config.steps == 0:
            return "skipped"
        work = f"{config.tokens:,} tokens in {config.steps:,} steps"
        losses = summarize_loss(read_metrics(run.metrics(stage)))
        if losses is None:
            return f"{work}; its metrics are missing"
        return (
            f"{work}; loss {losses.first_loss:.3f} to {losses.last_loss:.3f}; "
            f"{config.batch_tokens / losses.seconds_per_step:,.0f} tokens/s"
        )

    return summary


def _rl_summary(run: Run) -> str:
    metrics = read_rollouts(run.metrics("rl"))
    summary = _stage_summary("rl")(run)
    if not metrics:
        return summary
    n_averaged = max(1, len(metrics) // 10)
    first, last = (
        sum(step["reward"] for step in part) / n_averaged
        for part in (metrics[:n_averaged], metrics[-n_averaged:])
    )
    return f"{summary}; reward {first:.2f} to {last:.2f}"


def _evaluation_summary(run: Run) -> str:
    tasks = {s: found["tasks"] for s in run.recipe.stages if (found := run.read_evaluation(s))}
    bits = (f"{stage} {task['bits_per_byte']['score']:.3f}" for stage, task in tasks.items())
    exams = [f"{s} {task['exam']['score']:.0%}" for s, task in tasks.items() if "exam" in task]
    lines = ["bits per byte of held-out text: " + ", ".join(bits)]
    if exams:
        lines.append("exam score: " + ", ".join(exams))
    return "\n".join(lines)


WORK = {
    "tokenizer": Work(train_tokenizer, summarize_tokenizer, main_only=True),
    "pretrain": Work(pretrain, _stage_summary("pretrain")),
    "midtrain": Work(midtrain, _stage_summary("midtrain")),
    "sft": Work(finetune, _stage_summary("sft")),
    "rl": Work(reinforce, _rl_summary),
    "evaluation": Work(evaluate_stages, _evaluation_summary),
}
