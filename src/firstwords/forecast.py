"""What a recipe will take and give: time, memory, disk, bits per byte.

All of it is computed; the one measurement is the speed of a training step, which also stands for
the speed of everything else that a model does. `report.md` holds the forecast against what
happened.
"""

import itertools
import math
from typing import NamedTuple

from firstwords import measure, scaling
from firstwords.data.corpora import Corpus
from firstwords.data.starter.exam import CATEGORIES
from firstwords.evaluation.bits_per_byte import BATCH_ROWS
from firstwords.inference.batch import batch_size, cache_bytes
from firstwords.model import LARGE_VOCABULARY, matmul_parameters, n_parameters
from firstwords.recipe import STAGES, ModelConfig, Recipe

BYTES_PER_TOKEN = {512: 2.0, 2048: 3.1, 4096: 3.5, 65_536: 4.6}  # of English text, by vocabulary
CHECKPOINTS = 7  # two of each stage, and one that is being written

# Seconds of work around the training steps, measured on two cores (docs/lab-notebook.md).
START = 6.0
STAGE_START = 1.5  # loading, the first step, the last checkpoint
COMPILED_START = 3.0  # beside it: loading code that is compiled already
TOKENIZER_BYTES_PER_SECOND = {"starter": 1.6e6, "text": 4e6}
ENCODED_PER_SECOND = {"starter": 3e5, "text": 8e5}  # tokens
ANSWER = 75.0  # training tokens that take as long as an answer in the exam
BENCHMARK_PARTS = 23  # 18 to 22 tasks of CORE, and five others
BENCHMARK_ITEM = 300.0  # training tokens that take as long as an item, few-shot examples and all
SAMPLES = 0.5  # seconds for the samples of a stage
CHAT_TARGETS = 0.43  # share of finetuning's positions, the text beside conversations included
FORWARD = 0.5  # of a training token: a token whose loss is measured, in float32

# Bytes in memory, measured in fresh processes of PyTorch 2.13 (docs/lab-notebook.md).
PROGRAM = 390e6
OF_PARAMETER = 16  # weight, gradient and what the optimizer remembers
OF_SLICED = 24  # the same cut up, with the whole weight and gradient at their owner
OF_GATHERED = 8  # weight and gradient, while they are whole in every process
OF_CHANNEL = 130  # of a token in a layer
OF_LOGIT = 16  # of a token and a word of the vocabulary
OF_SCORE = 6  # of two tokens and a head, where attention is not fused: as float32 and bfloat16
GPU_PROGRAM = 1e9  # in a GPU's memory: kernels, workspaces; not measured yet
OF_CHANNEL_GPU = 60  # of a token in a layer, in bfloat16: counted, not measured yet
LEFT_OVER = 60e6  # of measuring and of the tokenizer's training: freed, and kept by the process
COPIES = 2.2  # of the keys and values of answers
COMPILER = 65e6
OF_STORED_TOKEN = 3.1  # bytes on disk, and in memory once they have been read: id, mask, lengths


class Data(NamedTuple):
    """What a run learns from: its two corpora, and how many tokens are in them."""

    kind: scaling.Kind  # of text
    text_tokens: float
    chat_tokens: float

    def tokens(self, stage: str) -> float:
        return self.text_tokens if stage == "base" else self.chat_tokens


def data_of(text: Corpus, chat: Corpus, vocab_size: int) -> Data:
    """Raises UserError if a file cannot be read."""
    rate = bytes_per_token(vocab_size)
    return Data(
        "starter" if text.is_starter else "text",
        text.text_bytes("text") / rate,
        chat.text_bytes("messages") / rate,
    )


def bytes_per_token(vocab_size: int) -> float:
    """A low guess, interpolated in the logarithm of the vocabulary."""
    sizes = sorted(BYTES_PER_TOKEN)
    if vocab_size <= sizes[0]:
        return BYTES_PER_TOKEN[sizes[0]]
    for low, high in itertools.pairwise(sizes):
        if vocab_size <= high:
            share = math.log(vocab_size / low) / math.log(high / low)
            return BYTES_PER_TOKEN[low] * (1 - share) + BYTES_PER_TOKEN[high] * share
    return BYTES_PER_TOKEN[sizes[-1]]


def phase_seconds(recipe: Recipe, tokens_per_second: float, data: Data) -> dict[str, float]:
    """Wall time of each phase of `train`, by name."""
    seconds = {"tokenizer": 1.0 + recipe.tokenizer_bytes / TOKENIZER_BYTES_PER_SECOND[data.kind]}
    for stage in STAGES:
        encoded: float = recipe.base.tokens if stage == "base" else 0
        if stage == "mid":
            encoded = recipe.mid.tokens + recipe.sft.tokens
        encoded = min(encoded, data.tokens(stage))
        seconds[stage] = (
            STAGE_START
            + COMPILED_START * recipe.compile
            + recipe.stage(stage).tokens / tokens_per_second * work_of(stage, recipe.model)
            + encoded / ENCODED_PER_SECOND[data.kind]
        )
    measured = 2 * recipe.val_bytes / bytes_per_token(recipe.model.vocab_size)  # text and answers
    takes_exam = math.isinf(data.chat_tokens)  # it asks what the curriculum taught
    answers = len(CATEGORIES) * recipe.exam_items if takes_exam else 0
    items = BENCHMARK_PARTS * recipe.benchmark_items
    work = measured * FORWARD + answers * ANSWER + items * BENCHMARK_ITEM
    of_stage = SAMPLES + work / tokens_per_second
    return seconds | {"evaluation": len(STAGES) * of_stage}


