"""Numbers in words, plurals, and the vocabulary of questions about letters."""

from functools import cache

from firstwords.data.starter.holdout import is_held_out
from firstwords.data.starter.tables import table_rows, table_sections, table_text

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


def number_in_words(number: int) -> str:
    """Return an integer from 0 to 999,999 in words: 'three hundred and five'."""
    if number < 20:
        return _ONES[number]
    if number < 100:
        tens, ones = divmod(number, 10)
        return _TENS[tens] + (f"-{_ONES[ones]}" if ones else "")
    if number < 1000:
        hundreds, rest = divmod(number, 100)
        return f"{_ONES[hundreds]} hundred" + (f" and {number_in_words(rest)}" if rest else "")
    thousands, rest = divmod(number, 1000)
    joint = " and " if 0 < rest < 100 else " "
    return f"{number_in_words(thousands)} thousand" + (
        joint + number_in_words(rest) if rest else ""
    )


def plural(noun: str) -> str:
    """Return the plural of a noun: 'boxes', 'cherries', 'mice'."""
    if noun in _irregular_plurals():
        return _irregular_plurals()[noun]
    if noun.endswith(("s", "x", "ch", "sh")):
        return noun + "es"
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return noun[:-1] + "ies"
    return noun + "s"


@cache
def _irregular_plurals() -> dict[str, str]:
    return {row[0]: row[1] for row in table_rows("plurals.txt")}


def count_of(number: int, noun: str) -> str:
    """Return a count with its noun: '1 apple', '2 apples'."""
    return f"{number} {noun if number == 1 else plural(noun)}"


_WORD_FORM_TABLES = ("verbs.txt", "plurals.txt", "opposites.txt")


def _listed_words(section: str) -> list[str]:
    return " ".join(table_sections("words.txt")[section]).split()


def _regular_plurals() -> list[str]:
    """Return the plurals of all things and animals whose plural is regular."""
    singular = [row[0] for row in table_rows("animals.txt") if row[1] == plural(row[0])]
    nouns = _listed_words("things") + singular
    return [plural(noun) for noun in nouns if noun not in _irregular_plurals()]


def _regular_verb_forms() -> list[str]:
    """Return three forms of each regular verb: 'bake', 'baked', 'baking'."""
    forms = []
    for verb in _listed_words("doing"):
        if verb[-1] == "e":
            past = verb + "d"
        elif verb[-1] == "y" and verb[-2] not in "aeiou":
            past = verb[:-1] + "ied"
        else:
            past = verb + "ed"
        forms += [verb, past, verb.removesuffix("e") + "ing"]
    return forms


@cache
def vocabulary() -> tuple[str, ...]:
    """Return common words of two to ten letters and their forms, in alphabetical order."""
    words = [
        *_listed_words("words"),
        *_listed_words("things"),
        *_regular_plurals(),
        *_regular_verb_forms(),
    ]
    words += [cell for name in _WORD_FORM_TABLES for row in table_rows(name) for cell in row]
    words += [row[0] for row in table_rows("animals.txt")]
    plain = {word for word in words if word.isascii() and word.isalpha() and word.islower()}
    return tuple(sorted(word for word in plain if 2 <= len(word) <= 10))


@cache
def spelled_words(held_out: bool) -> tuple[str, ...]:
    """Return the words that questions about letters use in training, or only in the exam."""
    return tuple(word for word in vocabulary() if is_held_out("word", word) == held_out)


@cache
def rhymes() -> tuple[tuple[str, ...], ...]:
    """Return families of words that rhyme."""
    return tuple(tuple(line.split()) for line in table_text("rhymes.txt").splitlines())
