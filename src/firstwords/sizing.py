"""From a model's depth to a whole recipe, by stated rules.

A sketch says how deep the model is and what it reads; width, batch, tokens and learning rates
follow, and how much of a batch is taken at a time follows from the memory there is. `recipes/` has
sketches from a laptop to several nodes. (`train --time` goes the other way: from the time to the
depth.)

The rules, and where they come from:

    width           64 channels for each layer, in whole heads of 128; an MLP of 8/3 of it
    tokens          so many for each parameter in matrix products; 20 is arXiv 2203.15556's
    batch           524,288 tokens for 11.2 billion, as nanochat's depth 20 has them, and growing
                    with their power 0.75: then a run of 10 million gets 2,700, near the 2,048
                    that were best for it here (docs/lab-notebook.md); a power of two
    Muon's rate     0.008 with batches of 2,048 tokens, tuned here; 0.02 with 524,288, nanochat's;
                    between them a power of the batch, 1/6. No rule for the width: an update
                    changes a layer's output as much whatever its width (optimizer.py)
    Adam's rates    0.04 at 192 channels, tuned here, and falling with the width, for the logits
                    sum over it (arXiv 2203.03466)

Only the small ends were tried by us. `--set` replaces what a rule says.
"""

import math
from typing import Any, NamedTuple

from pydantic import Field

from firstwords.forecast import memory_bytes
from firstwords.model import matmul_parameters
from firstwords.recipe import (
    STAGES,
    Device,
    Dtype,
    Fixed,
    ModelConfig,
    OptimizerConfig,
    Recipe,
    StageConfig,
    model_config,
)

CHANNELS_PER_LAYER = 64
HEAD_DIM = 128
BATCH_TOKENS, BATCH_OF, BATCH_POWER = 524_288, 11.2e9, 0.75
TUNED_BATCH, TUNED_WIDTH = 2_048, 192
RATE_POWER = 1 / 6
BENCHMARK_ITEMS = 500
TOKENIZER_BYTES = 2e9  # at most
TOKENIZER_SHARE = 0.05  # of the text that is read
SCHEDULES: dict[str, dict[str, Any]] = {  # share of the peak rates, decaying steps, what is left
    "base": {"lr_scale": 1.0, "decay_fraction": 0.5, "final_lr": 0.1},
    "mid": {"lr_scale": 0.5, "decay_fraction": 0.7, "final_lr": 0.2},
    "sft": {"lr_scale": 0.2, "decay_fraction": 1.0, "final_lr": 0.03},
}


class Sketch(Fixed):
    """A recipe by its depth."""

    about: str
    depth: int = Field(ge=1, le=64)  # layers
    vocab_size: int = Field(ge=512, le=65_536)
    seq_len: int = Field(ge=64)  # tokens of a row: the context
    tokens_per_parameter: float = Field(default=20, gt=0)  # in pretraining, per one in products
    mid_share: float = Field(gt=0, le=1)  # midtraining's tokens, as a share of pretraining's
    sft_share: float = Field(gt=0, le=1)  # finetuning's
    echo: float = Field(default=0.0, ge=0, lt=1)  # rows of repeating random tokens (Recipe.echo)
    data: str = "starter"
    chat_data: str = "starter"
    gpus: str | None = None  # what it is meant for, as in 8xH100; None: a processor


class Worker(NamedTuple):
    """What does the work: so many `processes` with a device each."""

    device: Device
    n_threads: int
    dtype: Dtype
    compile: bool
    memory: float  # bytes, of each
    processes: int = 1


def filled_in(sketch: Sketch, worker: Worker, seed: int = 0) -> Recipe:
    """The whole recipe."""
    model = model_of(sketch)
    tokens = sketch.tokens_per_parameter * matmul_parameters(model)
    rows = batch_rows(tokens, sketch.seq_len, worker.processes)
    recipe = Recipe(
        seed=seed,
        n_threads=worker.n_threads,
        device=worker.device,
        dtype=worker.dtype,
        compile=worker.compile,
        tokenizer_bytes=round(min(TOKENIZER_BYTES, max(5e6, TOKENIZER_SHARE * 4 * tokens))),
        model=model,
        optimizer=scaled_rates(model.n_embd, rows * sketch.seq_len),
        base=_stage("base", tokens, rows, sketch.seq_len),
        mid=_stage("mid", sketch.mid_share * tokens, rows, sketch.seq_len),
        sft=_stage("sft", sketch.sft_share * tokens, rows, sketch.seq_len),
        echo=sketch.echo,
        # At most so many of each part; the curriculum has an exam of its own.
        benchmark_items=0 if sketch.data == "starter" else BENCHMARK_ITEMS,
        val_bytes=round(min(10e6, max(200_000, tokens / 100))),
    )
    recipe = with_micro_rows(recipe, rows // worker.processes)
    fitted = into_memory(recipe, worker.memory, worker.processes)
    fits = memory_bytes(fitted, worker.processes) <= worker.memory
    if fits or worker.processes == 1 or rows % worker.processes:
        return fitted
    cut = recipe.model_copy(update={"shard": "weights"})
    return into_memory(cut, worker.memory, worker.processes)


def model_of(sketch: Sketch) -> ModelConfig:
    n_head = -(-CHANNELS_PER_LAYER * sketch.depth // HEAD_DIM)
    model = model_config((sketch.depth, n_head * HEAD_DIM, n_head), sketch.vocab_size)
    return model.model_copy(update={"max_seq_len": sketch.seq_len})


def batch_rows(tokens: float, seq_len: int, workers: int) -> int:
    """A power of two, and a row for each worker at least."""
    wanted = BATCH_TOKENS * (tokens / BATCH_OF) ** BATCH_POWER / seq_len
    rows = 2 ** max(0, round(math.log2(wanted)))
    return int(max(rows, 2 ** math.ceil(math.log2(workers))))


def scaled_rates(n_embd: int, batch_tokens: int) -> OptimizerConfig:
    """Learning rates for a width and a batch."""
    tuned = OptimizerConfig()
    return OptimizerConfig(
        matrix_lr=tuned.matrix_lr * max(1.0, batch_tokens / TUNED_BATCH) ** RATE_POWER,
        embedding_lr=tuned.embedding_lr * min(1.0, TUNED_WIDTH / n_embd),
    )


def _stage(name: str, tokens: float, rows: int, seq_len: int) -> StageConfig:
    steps = max(1, round(tokens / (rows * seq_len)))
    return StageConfig(
        steps=steps,
        batch_rows=rows,
        micro_rows=rows,
        seq_len=seq_len,
        warmup_steps=min(40, -(-steps // 20)),
        **SCHEDULES[name],
    )


def into_memory(recipe: Recipe, room: float, processes: int = 1) -> Recipe:
    """The recipe with its batches halved into micro-batches until they fit, if they can."""
    while memory_bytes(recipe, processes) > room and recipe.base.micro_rows > 1:
        recipe = with_micro_rows(recipe, recipe.base.micro_rows // 2)
    return recipe


def with_micro_rows(recipe: Recipe, rows: int) -> Recipe:
    stages = {name: recipe.stage(name) for name in STAGES}
    return recipe.model_copy(
        update={
            name: stage.model_copy(update={"micro_rows": rows}) for name, stage in stages.items()
        }
    )
