"""Take one training step of one row with the loop that trains a run, and record it.

The text before the model is plain Python, so its results are read afterwards; the step is recorded
by hooks (`recorder.py`); then the loss is measured once more with the updated weights.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from firstwords.data.dataloader import IGNORE_INDEX, Batch, BatchSampler, PackedRows, TextRows
from firstwords.data.token_store import encode_texts
from firstwords.inspect.trace.entries import (
    TraceEntry,
    TracePart,
    build_parts,
    entry_of_function,
)
from firstwords.inspect.trace.inputs import TraceInput
from firstwords.inspect.trace.recorder import GradientSummary, StepRecorder, recording
from firstwords.model.size import flops_per_token
from firstwords.model.transformer import Transformer
from firstwords.tokenizer.bpe import Tokenizer
from firstwords.tokenizer.chat_format import encode_conversations
from firstwords.training.loop import train
from firstwords.training.optimizer import uses_muon
from firstwords.training.schedule import learning_rate
from firstwords.training.setup import LossFunction, build


@dataclass(frozen=True)
class TargetChange:
    """One position of the row: the token there, the target, and the target's probability before and
    after the step. Without a target the last three are None and `target_text` is empty."""

    token: int
    token_text: str
    target: int | None
    target_text: str
    before: float | None
    after: float | None


@dataclass(frozen=True)
class ParameterChange:
    """What the step did to a parameter: norms of its gradient, its weights before the step and its
    update. `relative` is update over weights, None where these were zero."""

    name: str
    shape: tuple[int, ...]
    optimizer: str
    gradient: float
    values: tuple[float, ...]  # first values of the gradient's largest row
    weight: float
    update: float
    relative: float | None


@dataclass(frozen=True)
class StepFlops:
    """FLOPs of the step. `by_formula` is the planner's count for the row, forward and backward."""

    forward: int
    backward: int
    optimizer: int
    by_formula: int


@dataclass(frozen=True)
class Trace:
    """A recorded step.

    `step` is the checkpoint's; the run takes `run_steps` in all, of `batch_tokens` tokens each.
    Losses are in nats per target. `changes` are in the order in which backward completed the
    gradients.
    """

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
    flops: StepFlops
    parts: tuple[TracePart, ...]
    targets: tuple[TargetChange, ...]
    changes: tuple[ParameterChange, ...]

    def document(self) -> dict[str, Any]:
        """Return the trace as one JSON document."""
        return asdict(self)


def trace_step(inputs: TraceInput) -> Trace:
    """Take the step, on the inputs' own copy of the model, and return its trace."""
    model, recipe, config = inputs.model, inputs.recipe, inputs.config
    state = build(recipe, model)
    batches = BatchSampler(inputs.rows, config.batch_size, recipe.seed)
    weights = {name: tensor.detach().clone() for name, tensor in model.named_parameters()}
    with recording(model) as recorder:
        step = next(train(state, batches, config))
    batch = batches.batch(0)
    x_BT, y_BT = batch.x_BT, batch.y_BT
    after = _measure_loss(model, state.loss, batch)
    lr_entry = entry_of_function(learning_rate, (), [f"{step.lr:.3g} of the peak rates"])
    parts = build_parts(_entries_before_model(inputs, x_BT, y_BT), recorder.operations, lr_entry)
    probabilities = (_target_probabilities(one, y_BT) for one in (recorder, after))
    return Trace(
        run=inputs.run.name,
        stage=inputs.stage if inputs.step else "fresh",
        step=inputs.step,
        run_steps=sum(recipe.stage(stage).steps for stage in recipe.stages),
        batch_tokens=recipe.stage(inputs.stage).batch_tokens,
        dtype=recipe.dtype,
        text=inputs.text,
        answer=inputs.answer,
        learning_rate=step.lr,
        loss_before=step.loss,
        loss_after=float(_target_nats(after).mean()),
        flops=_sum_flops(parts, flops_per_token(model.config, x_BT.numel()) * x_BT.numel()),
        parts=tuple(parts),
        targets=_target_changes(inputs.tokenizer, x_BT, y_BT, *probabilities),
        changes=_parameter_changes(model, weights, recorder.gradients),
    )


