"""From a time budget to a recipe.

The order: the settings that train fastest on this machine; for every model of the ladder, the
tokens that it could see in the time, and the loss that a law fitted to a series of runs expects of
it; the speed of the best one's training step; from that the number of steps. What start-up,
tokenizer, encoding, evaluation and report need is set aside first. The plan is fixed in the run's
`run.json`.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from firstwords import console, forecast, machine, measure, scaling
from firstwords.data.corpora import Corpus
from firstwords.data.starter.exam import PER_CATEGORY
from firstwords.errors import UserError
from firstwords.evaluation import data as eval_data
from firstwords.forecast import Data
from firstwords.measure import Settings
from firstwords.model import flops_per_token, matmul_parameters
from firstwords.recipe import SEQ_LEN, STAGES, ModelConfig, Recipe, StageConfig, model_config
from firstwords.sizing import Sketch, Worker, filled_in, into_memory, scaled_rates

MIN_SECONDS = 30.0
COMPILE_FROM = 300.0  # seconds of budget from which trying to compile (20 to 60 s) may pay
SMALL_VOCABULARY = 1200.0  # seconds of budget up to which 2,048 tokens are enough
FEWEST_STEPS = 8  # of a stage
FEWEST_TOKENS_PER_PARAMETER = 0.5  # a larger model would be no more than its initial weights
# Up to here a larger model is no better for the same work (arXiv 2203.15556); the law's own runs
# are too short to say when a small model has learned what it can.
MOST_TOKENS_PER_PARAMETER = 20
# At most, in matrix products: more would learn the text by heart. The law's best model for its
# tokens has a fifth to a quarter of their number, and what parameters beyond that add decays with a
# constant of 5.3 times as many (arXiv 2305.16264).
PARAMETERS_PER_FRESH_TOKEN = 1.5
MOST_EPOCHS = 8  # over text or conversations; what more of them add is little (arXiv 2305.16264)
SHARES = {"base": 0.42, "mid": 0.30, "sft": 0.28}  # of the tokens
TOKENIZER_BYTES_PER_SECOND = 50_000  # of the budget; it learns from about 100 times as fast
TOKENIZER_BYTES = 100e6  # at most
STARTER_TOKENIZER_BYTES = 12e6  # at most: few words, and making text takes longer than reading it
EXAM_ITEMS_PER_SECOND = 1 / 9  # of the budget, in each category
BENCHMARK_ITEMS_PER_SECOND = 1 / 72  # the same, where the benchmarks' data has been fetched
MOST_BENCHMARK_ITEMS = 100
ECHO = 0.04  # of pretraining's rows, for the curriculum; on other text it has not been measured
MEMORY_SHARE = 0.9  # of what is in reach
TOGETHER = 0.9  # of what as many GPUs do each for itself; not measured yet
SLOW_STEP = 5.0  # seconds: longer ones are not tried, but computed
RESERVE = 0.03  # of the budget: a machine is seldom faster than when it was measured

COMPARED = (600.0, 1800.0, 3600.0, 10800.0)
NODE_SECONDS = 1800.0
NODE_GPUS = 8
NODE_FLOPS = NODE_GPUS * 989e12 * 0.4  # H100s (NVIDIA's data sheet, dense bfloat16) at 40 %
DOLLARS_PER_GPU_HOUR = 3.0  # an H100; nanochat's figure of 24 dollars for a node's hour

# (layers, channels, heads); the MLP is 8/3 of the channels. Few wide heads: 2 of 96 channels
# learned better than 3 of 64, and those better than 6 of 32 (docs/lab-notebook.md).
LADDER = (
    (2, 128, 2),
    (3, 128, 2),
    (3, 160, 2),
    (3, 192, 2),
    (4, 192, 2),
    (5, 256, 2),
    (6, 256, 2),
    (6, 384, 3),
    (8, 384, 3),
    (10, 448, 4),
    (12, 512, 4),
    (12, 640, 5),
    (16, 1024, 8),
    (20, 1280, 10),
    (24, 1536, 12),
)


@dataclass(frozen=True)
class Plan:
    recipe: Recipe
    predicted: dict[str, Any]


def make_plan(seconds: float, seed: int, text: Corpus, chat: Corpus, processes: int = 1) -> Plan:
    """Measure and choose, for so many processes, each of which has a GPU if one is used. Takes some
    ten seconds, the first time on a machine up to a minute, which the budget includes. Raises
    UserError if time, memory or disk are too short."""
    started = time.monotonic()
    if seconds < MIN_SECONDS:
        raise UserError(
            f"--time {seconds:g}s is too short to learn anything",
            f"give at least {MIN_SECONDS:g}s; 10m makes a model worth talking to",
        )
    room = MEMORY_SHARE * machine.memory_in_reach()
    check_memory(forecast.memory_bytes(measure.trial(1)), room, "measuring this machine")
    known = measure.settings(seconds)
    machine.setup(known.n_threads)
    if known.device != "cpu":
        room = MEMORY_SHARE * machine.memory_in_reach(known.device)
    gpus, together = at_work(known, processes)
    draft = draft_recipe(seconds, seed, known, text.is_starter, gpus)
    data = forecast.data_of(text, chat, draft.model.vocab_size)
    planned = in_time(seconds, together * known.flops_per_second, data)
    chosen = choose_model(draft, data, room, planned)
    unbounded = choose_model(draft, data, float("inf"), planned)
    short_of_memory = chosen != unbounded
    chosen, speed = timed(chosen, seconds, gpus)
    speed *= together
    measuring = time.monotonic() - started
    recipe = with_steps(chosen, seconds - measuring, speed, data)
    predicted = predict(recipe, seconds, measuring, speed, data) | {
        "settings": known.model_dump(),
        "short_of_memory": short_of_memory,
        "comparison": compare(seed, known, speed * flops_of(recipe), data, room),
    }
    check_budget(seconds, predicted["total_seconds"])
    check_room(recipe, room)
    return Plan(recipe, predicted)


def at_work(known: Settings, processes: int) -> tuple[int, float]:
    """How many GPUs train, or one processor; and how many times as fast as one they are."""
    gpus = 1 if known.device == "cpu" else processes
    return gpus, gpus if gpus == 1 else TOGETHER * gpus


def plan_of(sketch: Sketch, seed: int, text: Corpus, chat: Corpus, processes: int = 1) -> Plan:
    """A sketch filled in for this machine, and what to expect of it. Raises UserError if memory or
    disk are too short."""
    started = time.monotonic()
    known = measure.settings(float("inf"))
    machine.setup(known.n_threads)
    _, together = at_work(known, processes)
    room = MEMORY_SHARE * machine.memory_in_reach(known.device)
    compiler = machine.can_compile()
    worker = Worker(known.device, known.n_threads, known.dtype, compiler, room, processes)
    recipe = filled_in(sketch, worker, seed)
    check_room(recipe, room, processes)
    data = forecast.data_of(text, chat, recipe.model.vocab_size)
    part = recipe.base.model_copy(update={"batch_rows": recipe.base.micro_rows})
    tried = recipe.model_copy(update={"base": part, "compile": False})
    speed = known.flops_per_second / flops_of(recipe)
    if recipe.shard == "optimizer" and part.batch_tokens / speed < SLOW_STEP:
        speed = measure.tokens_per_second(tried, SLOW_STEP)
    measuring = time.monotonic() - started
    speed *= together
    seconds = measuring + total_seconds(recipe, speed, data)
    predicted = predict(recipe, seconds, measuring, speed, data) | {
        "settings": known.model_dump(),
        "short_of_memory": False,
        "comparison": compare(seed, known, speed * flops_of(recipe), data, room),
    }
    return Plan(recipe, predicted)


def timed(recipe: Recipe, seconds: float, gpus: int = 1) -> tuple[Recipe, float]:
    """The recipe, compiled where that pays for such a budget, and its tokens per second with one of
    the `gpus`' share of a batch."""
    if seconds >= COMPILE_FROM and machine.can_compile():
        recipe = measure.fastest(recipe)
    share = recipe.base.model_copy(update={"batch_rows": recipe.base.batch_rows // gpus})
    part = recipe.model_copy(update={"base": share})
    return recipe, measure.tokens_per_second(part, min(30.0, max(2.0, seconds / 120)))


def draft_recipe(
    seconds: float, seed: int, known: Settings, starter: bool, gpus: int = 1
) -> Recipe:
    """Everything that follows from the budget alone, around the smallest model."""
    # The curriculum's few words need few tokens, and spelling is easier in smaller pieces. On other
    # text the smaller head pays up to some 5 minutes at least: 1.748 bits per byte instead of
    # 1.770 for the same work of 3 x 128 (docs/lab-notebook.md).
    vocab_size = 2048 if starter or seconds < SMALL_VOCABULARY else 4096
    rows = 8 if seconds < 2400 else 16  # few tokens are worth more in many small steps
    if known.device != "cpu":
        rows = measure.GPU_ROWS * gpus
    stage = StageConfig(
        steps=1, batch_rows=rows, micro_rows=max(1, rows >> known.halves), seq_len=SEQ_LEN
    )
    most = STARTER_TOKENIZER_BYTES if starter else TOKENIZER_BYTES
    return Recipe(
        seed=seed,
        n_threads=known.n_threads,
        device=known.device,
        dtype=known.dtype,
        compile=False,
        tokenizer_bytes=round(min(most, seconds * TOKENIZER_BYTES_PER_SECOND)),
        model=model_config(LADDER[0], vocab_size),
        base=stage,
        mid=stage,
        sft=stage,
        echo=ECHO if starter else 0.0,
        val_bytes=round(min(1e6, max(20_000, seconds * 150))),
        exam_items=round(min(PER_CATEGORY, max(10, seconds * EXAM_ITEMS_PER_SECOND))),
        benchmark_items=round(min(MOST_BENCHMARK_ITEMS, seconds * BENCHMARK_ITEMS_PER_SECOND))
        if eval_data.home().is_dir()
        else 0,
    )


def flops_of(recipe: Recipe) -> int:
    """Of a token."""
    return flops_per_token(recipe.model, recipe.base.seq_len)


def choose_model(
    draft: Recipe, data: Data, room: float, planned: Callable[[Recipe], Recipe]
) -> Recipe:
    """The model of the ladder from which the least loss is expected, among those that fit into
    memory and that the data is enough for. `planned` gives a recipe the steps that there is time
    for."""
    models = [model_config(shape, draft.model.vocab_size) for shape in LADDER]
    recipes = [into_memory(with_model(draft, model), room) for model in models]
    recipes = [planned(recipe) for recipe in recipes]

    def loss(recipe: Recipe) -> float:
        return expected_bits(recipe, data, forecast.all_tokens(recipe))

    fitting = [r for r in recipes if forecast.memory_bytes(r) <= room and enough_data(r, data)]
    fitting = fitting or recipes[:1]
    unworn = [r for r in fitting if forecast.all_tokens(r) <= most_tokens(r)]
    return min(unworn or fitting[-1:], key=loss)


def with_model(draft: Recipe, model: ModelConfig) -> Recipe:
    """The recipe for another model. The usual rates were tuned on a processor, for its batches."""
    rates = draft.optimizer
    if draft.device != "cpu":
        rates = scaled_rates(model.n_embd, draft.base.batch_tokens)
    return draft.model_copy(update={"model": model, "optimizer": rates})


def in_time(seconds: float, flops_per_second: float, data: Data) -> Callable[[Recipe], Recipe]:
    """Gives recipes the steps of all three stages that a machine makes in that time."""
    return lambda r: with_steps(r, seconds, flops_per_second / flops_of(r), data)


def most_tokens(recipe: Recipe) -> float:
    return MOST_TOKENS_PER_PARAMETER * matmul_parameters(recipe.model)


def enough_data(recipe: Recipe, data: Data) -> bool:
    size = matmul_parameters(recipe.model)
    return (
        forecast.all_tokens(recipe) >= FEWEST_TOKENS_PER_PARAMETER * size
        and data.text_tokens >= size / PARAMETERS_PER_FRESH_TOKEN
    )


def expected_bits(recipe: Recipe, data: Data, tokens: float) -> float:
    """Bits per byte of held-out text after `tokens`, if the learning rate decays to its end."""
    epochs = max(1.0, recipe.base.tokens / data.text_tokens)
    fresh = scaling.useful_tokens(tokens / epochs, epochs)
    return scaling.law(data.kind).bits_per_byte(matmul_parameters(recipe.model), fresh)


def with_steps(recipe: Recipe, seconds: float, tokens_per_second: float, data: Data) -> Recipe:
    """As many steps as `seconds` allow, and as the data is worth reading for."""
    fewest, most = 0.0, max(1.0, seconds) * tokens_per_second

    def fits(tokens: float) -> bool:
        tried = with_tokens(recipe, tokens, data)
        return total_seconds(tried, tokens_per_second, data) <= (1 - RESERVE) * seconds

    for _ in range(40):
        middle = (fewest + most) / 2
        fewest, most = (middle, most) if fits(middle) else (fewest, middle)
    return with_tokens(recipe, fewest, data)


def total_seconds(recipe: Recipe, tokens_per_second: float, data: Data) -> float:
    """Of everything but the measuring before it."""
    phases = forecast.phase_seconds(recipe, tokens_per_second, data)
    return forecast.START + sum(phases.values())


def with_tokens(recipe: Recipe, tokens: float, data: Data) -> Recipe:
    """The recipe with about `tokens` in its three stages, or as many as the data is worth."""

    def stage(name: str, lr_scale: float, warmup: float, decay: float, final: float) -> StageConfig:
        # Both chat stages read the same conversations.
        wanted = min(tokens * SHARES[name], MOST_EPOCHS * data.tokens(name))
        steps = max(FEWEST_STEPS, round(wanted / recipe.base.batch_tokens))
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
            "base": stage("base", 1.0, 0.05, decay=0.3, final=0.7),
            "mid": stage("mid", 0.8, 0.02, decay=0.7, final=0.5),
            "sft": stage("sft", 0.4, 0.02, decay=1.0, final=0.03),
        }
    )


