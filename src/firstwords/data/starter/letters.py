"""Letters: spelling, counting, first and last, backwards, in alphabetical order."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

from .phrase import Rand, article, listing, pick, say, sections, some, whole
from .words import ORDINALS, in_words, vocabulary

# The letters whose names begin with a vowel sound: "an a", "an f", but "a b", "a u".
_AN_LETTERS = frozenset("aefhilmnorsx")


class Riddle(NamedTuple):
    """A task about letters: question, answer as a sentence, and the answer alone."""

    question: str
    answer: str
    value: str


def one_letter(letter: str) -> str:
    """'a b', 'an e'."""
    return f"{'an' if letter in _AN_LETTERS else 'a'} {letter}"


@cache
def _short() -> tuple[str, ...]:
    return tuple(word for word in vocabulary() if 3 <= len(word) <= 5)


def _riddle(r: Rand, name: str, value: str, **slots: str) -> Riddle:
    told = sections("talk.txt")
    slots["v"] = value
    return Riddle(say(r, told[f"{name} ask"], slots), say(r, told[f"{name} answer"], slots), value)


def spelling(r: Rand) -> Riddle:
    """The letters of a word, one by one."""
    word = pick(r, vocabulary())
    return _riddle(r, "spell", "-".join(word), s=word)


def length(r: Rand) -> Riddle:
    """How many letters a word has, counted aloud now and then."""
    word = pick(r, vocabulary())
    row = ", ".join(word)
    return _riddle(r, "length", in_words(len(word)), s=word, row=row)


def how_many(r: Rand) -> Riddle:
    """How often a letter stands in a word."""
    word = pick(r, vocabulary())
    letter = pick(r, word) if r() < 0.8 else pick(r, "abcdefghilmnoprstuw")
    count = word.count(letter)
    times = {0: "no", 1: "one", 2: "two", 3: "three", 4: "four"}[count]
    name = letter if count == 1 else f"{letter}'s"
    verb = "is" if count == 1 else "are"
    slots = {"s": word, "l": letter, "ls": name, "isv": verb, "row": "-".join(word)}
    return _riddle(r, "howmany", times, **slots)


def first_or_last(r: Rand) -> Riddle:
    """The first, last or some other letter of a word."""
    word = pick(r, vocabulary())
    which = pick(r, ("first", "last", "nth"))
    if which == "first":
        return _riddle(r, "place", word[0], s=word, place="first")
    if which == "last":
        return _riddle(r, "place", word[-1], s=word, place="last")
    at = whole(r, 1, min(len(word), 5) - 1) if len(word) > 1 else 0
    return _riddle(r, "place", word[at], s=word, place=ORDINALS[at])


def backwards(r: Rand) -> Riddle:
    """A short word backwards."""
    word = pick(r, _short())
    return _riddle(r, "reverse", word[::-1], s=word)


def order(r: Rand) -> Riddle:
    """Words in alphabetical order."""
    words = some(r, vocabulary(), whole(r, 2, 4))
    return _riddle(r, "order", ", ".join(sorted(words)), s=listing(words))


def begins(r: Rand) -> Riddle:
    """A word that begins with a letter."""
    word = pick(r, vocabulary())
    return _riddle(r, "begins", word, l=one_letter(word[0]))


_RIDDLES: tuple[Callable[[Rand], Riddle], ...] = (
    spelling,
    spelling,
    length,
    how_many,
    first_or_last,
    backwards,
    order,
    begins,
)


def riddle(r: Rand) -> Riddle:
    """Any task about letters."""
    return pick(r, _RIDDLES)(r)


def about_word(r: Rand) -> str:
    """Several things about the letters of one word."""
    word = pick(r, vocabulary())
    slots = {
        "s": word,
        "spelled": "-".join(word),
        "n": in_words(len(word)),
        "first": word[0],
        "last": word[-1],
        "back": word[::-1],
        "an": article(word),
    }
    told = sections("talk.txt")
    kinds = some(r, ("spell", "length", "first", "last"), whole(r, 2, 3))
    if len(word) <= 5 and r() < 0.4:
        kinds.append("back")
    return " ".join(say(r, told[f"letters {kind}"], slots) for kind in kinds)


def page(r: Rand) -> str:
    """A page about the letters of a few words."""
    told = []
    for _ in range(whole(r, 2, 4)):
        told.append(about_word(r))
        if r() < 0.6:
            told.append(riddle(r).answer)
    return " ".join(told)
