"""From a time budget to a recipe, by measuring this machine.

The order: which dtype multiplies faster here; how fast a whole training step of a small model is;
from that the largest model whose tokens fit the budget; then the speed of that very model's step,
compiled where that pays; from that the number of steps. What start-up, tokenizer, evaluation and
report need is set aside first.
"""

import statistics
import time
from dataclasses import dataclass
from typing import Any

import torch

from firstwords import console, machine
from firstwords.data.corpora import Corpus
from firstwords.data.starter.exam import PER_CATEGORY
from firstwords.errors import UserError
from firstwords.model import Transformer, flops_per_token, matmul_parameters, n_parameters
from firstwords.optimizer import Optimizer
from firstwords.recipe import STAGES, Dtype, ModelConfig, Recipe, StageConfig
from firstwords.training import (
    COMPILE_ERRORS,
    accumulate,
    compile_by,
    loss_function,
    torch_dtype,
)

MIN_SECONDS = 30.0
COMPILE_FROM = 240.0  # seconds of budget from which compiling (20 to 60 s) pays for itself
SEQ_LEN = 256
FEWEST_STEPS = 8  # of a stage
TOKENS_PER_PARAMETER = 1.5  # of all stages; at the speed of a small model's eager step
SHARES = {"base": 0.42, "mid": 0.30, "sft": 0.28}  # of the time for training
TOKENIZER_BYTES_PER_SECOND = 50_000  # of the budget; it learns from about 100 times as fast
TOKENIZER_BYTES = 100e6  # at most
STARTER_TOKENIZER_BYTES = 12e6  # at most: few words, and making text takes longer than reading it
EXAM_ITEMS_PER_SECOND = 1 / 9  # of the budget, in each category
ECHO = 0.04  # of pretraining's rows, for the curriculum; on other text it has not been measured
TEXT_PER_TOKEN = 3.0  # bytes; a low guess, to judge whether a corpus is long enough

# (layers, channels, heads); the MLP is 8/3 of the channels. Few wide heads: 2 of 96 channels
# learned better than 3 of 64, and those better than 6 of 32 (docs/lab-notebook.md).
LADDER = (
    (2, 128, 2),
    (3, 128, 2),
    (4, 192, 2),
    (5, 256, 2),
    (6, 256, 2),
    (6, 384, 3),
    (8, 384, 3),
    (10, 448, 4),
    (12, 512, 4),
    (12, 640, 5),
)


@dataclass(frozen=True)
class Plan:
    recipe: Recipe
    predicted: dict[str, Any]


def make_plan(seconds: float, seed: int, corpus: Corpus) -> Plan:
    """Measure and choose. Takes some seconds, with compiling up to a minute, which the budget
    includes. Raises UserError if the budget is too short."""
    started = time.monotonic()
    if seconds < MIN_SECONDS:
        raise UserError(
            f"--time {seconds:g}s is too short to learn anything",
            f"give at least {MIN_SECONDS:g}s; 10m makes a model worth talking to",
        )
    machine.setup(machine.physical_cores())
    rates = {
        "float32": machine.matmul_gflops(torch.float32),
        "bfloat16": machine.matmul_gflops(torch.bfloat16),
    }
    dtype: Dtype = "bfloat16" if bfloat16_pays(rates) else "float32"
    draft = draft_recipe(seconds, seed, dtype, corpus.is_starter)
    flops = measure_tokens_per_second(draft) * flops_per_token(draft.model, SEQ_LEN)
    shape = choose_shape(draft.model.vocab_size, flops * training_time(seconds, measuring=0.0))
    chosen = draft.model_copy(update={"model": model_config(shape, draft.model.vocab_size)})
    if seconds >= COMPILE_FROM and machine.can_compile():
        chosen = compiled_if_possible(chosen)
    tokens_per_second = measure_tokens_per_second(chosen, min(10.0, max(2.0, seconds / 120)))
    measuring = time.monotonic() - started
    training = training_time(seconds, measuring)
    recipe = with_steps(chosen, training, tokens_per_second)
    check_budget(recipe, seconds, training, tokens_per_second)
    return Plan(recipe, predict(recipe, seconds, tokens_per_second, rates, corpus, measuring))


