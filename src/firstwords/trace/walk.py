"""One training step, walked through: the loop that trains a run, for one row and one step.

What comes before the model is read off its results, the rest is noted by hooks (`watch.py`), and
the loss is measured once more with the weights that the step left.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from firstwords.conversation import encode_conversations
from firstwords.data.rows import Batches, PackedRows, TextRows
from firstwords.data.tokens import encode_texts
from firstwords.distributed import Exchange, World
from firstwords.model import IGNORE, Transformer, flops_per_token
from firstwords.optimizer import Optimizer, learning_rate
from firstwords.recipe import STAGES
from firstwords.tokenizer import Tokenizer
from firstwords.trace.entries import Entry, Part, parts_of, read_off
from firstwords.trace.subject import Subject
from firstwords.trace.watch import Gradient, Watch, watching
from firstwords.training import LossFunction, Step, loss_function, torch_dtype, train


@dataclass(frozen=True)
class Target:
    """A place of the row: the token that is read there, the one that should follow, and its
    probability before and after the step; None where there is no target."""

    token: int
    reads: str
    target: int | None
    follows: str
    before: float | None
    after: float | None


@dataclass(frozen=True)
class Change:
    """What the step did to a parameter. `relative` is the norm of its update over that of its
    weights, None where these were zero."""

    name: str
    shape: tuple[int, ...]
    optimizer: str
    gradient: float
    values: tuple[float, ...]  # the first of the gradient's largest row
    weight: float
    update: float
    relative: float | None


@dataclass(frozen=True)
class Flops:
    """`by_formula` is what the planner counts for the row's tokens, forwards and backwards."""

    forward: int
    backward: int
    optimizer: int
    by_formula: int


@dataclass(frozen=True)
class Trace:
    """`step` is the checkpoint's; the run takes `run_steps` in all, of `batch_tokens` each. Losses
    are in nats per target."""

    run: str
    stage: str
    step: int
    run_steps: int
    batch_tokens: int
    dtype: str
    text: str
    answer: str | None
    learning_rate: float
    loss_before: float
    loss_after: float
    flops: Flops
    parts: tuple[Part, ...]
    targets: tuple[Target, ...]
    changes: tuple[Change, ...]  # in the order in which the gradients came

    def document(self) -> dict[str, Any]:
        return asdict(self)


def walk(subject: Subject) -> Trace:
    """Take the step on the subject's own copy of the model."""
    model, recipe, config = subject.model, subject.recipe, subject.config
    optimizer = Optimizer(model, recipe.optimizer, torch_dtype(recipe))
    alone = Exchange(World(), model)
    loss = loss_function(model, recipe)
    batches = Batches(subject.rows, config.batch_rows, recipe.seed)
    weights = {name: tensor.detach().clone() for name, tensor in model.named_parameters()}
    steps: list[Step] = []

    def one_step(step: Step) -> bool:
        steps.append(step)
        return False

    with watching(model) as watch:
        train(loss, optimizer, batches, config, one_step, alone)
    x_BT, y_BT = batches.batch(0)
    after = measured(model, loss, x_BT, y_BT)
    taken = steps[0]
    parts = parts_of(_before_the_model(subject, x_BT, y_BT), watch.events, _rate(taken.lr))
    probabilities = (_probabilities(one, y_BT) for one in (watch, after))
    return Trace(
        run=subject.run.name,
        stage=subject.stage if subject.step else "fresh",
        step=subject.step,
        run_steps=sum(recipe.stage(stage).steps for stage in STAGES),
        batch_tokens=recipe.stage(subject.stage).batch_tokens,
        dtype=recipe.dtype,
        text=subject.text,
        answer=subject.answer,
        learning_rate=taken.lr,
        loss_before=taken.loss,
        loss_after=_mean_loss(after),
        flops=_flops(parts, flops_per_token(model.config, x_BT.numel()) * x_BT.numel()),
        parts=tuple(parts),
        targets=_targets(subject.tokenizer, x_BT, y_BT, *probabilities),
        changes=_changes(model, optimizer, weights, watch.gradients),
    )


