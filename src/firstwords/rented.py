"""What a recipe would take on GPUs that are not here: time, cost, memory, data. All of it is
computed from data sheets and one assumption, the share of a GPU's arithmetic that training uses;
nothing is measured, and nothing is rented."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import Field

from firstwords import console, forecast, sizing
from firstwords.data import catalogue
from firstwords.errors import UserError
from firstwords.plan import flops_of
from firstwords.recipe import STAGES, Fixed, Recipe, changed, parse, read_document
from firstwords.sizing import Sketch, Worker

FILE = Path(__file__).with_name("gpus.toml")
UTILISATION = 0.4  # of the arithmetic of the data sheet, by the model's own FLOPs
# Among many nodes some of the time goes to the network: a guess until it is measured.
NODE = 8
BETWEEN_NODES = 0.9
USABLE = 0.9  # of a GPU's memory
BESIDE = 900.0  # seconds for tokenizer, compiling, evaluation and report; a rough allowance
ENCODED_PER_CORE = 4e5  # tokens a second
CORES_PER_GPU = 8
TEXT_PER_FILE_BYTE = 2.6  # bytes of text in one of compressed parquet: climbmix has 240 MB in 92
RENTED_FROM = ("large_clouds", "specialists", "marketplaces")


class Gpu(Fixed):
    """A kind of GPU; gpus.toml explains the fields."""

    teraflops: float = Field(gt=0)
    memory_gb: float = Field(gt=0)
    large_clouds: tuple[float, float] | None = None
    specialists: tuple[float, float] | None = None
    marketplaces: tuple[float, float] | None = None


class Gpus(NamedTuple):
    """So many of a kind."""

    number: int
    name: str
    kind: Gpu

    @property
    def flops(self) -> float:
        """FLOPs a second that training gets out of all of them."""
        share = UTILISATION * (BETWEEN_NODES if self.number > NODE else 1.0)
        return self.number * self.kind.teraflops * 1e12 * share


def parse_gpus(text: str) -> Gpus:
    """`8xH100`. Raises UserError."""
    kinds = {name: parse(Gpu, kind, FILE) for name, kind in read_document(FILE).items()}
    by_name = {name.lower(): name for name in kinds}
    match = re.fullmatch(r"(?:([1-9][0-9]{0,3})x)?(\w+)", text.strip(), re.IGNORECASE)
    name = by_name.get(match[2].lower()) if match else None
    if match is None or name is None:
        raise UserError(f"--gpus {text}", f"write it like 8xH100; known are {', '.join(kinds)}")
    return Gpus(int(match[1] or 1), name, kinds[name])


def plan(
    sketch: Sketch, gpus: Gpus, price: float | None, seed: int = 0, changes: Iterable[str] = ()
) -> dict[str, Any]:
    """The recipe, changed as `--set` says, and what it would take. `price`: dollars for an hour of
    one GPU. Raises UserError."""
    memory = USABLE * gpus.kind.memory_gb * 1e9
    worker = Worker("cuda", CORES_PER_GPU, "bfloat16", True, memory, gpus.number)
    recipe = changed(sizing.filled_in(sketch, worker, seed), changes)
    needed = forecast.memory_bytes(recipe, gpus.number)
    if needed > memory:
        raise UserError(
            f"--gpus {gpus.number}x{gpus.name}: each has {gpus.kind.memory_gb:g} GB, and this "
            f"model needs {console.size(needed)} with one row at a time",
            "take GPUs with more memory, or a smaller depth",
        )
    seconds = stage_seconds(recipe, gpus)
    hours = sum(seconds.values()) / 3600 * gpus.number
    predicted = {
        "gpus": f"{gpus.number}x{gpus.name}",
        "phase_seconds": seconds,
        "total_seconds": sum(seconds.values()),
        "tokens_per_second": gpus.flops / flops_of(recipe),
        "flops": sum(recipe.stage(stage).tokens for stage in STAGES) * flops_of(recipe),
        "gpu_hours": hours,
        "dollars": costs(gpus.kind, hours, price),
        "memory_bytes": needed,
        "disk_bytes": forecast.disk_bytes(recipe),
        "parameters": forecast.parameters(recipe.model),
        "data": data_needed(sketch, recipe),
    }
    return {"recipe": recipe.model_dump(), "predicted": predicted}


def stage_seconds(recipe: Recipe, gpus: Gpus) -> dict[str, float]:
    """Encoding happens on the node's processors while nothing else does."""
    tokens = {stage: recipe.stage(stage).tokens for stage in STAGES}
    encoders = CORES_PER_GPU * min(gpus.number, NODE)
    encoding = sum(tokens.values()) / (ENCODED_PER_CORE * encoders)
    seconds = {"encoding": encoding}
    for stage, n in tokens.items():
        seconds[stage] = n * flops_of(recipe) / gpus.flops
    return seconds | {"everything else": BESIDE}


