"""A trace in lines and tables of text, for a terminal and for Markdown alike."""

import json
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from firstwords.trace.entries import Entry, Part
from firstwords.trace.walk import Change, Trace


class Table(NamedTuple):
    title: str
    words: str
    header: list[str]
    rows: list[list[str]]


def heading(trace: Trace) -> str:
    model = "fresh weights" if trace.stage == "fresh" else f"{trace.stage}, step {trace.step:,}"
    return f"One training step of run {trace.run} ({model}; products in {trace.dtype})"


def opening(trace: Trace) -> str:
    if trace.answer is None:
        return f"text: {trace.text}"
    return f"user: {trace.text}\nassistant: {trace.answer}"


def where(entry: Entry) -> str:
    """The line; of a function that several call, the line that calls it first."""
    if entry.caller is None:
        return str(entry.place)
    return f"{entry.caller}, in {entry.place.function} :{entry.place.line}"


def code(entry: Entry) -> list[str]:
    return [place.code for place in (entry.caller, entry.place) if place]


def whys(parts: Iterable[Part], layer: int) -> dict[int, str]:
    """Why each of the entries is there that are shown, by their identity; each is said once."""
    said: dict[str, int] = {}
    for part in parts:
        for entry in part.entries if in_full(part, layer) else ():
            said.setdefault(entry.why, id(entry))
    return {entry: why for why, entry in said.items()}


def operations(entry: Entry) -> str:
    counts = Counter(entry.operations)
    return ", ".join(f"{name} x{n}" if n > 1 else name for name, n in counts.items())


def outcome(entry: Entry) -> str:
    """The first values, and how large all of them are."""
    shown = "  ".join(value if isinstance(value, str) else number(value) for value in entry.values)
    if entry.rms is None or len(entry.shape) == 0:
        return shown
    return f"{shown} ...  rms {number(entry.rms)} ({entry.dtype})"


def number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def cost(flops: int) -> str:
    return f"{flops:,} FLOPs" if flops else ""


def in_a_line(part: Part) -> str:
    """A block that is not shown in full."""
    last = part.entries[-1]
    return (
        f"{part.title}: the same {part.operations} operations with weights of its own, "
        f"{cost(part.flops)}; leaves {outcome(last)}"
    )


def in_full(part: Part, layer: int) -> bool:
    return part.block is None or part.block == layer


def row_table(trace: Trace, most: int) -> Table:
    numbered = list(enumerate(trace.targets))[:most]
    rows = [
        [str(place), f"{t.token}", quoted(t.reads), quoted(t.follows) if t.follows else "-"]
        for place, t in numbered
    ]
    learned = sum(target.target is not None for target in trace.targets)
    words = f"{learned} of {len(trace.targets)} places have a target; - is one without."
    return Table(
        "The row", words, ["place", "id", "reads", "should follow"], cut(rows, trace, most)
    )


def cut(rows: list[list[str]], trace: Trace, most: int) -> list[list[str]]:
    """The rows, and a last one that says how many places are not there."""
    left = len(trace.targets) - most
    return [*rows, ["...", "", f"{left} more", ""]] if left > 0 else rows


def quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def gradient_table(trace: Trace, layer: int) -> Table:
    rows = [
        [name, number(norm([c.gradient for c in changes])), values]
        for name, changes in by_layer(trace.changes, layer)
        for values in [
            "  ".join(f"{v:.2g}" for v in changes[0].values[:3]) if len(changes) == 1 else ""
        ]
    ]
    words = "In the order in which they come: from the loss back to the embedding."
    return Table(
        "Gradient of each parameter", words, ["parameter", "norm", "of its largest row"], rows
    )


def update_table(trace: Trace, layer: int) -> Table:
    rows = []
    for name, changes in by_layer(trace.changes[::-1], layer):
        update, weight = norm([c.update for c in changes]), norm([c.weight for c in changes])
        share = f"{100 * update / weight:.2g}%" if weight else "from 0"
        optimizers = "/".join(dict.fromkeys(c.optimizer for c in changes))
        rows.append([name, optimizers, number(weight), number(update), share])
    words = "Norms of what there was and of what the step added."
    return Table("What moved", words, ["parameter", "by", "weights", "update", "share"], rows)


def by_layer(changes: Sequence[Change], layer: int) -> list[tuple[str, list[Change]]]:
    """Each parameter for itself, but those of the blocks that are not shown together."""
    found: dict[str, list[Change]] = {}
    for change in changes:
        parts = change.name.split(".")
        folded = parts[0] == "layers" and int(parts[1]) != layer
        name = f"layers.{parts[1]}.*" if folded else change.name.removesuffix(".weight")
        found.setdefault(name, []).append(change)
    return list(found.items())


def norm(values: Sequence[float]) -> float:
    return math.hypot(*values)


def outcome_table(trace: Trace, most: int) -> Table:
    learned = [(place, t) for place, t in enumerate(trace.targets) if t.target is not None]
    rows = [
        [str(place), quoted(target.follows), percent(target.before), percent(target.after)]
        for place, target in learned[:most]
    ]
    header = ["place", "should follow", "chance before", "after"]
    if len(learned) > most:
        rows.append(["...", f"{len(learned) - most} more", "", ""])
    return Table("The same text after the step", verdict(trace), header, rows)


def percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.3g}%"


def verdict(trace: Trace) -> str:
    before, after = trace.loss_before, trace.loss_after
    told = f"Loss {before:.4f} before, {after:.4f} after: {abs(after - before):.4f} nats a target "
    if after < before:
        return (
            f"{told}lower. The run takes {trace.run_steps:,} such steps, each with "
            f"{trace.batch_tokens:,} tokens of other text."
        )
    return f"{told}higher: the step was too long for this text alone."


def flops_table(trace: Trace) -> Table:
    flops = trace.flops
    training = flops.forward + flops.backward
    rows = [
        ["forwards", f"{flops.forward:,}"],
        ["backwards", f"{flops.backward:,}"],
        ["optimizer, once a step however many tokens", f"{flops.optimizer:,}"],
        ["forwards and backwards, as the planner counts", f"{flops.by_formula:,}"],
    ]
    words = (
        f"Multiplications and additions of matrix products and attention. The planner's formula "
        f"(model.flops_per_token) differs by {flops.by_formula / training - 1:+.1%}: it counts of "
        "attention the half that the mask leaves, without its scores being computed again on the "
        "way back, and the output head at places without a target too."
    )
    return Table("The work", words, ["", "FLOPs"], rows)