def work_of(stage: str, model: ModelConfig) -> float:
    """How much longer a step of this stage takes than one of pretraining: in finetuning the output
    head only sees what the assistant writes."""
    head = model.n_embd * model.vocab_size / matmul_parameters(model)
    return 1 - (1 - CHAT_TARGETS) * head if stage == "sft" else 1.0


def memory_bytes(recipe: Recipe, processes: int = 1) -> float:
    """The most that each of so many processes needs at a time: measuring, training or evaluation.
    Of a GPU's memory where that trains."""
    work = max(training_bytes(recipe, processes), evaluation_bytes(recipe.model))
    if recipe.device != "cpu":
        return GPU_PROGRAM + work
    trial = measure.trial(1)  # of settings, two of which take turns
    work = max(training_bytes(trial) + weights_bytes(trial, 1), work)
    return PROGRAM + work + LEFT_OVER + COMPILER * recipe.compile


def resident_bytes(recipe: Recipe) -> float:
    """What the system shows as the run's memory at most: with the encoded text, which is mapped
    from its files and given up where memory is short."""
    if recipe.device != "cpu":
        return memory_bytes(recipe)
    return memory_bytes(recipe) + OF_STORED_TOKEN * all_tokens(recipe)


def all_tokens(recipe: Recipe) -> int:
    return sum(recipe.stage(stage).tokens for stage in STAGES)


def training_bytes(recipe: Recipe, processes: int = 1) -> float:
    model, stage = recipe.model, recipe.base
    tokens = stage.micro_rows * stage.seq_len
    of_channel = OF_CHANNEL if recipe.device == "cpu" else OF_CHANNEL_GPU
    # In parts, the logits need as much as the states that they are made from.
    in_parts = model.vocab_size >= LARGE_VOCABULARY
    of_logits = model.n_embd if in_parts else model.vocab_size
    of_token = model.n_layer * model.n_embd * of_channel + of_logits * OF_LOGIT
    if recipe.attention == "plain":
        of_token += model.n_layer * model.n_head * stage.seq_len * OF_SCORE
    return weights_bytes(recipe, processes) + tokens * of_token


def weights_bytes(recipe: Recipe, processes: int) -> float:
    """Weights, gradients, and what the optimizer remembers. Several processes share its memory out,
    which is counted whole all the same; or all of it (`sharded.py`)."""
    model, everything = recipe.model, n_parameters(recipe.model)
    if recipe.shard == "optimizer" or processes == 1:
        return everything * OF_PARAMETER
    outside = 2 * model.vocab_size * model.n_embd
    blocks = min(2, model.n_layer) / model.n_layer * (everything - outside)
    return everything * OF_SLICED / processes + OF_GATHERED * (outside + blocks)


def evaluation_bytes(model: ModelConfig) -> float:
    """A batch of held-out text; keys and values of a batch of answers, with those that are copied
    to read prompts and for the half that goes on; weights, and those joined for decoding."""
    logits = BATCH_ROWS * model.max_seq_len * model.vocab_size * OF_LOGIT
    answers = COPIES * batch_size(model) * cache_bytes(model)
    return logits + answers + 2 * 4 * n_parameters(model)


def parameters(model: ModelConfig) -> dict[str, int]:
    """How many there are in each part."""
    channels, heads = model.n_embd, model.n_head + model.n_kv_head
    parts = {
        "embedding": model.vocab_size * channels,
        "attention": model.n_layer * 2 * channels * model.head_dim * heads,
        "mlp": model.n_layer * 3 * channels * model.n_hidden,
        "output head": model.vocab_size * channels,
    }
    parts["norms"] = n_parameters(model) - sum(parts.values())
    return parts | {"all": n_parameters(model), "in products": matmul_parameters(model)}


def bits_error(kind: scaling.Kind) -> float:
    """How far off the expected bits per byte may be, as a share: three times the error on the runs
    that the law was fitted to, those with the pipeline's little decay or the others. Text of
    another sort than those may be farther off."""
    law = scaling.law(kind)
    error = 3 * max(law.error, law.undecayed_error)
    return error if kind == "starter" else max(error, 0.15)


def disk_bytes(recipe: Recipe) -> float:
    """Checkpoints, encoded text, and some megabytes of figures and answers."""
    model = recipe.model
    of_tokens = 2 * model.vocab_size * model.n_embd  # embedding and head: Adam's two moments
    of_matrices = n_parameters(model) - of_tokens  # weight and momentum
    checkpoint = 12 * of_tokens + 8 * of_matrices
    return CHECKPOINTS * checkpoint + OF_STORED_TOKEN * all_tokens(recipe) + 5e6
