"""Estimate what a recipe takes on GPUs of another machine: time, cost, memory, disk, data."""

from collections.abc import Iterable
from typing import Any

from firstwords.common.errors import UserError
from firstwords.common.units import format_duration, format_size
from firstwords.data.hub.catalogue import find_entry
from firstwords.planning import estimates, presets
from firstwords.planning.estimates import USABLE_MEMORY_FRACTION, recipe_flops_per_token
from firstwords.planning.gpus import GPU_UTILIZATION, GPUS_PER_NODE, GpuGroup, GpuSpec
from firstwords.planning.presets import DepthPreset, WorkerSpec
from firstwords.recipe import Recipe, with_overrides

OVERHEAD_SECONDS = 900.0  # tokenizer, compiling, evaluation, report: a rough allowance
CORES_PER_GPU = 8
TEXT_BYTES_PER_PARQUET_BYTE = 2.6  # text is compressed: climbmix has 240 MB of it in 92


def estimate_for_gpus(
    preset: DepthPreset,
    gpus: GpuGroup,
    price: float | None,
    seed: int = 0,
    overrides: Iterable[str] = (),
) -> dict[str, Any]:
    """Return the preset's recipe, with the overrides of `--set`, and what it takes on `gpus`.

    `price` is in dollars per GPU hour; None uses the ranges of gpus.toml. Raises UserError if the
    model does not fit into the GPUs' memory.
    """
    memory = USABLE_MEMORY_FRACTION * gpus.spec.memory_gb * 1e9
    worker = WorkerSpec("cuda", CORES_PER_GPU, "bfloat16", True, memory, gpus.number)
    recipe = with_overrides(presets.recipe_from_preset(preset, worker, seed), overrides)
    needed = estimates.memory_bytes(recipe, gpus.number)
    if needed > memory:
        raise UserError(
            f"--estimate-for {gpus} has too little memory: each GPU has "
            f"{gpus.spec.memory_gb:g} GB, and the model needs {format_size(needed)} with a "
            "micro-batch of one row",
            "use GPUs with more memory, or a recipe with a smaller depth",
        )
    seconds = phase_seconds_on_gpus(recipe, gpus)
    hours = sum(seconds.values()) / 3600 * gpus.number
    flops_per_token = recipe_flops_per_token(recipe)
    predicted = {
        "gpus": str(gpus),
        "phase_seconds": seconds,
        "total_seconds": sum(seconds.values()),
        "tokens_per_second": gpus.flops_per_second / flops_per_token,
        "flops": estimates.all_tokens(recipe) * flops_per_token,
        "gpu_hours": hours,
        "dollars": costs(gpus.spec, hours, price),
        "memory_bytes": needed,
        "disk_bytes": estimates.disk_bytes(recipe),
        "parameters": estimates.parameters(recipe.model),
        "data": data_needed(preset, recipe),
    }
    return {"recipe": recipe.model_dump(), "predicted": predicted}


def phase_seconds_on_gpus(recipe: Recipe, gpus: GpuGroup) -> dict[str, float]:
    """Estimate the seconds of encoding, of each stage, and of everything else.

    Text is encoded on the CPU cores of one node, before training.
    """
    cores = CORES_PER_GPU * min(gpus.number, GPUS_PER_NODE)
    encoding = estimates.all_tokens(recipe) / (estimates.ENCODED_TOKENS_PER_SECOND * cores)
    seconds = {"encoding": encoding}
    for stage in recipe.stages:
        flops = recipe.stage(stage).tokens * recipe_flops_per_token(recipe)
        seconds[stage] = flops / gpus.flops_per_second
    return seconds | {"everything else": OVERHEAD_SECONDS}


def costs(spec: GpuSpec, hours: float, price: float | None) -> dict[str, list[float]]:
    """Return lowest and highest dollars for so many GPU hours, by kind of provider."""
    if price is not None:
        return {"at your price": [hours * price] * 2}
    return {name: [hours * low, hours * high] for name, (low, high) in spec.price_ranges.items()}