def measured(model: Transformer, loss: LossFunction, x_BT: Tensor, y_BT: Tensor) -> Watch:
    """The loss alone, watched."""
    with watching(model) as watch, torch.no_grad():
        loss(x_BT, y_BT)
    return watch


def _before_the_model(subject: Subject, x_BT: Tensor, y_BT: Tensor) -> list[Entry]:
    tokenizer, store = subject.tokenizer, subject.store
    ids = store.ids(0, len(store)).tolist()
    spoken = [token for token in ids if token not in tokenizer.special_ids]
    raw = b"".join(map(tokenizer.token_bytes, spoken))
    functions: list[Callable[..., Any]] = [encode_texts, TextRows.row]
    if subject.answer is not None:
        functions = [encode_conversations, PackedRows.row]
    encode, row = functions
    inputs, targets = x_BT[0].tolist(), y_BT[0].tolist()
    moved = f"{inputs[:4]} -> {['-' if t == IGNORE else t for t in targets[:4]]}".replace("'", "")
    return [
        read_off(Tokenizer.token_bytes, (len(raw),), [raw[:16].hex(" ")]),
        read_off(Tokenizer.encode, (len(spoken),), spoken[:8]),
        read_off(encode, (len(ids),), ids[:8]),
        read_off(row, (len(inputs),), [moved]),
        read_off(Batches.batch, tuple(x_BT.shape), inputs[:8]),
    ]


def _rate(rate: float) -> Entry:
    return read_off(learning_rate, (), [f"{rate:.3g} of the peak rates"])


def _flops(parts: list[Part], by_formula: int) -> Flops:
    def of(*names: str) -> int:
        return sum(part.flops for part in parts if part.name in names)

    forward = of("row", "start", "block", "end")
    return Flops(forward, of("backward"), of("muon", "adamw"), by_formula)


def _nats(watch: Watch) -> Tensor:
    """Of every target."""
    nats_N = torch.nn.functional.cross_entropy(
        watch.logits_NV.float(), watch.targets_N, ignore_index=IGNORE, reduction="none"
    )
    return nats_N[watch.targets_N != IGNORE]


def _mean_loss(watch: Watch) -> float:
    return float(_nats(watch).mean())


def _probabilities(watch: Watch, y_BT: Tensor) -> list[float | None]:
    """Of the target at every place of the row."""
    found = iter(_nats(watch).neg().exp().tolist())
    return [None if target == IGNORE else next(found) for target in y_BT[0].tolist()]


def _targets(
    tokenizer: Tokenizer,
    x_BT: Tensor,
    y_BT: Tensor,
    before: list[float | None],
    after: list[float | None],
) -> tuple[Target, ...]:
    places = zip(x_BT[0].tolist(), y_BT[0].tolist(), before, after, strict=True)
    return tuple(
        Target(
            token=x,
            reads=written(tokenizer, x),
            target=None if y == IGNORE else y,
            follows="" if y == IGNORE else written(tokenizer, y),
            before=old,
            after=new,
        )
        for x, y, old, new in places
    )


def written(tokenizer: Tokenizer, token: int) -> str:
    """A token's text, or its bytes where they are part of a character."""
    raw = tokenizer.token_bytes(token)
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.hex(" ")


def _changes(
    model: Transformer,
    optimizer: Optimizer,
    weights: dict[str, Tensor],
    gradients: list[Gradient],
) -> tuple[Change, ...]:
    parameters = dict(model.named_parameters())
    changes = []
    for gradient in gradients:
        parameter, before = parameters[gradient.name], weights[gradient.name]
        weight = float(before.norm())
        update = float((parameter.detach() - before).norm())
        changes.append(
            Change(
                name=gradient.name,
                shape=tuple(parameter.shape),
                optimizer="Muon" if parameter in optimizer.momentum else "AdamW",
                gradient=gradient.norm,
                values=gradient.values,
                weight=weight,
                update=update,
                relative=update / weight if weight else None,
            )
        )
    return tuple(changes)
