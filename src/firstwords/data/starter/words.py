"""Numbers in words, plurals, and the list of words that letter games are played with."""

from __future__ import annotations

from functools import cache

from .phrase import table_text

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


@cache
def vocabulary() -> tuple[str, ...]:
    """Common words of two to ten letters, in alphabetical order."""
    return tuple(sorted(set(table_text("words.txt").split())))
