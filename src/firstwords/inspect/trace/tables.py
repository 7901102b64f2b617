"""The lines and tables of a trace, shared by the terminal and Markdown."""

import json
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from firstwords.inspect.trace.entries import TraceEntry, TracePart
from firstwords.inspect.trace.trace_step import ParameterChange, Trace


class TextTable(NamedTuple):
    """A titled table of strings, with a sentence about it."""

    title: str
    summary: str
    header: list[str]
    rows: list[list[str]]


def heading(trace: Trace) -> str:
    model = "initial weights" if trace.stage == "fresh" else f"{trace.stage}, step {trace.step:,}"
    return f"One training step of run {trace.run} ({model}; matrix products in {trace.dtype})"


def input_text(trace: Trace) -> str:
    if trace.answer is None:
        return f"text: {trace.text}"
    return f"user: {trace.text}\nassistant: {trace.answer}"


def format_location(entry: TraceEntry) -> str:
    """Return where an entry's code is; for a function with several callers, the caller first."""
    if entry.caller is None:
        return str(entry.line)
    return f"{entry.caller}, in {entry.line.function} :{entry.line.line}"


def code_lines(entry: TraceEntry) -> list[str]:
    return [line.code for line in (entry.caller, entry.line) if line]


def reasons_to_print(parts: Iterable[TracePart], layer: int) -> dict[int, str]:
    """Map the `id` of entries to their explanations, so that each explanation is printed once."""
    first: dict[str, int] = {}
    for part in parts:
        for entry in part.entries if is_in_full(part, layer) else ():
            first.setdefault(entry.why, id(entry))
    return {entry: why for why, entry in first.items()}


def format_operations(entry: TraceEntry) -> str:
    counts = Counter(entry.operations)
    return ", ".join(f"{name} x{n}" if n > 1 else name for name, n in counts.items())


def format_result(entry: TraceEntry) -> str:
    """Return the first values of the result, and the root mean square of all of them."""
    values = "  ".join(
        value if isinstance(value, str) else format_number(value) for value in entry.values
    )
    if entry.rms is None or len(entry.shape) == 0:
        return values
    return f"{values} ...  rms {format_number(entry.rms)} ({entry.dtype})"


def format_number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def format_flops(flops: int) -> str:
    return f"{flops:,} FLOPs" if flops else ""


def one_line_summary(part: TracePart) -> str:
    """Return a block that is not printed in full as one line."""
    last = part.entries[-1]
    return (
        f"{part.title}: the same {part.n_operations} operations with its own weights, "
        f"{format_flops(part.flops)}; result {format_result(last)}"
    )


def is_in_full(part: TracePart, layer: int) -> bool:
    return part.block is None or part.block == layer


def row_table(trace: Trace, max_rows: int) -> TextTable:
    rows = [
        [
            str(position),
            f"{target.token}",
            quoted(target.token_text),
            quoted(target.target_text) if target.target_text else "-",
        ]
        for position, target in enumerate(trace.targets[:max_rows])
    ]
    n_targets = sum(target.target is not None for target in trace.targets)
    if len(trace.targets) > max_rows:
        rows.append(["...", "", f"{len(trace.targets) - max_rows} more", ""])
    summary = f"{n_targets} of {len(trace.targets)} positions have a target; - marks the others."
    return TextTable("The row", summary, ["position", "id", "token", "target"], rows)


def quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def gradient_table(trace: Trace, layer: int) -> TextTable:
    rows = []
    for name, changes in group_by_layer(trace.changes, layer):
        values = changes[0].values[:3] if len(changes) == 1 else ()
        norm = total_norm([change.gradient for change in changes])
        rows.append([name, format_number(norm), "  ".join(f"{v:.2g}" for v in values)])
    summary = "In the order in which backward completes them, from the loss to the embedding."
    return TextTable(
        "Gradient of each parameter", summary, ["parameter", "norm", "of its largest row"], rows
    )


def update_table(trace: Trace, layer: int) -> TextTable:
    rows = []
    for name, changes in group_by_layer(trace.changes[::-1], layer):
        update = total_norm([change.update for change in changes])
        weight = total_norm([change.weight for change in changes])
        relative = f"{100 * update / weight:.2g}%" if weight else "from 0"
        optimizers = "/".join(dict.fromkeys(change.optimizer for change in changes))
        rows.append([name, optimizers, format_number(weight), format_number(update), relative])
    summary = "Norms of the weights before the step, and of the update that the step added."
    header = ["parameter", "optimizer", "weights", "update", "relative"]
    return TextTable("Update of each parameter", summary, header, rows)


def group_by_layer(
    changes: Sequence[ParameterChange], layer: int
) -> list[tuple[str, list[ParameterChange]]]:
    """Return each parameter alone, but those of a block that is not printed in full together."""
    groups: dict[str, list[ParameterChange]] = {}
    for change in changes:
        parts = change.name.split(".")
        folded = parts[0] == "layers" and int(parts[1]) != layer
        name = f"layers.{parts[1]}.*" if folded else change.name.removesuffix(".weight")
        groups.setdefault(name, []).append(change)
    return list(groups.items())


def total_norm(norms: Sequence[float]) -> float:
    return math.hypot(*norms)


def probability_table(trace: Trace, max_rows: int) -> TextTable:
    targets = [(i, target) for i, target in enumerate(trace.targets) if target.target is not None]
    rows = [
        [
            str(position),
            quoted(target.target_text),
            percent(target.before),
            percent(target.after),
        ]
        for position, target in targets[:max_rows]
    ]
    header = ["position", "target", "probability before", "after"]
    if len(targets) > max_rows:
        rows.append(["...", f"{len(targets) - max_rows} more", "", ""])
    return TextTable("The same text after the step", loss_summary(trace), header, rows)


def percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.3g}%"


def loss_summary(trace: Trace) -> str:
    before, after = trace.loss_before, trace.loss_after
    change = f"Loss {before:.4f} before, {after:.4f} after: {abs(after - before):.4f} nats/target"
    if after < before:
        return (
            f"{change} lower. The run takes {trace.run_steps:,} such steps, each on "
            f"{trace.batch_tokens:,} tokens of other text."
        )
    return f"{change} higher: the step was too large for this text alone."


def flops_table(trace: Trace) -> TextTable:
    flops = trace.flops
    training = flops.forward + flops.backward
    rows = [
        ["forward", f"{flops.forward:,}"],
        ["backward", f"{flops.backward:,}"],
        ["optimizer, once a step for any number of tokens", f"{flops.optimizer:,}"],
        ["forward and backward by the planner's formula", f"{flops.by_formula:,}"],
    ]
    summary = (
        "Multiplications and additions of matrix products and attention. The planner's formula "
        f"(model.size.flops_per_token) differs by {flops.by_formula / training - 1:+.1%}: it "
        "counts only the half of attention that the mask leaves, no scores that backward computes "
        "again, and the output head at every position, also those without a target."
    )
    return TextTable("FLOPs", summary, ["", "FLOPs"], rows)