def bfloat16_pays(rates: dict[str, float]) -> bool:
    """Only where the processor multiplies in it: emulated, it is slower than float32."""
    return rates["bfloat16"] > 1.2 * rates["float32"]


def compiled_if_possible(recipe: Recipe) -> Recipe:
    """The recipe with a compiled step, if a first one works: a compiler without Python's headers
    beside it cannot."""
    console.say("compiling the training step (up to a minute the first time)")
    compiled = recipe.model_copy(update={"compile": True})
    try:
        compile_by(lambda: measure_tokens_per_second(compiled, seconds=0.0))
    except COMPILE_ERRORS as error:
        reason = str(error).strip().splitlines()[0]
        console.warn(f"compiling does not work here, so steps are slower ({reason[:120]})")
        return recipe
    return compiled


def draft_recipe(seconds: float, seed: int, dtype: Dtype, starter: bool) -> Recipe:
    """Everything that follows from the budget alone, around a small model to measure with."""
    # The curriculum's few words need few tokens, and spelling is easier in smaller pieces.
    vocab_size = 2048 if starter or seconds < 120 else 4096
    rows = 8 if seconds < 2400 else 16  # few tokens are worth more in many small steps
    stage = StageConfig(steps=1, batch_rows=rows, micro_rows=rows, seq_len=SEQ_LEN)
    return Recipe(
        seed=seed,
        n_threads=machine.physical_cores(),
        dtype=dtype,
        compile=False,
        tokenizer_bytes=round(
            min(
                STARTER_TOKENIZER_BYTES if starter else TOKENIZER_BYTES,
                seconds * TOKENIZER_BYTES_PER_SECOND,
            )
        ),
        model=model_config(LADDER[1], vocab_size),
        base=stage,
        mid=stage,
        sft=stage,
        echo=ECHO if starter else 0.0,
        val_bytes=round(min(1e6, max(20_000, seconds * 150))),
        exam_items=round(min(PER_CATEGORY, max(10, seconds * EXAM_ITEMS_PER_SECOND))),
    )


def model_config(shape: tuple[int, int, int], vocab_size: int) -> ModelConfig:
    n_layer, n_embd, n_head = shape
    return ModelConfig(
        vocab_size=vocab_size,
        n_layer=n_layer,
        n_embd=n_embd,
        n_head=n_head,
        n_kv_head=n_head,
        head_dim=n_embd // n_head,
        n_hidden=round(n_embd * 8 / 3 / 64) * 64,
        max_seq_len=SEQ_LEN,
    )


def choose_shape(vocab_size: int, flops: float) -> tuple[int, int, int]:
    """The largest model of the ladder that sees TOKENS_PER_PARAMETER with `flops` in all."""
    chosen = LADDER[0]
    for shape in LADDER:
        config = model_config(shape, vocab_size)
        tokens = flops / flops_per_token(config, SEQ_LEN)
        if tokens >= TOKENS_PER_PARAMETER * matmul_parameters(config):
            chosen = shape
    return chosen


def training_time(seconds: float, measuring: float) -> float:
    """What is left of the budget for training steps: 8 s of start-up, then tokenizer, encoding,
    evaluation and report at a twelfth, and a little reserve."""
    return max(10.0, (seconds - measuring - 8.0) * 0.90)


def with_steps(recipe: Recipe, training: float, tokens_per_second: float) -> Recipe:
    def stage(
        share: float, lr_scale: float, warmup: float, decay: float, final: float
    ) -> StageConfig:
        steps = max(
            FEWEST_STEPS, round(training * share * tokens_per_second / recipe.base.batch_tokens)
        )
        return recipe.base.model_copy(
            update={
                "steps": steps,
                "lr_scale": lr_scale,
                "warmup_steps": min(40, max(1, round(steps * warmup))),
                "decay_fraction": decay,
                "final_lr": final,
            }
        )

    return recipe.model_copy(
        update={
            "base": stage(SHARES["base"], 1.0, 0.05, decay=0.3, final=0.7),
            "mid": stage(SHARES["mid"], 0.8, 0.02, decay=0.7, final=0.5),
            "sft": stage(SHARES["sft"], 0.4, 0.02, decay=1.0, final=0.03),
        }
    )


