"""Noun phrases: people and things with a determiner, and the pronouns that stand for them."""

from functools import cache
from typing import NamedTuple

from firstwords.data.starter.grammar.lexicon import Adjective, Noun, adjectives, nouns, nouns_of
from firstwords.data.starter.rng import Rng, choose
from firstwords.data.starter.tables import table_sections
from firstwords.data.starter.templates import article


class Pronoun(NamedTuple):
    """The forms of a pronoun; `agreement` is 0 for I, 1 for he, she and it, 2 for the others."""

    he: str
    him: str
    his: str
    himself: str
    theirs: str
    agreement: int


I = Pronoun("I", "me", "my", "myself", "mine", 0)  # noqa: E741
YOU = Pronoun("you", "you", "your", "yourself", "yours", 2)
HE = Pronoun("he", "him", "his", "himself", "his", 1)
SHE = Pronoun("she", "her", "her", "herself", "hers", 1)
IT = Pronoun("it", "it", "its", "itself", "its", 1)
WE = Pronoun("we", "us", "our", "ourselves", "ours", 2)
THEY = Pronoun("they", "them", "their", "themselves", "theirs", 2)


class Phrase(NamedTuple):
    """A noun phrase with the pronoun that refers to it. `noun` is "" for a name or a pronoun."""

    text: str
    pronoun: Pronoun
    who: str = "who"  # the relative pronoun: "who" or "which"
    noun: str = ""  # the noun alone, with its adjective: "old lamp"
    definite: bool = True


NEUTRAL = Phrase("someone", Pronoun("they", "them", "the", "themselves", "theirs", 1), "who", "-")
"""A subject of unknown sex: what is his or hers becomes "the"."""
SPEAKERS = (Phrase("I", I), Phrase("we", WE), Phrase("they", THEY), Phrase("you", YOU))


@cache
def names() -> tuple[Phrase, ...]:
    """Return all names, girls' and boys' in turn."""
    lists = table_sections("cast.txt")
    girls = [Phrase(name, SHE) for name in lists["girls"]]
    boys = [Phrase(name, HE) for name in lists["boys"]]
    return tuple(girls + boys)


@cache
def _people(
    kind: str, several: bool = False
) -> tuple[tuple[str, str, Pronoun, tuple[str, ...]], ...]:
    """Return word, plural, pronoun and adjectives of all nouns of a kind of people.

    With `several`, those of which there is only one, such as a king, are left out.
    """
    rows = []
    for noun in nouns_of(kind):
        if several and "only" in noun.classes:
            continue
        traits = tuple(a.word for a in _traits() if a.classes & (noun.classes | {"trait"}))
        for name, pronoun in (("female", SHE), ("male", HE)):
            if name in noun.classes or "any" in noun.classes:
                rows.append((noun.word, noun.plural, pronoun, traits))
    return tuple(rows)


@cache
def _traits() -> tuple[Adjective, ...]:
    return tuple(a for a in adjectives() if a.classes & {"trait", "person", "job"})


def name(rng: Rng) -> Phrase:
    """Return a name."""
    everyone = names()
    return choose(rng, everyone)


_OWNERS = ("my", "our", "his", "her", "their", "your")
_NUMBERS = ("two", "three", "four", "five", "six")


def one_person(rng: Rng) -> Phrase:
    """Return one person, definite: "Ada", "the baker", "the shy girl", "my uncle"."""
    chance = rng()
    if chance < 0.42:
        return name(rng)
    people = _people("job" if chance < 0.66 else "person" if chance < 0.84 else "relative")
    word, _, pronoun, traits = choose(rng, people)
    if chance > 0.84:
        owner = "my" if chance < 0.9 else "our" if chance < 0.94 else f"{name(rng).text}'s"
        return Phrase(f"{owner} {word}", pronoun, "who", word)
    if chance > 0.79 or 0.6 < chance < 0.66:
        word = f"{choose(rng, traits)} {word}"
    return Phrase(f"the {word}", pronoun, "who", word)


def some_people(rng: Rng) -> Phrase:
    """Return several people, definite: "the girls", "Ada and Ben", "my cousins"."""
    chance = rng()
    if chance < 0.3:
        first = name(rng)
        return Phrase(f"{first.text} and {other_name(rng, first).text}", THEY)
    people = _people("person" if chance < 0.6 else "job" if chance < 0.85 else "relative", True)
    _, word, _, traits = choose(rng, people)
    if chance > 0.85:
        return Phrase(f"{'my' if chance < 0.94 else 'our'} {word}", THEY, "who", word)
    if 0.5 < chance < 0.6:
        word = f"{choose(rng, traits)} {word}"
    number = f"{_NUMBERS[int(rng() * 5)]} " if rng() < 0.25 else ""
    return Phrase(f"the {number}{word}", THEY, "who", word)


def person(rng: Rng) -> Phrase:
    """Return one person or several, definite."""
    return one_person(rng) if rng() < 0.78 else some_people(rng)


def someone(rng: Rng) -> Phrase:
    """Return one person, indefinite: "a baker", "a shy girl"."""
    people = _people("job" if rng() < 0.5 else "person")
    word, _, pronoun, traits = choose(rng, people)
    if rng() < 0.3:
        word = f"{choose(rng, traits)} {word}"
    return Phrase(f"{article(word)} {word}", pronoun, "who", word, False)


def other_name(rng: Rng, first: Phrase) -> Phrase:
    """Return a name that is not `first`."""
    second = name(rng)
    while second is first:
        second = name(rng)
    return second


