"""Estimate what a recipe takes and gives: time, memory, disk space, bits per byte.

Everything is computed. The one measurement is the speed of a training step, which also stands for
the speed of everything else that the model does. `report.md` compares the estimates with the actual
figures.
"""

import itertools
import math
from typing import NamedTuple

from firstwords.data.corpora import Corpus
from firstwords.data.starter.exam import CATEGORIES
from firstwords.evaluation.babble import open_prompts
from firstwords.evaluation.bits_per_byte import EVAL_BATCH_SIZE
from firstwords.evaluation.tasks import n_open_prompts
from firstwords.inference.batch import cache_bytes, decode_batch_size
from firstwords.kernels.train import rows_per_pass
from firstwords.model.loss import CHUNKED_FROM_VOCAB_SIZE
from firstwords.model.size import flops_per_token, matmul_parameters, n_parameters
from firstwords.planning import autotune, scaling_law
from firstwords.recipe import ModelConfig, Recipe
from firstwords.runs.datasets import encoding_processes

BYTES_PER_TOKEN = {512: 2.0, 2048: 3.1, 4096: 3.5, 65_536: 4.6}  # English text, by vocabulary size
CHECKPOINTS_ON_DISK = 7  # two of each stage, and one that is being written
USABLE_MEMORY_FRACTION = 0.9  # of the memory available on a device

# Time of the work around the training steps, measured on two cores
# (docs/lab-notebook.md#plan-vs-actual-on-machine-b).
SECONDS_PER_RUN_START = 6.0
SECONDS_PER_STAGE_START = 1.5  # loading, the first step, the last checkpoint
SECONDS_PER_COMPILED_STAGE_START = 3.0  # in addition: loading code from the compile cache
TOKENIZER_TRAINING_BYTES_PER_SECOND = {"starter": 1.6e6, "text": 4e6}
# Of each process that encodes; machine F of the lab notebook had 1.7 and 0.7 million.
ENCODED_TOKENS_PER_SECOND = 8e5
GENERATED_CHAT_TOKENS_PER_SECOND = 4e5  # conversations of the starter curriculum
SECONDS_PER_STAGE_SAMPLES = 0.5
# 18 to 22 tasks of CORE, five others, and the 67 paradigms of BLiMP, whose items have two short
# sentences and count as a fifteenth.
BENCHMARK_PARTS = 27

# Cost of work other than training, in training tokens that take as long.
TRAINING_TOKENS_PER_EXAM_ANSWER = 75.0
TRAINING_TOKENS_PER_BENCHMARK_ITEM = 300.0  # few-shot examples included
TRAINING_TOKENS_PER_SCORED_TOKEN = 0.5  # a forward pass in float32

SFT_TARGET_FRACTION = 0.43  # of finetuning's positions are targets, mixed-in text included

# Memory, measured in fresh processes of PyTorch 2.13 (docs/lab-notebook.md#memory-model).
PROCESS_BYTES = 390e6  # Python and PyTorch
GPU_PROCESS_BYTES = 1e9  # kernels and workspaces in GPU memory; not measured yet
COMPILER_BYTES = 65e6
FREED_BUT_HELD_BYTES = 60e6  # kept by the process after autotuning and tokenizer training
BYTES_PER_PARAMETER = 16  # weight, gradient, optimizer state
BYTES_PER_SHARDED_PARAMETER = 24  # the same in slices, and whole weight and gradient at the owner
BYTES_PER_GATHERED_PARAMETER = 8  # weight and gradient, while every process has them whole
BYTES_PER_ACTIVATION_CHANNEL = 130  # for each token and layer
BYTES_PER_ACTIVATION_CHANNEL_GPU = 60  # the same in bfloat16; counted, not measured yet
BYTES_PER_LOGIT = 16  # for each token and vocabulary entry
BYTES_PER_ATTENTION_SCORE = 6  # for each pair of tokens and head, if not fused: float32, bfloat16
KV_CACHE_COPIES = 2.2  # copies that answering needs of its keys and values
LOSS_TOKENS = 256  # of the native kernel, that go through the output head together
BYTES_PER_STORED_TOKEN = 3.1  # on disk: id, mask, lengths
BYTES_OF_METRICS_AND_ANSWERS = 5e6


