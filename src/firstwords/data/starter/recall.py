"""Recall pages: text that repeats what it said a moment ago.

Small models learn late to find an earlier word and copy what follows it (induction heads,
arXiv 2209.11895), and much depends on it: names in stories, subjects in answers, digits in a tool
call. Pages on which nearly every word is a copy teach it early.
"""

from collections.abc import Callable

from firstwords.data.starter.cast import places_suited_to
from firstwords.data.starter.holdout import is_held_out
from firstwords.data.starter.rng import Rng, choose, randint, sample
from firstwords.data.starter.tables import table_sections
from firstwords.data.starter.templates import article, capitalize, fill_template, join_list
from firstwords.data.starter.words import vocabulary


def _names(rng: Rng, count: int) -> list[str]:
    lists = table_sections("cast.txt")
    return sample(rng, lists["girls"] + lists["boys"] + lists["pets"], count)


def _things(rng: Rng, count: int) -> list[str]:
    lists = table_sections("cast.txt")
    objects = sample(rng, lists["objects"], count)
    return [f"{choose(rng, lists['looks'])} {thing}" for thing in objects]


def echo(rng: Rng) -> str:
    """Return calls and their echoes."""
    place = choose(rng, places_suited_to("outdoors")).at
    (name,) = _names(rng, 1)
    sentences = [f"There is an echo {place}."]
    for _ in range(randint(rng, 2, 4)):
        words = " ".join(sample(rng, vocabulary(), randint(rng, 2, 6)))
        calls = choose(rng, ("calls", "shouts", "cries", "sings", "yells", "whispers"))
        sentences.append(
            f'"{capitalize(words)}," {calls} {name}. "{capitalize(words)}," answers the echo.'
        )
    return " ".join(sentences)


def bag(rng: Rng) -> str:
    """Return a list that grows by one thing at a time: 'I packed my bag with a lamp and a kite.'"""
    opening = fill_template(
        rng,
        "[I packed my bag with|Grandma went to the market and bought|In the old chest I found"
        "|The pedlar sells|On the shelf I see|For our trip we need|The magician pulls out"
        "|My uncle lost|For the play we borrowed]",
    )
    sentences, contents = [], []
    for thing in _things(rng, randint(rng, 3, 6)):
        contents.append(f"{article(thing)} {thing}")
        sentences.append(f"{opening} {join_list(contents)}.")
    return " ".join(sentences)


# How ownership is first stated, and how it is repeated.
_OWNERSHIP = (
    ("{n} has {a:t}.", "What does {n} have? {^a:t}.", "Who has the {t}? {n}."),
    ("{n} found {a:t}.", "What did {n} find? {^a:t}.", "Who found the {t}? {n}."),
    ("{n} gets {a:t}.", "{n} holds the {t}.", "The {t} belongs to {n}."),
    ("the {t} is for {n}.", "{n} gets the {t}.", "Who is the {t} for? {n}."),
    ("{n} bought {a:t}.", "{n} now owns the {t}.", "Who bought the {t}? {n}."),
    ("{n} drew {a:t}.", "the picture of the {t} is by {n}.", "What did {n} draw? {^a:t}."),
    ("{n} lost {a:t}.", "the {t} was lost by {n}.", "Who lost the {t}? {n}."),
)


def owners(rng: Rng) -> str:
    """Return who has what, and then the same in another order."""
    names = _names(rng, randint(rng, 3, 6))
    pairs = list(zip(names, _things(rng, len(names)), strict=True))
    statement, *repetitions = choose(rng, _OWNERSHIP)
    sentences = [fill_template(rng, statement, {"n": name, "t": thing}) for name, thing in pairs]
    for name, thing in sample(rng, pairs, len(pairs)):
        sentences.append(fill_template(rng, choose(rng, repetitions), {"n": name, "t": thing}))
    return " ".join(capitalize(sentence) for sentence in sentences)


def digits(rng: Rng) -> str:
    """Return the numbers of houses, tickets or boxes, and then the same in another order."""
    kind = choose(
        rng, ("house", "ticket", "box", "key", "boat", "seat", "locker", "room", "tent", "table")
    )
    names = _names(rng, randint(rng, 3, 5))
    numbers = [str(randint(rng, 21, 10 ** randint(rng, 2, 4) + 20)) for _ in names]
    sentences = [
        f"{name}'s {kind} has the number {number}."
        for name, number in zip(names, numbers, strict=True)
    ]
    for name, number in sample(rng, list(zip(names, numbers, strict=True)), len(names)):
        sentences.append(
            fill_template(
                rng,
                "[What number is {n}'s {k}? {d}.|Number {d} is {n}'s {k}.|{n}: {d}.]",
                {"k": kind, "n": name, "d": number},
            )
        )
    return " ".join(sentences)


def people(rng: Rng) -> str:
    """Return what people say about themselves, and then facts about them."""
    sentences, facts = [], []
    for name in _names(rng, randint(rng, 2, 4)):
        place = choose(rng, places_suited_to("near")).bare
        age = str(randint(rng, 5, 90))
        if is_held_out("memory", f"name {name}") or is_held_out("memory", f"age {age}"):
            continue
        sentences.append(f'"My name is {name}, I am {age} years old, and I live near {place}."')
        facts += [f"{name} is {age} years old.", f"{name} lives near {place}."]
    return " ".join([*sentences, *sample(rng, facts, len(facts))]) or owners(rng)


_MAKERS: tuple[Callable[[Rng], str], ...] = (echo, bag, owners, owners, digits, people)


def page(rng: Rng) -> str:
    """Return one or two pieces of such text."""
    return "\n\n".join(choose(rng, _MAKERS)(rng) for _ in range(randint(rng, 1, 2)))