def costs(kind: Gpu, hours: float, price: float | None) -> dict[str, list[float]]:
    """Dollars, from and to, by whom the GPUs are rented from."""
    if price is not None:
        return {"at the price given": [hours * price] * 2}
    prices = {name: getattr(kind, name) for name in RENTED_FROM}
    return {
        name.replace("_", " "): [hours * low, hours * high]
        for name, found in prices.items()
        if found
        for low, high in [found]
    }


def data_needed(sketch: Sketch, recipe: Recipe) -> dict[str, Any]:
    """Text that is read once, and how many files of a corpus of the catalogue hold it."""
    text_bytes = recipe.base.tokens * forecast.bytes_per_token(recipe.model.vocab_size)
    needed: dict[str, Any] = {"source": sketch.data, "text_bytes": text_bytes}
    name = sketch.data.removeprefix("hub:")
    if name == sketch.data:
        return needed
    entry = catalogue.entry(name)
    wanted = -(-text_bytes // (TEXT_PER_FILE_BYTE * entry.shard_bytes))
    shards = int(min(wanted, entry.all_shards))
    return needed | {
        "shards": shards,
        "of": entry.all_shards,
        "download_bytes": shards * entry.shard_bytes,
        "fetch": f"firstwords data fetch {name} --shards {shards}",
    }


def describe(sketch: Sketch, planned: dict[str, Any]) -> str:
    """A fact a line."""
    recipe, predicted = Recipe.model_validate(planned["recipe"]), planned["predicted"]
    model, parts, data = recipe.model, predicted["parameters"], predicted["data"]
    times = ", ".join(f"{n} {console.duration(s)}" for n, s in predicted["phase_seconds"].items())
    share = recipe.base.batch_rows // int(predicted["gpus"].split("x")[0])
    lines = [
        f"recipe      {sketch.about}",
        f"model       {model.n_layer} layers x {model.n_embd:,} channels, {model.n_head} heads of "
        f"{model.head_dim}, vocabulary {model.vocab_size:,}, context {model.max_seq_len:,}",
        f"parameters  {parts['all']:,}, {parts['in products']:,} of them in products",
        f"batch       {recipe.base.batch_tokens:,} tokens; each GPU takes {share} rows of "
        f"{recipe.base.seq_len:,}, {recipe.base.micro_rows} at a time",
        *(
            f"{name:<11} {stage.steps:,} steps, {stage.tokens / 1e9:.2f} billion tokens"
            for name in STAGES
            for stage in [recipe.stage(name)]
        ),
        f"rates       matrices {recipe.optimizer.matrix_lr:.4f}, embedding and head "
        f"{recipe.optimizer.embedding_lr:.4f}",
        f"speed       {predicted['tokens_per_second']:,.0f} tokens/s on {predicted['gpus']}, if "
        f"{UTILISATION:.0%} of its arithmetic is used",
        f"time        {console.duration(predicted['total_seconds'])}: {times}",
        f"cost        {predicted['gpu_hours']:,.1f} GPU hours" + _dollars(predicted["dollars"]),
        f"memory      {console.size(predicted['memory_bytes'])} of each GPU"
        + ", the weights cut up among them" * (recipe.shard == "weights"),
        f"disk        {console.size(predicted['disk_bytes'])} for checkpoints and tokens",
        f"text        {console.size(data['text_bytes'])} from {data['source']}",
    ]
    if "fetch" in data:
        lines.append(
            f"            {data['shards']:,} of its {data['of']:,} files, "
            f"{console.size(data['download_bytes'])} to download: {data['fetch']}"
        )
    return "\n".join(lines)


def _dollars(costs: dict[str, list[float]]) -> str:
    told = (
        f"{name} ${low:,.0f}" if low == high else f"{name} ${low:,.0f} to ${high:,.0f}"
        for name, (low, high) in costs.items()
    )
    return "; " + ", ".join(told) if costs else "; its price is not known: give --price"