# --- data -----------------------------------------------------------------------------------------


class DatasetSize(NamedTuple):
    """The number of tokens in a run's two corpora; infinite if text is generated as needed."""

    kind: scaling_law.Kind  # of the text
    text_tokens: float
    chat_tokens: float

    def tokens(self, stage: str) -> float:
        """Return the number of unique tokens that a stage can train on."""
        return self.text_tokens if stage == "pretrain" else self.chat_tokens


def dataset_size(text: Corpus, chat: Corpus, vocab_size: int) -> DatasetSize:
    """Estimate the tokens of both corpora from their bytes. Raises UserError if a file cannot be
    read."""
    rate = bytes_per_token(vocab_size)
    return DatasetSize(
        "starter" if text.is_starter else "text",
        text.text_bytes("text") / rate,
        chat.text_bytes("messages") / rate,
    )


def bytes_per_token(vocab_size: int) -> float:
    """Return a low estimate of the bytes of English text per token, interpolated in the logarithm
    of the vocabulary size."""
    sizes = sorted(BYTES_PER_TOKEN)
    if vocab_size <= sizes[0]:
        return BYTES_PER_TOKEN[sizes[0]]
    for low, high in itertools.pairwise(sizes):
        if vocab_size <= high:
            fraction = math.log(vocab_size / low) / math.log(high / low)
            return BYTES_PER_TOKEN[low] * (1 - fraction) + BYTES_PER_TOKEN[high] * fraction
    return BYTES_PER_TOKEN[sizes[-1]]


def all_tokens(recipe: Recipe) -> int:
    """Return the number of training tokens of all stages."""
    return sum(recipe.stage(stage).tokens for stage in recipe.stages)


# --- time -----------------------------------------------------------------------------------------


def run_seconds(recipe: Recipe, tokens_per_second: float, data: DatasetSize) -> float:
    """Estimate the wall time of a run in seconds, planning excluded."""
    phases = phase_seconds(recipe, tokens_per_second, data)
    return SECONDS_PER_RUN_START + sum(phases.values())


def phase_seconds(recipe: Recipe, tokens_per_second: float, data: DatasetSize) -> dict[str, float]:
    """Estimate the wall time of each phase of `train` in seconds, by name."""
    tokenizer = recipe.tokenizer_bytes / TOKENIZER_TRAINING_BYTES_PER_SECOND[data.kind]
    seconds = {"tokenizer": 1.0 + tokenizer}
    for stage in recipe.stages:
        seconds[stage] = (
            SECONDS_PER_STAGE_START
            + SECONDS_PER_COMPILED_STAGE_START * recipe.compile
            + recipe.stage(stage).tokens / tokens_per_second * step_cost(stage, recipe.model)
            + _encoding_seconds(stage, recipe, data)
        )
    return seconds | {"evaluation": _evaluation_seconds(recipe, tokens_per_second, data)}


def _encoding_seconds(stage: str, recipe: Recipe, data: DatasetSize) -> float:
    """Return the time to encode the data of a stage at its start. Midtraining also encodes for
    sft."""
    wanted = {
        "pretrain": recipe.text_tokens,
        "midtrain": recipe.midtrain.tokens + recipe.sft.tokens,
    }
    tokens = min(wanted.get(stage, 0), data.tokens(stage))
    is_generated_chat = stage == "midtrain" and math.isinf(data.chat_tokens)
    rate = GENERATED_CHAT_TOKENS_PER_SECOND if is_generated_chat else ENCODED_TOKENS_PER_SECOND
    return encoding_seconds(tokens, rate)


def encoding_seconds(tokens: float, tokens_per_second: float = ENCODED_TOKENS_PER_SECOND) -> float:
    """Return the time to encode so many tokens, by as many processes as encoding starts for them,
    each at that rate."""
    return tokens / (tokens_per_second * encoding_processes(tokens))


