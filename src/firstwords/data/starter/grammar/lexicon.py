"""Nouns, verbs and adjectives with their inflections, and which of them make sense together.

The tables give every noun classes, such as "breakable". The frames of a verb name the classes of
its subject and object, and an adjective names the classes that it can describe.
"""

from functools import cache
from typing import NamedTuple

from firstwords.data.starter.tables import table_rows, table_sections
from firstwords.data.starter.templates import article
from firstwords.data.starter.words import plural as regular_plural


def wording(section: str) -> tuple[str, ...]:
    """Return the lines of a section of `grammar_wording.txt`."""
    return table_sections("grammar_wording.txt")[section]


class Verb(NamedTuple):
    """The five forms of a verb. A particle belongs to each: "switch on", "switched on"."""

    base: str
    third: str
    past: str
    participle: str
    ing: str


class Frame(NamedTuple):
    """A verb with the classes that its subject and its object may have."""

    verb: Verb
    subject: tuple[str, ...]
    object: tuple[str, ...]  # empty for an intransitive verb
    complement: str  # "", "to-person", "that", "to-do", "do", "doing", "raising", "himself"
    flags: frozenset[str]
    nouns: "tuple[Noun, ...]"  # the nouns that the object may be; empty if it is a person
    themes: tuple[str, ...]  # "kitchen", "garden": verbs of one theme belong in one text
    tails: tuple[str, ...]  # what may follow the object: " with a small knife"


class Adjective(NamedTuple):
    """An adjective with its comparative and superlative: "more careful", "most careful"."""

    word: str
    more: str
    most: str
    classes: frozenset[str]
    opposite: str


class Noun(NamedTuple):
    """A noun, its plural ("" for a mass noun) and the adjectives that can describe it."""

    word: str
    plural: str
    classes: frozenset[str]
    a: str  # "a lamp", "an egg"; "" for a mass noun or one that is only plural
    adjectives: tuple[Adjective, ...]
    gradable: tuple[Adjective, ...]  # those that can follow "very"
    lasting: tuple[str, ...]  # those that hold whatever is done: not "broken", not "full"
    only_plural: bool  # scissors, or things worn in pairs


VOWELS = "aeiou"
_DOUBLED = ("begin", "forget", "prefer", "travel", "quarrel", "refer", "admit", "permit", "regret")


def _doubles(word: str) -> bool:
    """Whether the last consonant doubles before -ed and -ing: "stop", "stopping"."""
    return word in _DOUBLED or (
        len(word) > 2
        and word[-1] not in "aeiouwxy"
        and word[-2] in VOWELS
        and word[-3] not in VOWELS
        and sum(letter in VOWELS for letter in word) == 1
    )


def ing_form(word: str) -> str:
    """Return the present participle of a one-word verb."""
    if word.endswith("ie"):
        return word[:-2] + "ying"
    if word.endswith("e") and not word.endswith(("ee", "oe", "ye")) and word != "be":
        return word[:-1] + "ing"
    return word + (word[-1] if _doubles(word) else "") + "ing"


def ed_form(word: str) -> str:
    """Return the regular past form of a one-word verb."""
    if word.endswith("e"):
        return word + "d"
    if word.endswith("y") and word[-2] not in VOWELS:
        return word[:-1] + "ied"
    return word + (word[-1] if _doubles(word) else "") + "ed"


def s_form(word: str) -> str:
    """Return the third person singular of a one-word verb."""
    if word in ("be", "have"):
        return {"be": "is", "have": "has"}[word]
    if word.endswith(("s", "x", "z", "ch", "sh", "o")):
        return word + "es"
    if word.endswith("y") and word[-2] not in VOWELS:
        return word[:-1] + "ies"
    return word + "s"


@cache
def verb(base: str) -> Verb:
    """Return the forms of a verb, which may have a particle: "stand up"."""
    past, participle = _irregular_verbs().get(base, ("+", "+"))
    word, space, particle = base.partition(" ")
    if space and base not in _irregular_verbs():
        simple = verb(word)
        return Verb(*(f"{form} {particle}" for form in simple))
    tail = space + particle
    regular = ed_form(word) + tail
    return Verb(
        base,
        s_form(word) + tail,
        regular if past == "+" else past,
        regular if participle == "+" else participle,
        ing_form(word) + tail,
    )


@cache
def _irregular_verbs() -> dict[str, tuple[str, str]]:
    forms = {base: (past, participle) for base, past, participle in table_rows("verbs.txt")}
    for base, past, participle, *_ in table_rows("grammar_verbs.txt"):
        if past != "+":
            forms[base] = past, participle
    return forms


@cache
def adjectives() -> tuple[Adjective, ...]:
    """Return all adjectives of the grammar."""
    return tuple(
        Adjective(word, *_compared(word, more), frozenset(classes.split()), opposite)
        for word, more, classes, opposite in table_rows("grammar_adjectives.txt")
    )


def _compared(word: str, more: str) -> tuple[str, str]:
    if more == "-":
        return f"more {word}", f"most {word}"
    if more == "+":
        more = word + ("r" if word.endswith("e") else "er")
    return more, more[:-1] + "st"


@cache
def nouns() -> dict[str, Noun]:
    """Return all nouns of the grammar by word."""
    return {
        word: _noun(word, plural, frozenset(classes.split()))
        for word, plural, classes in table_rows("grammar_nouns.txt")
    }


def _noun(word: str, plural: str, classes: frozenset[str]) -> Noun:
    named = classes | {word}
    only_plural = plural == "pl" or "paired" in classes
    forms = {"+": regular_plural(word), "-": "", "=": word, "pl": word}
    plural = forms.get(plural, plural)
    suited = tuple(adjective for adjective in adjectives() if adjective.classes & named)
    a = f"{article(word)} {word}" if plural and not only_plural else ""
    gradable = tuple(adjective for adjective in suited if "flat" not in adjective.classes)
    lasting = tuple(adjective.word for adjective in suited if "state" not in adjective.classes)
    return Noun(word, plural, classes, a, suited, gradable, lasting, only_plural)


@cache
def nouns_of(*classes: str) -> tuple[Noun, ...]:
    """Return the nouns of any of the classes; a word stands for itself."""
    return tuple(
        noun
        for noun in nouns().values()
        if any(name in noun.classes or name == noun.word for name in classes)
    )


@cache
def frames() -> tuple[Frame, ...]:
    """Return all frames of all verbs."""
    return tuple(
        _frame(base, frame.strip(), frozenset("".join(flags).split()))
        for base, _, _, rows, *flags in table_rows("grammar_verbs.txt")
        for frame in rows.split(";")
        if frame.strip()
    )


_COMPLEMENTS = ("that", "to-do", "do", "doing", "raising", "himself", "to-person")


def _frame(base: str, frame: str, flags: frozenset[str]) -> Frame:
    words = frame.split()
    complement = words.pop() if words[-1] in _COMPLEMENTS else ""
    subject, *objects = (tuple(word.split("/")) for word in words)
    classes = objects[0] if objects else ()
    nouns = () if classes == ("person",) else nouns_of(*classes)
    alone = f"{base} alone"
    key = alone if not objects and alone in _tails() else base
    themes, tails = _tails().get(key, ((), ()))
    return Frame(verb(base), subject, classes, complement, flags, nouns, themes, tails)


@cache
def _tails() -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
    """Return themes and tails of each verb of `grammar_tails.txt`."""
    return {
        verb: (tuple(themes.split()), tuple(f" {tail}" for tail in tails.split(" / ")))
        for verb, themes, tails in table_rows("grammar_tails.txt")
    }
