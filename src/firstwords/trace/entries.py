"""From what was watched to what is shown: operations gathered under their hooks, hooks in parts."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from firstwords.trace.hooks import HOOKS, PARTS, SHARED, Hook
from firstwords.trace.places import Place, place_of
from firstwords.trace.watch import Event, Look

Value = float | str


@dataclass(frozen=True)
class Entry:
    """A hook's operations, in order; `shape`, `dtype` and `values` are those of what came out.
    `caller` is given where several lines call the function that `place` is in."""

    hook: str
    title: str
    place: Place
    caller: Place | None
    operations: tuple[str, ...]
    shape: tuple[int, ...]
    shape_in_words: str
    dtype: str
    flops: int
    values: tuple[Value, ...]
    rms: float | None
    why: str


@dataclass(frozen=True)
class Part:
    """`block` is the number of the block that it is about, if it is about one."""

    name: str
    block: int | None
    title: str
    words: str
    entries: tuple[Entry, ...]

    @property
    def flops(self) -> int:
        return sum(entry.flops for entry in self.entries)

    @property
    def operations(self) -> int:
        return sum(len(entry.operations) for entry in self.entries)


def read_off(
    function: Callable[..., Any], shape: tuple[int, ...], values: Iterable[Value]
) -> Entry:
    """An entry about a function of plain Python, from what it gave."""
    name = function.__qualname__
    hook = HOOKS[name]
    return Entry(
        hook=name,
        title=hook.title,
        place=place_of(function),
        caller=None,
        operations=(),
        shape=shape,
        shape_in_words=in_words(shape, hook.shape),
        dtype="",
        flops=0,
        values=tuple(values),
        rms=None,
        why=hook.why,
    )


def parts_of(before: list[Entry], events: list[Event], rate: Entry) -> list[Part]:
    """All parts in order: what came `before` the model, what was watched, and the learning `rate`
    where the optimizer begins."""
    found: list[tuple[str, int | None, list[Entry]]] = []

    def add(entry: Entry, block: int | None) -> None:
        part = part_of(entry.hook, block) or found[-1][0]
        if not found or found[-1][:2] != (part, block):
            found.append((part, block, []))
        found[-1][2].append(entry)

    for entry in before:
        add(entry, None)
    for group in gathered(events):
        if part_of(group.key, group.block) == "muon" and found[-1][0] != "muon":
            add(rate, None)
        add(_entry(group), group.block)
    return [Part(name, block, *_heading(name, block), tuple(of)) for name, block, of in found]


def part_of(key: str, block: int | None) -> str:
    """Where a hook is shown; a module without one in its block."""
    return HOOKS[key].part if key in HOOKS else "block" if block is not None else ""


def _heading(name: str, block: int | None) -> tuple[str, str]:
    title, words = PARTS[name]
    return (title if block is None else f"{title} {block}"), words


class Group(NamedTuple):
    """Events under one hook; `head` is the first that bears its name."""

    key: str
    block: int | None
    head: Event
    events: list[Event]


def gathered(events: list[Event]) -> list[Group]:
    """Events without a hook go with the one before them, or with the next one if they prepare it
    in the same statement."""
    groups: list[Group] = []
    lead: list[Event] = []
    for event, upcoming in zip(events, _next_with_a_key(events), strict=True):
        key = event.key
        if key is None:
            if upcoming is not None and _prepares(event, upcoming):
                lead.append(event)
            elif groups:
                groups[-1].events.append(event)
            continue
        if not groups or (groups[-1].key, groups[-1].block) != (key, event.block):
            groups.append(Group(key, event.block, event, []))
        groups[-1].events.extend([*lead, event])
        lead = []
    return groups


def _prepares(event: Event, upcoming: Event) -> bool:
    """Arguments of a call stand in its own line or below."""
    here, there = event.place, upcoming.place
    return (here.file, here.function) == (there.file, there.function) and here.line >= there.line


def _next_with_a_key(events: list[Event]) -> Iterator[Event | None]:
    """For every event the first after it that has one."""
    upcoming: list[Event | None] = []
    following: Event | None = None
    for event in reversed(events):
        upcoming.append(following)
        following = event if event.key else following
    return reversed(upcoming)


def _entry(group: Group) -> Entry:
    key, head = group.key, group.head
    hook = HOOKS.get(key, Hook("", key, "", ""))
    look = _outcome(group)
    shape = look.shape if look else ()
    return Entry(
        hook=key,
        title=hook.title,
        place=head.place,
        caller=head.caller if head.place.function in SHARED else None,
        operations=tuple(event.operation for event in group.events),
        shape=shape,
        shape_in_words=in_words(shape, hook.shape),
        dtype=look.dtype if look else "",
        flops=sum(event.flops for event in group.events),
        values=look.values if look else (),
        rms=look.rms if look else None,
        why=hook.why,
    )


def _outcome(group: Group) -> Look | None:
    """What came out of the statement that the hook is in."""
    last = max(i for i, event in enumerate(group.events) if event.key == group.key)
    of_statement = [e for e in group.events[last:] if e.place == group.events[last].place]
    return of_statement[-1].look


def in_words(shape: tuple[int, ...], words: str) -> str:
    """`1 row x 9 tokens`; bare numbers where the words are not for such a shape, and nothing for a
    single number."""
    names = words.split(" x ") if words else []
    if len(names) != len(shape):
        return " x ".join(f"{size:,}" for size in shape)
    counted = zip(shape, names, strict=True)
    return " x ".join(f"{size:,} {_one(name) if size == 1 else name}" for size, name in counted)


def _one(name: str) -> str:
    """`channels of a head`, in the singular."""
    things, of, rest = name.partition(" of ")
    return things.removesuffix("s") + of + rest