def data_needed(preset: DepthPreset, recipe: Recipe) -> dict[str, Any]:
    """Return the bytes of pretraining text, and the files of a catalogued corpus that hold it."""
    text_bytes = recipe.pretrain.tokens * estimates.bytes_per_token(recipe.model.vocab_size)
    needed: dict[str, Any] = {"source": preset.data, "text_bytes": text_bytes}
    name = str(preset.data).removeprefix("hub:")
    if name == preset.data or not isinstance(preset.data, str):
        return needed
    entry = find_entry(name)
    shards = -(-text_bytes // (TEXT_BYTES_PER_PARQUET_BYTE * entry.shard_bytes))
    shards = int(min(shards, entry.all_shards))
    return needed | {
        "shards": shards,
        "of": entry.all_shards,
        "download_bytes": shards * entry.shard_bytes,
        "fetch": f"firstwords data fetch {name} --shards {shards}",
    }


def render_gpu_plan(preset: DepthPreset, plan: dict[str, Any]) -> str:
    """Render the document of `estimate_for_gpus` as text, one fact per line."""
    recipe, predicted = Recipe.model_validate(plan["recipe"]), plan["predicted"]
    return "\n".join(
        [
            f"recipe      {preset.description}",
            *_model_lines(recipe, predicted),
            *_cost_lines(recipe, predicted),
            *_data_lines(predicted["data"]),
        ]
    )


def _model_lines(recipe: Recipe, predicted: dict[str, Any]) -> list[str]:
    model, parameters, stage = recipe.model, predicted["parameters"], recipe.pretrain
    rows_per_gpu = stage.batch_size // int(predicted["gpus"].split("x")[0])
    lines = [
        f"model       {model.n_layer} layers x {model.n_embd:,} channels, {model.n_head} heads of "
        f"{model.head_dim}, vocabulary {model.vocab_size:,}, context {model.max_seq_len:,}",
        f"parameters  {parameters['all']:,}, of which {parameters['matmul']:,} matmul parameters",
        f"batch       {stage.batch_tokens:,} tokens; {rows_per_gpu} rows of {stage.seq_len:,} per "
        f"GPU, in micro-batches of {stage.micro_batch_size}",
    ]
    for name in recipe.stages:
        stage = recipe.stage(name)
        lines.append(f"{name:<11} {stage.steps:,} steps, {stage.tokens / 1e9:.2f} billion tokens")
    return [
        *lines,
        f"peak lr     matrices {recipe.optimizer.matrix_lr:.4f}, embedding and head "
        f"{recipe.optimizer.embedding_lr:.4f}",
    ]


def _cost_lines(recipe: Recipe, predicted: dict[str, Any]) -> list[str]:
    times = ", ".join(f"{n} {format_duration(s)}" for n, s in predicted["phase_seconds"].items())
    dollars = _render_dollars(predicted["dollars"])
    return [
        f"speed       {predicted['tokens_per_second']:,.0f} tokens/s on {predicted['gpus']}, "
        f"assuming {GPU_UTILIZATION:.0%} utilization",
        f"time        {format_duration(predicted['total_seconds'])}: {times}",
        f"cost        {predicted['gpu_hours']:,.1f} GPU hours; {dollars}",
        f"memory      {format_size(predicted['memory_bytes'])} per GPU"
        + ", with sharded weights" * (recipe.shard == "weights"),
        f"disk        {format_size(predicted['disk_bytes'])} for checkpoints and tokens",
    ]


def _data_lines(data: dict[str, Any]) -> list[str]:
    lines = [f"text        {format_size(data['text_bytes'])} from {data['source']}"]
    if "fetch" in data:
        lines.append(
            f"            {data['shards']:,} of its {data['of']:,} files, "
            f"{format_size(data['download_bytes'])} to download: {data['fetch']}"
        )
    return lines


def _render_dollars(dollars: dict[str, list[float]]) -> str:
    if not dollars:
        return "no price is known, give --price"
    ranges = (
        f"{name} ${low:,.0f}" if low == high else f"{name} ${low:,.0f} to ${high:,.0f}"
        for name, (low, high) in dollars.items()
    )
    return ", ".join(ranges)