def _measure_loss(model: Transformer, loss: LossFunction, batch: Batch) -> StepRecorder:
    """Record the loss alone, without gradients."""
    with recording(model) as recorder, torch.no_grad():
        loss(batch.x_BT, batch.y_BT, batch.start_BT)
    return recorder


def _entries_before_model(inputs: TraceInput, x_BT: Tensor, y_BT: Tensor) -> list[TraceEntry]:
    tokenizer, store = inputs.tokenizer, inputs.store
    ids = store.ids(0, len(store)).tolist()
    text_ids = [token for token in ids if token not in tokenizer.special_ids]
    raw = b"".join(map(tokenizer.token_bytes, text_ids))
    functions: list[Callable[..., Any]] = [encode_texts, TextRows.row]
    if inputs.answer is not None:
        functions = [encode_conversations, PackedRows.row]
    encode, row = functions
    x, y = x_BT[0].tolist(), y_BT[0].tolist()
    first_targets = ", ".join("-" if target == IGNORE_INDEX else str(target) for target in y[:4])
    return [
        entry_of_function(Tokenizer.token_bytes, (len(raw),), [raw[:16].hex(" ")]),
        entry_of_function(Tokenizer.encode, (len(text_ids),), text_ids[:8]),
        entry_of_function(encode, (len(ids),), ids[:8]),
        entry_of_function(row, (len(x),), [f"{x[:4]} -> [{first_targets}]"]),
        entry_of_function(BatchSampler.batch, tuple(x_BT.shape), x[:8]),
    ]


def _sum_flops(parts: list[TracePart], by_formula: int) -> StepFlops:
    def total(*names: str) -> int:
        return sum(part.flops for part in parts if part.name in names)

    forward = total("row", "start", "block", "end")
    return StepFlops(forward, total("backward"), total("muon", "adamw"), by_formula)


def _target_nats(recorder: StepRecorder) -> Tensor:
    """Return the loss (N,) of every target in nats."""
    nats_N = torch.nn.functional.cross_entropy(
        recorder.logits_NV.float(),
        recorder.targets_N,
        ignore_index=IGNORE_INDEX,
        reduction="none",
    )
    return nats_N[recorder.targets_N != IGNORE_INDEX]


def _target_probabilities(recorder: StepRecorder, y_BT: Tensor) -> list[float | None]:
    """Return the probability of the target at every position of the row."""
    probabilities = iter(_target_nats(recorder).neg().exp().tolist())
    return [None if target == IGNORE_INDEX else next(probabilities) for target in y_BT[0].tolist()]


def _target_changes(
    tokenizer: Tokenizer,
    x_BT: Tensor,
    y_BT: Tensor,
    before: list[float | None],
    after: list[float | None],
) -> tuple[TargetChange, ...]:
    positions = zip(x_BT[0].tolist(), y_BT[0].tolist(), before, after, strict=True)
    return tuple(
        TargetChange(
            token=x,
            token_text=token_text(tokenizer, x),
            target=None if y == IGNORE_INDEX else y,
            target_text="" if y == IGNORE_INDEX else token_text(tokenizer, y),
            before=p_before,
            after=p_after,
        )
        for x, y, p_before, p_after in positions
    )


def token_text(tokenizer: Tokenizer, token: int) -> str:
    """Return a token's text, or its bytes in hexadecimal where they are part of a character."""
    raw = tokenizer.token_bytes(token)
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.hex(" ")


def _parameter_changes(
    model: Transformer, weights: dict[str, Tensor], gradients: list[GradientSummary]
) -> tuple[ParameterChange, ...]:
    parameters = dict(model.named_parameters())
    changes = []
    for gradient in gradients:
        parameter, before = parameters[gradient.name], weights[gradient.name]
        weight = float(before.norm())
        update = float((parameter.detach() - before).norm())
        changes.append(
            ParameterChange(
                name=gradient.name,
                shape=tuple(parameter.shape),
                optimizer="Muon" if uses_muon(gradient.name) else "AdamW",
                gradient=gradient.norm,
                values=gradient.values,
                weight=weight,
                update=update,
                relative=update / weight if weight else None,
            )
        )
    return tuple(changes)
