"""From recorded operations to what is shown: operations grouped under hooks, hooks in parts."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from firstwords.inspect.trace.hooks import HOOKS, PARTS, SHARED_FUNCTIONS, Hook
from firstwords.inspect.trace.recorder import RecordedOp, TensorSummary
from firstwords.inspect.trace.source_lines import SourceLine, first_line

Value = float | str


@dataclass(frozen=True)
class TraceEntry:
    """The operations of a hook, in order.

    `shape`, `dtype`, `values` and `rms` describe their last result. `caller` is set where several
    lines call the function of `line`.
    """

    hook: str
    title: str
    line: SourceLine
    caller: SourceLine | None
    operations: tuple[str, ...]
    shape: tuple[int, ...]
    shape_in_words: str
    dtype: str
    flops: int
    values: tuple[Value, ...]
    rms: float | None
    why: str


@dataclass(frozen=True)
class TracePart:
    """A part of the step. `block` is the number of the block that it is about, else None."""

    name: str
    block: int | None
    title: str
    summary: str
    entries: tuple[TraceEntry, ...]

    @property
    def flops(self) -> int:
        return sum(entry.flops for entry in self.entries)

    @property
    def n_operations(self) -> int:
        return sum(len(entry.operations) for entry in self.entries)


def entry_of_function(
    function: Callable[..., Any], shape: tuple[int, ...], values: Iterable[Value]
) -> TraceEntry:
    """Return an entry for a plain Python function, which is not recorded, from its result."""
    name = function.__qualname__
    hook = HOOKS[name]
    return TraceEntry(
        hook=name,
        title=hook.title,
        line=first_line(function),
        caller=None,
        operations=(),
        shape=shape,
        shape_in_words=shape_in_words(shape, hook.shape),
        dtype="",
        flops=0,
        values=tuple(values),
        rms=None,
        why=hook.why,
    )


def build_parts(
    before_model: list[TraceEntry], operations: list[RecordedOp], learning_rate: TraceEntry
) -> list[TracePart]:
    """Return all parts in order: `before_model`, the recorded operations, and `learning_rate` at
    the start of the optimizer."""
    parts: list[tuple[str, int | None, list[TraceEntry]]] = []

    def add(entry: TraceEntry, block: int | None) -> None:
        part = part_of_hook(entry.hook, block) or parts[-1][0]
        if not parts or parts[-1][:2] != (part, block):
            parts.append((part, block, []))
        parts[-1][2].append(entry)

    for entry in before_model:
        add(entry, None)
    for group in group_by_hook(operations):
        if part_of_hook(group.key, group.block) == "muon" and parts[-1][0] != "muon":
            add(learning_rate, None)
        add(_entry_of_group(group), group.block)
    return [
        TracePart(name, block, *_heading(name, block), tuple(entries))
        for name, block, entries in parts
    ]


def part_of_hook(key: str, block: int | None) -> str:
    """Return the part that shows a hook; a module without a hook is shown in its block."""
    return HOOKS[key].part if key in HOOKS else "block" if block is not None else ""


def _heading(name: str, block: int | None) -> tuple[str, str]:
    title, summary = PARTS[name]
    return (title if block is None else f"{title} {block}"), summary


class OpGroup(NamedTuple):
    """Operations under one hook. `head` is the first that bears its name."""

    key: str
    block: int | None
    head: RecordedOp
    operations: list[RecordedOp]


def group_by_hook(operations: list[RecordedOp]) -> list[OpGroup]:
    """Group operations by their hook. One without a hook joins the operation before it, or the next
    one if it computes an argument of that in the same statement."""
    groups: list[OpGroup] = []
    arguments: list[RecordedOp] = []
    for operation, upcoming in zip(operations, _next_with_key(operations), strict=True):
        key = operation.key
        if key is None:
            if upcoming is not None and _is_argument_of(operation, upcoming):
                arguments.append(operation)
            elif groups:
                groups[-1].operations.append(operation)
            continue
        if not groups or (groups[-1].key, groups[-1].block) != (key, operation.block):
            groups.append(OpGroup(key, operation.block, operation, []))
        groups[-1].operations.extend([*arguments, operation])
        arguments = []
    return groups


def _is_argument_of(operation: RecordedOp, upcoming: RecordedOp) -> bool:
    """The arguments of a call are on its own line or below."""
    line, call = operation.line, upcoming.line
    return (line.file, line.function) == (call.file, call.function) and line.line >= call.line


def _next_with_key(operations: list[RecordedOp]) -> Iterator[RecordedOp | None]:
    """Yield for every operation the first one after it that has a key."""
    upcoming: list[RecordedOp | None] = []
    following: RecordedOp | None = None
    for operation in reversed(operations):
        upcoming.append(following)
        following = operation if operation.key else following
    return reversed(upcoming)


def _entry_of_group(group: OpGroup) -> TraceEntry:
    key, head = group.key, group.head
    hook = HOOKS.get(key, Hook("", key, "", ""))
    result = _result_of_group(group)
    shape = result.shape if result else ()
    return TraceEntry(
        hook=key,
        title=hook.title,
        line=head.line,
        caller=head.caller if head.line.function in SHARED_FUNCTIONS else None,
        operations=tuple(operation.operation for operation in group.operations),
        shape=shape,
        shape_in_words=shape_in_words(shape, hook.shape),
        dtype=result.dtype if result else "",
        flops=sum(operation.flops for operation in group.operations),
        values=result.values if result else (),
        rms=result.rms if result else None,
        why=hook.why,
    )


def _result_of_group(group: OpGroup) -> TensorSummary | None:
    """Return the result of the statement that the hook's last operation is in."""
    last = max(i for i, op in enumerate(group.operations) if op.key == group.key)
    line = group.operations[last].line
    return [op for op in group.operations[last:] if op.line == line][-1].result


def shape_in_words(shape: tuple[int, ...], words: str) -> str:
    """Return a shape like `1 row x 9 tokens`; numbers alone where `words` has other dimensions, and
    nothing for a single number."""
    names = words.split(" x ") if words else []
    if len(names) != len(shape):
        return " x ".join(f"{size:,}" for size in shape)
    dimensions = zip(shape, names, strict=True)
    return " x ".join(
        f"{size:,} {_singular(name) if size == 1 else name}" for size, name in dimensions
    )


def _singular(name: str) -> str:
    """Return `channel of a head` for `channels of a head`."""
    things, of, rest = name.partition(" of ")
    return things.removesuffix("s") + of + rest