def _evaluation_seconds(recipe: Recipe, tokens_per_second: float, data: DatasetSize) -> float:
    # Twice: held-out text and held-out answers.
    scored = 2 * recipe.val_bytes / bytes_per_token(recipe.model.vocab_size)
    takes_exam = math.isinf(data.chat_tokens)  # the exam asks what the starter curriculum teaches
    questions = len(CATEGORIES) * recipe.exam_items + len(open_prompts()) * n_open_prompts(recipe)
    answers = questions if takes_exam else 0
    items = BENCHMARK_PARTS * recipe.benchmark_items
    training_tokens = (
        scored * TRAINING_TOKENS_PER_SCORED_TOKEN
        + answers * TRAINING_TOKENS_PER_EXAM_ANSWER
        + items * TRAINING_TOKENS_PER_BENCHMARK_ITEM
    )
    return len(recipe.stages) * (SECONDS_PER_STAGE_SAMPLES + training_tokens / tokens_per_second)


def step_cost(stage: str, model: ModelConfig) -> float:
    """Return the time of a stage's step as a fraction of a pretraining step's. In finetuning the
    output head computes logits only for the assistant's tokens."""
    head = model.n_embd * model.vocab_size / matmul_parameters(model)
    return 1 - (1 - SFT_TARGET_FRACTION) * head if stage == "sft" else 1.0


# --- memory ---------------------------------------------------------------------------------------


def memory_bytes(recipe: Recipe, processes: int = 1) -> float:
    """Estimate the peak memory of each process in bytes, over autotuning, training and evaluation:
    main memory, or the GPU's if a GPU trains."""
    peak = max(training_bytes(recipe, processes), evaluation_bytes(recipe.model))
    if recipe.device != "cpu":
        return GPU_PROCESS_BYTES + peak
    trial = autotune.trial_recipe(1)  # autotuning holds two trial models at a time
    peak = max(training_bytes(trial) + weights_bytes(trial, 1), peak)
    return PROCESS_BYTES + peak + FREED_BUT_HELD_BYTES + COMPILER_BYTES * recipe.compile


def training_bytes(recipe: Recipe, processes: int = 1) -> float:
    """Estimate the memory of training beyond that of the process: weights and activations."""
    if recipe.kernel == "native" and processes == 1:
        return weights_bytes(recipe, 1) + native_bytes(recipe)
    model, stage = recipe.model, recipe.pretrain
    tokens = stage.micro_batch_size * stage.seq_len
    on_cpu = recipe.device == "cpu"
    per_channel = BYTES_PER_ACTIVATION_CHANNEL if on_cpu else BYTES_PER_ACTIVATION_CHANNEL_GPU
    # A chunked loss needs as much for its logits as for the states that they are computed from.
    chunked = model.vocab_size >= CHUNKED_FROM_VOCAB_SIZE
    n_logits = model.n_embd if chunked else model.vocab_size
    per_token = model.n_layer * model.n_embd * per_channel + n_logits * BYTES_PER_LOGIT
    if recipe.attention == "plain":
        per_token += model.n_layer * model.n_head * stage.seq_len * BYTES_PER_ATTENTION_SCORE
    return weights_bytes(recipe, processes) + tokens * per_token


def native_bytes(recipe: Recipe) -> float:
    """Return the memory of the native kernel beyond that of weights, gradients and optimizer: the
    buffers of `kernels/train.cpp`."""
    model, stage = recipe.model, recipe.pretrain
    number = 2 if recipe.dtype == "bfloat16" else 4
    q, kv = model.n_head * model.head_dim, model.n_kv_head * model.head_dim
    rows = rows_per_pass(stage, recipe.n_threads)
    kept = model.n_layer * (2 * model.n_embd + 2 * q + 2 * kv + 3 * model.n_hidden)
    gradients = 2 * model.n_embd + q + 2 * kv + 2 * model.n_hidden
    residual = 3 * 4 * model.n_embd  # the stream; the last MLP's part of it, and its gradient
    per_thread = rows * stage.seq_len * (number * (kept + gradients) + residual)
    per_thread += model.vocab_size * (LOSS_TOKENS * number + 32 * (4 + number))
    per_thread += 4 * matmul_parameters(model) + 2 * stage.seq_len**2 * number
    packed = 2 * number * matmul_parameters(model)
    return recipe.n_threads * per_thread + packed + 4 * model.n_embd * stage.batch_tokens


