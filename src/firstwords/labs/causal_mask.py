"""Lab 1: without the causal mask the loss falls, and the model has learned nothing."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from firstwords.data.rows import Rows, TextRows, stack
from firstwords.inference.decoder import Decoder
from firstwords.inference.engine import Engine
from firstwords.inference.sampling import Sampling
from firstwords.labs.folder import Folder
from firstwords.labs.lab import Finding, Outcome, Setting, right, told, wrong
from firstwords.labs.small import ROWS, Workshop, random_model, recipe, trained, workshop
from firstwords.model import IGNORE, Transformer, causal_mask

FILE = "attention.py"
STEPS, HELD_OUT = 150, 20_000  # tokens
LONGEST = 64
BEGINNING = "The capital of"
ATTENTION = F.scaled_dot_product_attention  # itself, which a block may have replaced
Block = Callable[[], AbstractContextManager[None]]


def exercise(folder: Folder) -> Iterator[Finding]:
    yield _mask(folder.function(FILE, "may_look"))
    yield from _block(folder.function(FILE, "seeing_everything"))


def _mask(may_look: Callable[[int], Tensor]) -> Finding:
    for n in range(1, LONGEST + 1):
        mask, expected = may_look(n), causal_mask(n, n, torch.device("cpu"))
        if not isinstance(mask, Tensor) or mask.dtype != torch.bool or mask.shape != (n, n):
            return wrong(
                f"may_look({n}) is no tensor of dtype torch.bool and shape ({n}, {n})",
                "torch.ones(n, n, dtype=torch.bool) is one, though every token sees every other",
            )
        if not torch.equal(mask, expected):
            return wrong(f"may_look({n}) is not the causal mask", _difference(mask, expected))
    return right(f"may_look is the causal mask, for rows of 1 to {LONGEST} tokens")


def _difference(mask: Tensor, expected: Tensor) -> str:
    row, column = (mask != expected).nonzero()[0].tolist()
    may = "may" if expected[row, column] else "may not"
    return f"token {row} {may} look at token {column}; the first row is that of the first token"


def _block(seeing_everything: Block) -> Iterator[Finding]:
    model, ids_BT = random_model(), torch.arange(3, 35)[None]
    before = _logits(model, ids_BT)
    with attention_of(_everything):
        uncausal = _logits(model, ids_BT)
    with attention_of(F.scaled_dot_product_attention):  # put back whatever the learner does
        with seeing_everything():
            inside = _logits(model, ids_BT)
        after = _logits(model, ids_BT)
        with suppress(ZeroDivisionError), seeing_everything():
            raise ZeroDivisionError
        after_error = _logits(model, ids_BT)
    if torch.equal(inside, before):
        yield wrong(
            "inside the block the model sees as little as before",
            "assign to F.scaled_dot_product_attention itself: the model looks it up at each call",
        )
    elif not torch.allclose(inside, uncausal, atol=1e-4):
        yield wrong(
            "inside the block attention is not merely without causality, but another function",
            "pass q, k and v on as they are, with is_causal=False and no mask",
        )
    else:
        yield right("inside the block every token sees the whole row")
    if torch.equal(after, before) and torch.equal(after_error, before):
        yield right("after the block, and after an error in it, attention is causal again")
    else:
        when = "an error in the block" if torch.equal(after, before) else "the block"
        yield wrong(
            f"after {when} attention still is not causal",
            "try: yield, finally: put back what you kept before you replaced it",
        )


@torch.inference_mode()
def _logits(model: Transformer, ids_BT: Tensor) -> Tensor:
    return model(ids_BT)


@contextmanager
def attention_of(function: Any) -> Iterator[None]:
    """Inside this block models attend with this function."""
    before = F.scaled_dot_product_attention
    F.scaled_dot_product_attention = function
    try:
        yield
    finally:
        F.scaled_dot_product_attention = before


def _everything(
    q_BHTD: Tensor, k_BKTD: Tensor, v_BKTD: Tensor, enable_gqa: bool, **causality: object
) -> Tensor:
    """Attention over the whole row."""
    return ATTENTION(q_BHTD, k_BKTD, v_BKTD, enable_gqa=enable_gqa)


def experiment(folder: Folder, setting: Setting) -> Iterator[Finding | Outcome]:
    seeing_everything: Block = folder.function(FILE, "seeing_everything")
    made = recipe(setting, STEPS)
    with workshop() as shop:
        store = shop.text("train", made.base.tokens)
        rows = TextRows(store, made.base.seq_len, shop.pad)
        held_out = TextRows(shop.text("val", setting.scaled(HELD_OUT)), made.base.seq_len, shop.pad)
        honest = trained(made, rows, "with the mask")
        with seeing_everything():
            cheat = trained(made, rows, "without the mask")
            seen = loss_on(cheat.model, held_out)
        yield Outcome("honest", f"{loss_on(honest.model, held_out):.3f}")
        yield Outcome("cheat", f"{seen:.3f}")
        yield Outcome("cheat_alone", f"{loss_on(cheat.model, held_out):.3f}")
        yield told(f"the one with the mask goes on: {_text(shop, honest.model)}")
        yield Outcome("text", _text(shop, cheat.model))


@torch.inference_mode()
def loss_on(model: Transformer, rows: Rows) -> float:
    """Nats per token of held-out text."""
    nats, targets = 0.0, 0
    for first in range(0, len(rows), ROWS):
        x_BT, y_BT = stack(rows, range(first, min(first + ROWS, len(rows))))
        nats += float(model.loss(x_BT, y_BT, reduction="sum"))
        targets += int((y_BT != IGNORE).sum())
    return nats / targets


def _text(shop: Workshop, model: Transformer) -> str:
    """How the model goes on, greedily: with the engine, which has no future to look at."""
    prompt = [shop.pad, *shop.tokenizer.encode(BEGINNING)]
    sampling = Sampling(temperature=0, max_tokens=24)
    ids = list(Engine(Decoder(model, slots=1)).generate(prompt, sampling))
    return repr(BEGINNING + shop.tokenizer.decode(ids))
