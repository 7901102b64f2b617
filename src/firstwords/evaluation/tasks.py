"""The tasks of `firstwords eval`, and those that are not benchmarks."""

from itertools import islice
from typing import Any

import torch

from firstwords.data import corpora
from firstwords.data.dataloader import IGNORE_INDEX, PackedRows, stack_rows
from firstwords.data.starter.exam import PER_CATEGORY
from firstwords.data.token_store import TokenStore
from firstwords.evaluation import bits_per_byte as bpb
from firstwords.evaluation.babble import PROMPTS_PER_KIND
from firstwords.evaluation.benchmarks import BENCHMARKS
from firstwords.model.transformer import Transformer
from firstwords.recipe import Recipe
from firstwords.runs.datasets import open_conversations, open_text
from firstwords.runs.run import Run
from firstwords.tokenizer.bpe import Tokenizer

TASKS = ("bits_per_byte", *BENCHMARKS)


def n_training_items(run: Run, name: str) -> int:
    """Return how many items of each category of a benchmark the run's evaluation phase uses."""
    if name == "babble":
        return n_open_prompts(run.recipe)
    return run.recipe.exam_items if name == "exam" else run.recipe.benchmark_items


def n_open_prompts(recipe: Recipe) -> int:
    """Return the open prompts of each kind that the evaluation phase uses: as large a share of them
    as of the exam."""
    return min(PROMPTS_PER_KIND, -(-recipe.exam_items * PROMPTS_PER_KIND // PER_CATEGORY))


def exam_applies(run: Run) -> bool:
    """Return whether the run trains on the starter conversations, which the exam is about."""
    return open_conversations(run).has_starter


def bits_per_byte_result(
    model: Transformer, tokenizer: Tokenizer, text: TokenStore, sources: list[str]
) -> dict[str, Any]:
    """Return the bits per byte of `text` as a task's result, with a category for each source if
    there are several. `sources` names the source of each document."""
    bits = bpb.bits_per_byte(model, text, model.config.max_seq_len, tokenizer.special_ids, sources)
    total = {"title": "bits per byte", **_score(bits), "text_bytes": bits.text_bytes}
    categories = {name: {"title": name, **_score(of)} for name, of in bits.by_source.items()}
    return {**total, "categories": categories if len(categories) > 1 else {}}


def _score(bits: bpb.BitsPerByte) -> dict[str, Any]:
    return {
        "score": bits.score,
        "chance": bpb.CHANCE_BITS_PER_BYTE,
        "ci95": list(bits.ci95),
        "n": bits.n,
    }


def document_sources(run: Run, count: int) -> list[str]:
    """Return the source of each of the first `count` held-out documents."""
    corpus = open_text(run)
    documents = corpora.documents(corpus, "val", run.recipe.seed)
    return [document.source for document in islice(documents, count)]


@torch.inference_mode()
def answer_loss(model: Transformer, store: TokenStore, pad_id: int) -> float:
    """Return the loss in nats per token that the assistant wrote in held-out conversations."""
    rows = PackedRows(store, model.config.max_seq_len, pad_id, assistant_only=True)
    nats, n_targets = 0.0, 0
    for first in range(0, len(rows), bpb.EVAL_BATCH_SIZE):
        batch = stack_rows(rows, range(first, min(first + bpb.EVAL_BATCH_SIZE, len(rows))))
        x_BT, y_BT, start_BT = (part_BT.to(model.device) for part_BT in batch.parts())
        nats += float(model.loss(x_BT, y_BT, "sum", start_BT))
        n_targets += int((y_BT != IGNORE_INDEX).sum())
    return nats / max(1, n_targets)
