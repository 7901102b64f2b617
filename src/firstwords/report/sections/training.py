"""Sections on training: losses, time and memory, plan vs. actual."""

from firstwords.common.markdown import paragraphs, table
from firstwords.common.units import format_duration, format_size
from firstwords.data.token_store import open_store
from firstwords.recipe import STAGES
from firstwords.report.sections.evaluation import STAGE_TITLES, Evaluations
from firstwords.runs.metrics import read_metrics, summarize_loss
from firstwords.runs.run import Run


def render_losses(run: Run) -> str:
    """First and last loss, speed and time of each stage."""
    rows = []
    for stage in STAGES:
        summary = summarize_loss(read_metrics(run.metrics(stage)))
        if summary is None:
            rows.append([STAGE_TITLES[stage], "metrics missing", "", "", ""])
            continue
        rows.append(
            [
                STAGE_TITLES[stage],
                f"{summary.first_loss:.3f}",
                f"{summary.last_loss:.3f}",
                f"{run.recipe.stage(stage).batch_tokens / summary.seconds_per_step:,.0f}",
                format_duration(summary.seconds),
            ]
        )
    header = ["stage", "first loss", "last loss", "tokens/s", "time in steps"]
    return paragraphs(
        table(header, rows),
        "Losses are in nats per target token; the last one is the mean of 20 steps. The stages "
        "have different targets, so their losses cannot be compared with each other.",
        _render_split_conversations(run),
    )


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
        for stage in STAGES
        if (summary := summarize_loss(read_metrics(run.metrics(stage))))
    }
    total_seconds, peak_memory = _total_seconds_and_peak_memory(run)
    rows = []
    for phase, timing in timings.items():
        outside_steps = timing["seconds"] - in_steps.get(phase, 0.0)
        rows.append(
            [
                phase,
                format_duration(timing["seconds"]),
                f"{timing['seconds'] / total_seconds:.0%}",
                format_duration(outside_steps) if phase in in_steps else "",
                format_size(timing["peak_memory"]),
                format_duration(planned[phase]) if phase in planned else "",
            ]
        )
    planned_seconds = format_duration(sum(planned.values())) if planned else ""
    rows.append(
        [
            "**all**",
            format_duration(total_seconds),
            "",
            "",
            format_size(peak_memory),
            planned_seconds,
        ]
    )
    header = ["phase", "wall time", "share", "outside steps", "peak memory so far", "planned time"]
    return paragraphs(
        table(header, rows),
        "*Outside steps* is the time of a stage that is not spent in training steps: starting, "
        "encoding text, compiling, writing checkpoints and samples.",
    )


def _total_seconds_and_peak_memory(run: Run) -> tuple[float, float]:
    """Return the seconds of all phases, and the peak memory in bytes."""
    timings = run.timings().values()
    return (
        sum(t["seconds"] for t in timings),
        max((t["peak_memory"] for t in timings), default=0.0),
    )


def render_plan_vs_actual(run: Run, evaluations: Evaluations) -> str:
    """The plan's estimates next to the actual values; empty if the run was not planned."""
    predicted = run.manifest.predicted
    if not predicted:
        return ""
    seconds, memory = _total_seconds_and_peak_memory(run)
    disk = sum(path.stat().st_size for path in run.directory.rglob("*") if path.is_file())
    bits, (low, high) = predicted["bits_per_byte"], predicted["bits_per_byte"]["range"]
    actual_bits = evaluations[bits["stage"]]["tasks"]["bits_per_byte"]["score"]
    rows = [
        [
            "time, including benchmarking",
            format_duration(predicted["total_seconds"]),
            format_duration(predicted["measuring_seconds"] + seconds),
        ],
        [
            "bits per byte after pretraining",
            f"{bits['expected']:.3f} ({low:.3f} to {high:.3f})",
            f"{actual_bits:.3f}",
        ],
        ["peak memory", format_size(predicted["memory_bytes"]), format_size(memory)],
        ["disk", format_size(predicted["disk_bytes"]), format_size(disk)],
    ]
    return table(["", "plan", "actual"], rows)