def weights_bytes(recipe: Recipe, processes: int) -> float:
    """Estimate the memory of weights, gradients and optimizer state in each process.

    With data parallelism the optimizer state is counted whole although the processes share it, to
    be safe. With `shard = "weights"` (`training/fsdp.py`) each process has a slice of everything,
    and gathers embedding, head and two blocks at a time.
    """
    model, total = recipe.model, n_parameters(recipe.model)
    if recipe.shard == "optimizer" or processes == 1:
        return total * BYTES_PER_PARAMETER
    outside = 2 * model.vocab_size * model.n_embd
    blocks = min(2, model.n_layer) / model.n_layer * (total - outside)
    sharded = total * BYTES_PER_SHARDED_PARAMETER / processes
    return sharded + BYTES_PER_GATHERED_PARAMETER * (outside + blocks)


def evaluation_bytes(model: ModelConfig) -> float:
    """Estimate the memory of evaluation beyond that of the process: the logits of a batch of
    held-out text, the KV caches of a batch of answers, and two float32 copies of the weights."""
    logits = EVAL_BATCH_SIZE * model.max_seq_len * model.vocab_size * BYTES_PER_LOGIT
    answers = KV_CACHE_COPIES * decode_batch_size(model) * cache_bytes(model)
    return logits + answers + 2 * 4 * n_parameters(model)


# --- disk -----------------------------------------------------------------------------------------


def disk_bytes(recipe: Recipe) -> float:
    """Estimate the disk space of a run in bytes: checkpoints, encoded text, metrics, answers."""
    model = recipe.model
    adam = 2 * model.vocab_size * model.n_embd  # embedding and head: weight and two moments
    muon = n_parameters(model) - adam  # weight and momentum
    checkpoints = CHECKPOINTS_ON_DISK * (12 * adam + 8 * muon)
    return checkpoints + BYTES_PER_STORED_TOKEN * all_tokens(recipe) + BYTES_OF_METRICS_AND_ANSWERS


# --- model ----------------------------------------------------------------------------------------


def parameters(model: ModelConfig) -> dict[str, int]:
    """Return the number of parameters in each part of the model, then `all` and `matmul`: those
    that take part in a matrix product for every token."""
    channels, heads = model.n_embd, model.n_head + model.n_kv_head
    parts = {
        "embedding": model.vocab_size * channels,
        "attention": model.n_layer * 2 * channels * model.head_dim * heads,
        "mlp": model.n_layer * 3 * channels * model.n_hidden,
        "output head": model.vocab_size * channels,
    }
    parts["norms"] = n_parameters(model) - sum(parts.values())
    return parts | {"all": n_parameters(model), "matmul": matmul_parameters(model)}


def recipe_flops_per_token(recipe: Recipe) -> int:
    """Return the training FLOPs per token in the recipe's pretraining."""
    return flops_per_token(recipe.model, recipe.pretrain.seq_len)


# --- bits per byte --------------------------------------------------------------------------------


def decayed_bits_per_byte(recipe: Recipe, data: DatasetSize, tokens: float) -> float:
    """Estimate the bits per byte of held-out text after `tokens`, if the learning rate decays to
    its end. Repeated text counts less than unique text."""
    epochs = max(1.0, recipe.pretrain.tokens / data.text_tokens)
    unique = scaling_law.effective_tokens(tokens / epochs, epochs)
    return scaling_law.load_law(data.kind).bits_per_byte(matmul_parameters(recipe.model), unique)


def pretrained_bits_per_byte(recipe: Recipe, data: DatasetSize) -> float:
    """Estimate the bits per byte after pretraining, which leaves most of the learning rate's decay
    to the later stages."""
    tokens = recipe.pretrain.tokens
    factor = scaling_law.load_law(data.kind).undecayed_factor(tokens)
    return factor * decayed_bits_per_byte(recipe, data, tokens)


def bits_per_byte_error(kind: scaling_law.Kind) -> float:
    """Return the relative uncertainty of the estimated bits per byte.

    It is three times the law's error on the runs that it was fitted to, with or without decay,
    whichever is larger. Text unlike that of these runs may be farther off, hence at least 15 %.
    """
    law = scaling_law.load_law(kind)
    error = 3 * max(law.error, law.undecayed_error)
    return error if kind == "starter" else max(error, 0.15)
