"""From a model's depth to a whole recipe, by fixed rules.

A preset gives the model's depth and its data. Width, batch size, tokens and learning rates follow
from it; the micro-batch size follows from the memory available. `recipes/` has presets from a
laptop to several nodes. (`train --time` works the other way: from the time to the depth.)

The rules and their sources:

    width           64 channels per layer, in whole heads of 128; an MLP of 8/3 of the width
    tokens          a fixed number per matmul parameter; 20 is from arXiv 2203.15556
    batch           524,288 tokens for 11.2 billion training tokens, as in nanochat's depth 20, and
                    proportional to the training tokens to the power 0.75. A run of 10 million
                    tokens then gets batches of 2,700, near the 2,048 that were best for it
                    (docs/lab-notebook.md#real-text-with-two-million-tokens). Always a power of two.
    Muon's rate     0.008 with batches of 2,048 tokens (tuned,
                    docs/lab-notebook.md#heads-and-muon-steps) and 0.02 with 524,288 (nanochat):
                    proportional to the batch to the power 1/6. It does not depend on the width,
                    since an update changes a layer's output equally at any width
                    (training/optimizer.py).
    Adam's rates    0.04 at 192 channels (tuned), inversely proportional to the width, since the
                    logits sum over it (arXiv 2203.03466)

We have tried only the small end of each rule. `--set` overrides a rule.
"""

import math
from typing import Any, NamedTuple

from pydantic import Field

from firstwords.common.hardware import Device
from firstwords.common.schema import FrozenModel
from firstwords.data.mixing import SourceSpec
from firstwords.model.size import matmul_parameters
from firstwords.planning.estimates import memory_bytes
from firstwords.planning.model_sizes import model_config
from firstwords.recipe import Dtype, Kernel, ModelConfig, OptimizerConfig, Recipe, StageConfig

CHANNELS_PER_LAYER = 64
HEAD_DIM = 128
REFERENCE_BATCH_TOKENS = 524_288  # for REFERENCE_TRAINING_TOKENS
REFERENCE_TRAINING_TOKENS = 11.2e9
BATCH_EXPONENT = 0.75
TUNED_BATCH_TOKENS = 2_048
TUNED_CHANNELS = 192
LEARNING_RATE_EXPONENT = 1 / 6
PRESET_BENCHMARK_ITEMS = 500
PRESET_MIN_TOKENIZER_BYTES = 5e6
PRESET_MAX_TOKENIZER_BYTES = 2e9
TOKENIZER_TEXT_FRACTION = 0.05  # of the training text
APPROXIMATE_BYTES_PER_TOKEN = 4
STAGE_SCHEDULES: dict[str, dict[str, Any]] = {
    "pretrain": {"lr_scale": 1.0, "decay_fraction": 0.5, "final_lr_fraction": 0.1},
    "midtrain": {"lr_scale": 0.5, "decay_fraction": 0.7, "final_lr_fraction": 0.2},
    "sft": {"lr_scale": 0.2, "decay_fraction": 1.0, "final_lr_fraction": 0.03},
}


class DepthPreset(FrozenModel):
    """A recipe given by the model's depth."""

    description: str
    depth: int = Field(ge=1, le=64)  # layers
    vocab_size: int = Field(ge=512, le=65_536)
    seq_len: int = Field(ge=64)  # tokens of a row: the context window
    tokens_per_parameter: float = Field(default=20, gt=0)  # pretraining, per matmul parameter
    midtrain_fraction: float = Field(gt=0, le=1)  # midtraining tokens per pretraining token
    sft_fraction: float = Field(gt=0, le=1)  # finetuning tokens per pretraining token
    repeat_fraction: float = Field(default=0.0, ge=0, lt=1)  # rows that repeat random tokens
    data: SourceSpec = "starter"
    chat_data: SourceSpec = "starter"
    gpus: str | None = None  # the GPUs that it is meant for, such as 8xH100; None for a CPU


class WorkerSpec(NamedTuple):
    """The processes that train: how many, and what each has."""

    device: Device
    n_threads: int
    dtype: Dtype
    compile: bool  # with PyTorch's kernel
    memory: float  # bytes for each process
    processes: int = 1
    kernel: Kernel = "pytorch"


