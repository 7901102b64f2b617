"""How training went, where the time went, and what the plan had said."""

from firstwords import console
from firstwords.data.tokens import TokenStore
from firstwords.recipe import STAGES
from firstwords.report.markdown import paragraphs, table
from firstwords.report.results import TITLES, Evaluations
from firstwords.run import Run, course, read_metrics


def losses(run: Run) -> str:
    rows = []
    for stage in STAGES:
        metrics = read_metrics(run.metrics(stage))
        went = course(metrics)
        rows.append(
            [
                TITLES[stage],
                f"{went.first_loss:.3f}",
                f"{went.last_loss:.3f}",
                f"{run.recipe.stage(stage).tokens / went.seconds:,.0f}",
                console.duration(went.seconds),
            ]
        )
    header = ["stage", "first loss", "last loss", "tokens/s", "time in steps"]
    return paragraphs(
        table(header, rows),
        "Losses are in nats per target token; the last is the mean of 20 steps. The stages "
        "have different targets, so their losses cannot be compared with each other.",
        _cut(run),
    )


def _cut(run: Run) -> str:
    conversations = TokenStore(run.tokens("chat", "train"))
    rows = run.recipe.sft.seq_len
    longer = int((conversations.lengths > rows + 1).sum())
    return (
        f"{longer:,} of {conversations.counts.documents:,} conversations are longer than a row of "
        f"{rows} tokens; they were cut into pieces, and no target was lost."
    )


def timings(run: Run) -> str:
    timings, planned = run.timings(), run.manifest.predicted.get("phase_seconds", {})
    in_steps: dict[str, float] = {
        stage: course(read_metrics(run.metrics(stage))).seconds for stage in STAGES
    }
    seconds, peak = _taken(run)
    rows = []
    for phase, took in timings.items():
        beside = took["seconds"] - in_steps.get(phase, 0.0)
        rows.append(
            [
                phase,
                console.duration(took["seconds"]),
                f"{took['seconds'] / seconds:.0%}",
                console.duration(beside) if phase in in_steps else "",
                console.size(took["peak_memory"]),
                console.duration(planned[phase]) if planned else "",
            ]
        )
    planned_seconds = console.duration(sum(planned.values())) if planned else ""
    rows.append(["**all**", console.duration(seconds), "", "", console.size(peak), planned_seconds])
    header = ["phase", "wall time", "share", "not in steps", "peak memory so far", "planned"]
    return paragraphs(
        table(header, rows),
        "*Not in steps* is what a stage takes besides its training steps: starting, encoding text, "
        "compiling, checkpoints and the pages of the growth album.",
    )


def _taken(run: Run) -> tuple[float, float]:
    """Seconds of all phases, and bytes of memory at most."""
    timings = run.timings().values()
    return (
        sum(t["seconds"] for t in timings),
        max((t["peak_memory"] for t in timings), default=0.0),
    )


def forecast(run: Run, evaluations: Evaluations) -> str:
    """What the plan said beforehand, beside what came; nothing if the recipe was given."""
    predicted = run.manifest.predicted
    if not predicted:
        return ""
    seconds, memory = _taken(run)
    disk = sum(path.stat().st_size for path in run.directory.rglob("*") if path.is_file())
    bits, low_high = predicted["bits_per_byte"], predicted["bits_per_byte"]["range"]
    came = evaluations[bits["stage"]]["tasks"]["bits_per_byte"]["score"]
    rows = [
        [
            "time, with measuring",
            console.duration(predicted["total_seconds"]),
            console.duration(predicted["measuring_seconds"] + seconds),
        ],
        [
            "bits per byte after pretraining",
            f"{bits['expected']:.3f} ({low_high[0]:.3f} to {low_high[1]:.3f})",
            f"{came:.3f}",
        ],
        ["memory at most", console.size(predicted["memory_bytes"]), console.size(memory)],
        ["disk", console.size(predicted["disk_bytes"]), console.size(disk)],
    ]
    return table(["", "planned", "came"], rows)
