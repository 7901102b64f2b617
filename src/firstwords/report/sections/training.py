"""Sections on training: losses, time and memory, plan vs. actual."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from firstwords.common.markdown import paragraphs, table
from firstwords.common.units import format_duration, format_size
from firstwords.data.token_store import open_store
from firstwords.recipe import REQUIRED_STAGES, Stage
from firstwords.report.sections.evaluation import STAGE_TITLES, Evaluations
from firstwords.runs.metrics import read_metrics, summarize_loss
from firstwords.runs.run import Run

AVERAGED_FRACTION = 0.05  # of a stage's steps, at its start and at its end
FORMATS: dict[str, Callable[[float], str]] = {
    "seconds": format_duration,
    "bits per byte": lambda bits: f"{bits:.3f}",
    "bytes": format_size,
}


def render_losses(run: Run) -> str:
    """Loss at the start and at the end of each stage, and its speed."""
    rows, rising = [], []
    for stage in REQUIRED_STAGES:
        metrics = read_metrics(run.metrics(stage))
        summary = summarize_loss(metrics)
        if summary is None:
            note = "metrics missing" if run.recipe.stage(stage).steps else "skipped"
            rows.append([STAGE_TITLES[stage], note, "", "", "", ""])
            continue
        losses = np.array([step["loss"] for step in metrics])
        n_averaged = max(1, round(len(losses) * AVERAGED_FRACTION))
        first, last = losses[:n_averaged].mean(), losses[-n_averaged:].mean()
        if last >= first:
            rising.append(STAGE_TITLES[stage])
        rows.append(
            [
                STAGE_TITLES[stage],
                f"{first:.3f}",
                f"{last:.3f}",
                f"{losses[-n_averaged:].std():.3f}",
                f"{run.recipe.stage(stage).batch_tokens / summary.seconds_per_step:,.0f}",
                format_duration(summary.seconds),
            ]
        )
    header = ["stage", "first loss", "last loss", "varies by", "tokens/s", "time in steps"]
    return paragraphs(
        table(header, rows), _explain_losses(rising), _render_split_conversations(run)
    )


def _explain_losses(rising: list[str]) -> str:
    explanation = (
        f"Losses are in nats per target token, averaged over the first and the last "
        f"{AVERAGED_FRACTION:.0%} of a stage's steps. *Varies by* is the standard deviation from "
        "one step to the next: a batch of easy conversations has a much lower loss than one of "
        "hard ones. The stages have different targets, so their losses cannot be compared with "
        "each other; SFT learns only the assistant's answers, of which a batch has few."
    )
    if rising:
        explanation += (
            f" The loss of {' and '.join(rising)} did not fall by more than it varies. The stage "
            "may still have improved the answers: compare the stages in the evaluation."
        )
    return explanation


def _render_split_conversations(run: Run) -> str:
    conversations = open_store(run.tokens("chat", "train"))
    if conversations is None:
        return ""
    seq_len = run.recipe.sft.seq_len
    n_split = int((conversations.lengths > seq_len + 1).sum())
    return (
        f"{n_split:,} of {conversations.counts.documents:,} conversations were longer than a row "
        f"of {seq_len} tokens and were split, without losing a target."
    )


def render_timings(run: Run) -> str:
    """Wall time and peak memory of each phase, next to the planned time."""
    timings, planned = run.timings(), run.manifest.predicted.get("phase_seconds", {})
    in_steps: dict[str, float] = {
        stage: summary.seconds
        for stage in run.recipe.stages
        if (summary := summarize_loss(read_metrics(run.metrics(stage))))
    }
    measuring = run.manifest.predicted.get("measuring_seconds", 0.0)
    total = run.total_seconds()
    rows = []
    if measuring:
        time = format_duration(measuring)
        rows.append(["benchmarking", time, f"{measuring / total:.0%}", "", "", time])
    for phase, timing in timings.items():
        outside_steps = timing["seconds"] - in_steps.get(phase, 0.0)
        rows.append(
            [
                phase,
                format_duration(timing["seconds"]),
                f"{timing['seconds'] / total:.0%}",
                format_duration(outside_steps) if phase in in_steps else "",
                format_size(timing["peak_memory"]),
                format_duration(planned[phase]) if phase in planned else "",
            ]
        )
    planned_total = run.manifest.predicted.get("total_seconds")
    rows.append(
        [
            "**all**",
            format_duration(total),
            "",
            "",
            format_size(_peak_memory(run)),
            format_duration(planned_total) if planned_total else "",
        ]
    )
    header = ["phase", "wall time", "share", "outside steps", "peak memory so far", "planned time"]
    return paragraphs(
        table(header, rows),
        "*Outside steps* is the time of a stage that is not spent in training steps: starting, "
        "encoding text, compiling, writing checkpoints and samples.",
    )


def _peak_memory(run: Run) -> float:
    return max((timing["peak_memory"] for timing in run.timings().values()), default=0.0)


class Planned(NamedTuple):
    """A value that the plan estimated, with its range if there is one, and the actual value."""

    name: str
    plan: float
    actual: float
    unit: str
    stage: Stage | None = None
    low: float | None = None
    high: float | None = None


def plan_vs_actual(run: Run, evaluations: Evaluations) -> list[Planned]:
    """Return the plan's estimates and the actual values; empty if the run was not planned."""
    predicted = run.manifest.predicted
    if not predicted:
        return []
    return [
        Planned("time", predicted["total_seconds"], run.total_seconds(), "seconds"),
        *_planned_bits(predicted, evaluations),
        Planned("peak memory", predicted["memory_bytes"], _peak_memory(run), "bytes"),
        Planned("disk", predicted["disk_bytes"], _disk_bytes(run), "bytes"),
    ]


def _planned_bits(predicted: dict[str, Any], evaluations: Evaluations) -> Iterator[Planned]:
    """Yield the bits per byte, which the plan of a run that starts from another one leaves open."""
    if bits := predicted.get("bits_per_byte"):
        stage: Stage = bits["stage"]
        actual = evaluations[stage]["tasks"]["bits_per_byte"]["score"]
        name, (low, high) = f"bits per byte after {stage}", bits["range"]
        yield Planned(name, bits["expected"], actual, "bits per byte", stage, low, high)


def _disk_bytes(run: Run) -> float:
    return sum(path.stat().st_size for path in run.directory.rglob("*") if path.is_file())


def render_plan_vs_actual(run: Run, evaluations: Evaluations) -> str:
    """The plan's estimates next to the actual values; empty if the run was not planned."""
    rows = []
    for row in plan_vs_actual(run, evaluations):
        show = FORMATS[row.unit]
        extent = f" ({show(row.low)} to {show(row.high)})" if row.low and row.high else ""
        rows.append([row.name, show(row.plan) + extent, show(row.actual)])
    if not rows:
        return ""
    explanation = (
        f"The budget was {format_duration(run.manifest.time)}. Time includes everything: "
        "benchmarking the machine, all phases of training, and evaluation."
    )
    return paragraphs(table(["quantity", "plan", "actual"], rows), explanation)
