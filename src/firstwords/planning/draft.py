"""Draft a recipe: everything that follows from the time budget and the machine's settings, with the
smallest model and no steps yet."""

from firstwords.data.starter.exam import PER_CATEGORY
from firstwords.evaluation.eval_data import eval_data_home
from firstwords.planning.autotune import GPU_TRIAL_BATCH_SIZE, MachineSettings
from firstwords.planning.model_sizes import MODEL_SIZES, SEQ_LEN, model_config
from firstwords.planning.presets import batch_size_for, scaled_learning_rates
from firstwords.recipe import Recipe, StageConfig

# Few distinct words need few tokens, and spelling is easier in smaller pieces. On other text than
# the starter curriculum the smaller output head pays for short budgets: for the same work of 3 x
# 128 in 5 minutes it reached 1.748 bits per byte instead of 1.770
# (docs/lab-notebook.md#real-text-with-two-million-tokens).
SMALL_VOCAB_SIZE, LARGE_VOCAB_SIZE = 2048, 4096
SMALL_VOCABULARY_BELOW_SECONDS = 1200.0
# With fewer rows a step was slower and no better, even for few tokens. More were never tried
# for the tokens that a CPU has time for (docs/lab-notebook.md#batches-of-16-and-32-rows).
SMALLEST_BATCH_SIZE, LARGEST_BATCH_SIZE = 8, 32
TOKENIZER_BYTES_PER_BUDGET_SECOND = 50_000  # takes about 1 % of the budget
MAX_TOKENIZER_BYTES = 100e6
# The starter curriculum has few distinct words, and generating it takes longer than reading it.
MAX_STARTER_TOKENIZER_BYTES = 12e6
# Measured for the starter curriculum only (docs/lab-notebook.md#induction-heads).
STARTER_REPEAT_FRACTION = 0.04
VALIDATION_BYTES_PER_BUDGET_SECOND = 150
EXAM_ITEMS_PER_BUDGET_SECOND = 1 / 9  # in each category
BENCHMARK_ITEMS_PER_BUDGET_SECOND = 1 / 72  # in each part, if the benchmarks' data was fetched
MAX_BENCHMARK_ITEMS = 100


def draft_recipe(
    seconds: float, seed: int, settings: MachineSettings, starter: bool, gpus: int = 1
) -> Recipe:
    """Return a recipe for a budget in seconds. Each stage has one step.

    `starter` says whether the text is the starter curriculum, `gpus` how many GPUs train if the
    settings' device is one.
    """
    batch_size = SMALLEST_BATCH_SIZE if settings.device == "cpu" else GPU_TRIAL_BATCH_SIZE * gpus
    stage = StageConfig(
        steps=1,
        batch_size=batch_size,
        micro_batch_size=max(1, batch_size >> settings.batch_halvings),
        seq_len=SEQ_LEN,
    )
    max_tokenizer_bytes = MAX_STARTER_TOKENIZER_BYTES if starter else MAX_TOKENIZER_BYTES
    return Recipe(
        seed=seed,
        n_threads=settings.n_threads,
        device=settings.device,
        dtype=settings.dtype,
        kernel=settings.kernel,
        compile=False,
        tokenizer_bytes=round(
            min(max_tokenizer_bytes, seconds * TOKENIZER_BYTES_PER_BUDGET_SECOND)
        ),
        model=model_config(MODEL_SIZES[0], vocab_size_for(seconds, starter)),
        pretrain=stage,
        midtrain=stage,
        sft=stage,
        repeat_fraction=STARTER_REPEAT_FRACTION if starter else 0.0,
        val_bytes=round(min(1e6, max(20_000, seconds * VALIDATION_BYTES_PER_BUDGET_SECOND))),
        exam_items=round(min(PER_CATEGORY, max(10, seconds * EXAM_ITEMS_PER_BUDGET_SECOND))),
        benchmark_items=_benchmark_items(seconds),
    )


def with_batch_size(draft: Recipe, tokens: float) -> Recipe:
    """Return the recipe with the batch size for so many tokens of pretraining, and the learning
    rates that go with it. On GPUs the batch stays: it is what they have room for."""
    stage = draft.pretrain
    if draft.device == "cpu":
        rows = batch_size_for(tokens, stage.seq_len, processes=1)
        rows = min(max(rows, SMALLEST_BATCH_SIZE), LARGEST_BATCH_SIZE)
        draft = draft.replace_stages(batch_size=rows)
    batch_tokens = draft.pretrain.batch_tokens
    return draft.replace(optimizer=scaled_learning_rates(draft.model.n_embd, batch_tokens))


def vocab_size_for(seconds: float, starter: bool) -> int:
    """Return the vocabulary size for a budget in seconds."""
    small = starter or seconds < SMALL_VOCABULARY_BELOW_SECONDS
    return SMALL_VOCAB_SIZE if small else LARGE_VOCAB_SIZE


def _benchmark_items(seconds: float) -> int:
    if not eval_data_home().is_dir():
        return 0
    return round(min(MAX_BENCHMARK_ITEMS, seconds * BENCHMARK_ITEMS_PER_BUDGET_SECOND))
