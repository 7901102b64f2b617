"""A plan in words: what will happen, before it happens."""

from typing import Any

from firstwords import console
from firstwords.plan import MOST_EPOCHS, Plan
from firstwords.recipe import STAGES, Recipe


def describe(plan: Plan) -> str:
    """A fact a line; with a prediction, what it will take and what other times would give."""
    lines = _model(plan.recipe)
    if not plan.predicted:
        return "\n".join([*lines, *_stages(plan.recipe)])
    lines += _settings(plan.recipe, plan.predicted)
    lines += _stages(plan.recipe, plan.predicted)
    lines += _totals(plan.predicted)
    return "\n".join(lines + _limits(plan) + ["", *_comparison(plan.predicted)])


def _model(recipe: Recipe) -> list[str]:
    model = recipe.model
    return [
        f"model       {model.n_layer} layers x {model.n_embd} channels, {model.n_head} heads of "
        f"{model.head_dim}, vocabulary {model.vocab_size:,}, context {model.max_seq_len}"
    ]


def _settings(recipe: Recipe, predicted: dict[str, Any]) -> list[str]:
    parts = predicted["parameters"]
    named = ", ".join(
        f"{name} {count:,}" for name, count in parts.items() if name not in ("all", "in products")
    )
    tried = predicted["settings"]["tried"]
    others = ", ".join(f"{name} {speed:.2f}" for name, speed in tried.items())
    rates = predicted["settings"]["matmul_gflops"]
    products = ", ".join(f"{rate:,.0f} in {dtype}" for dtype, rate in rates.items())
    stage = recipe.base
    gpu = "" if recipe.device == "cpu" else f"a GPU ({recipe.device}), "
    return [
        f"parameters  {parts['all']:,}: {named}",
        f"machine     {gpu}{recipe.n_threads} threads, {recipe.dtype}, "
        f"{'compiled' if recipe.compile else 'eager'}, {recipe.attention} attention, batches of "
        f"{stage.batch_rows} rows of {stage.seq_len} tokens, {stage.micro_rows} at a time",
        f"            GFLOP/s of matrix products: {products}",
        f"            tried, times as fast as the best before: {others or 'nothing else'}",
        f"speed       {predicted['tokens_per_second']:,.0f} tokens/s, measured",
    ]


def _stages(recipe: Recipe, predicted: dict[str, Any] | None = None) -> list[str]:
    lines = []
    for name in STAGES:
        stage = recipe.stage(name)
        line = (
            f"{name:<11} {stage.steps:,} steps of {stage.batch_tokens:,} = {stage.tokens:,} tokens"
        )
        if predicted:
            what = "text" if name == "base" else "conversations"
            epochs = predicted["epochs"][name]
            read = f"{what} read {epochs:.2f} times" if epochs else f"{what} made as needed"
            line += f", {read}, {console.duration(predicted['phase_seconds'][name])}"
        lines.append(line)
    return lines


def _totals(predicted: dict[str, Any]) -> list[str]:
    seconds, bits = predicted["phase_seconds"], predicted["bits_per_byte"]
    low, high = bits["range"]
    return [
        f"besides     measuring {console.duration(predicted['measuring_seconds'])}, tokenizer "
        f"{console.duration(seconds['tokenizer'])}, evaluation "
        f"{console.duration(seconds['evaluation'])}",
        f"total       {console.duration(predicted['total_seconds'])} of "
        f"{console.duration(predicted['seconds'])}",
        f"memory      {console.size(predicted['memory_bytes'])} at most",
        f"disk        {console.size(predicted['disk_bytes'])}",
        f"expected    {bits['expected']:.3f} bits per byte of held-out text after pretraining "
        f"({low:.3f} to {high:.3f})",
    ]


def _limits(plan: Plan) -> list[str]:
    """What kept the plan from using the time or the batches it would have."""
    predicted = plan.predicted
    lines = []
    for what, option, stage in (
        ("text is", "--data", "base"),
        ("conversations are", "--chat-data", "mid"),
    ):
        if predicted["epochs"][stage] > 0.9 * MOST_EPOCHS:
            lines.append(
                f"note        the {what} read {MOST_EPOCHS} times in a stage and no more: more of "
                f"it ({option}) makes a better model"
            )
    if predicted["total_seconds"] < 0.8 * predicted["seconds"]:
        lines.append(
            "note        there is not enough data for all of the time: the model is smaller, and "
            "the run ends sooner"
        )
    if predicted["short_of_memory"]:
        lines.append(
            "note        memory is short: batches are taken in smaller parts, or the model is "
            "smaller"
        )
    return lines


def _comparison(predicted: dict[str, Any]) -> list[str]:
    lines = ["the same recipe elsewhere, estimated (bits per byte with the learning rate decayed):"]
    for row in predicted["comparison"]:
        bits = row["bits_per_byte"]
        lines.append(
            f"  {row['machine']:<13} {console.duration(row['seconds']):>8}  "
            f"{row['n_layer']:>2} x {row['n_embd']:<5} {row['matmul_parameters'] / 1e6:>7.2f}M "
            f"in products  {row['tokens'] / 1e6:>9,.1f}M tokens  "
            + ("beyond the law" if bits is None else f"{bits:.2f}")
        )
    return lines
