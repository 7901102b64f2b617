"""Numbers in words, plurals, and the list of words that letter games are played with."""

from __future__ import annotations

from functools import cache

from .holdout import held_out
from .phrase import rows, sections, table_text

_ONES = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
_TENS = ["-", "-", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
ORDINALS = [
    "first",
    "second",
    "third",
    "fourth",
    "fifth",
    "sixth",
    "seventh",
    "eighth",
    "ninth",
    "tenth",
]


def in_words(number: int) -> str:
    """A whole number from 0 to 999,999 in words: 'three hundred and five'."""
    if number < 20:
        return _ONES[number]
    if number < 100:
        tens, ones = divmod(number, 10)
        return _TENS[tens] + (f"-{_ONES[ones]}" if ones else "")
    if number < 1000:
        hundreds, rest = divmod(number, 100)
        return f"{_ONES[hundreds]} hundred" + (f" and {in_words(rest)}" if rest else "")
    thousands, rest = divmod(number, 1000)
    joint = " and " if 0 < rest < 100 else " "
    return f"{in_words(thousands)} thousand" + (joint + in_words(rest) if rest else "")


def plural(noun: str) -> str:
    """The plural of a regular noun: 'boxes', 'cherries', 'cups'."""
    if noun.endswith(("s", "x", "ch", "sh")):
        return noun + "es"
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return noun[:-1] + "ies"
    return noun + "s"


def count_of(number: int, noun: str) -> str:
    """'1 apple', '2 apples'."""
    return f"{number} {noun if number == 1 else plural(noun)}"


_FORMS = ("verbs.txt", "plurals.txt", "opposites.txt")


def _listed(section: str) -> list[str]:
    return " ".join(sections("words.txt")[section]).split()


def _plurals() -> list[str]:
    """Of all things and animals whose plural is regular."""
    irregular = {one for one, _ in rows("plurals.txt")}
    singular = [row[0] for row in rows("animals.txt") if row[1] == plural(row[0])]
    return [plural(noun) for noun in _listed("things") + singular if noun not in irregular]


def _doing() -> list[str]:
    """'bake', 'baked', 'baking'."""
    found = []
    for verb in _listed("doing"):
        soft = verb[-1] == "y" and verb[-2] not in "aeiou"
        found += [
            verb,
            verb + "d" if verb[-1] == "e" else verb[:-1] + "ied" if soft else verb + "ed",
        ]
        found.append(verb.removesuffix("e") + "ing")
    return found


@cache
def vocabulary() -> tuple[str, ...]:
    """Common words of two to ten letters and their forms, in alphabetical order."""
    found = [*_listed("words"), *_listed("things"), *_plurals(), *_doing()]
    found += [cell for name in _FORMS for row in rows(name) for cell in row]
    found += [row[0] for row in rows("animals.txt")]
    plain = {word for word in found if word.isascii() and word.isalpha() and word.islower()}
    return tuple(sorted(word for word in plain if 2 <= len(word) <= 10))


@cache
def spelled_words(kept: bool) -> tuple[str, ...]:
    """The words that letter games are played with: those of training, or those of the exam."""
    return tuple(word for word in vocabulary() if held_out("word", word) == kept)


@cache
def rhymes() -> tuple[tuple[str, ...], ...]:
    """Families of words that rhyme."""
    return tuple(tuple(line.split()) for line in table_text("rhymes.txt").splitlines())