def check_budget(recipe: Recipe, seconds: float, training: float, tokens_per_second: float) -> None:
    """Even the fewest steps of the smallest model may be too much. Raises UserError."""
    needed = sum(recipe.stage(name).tokens for name in STAGES) / tokens_per_second
    if needed > 1.1 * training:
        minimum = round(seconds - training + 1.1 * needed)
        raise UserError(
            f"--time {seconds:g}s is too short for this machine", f"give at least {minimum}s"
        )


def measure_tokens_per_second(recipe: Recipe, seconds: float = 2.0) -> float:
    """Whole training steps of the recipe's base stage on random tokens: the median of the second
    half of `seconds`, for the first seconds can be a third slower."""
    stage = recipe.base
    model = Transformer(recipe.model).init_weights(recipe.seed)
    optimizer = Optimizer(model, recipe.optimizer, torch_dtype(recipe))
    loss = loss_function(model, recipe)
    generator = torch.Generator().manual_seed(0)
    shape = (stage.batch_rows, stage.seq_len)
    x_BT = torch.randint(recipe.model.vocab_size, shape, generator=generator)

    def step() -> float:
        start = time.perf_counter()
        accumulate(loss, x_BT, x_BT, stage.micro_rows)
        optimizer.step(0.1)
        return time.perf_counter() - start

    step()
    times = [step(), step()]
    while sum(times) < seconds:
        times.append(step())
    return stage.batch_tokens / statistics.median(times[len(times) // 2 :])


def predict(
    recipe: Recipe,
    seconds: float,
    tokens_per_second: float,
    rates: dict[str, float],
    corpus: Corpus,
    measuring: float,
) -> dict[str, Any]:
    """What the plan expects, in numbers that the report can hold against what happened."""
    model = recipe.model
    text_tokens = None if corpus.is_starter else corpus.size / TEXT_PER_TOKEN
    return {
        "seconds": seconds,
        "measuring_seconds": measuring,
        "matmul_gflops": rates,
        "tokens_per_second": tokens_per_second,
        "stage_seconds": {name: recipe.stage(name).tokens / tokens_per_second for name in STAGES},
        "parameters": n_parameters(model),
        "matmul_parameters": matmul_parameters(model),
        "flops_per_token": flops_per_token(model, recipe.base.seq_len),
        "text_epochs_at_most": (
            None if text_tokens is None else max(1.0, recipe.base.tokens / text_tokens)
        ),
    }


def describe(plan: Plan) -> str:
    """The plan in words, a fact a line."""
    recipe, predicted = plan.recipe, plan.predicted
    model = recipe.model
    lines = [
        f"model     {model.n_layer} layers x {model.n_embd} channels, {model.n_head} heads, "
        f"vocabulary {model.vocab_size:,}; {matmul_parameters(model) / 1e6:.2f}M matmul parameters",
        f"machine   {recipe.n_threads} threads, {recipe.dtype}, "
        f"{'compiled' if recipe.compile else 'eager'}",
    ]
    for name in STAGES:
        stage = recipe.stage(name)
        took = predicted.get("stage_seconds", {}).get(name)
        lines.append(
            f"{name:<9} {stage.steps:,} steps of {stage.batch_tokens:,} tokens = {stage.tokens:,}"
            + (f", {console.duration(took)}" if took else "")
        )
    if predicted:
        epochs = predicted["text_epochs_at_most"]
        data = "generated as needed" if epochs is None else f"read at most {epochs:.1f} times"
        lines.append(f"text      {data}")
        lines.append(f"speed     {predicted['tokens_per_second']:,.0f} tokens/s, measured")
        lines.append(f"total     {console.duration(predicted['seconds'])}")
    return "\n".join(lines)
