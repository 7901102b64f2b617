"""Lab 1: without the causal mask the loss falls, and the model has learned nothing."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from firstwords.data.dataloader import IGNORE_INDEX, Rows, TextRows, stack_rows
from firstwords.inference.decoder import Decoder
from firstwords.inference.engine import Engine
from firstwords.inference.sampling import Sampling
from firstwords.labs.folder import LabFolder
from firstwords.labs.lab import ExperimentResult, LabFinding, LabSettings, failed, info, passed
from firstwords.labs.short_training import (
    BATCH_SIZE,
    LabData,
    open_lab_data,
    random_model,
    short_recipe,
    train_on_rows,
)
from firstwords.model.attention import causal_mask
from firstwords.model.transformer import Transformer

FILE = "attention.py"
STEPS, HELD_OUT_TOKENS = 150, 20_000
MAX_LENGTH = 64  # tokens of the masks that are checked
PROMPT = "The capital of"
ORIGINAL_ATTENTION = F.scaled_dot_product_attention
ContextManagerFunction = Callable[[], AbstractContextManager[None]]


def exercise(folder: LabFolder) -> Iterator[LabFinding]:
    """Check both functions of attention.py."""
    yield _check_mask(folder.function(FILE, "may_attend"))
    yield from _check_context_manager(folder.function(FILE, "without_causal_mask"))


def _check_mask(may_attend: Callable[[int], Tensor]) -> LabFinding:
    for n in range(1, MAX_LENGTH + 1):
        mask, expected = may_attend(n), causal_mask(n, n, torch.device("cpu"))
        if not isinstance(mask, Tensor) or mask.dtype != torch.bool or mask.shape != (n, n):
            return failed(
                f"may_attend({n}) is not a tensor of dtype torch.bool and shape ({n}, {n})",
                "torch.ones(n, n, dtype=torch.bool) is one, but lets every token see every other",
            )
        if not torch.equal(mask, expected):
            return failed(
                f"may_attend({n}) is not the causal mask", _first_difference(mask, expected)
            )
    return passed(f"may_attend is the causal mask for rows of 1 to {MAX_LENGTH} tokens")


def _first_difference(mask: Tensor, expected: Tensor) -> str:
    row, column = (mask != expected).nonzero()[0].tolist()
    may = "may" if expected[row, column] else "may not"
    return f"token {row} {may} look at token {column}, counting from 0"


def _check_context_manager(without_causal_mask: ContextManagerFunction) -> Iterator[LabFinding]:
    model, ids_BT = random_model(), torch.arange(3, 35)[None]
    before = _logits(model, ids_BT)
    with replace_attention(_full_attention):
        uncausal = _logits(model, ids_BT)
    with replace_attention(F.scaled_dot_product_attention):  # restore it whatever the learner does
        with without_causal_mask():
            inside = _logits(model, ids_BT)
        after = _logits(model, ids_BT)
        with suppress(ZeroDivisionError), without_causal_mask():
            raise ZeroDivisionError
        after_error = _logits(model, ids_BT)
    if torch.equal(inside, before):
        yield failed(
            "inside the block attention is still causal",
            "assign to F.scaled_dot_product_attention itself; the model looks it up at each call",
        )
    elif not torch.allclose(inside, uncausal, atol=1e-4):
        yield failed(
            "inside the block attention differs from attention without a mask",
            "pass q, k and v on unchanged, with is_causal=False and no mask",
        )
    else:
        yield passed("inside the block every token sees the whole row")
    if torch.equal(after, before) and torch.equal(after_error, before):
        yield passed("after the block, and after an error in it, attention is causal again")
    else:
        when = "an error in the block" if torch.equal(after, before) else "the block"
        yield failed(
            f"attention is not causal again after {when}",
            "use try: yield, and in finally: restore the function that you saved",
        )


@torch.inference_mode()
def _logits(model: Transformer, ids_BT: Tensor) -> Tensor:
    # As in training, which has a mask, and not only `is_causal`.
    return model.lm_head(model.hidden(ids_BT, start_BT=torch.zeros_like(ids_BT)))


@contextmanager
def replace_attention(function: Any) -> Iterator[None]:
    """Let models use another attention function inside this block."""
    before = F.scaled_dot_product_attention
    F.scaled_dot_product_attention = function
    try:
        yield
    finally:
        F.scaled_dot_product_attention = before


def _full_attention(
    q_BHTD: Tensor, k_BKTD: Tensor, v_BKTD: Tensor, enable_gqa: bool, **causality: object
) -> Tensor:
    """Attention over the whole row."""
    return ORIGINAL_ATTENTION(q_BHTD, k_BKTD, v_BKTD, enable_gqa=enable_gqa)


def experiment(folder: LabFolder, settings: LabSettings) -> Iterator[LabFinding | ExperimentResult]:
    """Train with and without the mask, and measure both on held-out text."""
    without_causal_mask: ContextManagerFunction = folder.function(FILE, "without_causal_mask")
    recipe = short_recipe(settings, STEPS)
    seq_len = recipe.pretrain.seq_len
    with open_lab_data() as data:
        rows = TextRows(data.text("train", recipe.pretrain.tokens), seq_len, data.pad_id)
        held_out_store = data.text("val", settings.scaled(HELD_OUT_TOKENS))
        held_out = TextRows(held_out_store, seq_len, data.pad_id)
        honest = train_on_rows(recipe, rows, "with the mask")
        with without_causal_mask():
            cheat = train_on_rows(recipe, rows, "without the mask")
            loss_without_mask = mean_loss(cheat.model, held_out)
        yield ExperimentResult("honest", f"{mean_loss(honest.model, held_out):.3f}")
        yield ExperimentResult("cheat", f"{loss_without_mask:.3f}")
        yield ExperimentResult("cheat_alone", f"{mean_loss(cheat.model, held_out):.3f}")
        yield info(f"the model trained with the mask writes: {_complete(data, honest.model)}")
        yield ExperimentResult("text", _complete(data, cheat.model))


@torch.inference_mode()
def mean_loss(model: Transformer, rows: Rows) -> float:
    """Return the loss in nats per target."""
    nats, n_targets = 0.0, 0
    for first in range(0, len(rows), BATCH_SIZE):
        batch = stack_rows(rows, range(first, min(first + BATCH_SIZE, len(rows))))
        nats += float(model.loss(batch.x_BT, batch.y_BT, "sum", batch.start_BT))
        n_targets += int((batch.y_BT != IGNORE_INDEX).sum())
    return nats / n_targets


def _complete(data: LabData, model: Transformer) -> str:
    """Return the prompt with the model's greedy continuation. The engine is always causal."""
    prompt = [data.pad_id, *data.tokenizer.encode(PROMPT)]
    sampling = Sampling(temperature=0, max_tokens=24)
    ids = list(Engine(Decoder(model, slots=1)).generate(prompt, sampling))
    return repr(PROMPT + data.tokenizer.decode(ids))