def predict(
    recipe: Recipe, seconds: float, measuring: float, tokens_per_second: float, data: Data
) -> dict[str, Any]:
    """What the plan expects, in numbers that the report can hold against what happened."""
    phases = forecast.phase_seconds(recipe, tokens_per_second, data)
    tokens = recipe.base.tokens
    expected = scaling.law(data.kind).without_decay(tokens) * expected_bits(recipe, data, tokens)
    error = forecast.bits_error(data.kind)
    return {
        "seconds": seconds,
        "measuring_seconds": measuring,
        "tokens_per_second": tokens_per_second,
        "phase_seconds": phases,
        "total_seconds": measuring + total_seconds(recipe, tokens_per_second, data),
        "memory_bytes": forecast.resident_bytes(recipe),
        "disk_bytes": forecast.disk_bytes(recipe),
        "bits_per_byte": {
            "stage": "base",
            "expected": expected,
            "range": [expected * (1 - error), expected * (1 + error)],
        },
        "parameters": forecast.parameters(recipe.model),
        "flops_per_token": flops_of(recipe),
        "epochs": {stage: recipe.stage(stage).tokens / data.tokens(stage) for stage in STAGES},
    }


def compare(
    seed: int, known: Settings, flops_per_second: float, data: Data, room: float
) -> list[dict[str, Any]]:
    """The same recipe for other times on this machine, and on a node of GPUs."""
    rows = []
    for seconds in COMPARED:
        draft = draft_recipe(seconds, seed, known, data.kind == "starter")
        recipe = choose_model(draft, data, room, in_time(seconds, flops_per_second, data))
        rows.append(
            _row("this machine", seconds, recipe.model, forecast.all_tokens(recipe), data.kind)
        )
    return [*rows, _node(data.kind, draft.model.vocab_size)]