def recipe_from_preset(preset: DepthPreset, worker: WorkerSpec, seed: int = 0) -> Recipe:
    """Derive the whole recipe. Shards the weights if the model fits into memory no other way."""
    model = model_from_preset(preset)
    tokens = preset.tokens_per_parameter * matmul_parameters(model)
    batch_size = batch_size_for(tokens, preset.seq_len, worker.processes)
    recipe = Recipe(
        seed=seed,
        n_threads=worker.n_threads,
        device=worker.device,
        dtype=worker.dtype,
        kernel=worker.kernel,
        compile=worker.compile and worker.kernel == "pytorch",
        tokenizer_bytes=_tokenizer_bytes(tokens),
        model=model,
        optimizer=scaled_learning_rates(model.n_embd, batch_size * preset.seq_len),
        pretrain=_stage("pretrain", tokens, batch_size, preset.seq_len),
        midtrain=_stage("midtrain", preset.midtrain_fraction * tokens, batch_size, preset.seq_len),
        sft=_stage("sft", preset.sft_fraction * tokens, batch_size, preset.seq_len),
        repeat_fraction=preset.repeat_fraction,
        # The starter curriculum has an exam of its own instead of the benchmarks.
        benchmark_items=0 if preset.data == "starter" else PRESET_BENCHMARK_ITEMS,
        val_bytes=round(min(10e6, max(200_000, tokens / 100))),
    )
    recipe = recipe.replace_stages(micro_batch_size=batch_size // worker.processes)
    fitted = fit_memory(recipe, worker.memory, worker.processes)
    fits = memory_bytes(fitted, worker.processes) <= worker.memory
    if fits or worker.processes == 1 or batch_size % worker.processes:
        return fitted
    sharded = recipe.replace(shard="weights")
    return fit_memory(sharded, worker.memory, worker.processes)


def model_from_preset(preset: DepthPreset) -> ModelConfig:
    """Derive the model's shape from its depth."""
    n_head = -(-CHANNELS_PER_LAYER * preset.depth // HEAD_DIM)
    model = model_config((preset.depth, n_head * HEAD_DIM, n_head), preset.vocab_size)
    return model.replace(max_seq_len=preset.seq_len)


def batch_size_for(training_tokens: float, seq_len: int, processes: int) -> int:
    """Return the rows of a batch: a power of two, with at least one row for each process."""
    scale = (training_tokens / REFERENCE_TRAINING_TOKENS) ** BATCH_EXPONENT
    ideal = REFERENCE_BATCH_TOKENS * scale / seq_len
    rows = 2 ** max(0, round(math.log2(ideal)))
    return int(max(rows, 2 ** math.ceil(math.log2(processes))))


def scaled_learning_rates(n_embd: int, batch_tokens: int) -> OptimizerConfig:
    """Scale the tuned learning rates to a width and a batch size in tokens."""
    tuned = OptimizerConfig()
    batch_ratio = max(1.0, batch_tokens / TUNED_BATCH_TOKENS)
    return OptimizerConfig(
        matrix_lr=tuned.matrix_lr * batch_ratio**LEARNING_RATE_EXPONENT,
        embedding_lr=tuned.embedding_lr * min(1.0, TUNED_CHANNELS / n_embd),
    )


def _tokenizer_bytes(training_tokens: float) -> int:
    text_bytes = APPROXIMATE_BYTES_PER_TOKEN * training_tokens
    n_bytes = max(PRESET_MIN_TOKENIZER_BYTES, TOKENIZER_TEXT_FRACTION * text_bytes)
    return round(min(PRESET_MAX_TOKENIZER_BYTES, n_bytes))


def _stage(name: str, tokens: float, batch_size: int, seq_len: int) -> StageConfig:
    steps = max(1, round(tokens / (batch_size * seq_len)))
    return StageConfig(
        steps=steps,
        batch_size=batch_size,
        micro_batch_size=batch_size,
        seq_len=seq_len,
        warmup_steps=min(40, -(-steps // 20)),
        **STAGE_SCHEDULES[name],
    )


def fit_memory(recipe: Recipe, memory: float, processes: int = 1) -> Recipe:
    """Halve the micro-batch size until training fits into `memory` bytes, down to one row."""
    while memory_bytes(recipe, processes) > memory and recipe.pretrain.micro_batch_size > 1:
        recipe = recipe.replace_stages(micro_batch_size=recipe.pretrain.micro_batch_size // 2)
    return recipe
