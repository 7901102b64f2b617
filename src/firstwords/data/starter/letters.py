"""Letters: spelling, counting, first and last, backwards, rhymes, in alphabetical order."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from .phrase import Rand, article, listing, pick, say, sections, some, whole
from .words import ORDINALS, in_words, rhymes, spelled_words, vocabulary

# The letters whose names begin with a vowel sound: "an a", "an f", but "a b", "a u".
_AN_LETTERS = frozenset("aefhilmnorsx")


class Riddle(NamedTuple):
    """A task about letters: question, answer as a sentence, the answer alone, and its number
    where it is one."""

    question: str
    answer: str
    value: str
    number: str = ""


def one_letter(letter: str) -> str:
    """'a b', 'an e'."""
    return f"{'an' if letter in _AN_LETTERS else 'a'} {letter}"


def _word(r: Rand, kept: bool, longest: int = 10) -> str:
    """A word that training may use, or one that the exam keeps."""
    while True:
        word = pick(r, spelled_words(kept))
        if 3 <= len(word) <= longest:
            return word


def quoted(word: str) -> str:
    """A word spoken of as a word. The quotation mark also parts it from the blank before it, so
    that the tokenizer cuts it into the pieces that other words are made of, whose letters are
    known, where " bread" alone would be one token that nobody ever spelled."""
    return f'"{word}"'


def in_question(r: Rand, word: str) -> str:
    """The word as people write it when they ask about it: mostly with quotation marks."""
    return quoted(word) if r() < 0.9 else word


def _riddle(r: Rand, name: str, value: str, **slots: str) -> Riddle:
    told = sections("talk.txt")
    slots["v"] = value
    return Riddle(say(r, told[f"{name} ask"], slots), say(r, told[f"{name} answer"], slots), value)


def _about(r: Rand, name: str, word: str, value: str, **slots: str) -> Riddle:
    """A riddle about the letters of a word."""
    told = sections("talk.txt")
    slots["v"] = value
    question = say(r, told[f"{name} ask"], {**slots, "s": in_question(r, word)})
    return Riddle(question, say(r, told[f"{name} answer"], {**slots, "s": quoted(word)}), value)


def spelling(r: Rand, kept: bool = False) -> Riddle:
    """The letters of a word, one by one."""
    word = _word(r, kept)
    return _about(r, "spell", word, "-".join(word))


def _counted(r: Rand, kept: bool) -> tuple[str, str, int]:
    """A word, a letter, and how often it stands there: never, once and more often alike."""
    wanted = whole(r, 0, 2)
    while True:
        word = _word(r, kept)
        letter = pick(r, word if wanted else "abcdefghilmnoprstuw")
        count = word.count(letter)
        if min(count, 2) == wanted and count <= 4:
            return word, letter, count


def how_many(r: Rand, kept: bool = False) -> Riddle:
    """How often a letter stands in a word, counted while it is spelled: 'b-a1-n-a2-n-a3'."""
    word, letter, count = _counted(r, kept)
    times = {0: "no", 1: "one", 2: "two", 3: "three", 4: "four"}[count]
    name = letter if count == 1 else f"{letter}'s"
    verb = "is" if count == 1 else "are"
    row = [one + str(word[: i + 1].count(letter)) * (one == letter) for i, one in enumerate(word)]
    slots = {"l": letter, "ls": name, "isv": verb, "row": "-".join(row)}
    return _about(r, "howmany", word, times, **slots)._replace(number=str(count))


def length(r: Rand) -> Riddle:
    """How many letters a word has."""
    word = _word(r, False, 8)
    row = "-".join(f"{letter}{place}" for place, letter in enumerate(word, start=1))
    return _about(r, "length", word, in_words(len(word)), row=row)


def first_or_last(r: Rand) -> Riddle:
    """The first, last or some other letter of a word."""
    word = _word(r, False)
    at = pick(r, (0, 0, -1, -1, 1, 2))
    place = "last" if at < 0 else ORDINALS[at]
    return _about(r, "place", word, word[at], place=place)


def backwards(r: Rand) -> Riddle:
    """A short word backwards."""
    word = _word(r, False, 5)
    while word[::-1] in vocabulary():  # "rats" would spell "star", which may be the exam's
        word = _word(r, False, 5)
    return _about(r, "reverse", word, "-".join(word[::-1]), row="-".join(word))


def order(r: Rand) -> Riddle:
    """Words in alphabetical order."""
    words = some(r, spelled_words(False), whole(r, 2, 3))
    return _riddle(r, "order", ", ".join(sorted(words)), s=listing(words))


def begins(r: Rand) -> Riddle:
    """A word that begins with a letter."""
    word = _word(r, False)
    return _riddle(r, "begins", word, l=one_letter(word[0]))


def rhyme(r: Rand) -> Riddle:
    """A word that rhymes with another."""
    one, other = some(r, pick(r, rhymes()), 2)
    return _riddle(r, "rhyme", other, s=one)


_RIDDLES: tuple[Callable[[Rand], Riddle], ...] = (
    spelling,
    spelling,
    spelling,
    how_many,
    how_many,
    length,
    first_or_last,
    backwards,
    order,
    begins,
    rhyme,
)


def riddle(r: Rand) -> Riddle:
    """Any task about letters."""
    return pick(r, _RIDDLES)(r)


def about_word(r: Rand) -> str:
    """Several things about the letters of one word."""
    word = _word(r, False)
    slots = {
        "s": quoted(word),
        "spelled": "-".join(word),
        "n": in_words(len(word)),
        "first": word[0],
        "last": word[-1],
        "back": "-".join(word[::-1]),
        "an": article(word),
    }
    told = sections("talk.txt")
    kinds = some(r, ("spell", "length", "first", "last"), whole(r, 2, 3))
    if len(word) <= 5 and word[::-1] not in vocabulary() and r() < 0.4:
        kinds.append("back")
    return " ".join(say(r, told[f"letters {kind}"], slots) for kind in kinds)


def bee(r: Rand) -> str:
    """A spelling bee: one word after the other."""
    return " ".join(spelling(r).answer for _ in range(whole(r, 7, 12)))


def page(r: Rand) -> str:
    """A page about the letters of a few words."""
    if r() < 0.5:
        return bee(r)
    told = []
    for _ in range(whole(r, 2, 4)):
        told.append(about_word(r))
        if r() < 0.6:
            told.append(riddle(r).answer)
    return " ".join(told)
