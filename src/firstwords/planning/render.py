"""Render a plan as text: what a run will do and take, one fact per line."""

from typing import Any

from firstwords.common.units import format_duration, format_size
from firstwords.planning.planner import Plan
from firstwords.planning.stage_steps import MAX_EPOCHS
from firstwords.recipe import Recipe

NEAR_MAX_EPOCHS = 0.9 * MAX_EPOCHS
SHORT_RUN_FRACTION = 0.8  # of the budget: a shorter run gets a note


def render_plan(plan: Plan) -> str:
    """Render the recipe and, if there are estimates, what it takes and what other budgets give."""
    recipe, predicted = plan.recipe, plan.predicted
    notes = [f"note        {note}" for note in plan.notes]
    if not predicted:
        return "\n".join([_model_line(recipe), *_stage_lines(recipe), *notes])
    return "\n".join(
        [
            _model_line(recipe),
            *_machine_lines(recipe, predicted),
            *_stage_lines(recipe, predicted),
            *_total_lines(predicted),
            *_notes(predicted),
            *notes,
            *_comparison_lines(predicted.get("comparison")),
        ]
    )


def _model_line(recipe: Recipe) -> str:
    model = recipe.model
    return (
        f"model       {model.n_layer} layers x {model.n_embd} channels, {model.n_head} heads of "
        f"{model.head_dim}, vocabulary {model.vocab_size:,}, context {model.max_seq_len}"
    )


def _machine_lines(recipe: Recipe, predicted: dict[str, Any]) -> list[str]:
    settings, stage = predicted["settings"], recipe.pretrain
    parts = dict(predicted["parameters"])
    total, _ = parts.pop("all"), parts.pop("matmul")
    by_part = ", ".join(f"{name} {count:,}" for name, count in parts.items())
    speedups = ", ".join(f"{name} {ratio:.2f}" for name, ratio in settings["speedups"].items())
    gflops = ", ".join(f"{dtype} {rate:,.0f}" for dtype, rate in settings["matmul_gflops"].items())
    gpu = "" if recipe.device == "cpu" else f"a GPU ({recipe.device}), "
    return [
        f"parameters  {total:,}: {by_part}",
        f"machine     {gpu}{recipe.n_threads} threads, {recipe.dtype}, "
        f"{recipe.step_kind} training step",
        f"            matrix products in GFLOP/s: {gflops}",
        f"            trials, relative to the best before: {speedups or 'none'}",
        f"batch       {stage.batch_size} rows of {stage.seq_len} tokens, in micro-batches of "
        f"{stage.micro_batch_size}",
        f"speed       {predicted['tokens_per_second']:,.0f} tokens/s, measured",
    ]


def _stage_lines(recipe: Recipe, predicted: dict[str, Any] | None = None) -> list[str]:
    lines = []
    for name in recipe.stages:
        stage = recipe.stage(name)
        if stage.steps == 0:
            lines.append(f"{name:<11} skipped")
            continue
        line = (
            f"{name:<11} {stage.steps:,} steps of {stage.batch_tokens:,} = {stage.tokens:,} tokens"
        )
        if predicted:
            kind = "text" if name == "pretrain" else "conversations"
            epochs = predicted["epochs"][name]
            source = f"{epochs:.2f} epochs of {kind}" if epochs else f"{kind} generated as needed"
            line += f", {source}, {format_duration(predicted['phase_seconds'][name])}"
        lines.append(line)
    return lines


def _total_lines(predicted: dict[str, Any]) -> list[str]:
    seconds = predicted["phase_seconds"]
    lines = [
        f"other time  benchmarking {format_duration(predicted['measuring_seconds'])}, tokenizer "
        f"{format_duration(seconds['tokenizer'])}, evaluation "
        f"{format_duration(seconds['evaluation'])}",
        f"total       {format_duration(predicted['total_seconds'])} of "
        f"{format_duration(predicted['seconds'])}",
        f"memory      {format_size(predicted['memory_bytes'])} at peak",
        f"disk        {format_size(predicted['disk_bytes'])}",
    ]
    if bits := predicted.get("bits_per_byte"):
        low, high = bits["range"]
        lines.append(
            f"expected    {bits['expected']:.3f} bits per byte of held-out text after pretraining "
            f"({low:.3f} to {high:.3f})"
        )
    return lines


def _notes(predicted: dict[str, Any]) -> list[str]:
    """Explain what limits the plan other than time."""
    notes = []
    for source, option, stage in (
        ("text", "--data", "pretrain"),
        ("conversations", "--chat-data", "midtrain"),
    ):
        if predicted["epochs"][stage] > NEAR_MAX_EPOCHS:
            notes.append(
                f"a stage reads the {source} at most {MAX_EPOCHS} times; for a better model give "
                f"more ({option})"
            )
    if predicted["total_seconds"] < SHORT_RUN_FRACTION * predicted["seconds"]:
        notes.append(
            "there is too little data to use all of the time, so the model is smaller and the run "
            "ends sooner"
        )
    if predicted["short_of_memory"]:
        notes.append("memory is short, so micro-batches or the model are smaller")
    return [f"note        {note}" for note in notes]


def _comparison_lines(rows: list[dict[str, Any]] | None) -> list[str]:
    if rows is None:
        return []
    lines = [
        "",
        "other budgets and machines, estimated (bits per byte with decayed learning rate):",
    ]
    for row in rows:
        bits = row["bits_per_byte"]
        lines.append(
            f"  {row['machine']:<13} {format_duration(row['seconds']):>8}  "
            f"{row['n_layer']:>2} x {row['n_embd']:<5} {row['matmul_parameters'] / 1e6:>7.2f}M "
            f"matmul parameters  {row['tokens'] / 1e6:>9,.1f}M tokens  "
            + ("outside the fitted range" if bits is None else f"{bits:.2f}")
        )
    return lines