def other_person(rng: Rng, first: Phrase) -> Phrase:
    """Return one person who is surely not `first`, and not of the same pronoun.

    So "she" refers to one of the two alone.
    """
    while True:
        second = one_person(rng)
        if second.pronoun is not first.pronoun and second.noun != (first.noun or "-"):
            return second


def owner(rng: Rng) -> str:
    """Return a possessive determiner: "my", "Ada's", "the baker's"."""
    chance = rng()
    if chance < 0.5:
        return f"{one_person(rng).text}'s"
    return choose(rng, _OWNERS)


# -- things ---------------------------------------------------------------------------


def one_thing(rng: Rng, noun: Noun, adjective: float = 0.3, indefinite: float = 0.45) -> Phrase:
    """Return one thing: "the old lamp", "an egg", "some milk", "a pair of scissors".

    `adjective` is the chance of an adjective, `indefinite` that of "a".
    """
    word = noun.word
    described = ""
    if noun.lasting and rng() < adjective:
        described = f"{choose(rng, noun.lasting)} "
    full = described + word
    if rng() >= indefinite:
        if noun.only_plural:
            return _pair(noun, described, "the")
        return Phrase(f"the {full}", IT, "which", full)
    if noun.only_plural:
        return _pair(noun, described, "some")
    if not noun.plural:
        return Phrase(f"some {full}", IT, "which", full, False)
    text = f"{article(full)} {full}" if described else noun.a
    return Phrase(text, IT, "which", full, False)


def _pair(noun: Noun, described: str, determiner: str) -> Phrase:
    word = described + (noun.plural or noun.word)
    return Phrase(f"{determiner} {word}", THEY, "which", word, determiner != "some")


def some_things(rng: Rng, noun: Noun, adjective: float = 0.3) -> Phrase:
    """Return several things: "the old lamps", "three eggs", "some apples"; or a mass."""
    if not noun.plural or noun.only_plural:
        return one_thing(rng, noun, adjective)
    word = noun.plural
    if noun.lasting and rng() < adjective:
        word = f"{choose(rng, noun.lasting)} {word}"
    chance = rng()
    if chance < 0.5:
        return Phrase(f"the {word}", THEY, "which", word)
    if chance < 0.8 or noun.classes.isdisjoint(_COUNTED):
        return Phrase(f"some {word}", THEY, "which", word, False)
    return Phrase(f"{_NUMBERS[int(rng() * 5)]} {word}", THEY, "which", word, False)


_COUNTED = ("food", "flower", "animal", "bird", "insect", "counted", "collected", "toy", "vessel")


def thing(rng: Rng, noun: Noun, adjective: float = 0.3) -> Phrase:
    """Return one thing or several."""
    if rng() < 0.7:
        return one_thing(rng, noun, adjective)
    return some_things(rng, noun, adjective)


def the_thing(rng: Rng, noun: Noun, adjective: float = 0.3) -> Phrase:
    """Return one thing, definite: "the old lamp"."""
    return one_thing(rng, noun, adjective, 0.0)


# -- agreement and adjectives ---------------------------------------------------------

_AGREEING = {
    "is": ("am", "is", "are"),
    "was": ("was", "was", "were"),
    "has": ("have", "has", "have"),
    "does": ("do", "does", "do"),
    "isn't": ("am not", "isn't", "aren't"),
    "wasn't": ("wasn't", "wasn't", "weren't"),
    "hasn't": ("haven't", "hasn't", "haven't"),
    "doesn't": ("don't", "doesn't", "don't"),
}


def agree(subject: Phrase, verb: str) -> str:
    """Return the form that agrees with the subject of a verb in the third person: "is", "looks"."""
    agreement = subject.pronoun.agreement
    if verb in _AGREEING:
        return _AGREEING[verb][agreement]
    if agreement == 1 or verb[-1] != "s":
        return verb
    return verb[:-3] + "y" if verb.endswith("ies") else verb[:-1]


@cache
def moods() -> tuple[str, ...]:
    """Return adjectives for how people feel: "tired"."""
    return tuple(a.word for a in adjectives() if "mood" in a.classes)


@cache
def traits() -> tuple[str, ...]:
    """Return adjectives for what people are like: "brave"."""
    return tuple(a.word for a in adjectives() if "trait" in a.classes)


@cache
def _described() -> tuple[Noun, ...]:
    people = ("person", "job", "relative", "sport", "meal")
    return tuple(
        noun for noun in nouns().values() if noun.adjectives and noun.classes.isdisjoint(people)
    )


@cache
def _graded() -> tuple[Noun, ...]:
    return tuple(noun for noun in _described() if noun.gradable)


def described(rng: Rng, gradable: bool = False) -> Noun:
    """Return a noun for a thing or an animal that some adjective can describe.

    With `gradable`, one that can follow "very"."""
    found = _described() if not gradable else _graded()
    return choose(rng, found)


_COLOURS = frozenset(("red", "blue", "green", "yellow", "white", "brown", "black", "grey"))


def contrasts(noun: Noun) -> tuple[tuple[str, str], ...]:
    """Return pairs of adjectives that tell things of a kind apart: big and small, red and blue."""
    return _contrasts(noun.word)


@cache
def _contrasts(word: str) -> tuple[tuple[str, str], ...]:
    noun = nouns()[word]
    words = [a.word for a in noun.adjectives]
    pairs = [(a.word, a.opposite) for a in noun.adjectives if a.opposite in words]
    colours = [word for word in words if word in _COLOURS]
    return tuple(pairs + [(a, b) for a in colours for b in colours if a != b][: 2 * len(colours)])
