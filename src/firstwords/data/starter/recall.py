"""Memory games: what was said a moment ago is said again.

A small model learns late to look back for a word and repeat what stood beside it (induction
heads, arXiv 2209.11895), and everything else waits for that: names in stories, subjects in
answers, digits in a calculator's call. Pages on which nearly every word must be found again
teach it early.
"""

from __future__ import annotations

from collections.abc import Callable

from .holdout import held_out
from .phrase import Rand, article, capital, fill, listing, pick, sections, some, whole
from .words import vocabulary
from .world import places_for


def _names(r: Rand, count: int) -> list[str]:
    lists = sections("cast.txt")
    return some(r, lists["girls"] + lists["boys"] + lists["pets"], count)


def _things(r: Rand, count: int) -> list[str]:
    lists = sections("cast.txt")
    objects = some(r, lists["objects"], count)
    return [f"{pick(r, lists['looks'])} {thing}" for thing in objects]


def echo(r: Rand) -> str:
    """Someone calls, and the echo answers."""
    place = pick(r, places_for("outdoors")).at
    (name,) = _names(r, 1)
    told = [f"There is an echo {place}."]
    for _ in range(whole(r, 2, 4)):
        words = " ".join(some(r, vocabulary(), whole(r, 2, 6)))
        calls = pick(r, ("calls", "shouts", "cries", "sings", "yells", "whispers"))
        told.append(f'"{capital(words)}," {calls} {name}. "{capital(words)}," answers the echo.')
    return " ".join(told)


def bag(r: Rand) -> str:
    """'I packed my bag with a lamp, and a kite, and ...': every time one thing more."""
    opening = fill(
        r,
        "[I packed my bag with|Grandma went to the market and bought|In the old chest I found"
        "|The pedlar sells|On the shelf I see|For our trip we need|The magician pulls out"
        "|My uncle lost|For the play we borrowed]",
    )
    told, held = [], []
    for thing in _things(r, whole(r, 3, 6)):
        held.append(f"{article(thing)} {thing}")
        told.append(f"{opening} {listing(held)}.")
    return " ".join(told)


_OWN = (
    ("{n} has {a:t}.", "What does {n} have? {^a:t}.", "Who has the {t}? {n}."),
    ("{n} found {a:t}.", "What did {n} find? {^a:t}.", "Who found the {t}? {n}."),
    ("{n} gets {a:t}.", "{n} holds the {t}.", "The {t} belongs to {n}."),
    ("the {t} is for {n}.", "{n} gets the {t}.", "Who is the {t} for? {n}."),
    ("{n} bought {a:t}.", "{n} now owns the {t}.", "Who bought the {t}? {n}."),
    ("{n} drew {a:t}.", "the picture of the {t} is by {n}.", "What did {n} draw? {^a:t}."),
    ("{n} lost {a:t}.", "the {t} was lost by {n}.", "Who lost the {t}? {n}."),
)


def owners(r: Rand) -> str:
    """Who has what, and then the same again in another order."""
    names = _names(r, whole(r, 3, 6))
    pairs = list(zip(names, _things(r, len(names)), strict=True))
    first, *again = pick(r, _OWN)
    told = [fill(r, first, {"n": name, "t": thing}) for name, thing in pairs]
    for name, thing in some(r, pairs, len(pairs)):
        told.append(fill(r, pick(r, again), {"n": name, "t": thing}))
    return " ".join(capital(sentence) for sentence in told)


def digits(r: Rand) -> str:
    """Numbers of houses, tickets or boxes, read out and read again."""
    kind = pick(
        r, ("house", "ticket", "box", "key", "boat", "seat", "locker", "room", "tent", "table")
    )
    names = _names(r, whole(r, 3, 5))
    numbers = [str(whole(r, 21, 10 ** whole(r, 2, 4) + 20)) for _ in names]
    told = [
        f"{name}'s {kind} has the number {number}."
        for name, number in zip(names, numbers, strict=True)
    ]
    for name, number in some(r, list(zip(names, numbers, strict=True)), len(names)):
        told.append(
            fill(
                r,
                "[What number is {n}'s {k}? {d}.|Number {d} is {n}'s {k}.|{n}: {d}.]",
                {"k": kind, "n": name, "d": number},
            )
        )
    return " ".join(told)


def people(r: Rand) -> str:
    """What some people said about themselves, and what is known of them now."""
    told, known = [], []
    for name in _names(r, whole(r, 2, 4)):
        place = pick(r, places_for("near")).bare
        age = str(whole(r, 5, 90))
        if held_out("memory", f"name {name}") or held_out("memory", f"age {age}"):
            continue
        told.append(f'"My name is {name}, I am {age} years old, and I live near {place}."')
        known += [f"{name} is {age} years old.", f"{name} lives near {place}."]
    return " ".join([*told, *some(r, known, len(known))]) or owners(r)


_GAMES: tuple[Callable[[Rand], str], ...] = (echo, bag, owners, owners, digits, people)


def page(r: Rand) -> str:
    """One or two games."""
    return "\n\n".join(pick(r, _GAMES)(r) for _ in range(whole(r, 1, 2)))