def _node(kind: scaling.Kind, vocab_size: int) -> dict[str, Any]:
    law = scaling.law(kind)
    models = [model_config(shape, vocab_size) for shape in LADDER]
    tokens = [NODE_SECONDS * NODE_FLOPS / flops_per_token(model, SEQ_LEN) for model in models]
    best = min(
        zip(models, tokens, strict=True),
        key=lambda m: law.bits_per_byte(matmul_parameters(m[0]), m[1]),
    )
    return _row("8 H100 GPUs", NODE_SECONDS, *best, kind)


def _row(
    where: str, seconds: float, model: ModelConfig, tokens: float, kind: scaling.Kind
) -> dict[str, Any]:
    n, law = matmul_parameters(model), scaling.law(kind)
    return {
        "machine": where,
        "seconds": seconds,
        "n_layer": model.n_layer,
        "n_embd": model.n_embd,
        "matmul_parameters": n,
        "tokens": round(tokens),
        "bits_per_byte": law.bits_per_byte(n, tokens) if law.reaches(n, tokens) else None,
    }


def check_budget(seconds: float, needed: float) -> None:
    """Even the fewest steps of the smallest model may be too much. Raises UserError."""
    if needed > 1.1 * seconds:
        raise UserError(
            f"--time {seconds:g}s is too short for this machine", f"give at least {round(needed)}s"
        )


def check_memory(needed: float, room: float, what: str) -> None:
    if needed > room:
        raise UserError(
            f"not enough memory: {what} needs {console.size(needed)}, "
            f"and {console.size(room)} can be had",
            "close other programs, or raise the limit of the container, the job or ulimit -v",
        )


def check_room(recipe: Recipe, room: float, processes: int = 1) -> None:
    """Memory, of each device that trains, and disk that a recipe needs. Raises UserError."""
    check_memory(forecast.memory_bytes(recipe, processes), room, "this model")
    needed, free = forecast.disk_bytes(recipe), machine.free_disk(machine.home())
    if needed > free:
        raise UserError(
            f"not enough disk: this run needs {console.size(needed)}, and {console.size(free)} are "
            f"free in {machine.home()}",
            "free some space, or set FIRSTWORDS_HOME to a directory on another disk",
        )
