"""Quantifiers: every, each, all, most, few, many, much, less, both, none, and numbers."""

from functools import cache

from firstwords.data.starter.grammar.clauses import PAST_SIMPLE, act, end, say, tense_for, time_of
from firstwords.data.starter.grammar.lexicon import Noun, nouns_of
from firstwords.data.starter.grammar.phrases import (
    HE,
    NEUTRAL,
    THEY,
    Phrase,
    agree,
    described,
    one_person,
    other_person,
    person,
)
from firstwords.data.starter.grammar.questions import countable
from firstwords.data.starter.grammar.statements import located
from firstwords.data.starter.rng import Rng, choose


def _group(rng: Rng) -> tuple[str, str]:
    """Return one and many of a word for people: "boy", "boys"."""
    nouns = _groups()
    noun = choose(rng, nouns)
    return noun.word, noun.plural


@cache
def _groups() -> tuple[Noun, ...]:
    return tuple(noun for noun in nouns_of("person", "job") if "only" not in noun.classes)


def of_people(rng: Rng) -> str:
    """Say what every, each, most or none of a group did."""
    one, many = _group(rng)
    kind = choose(rng, _QUANTIFIERS)
    words, singular = kind
    subject = Phrase(words.format(one=one, many=many), HE if singular else THEY)
    action = act(rng, "plans", NEUTRAL, 0.2, 0.1)
    tense = tense_for(rng, action)
    if "no" in words.split() or words.startswith(("none", "neither", "few", "not")):
        tense = PAST_SIMPLE
    return end(say(subject, tense, action) + time_of(rng, tense, 0.2))


_QUANTIFIERS = (
    ("every {one}", True),
    ("each {one}", True),
    ("each of the {many}", True),
    ("every one of the {many}", True),
    ("no {one}", True),
    ("one of the {many}", True),
    ("neither of the {many}", True),
    ("all the {many}", False),
    ("all of the {many}", False),
    ("most of the {many}", False),
    ("most {many}", False),
    ("some of the {many}", False),
    ("several {many}", False),
    ("both {many}", False),
    ("few {many}", False),
    ("a few of the {many}", False),
    ("many {many}", False),
    ("two of the {many}", False),
    ("half of the {many}", False),
    ("almost all the {many}", False),
    ("more than ten {many}", False),
    ("at least two {many}", False),
    ("no more than three {many}", False),
    ("all but one of the {many}", False),
    ("not every {one}", True),
    ("a lot of {many}", False),
)


def of_things(rng: Rng) -> str:
    """Say what every, most or none of some things is like."""
    where = ""
    if rng() < 0.5:
        noun = described(rng)
    else:
        spot, noun = located(rng)
        where = f" {spot}"
    if not noun.adjectives:
        return of_people(rng)
    adjective = choose(rng, noun.adjectives).word
    if not noun.plural or noun.only_plural:
        word = noun.plural or noun.word
        be = "are" if noun.plural else "is"
        words = choose(rng, ("all the", "most of the", "some of the", "half of the"))
        return end(f"{words} {word}{where} {be} {adjective}")
    words, singular = choose(rng, _QUANTIFIERS)
    subject = words.format(one=noun.word, many=noun.plural)
    be = choose(rng, ("is", "was")) if singular else choose(rng, ("are", "were"))
    return end(f"{subject}{where} {be} {adjective}")


@cache
def _masses() -> tuple[str, ...]:
    return tuple(noun.word for noun in nouns_of("mass", "drink", "spread") if not noun.plural)


def much(rng: Rng) -> str:
    """Use much, little and less with what is not counted, many, few and fewer with what is."""
    mass = choose(rng, _masses())
    spot, noun = located(rng)
    many = noun.plural
    subject = one_person(rng)
    other = other_person(rng, subject)
    counted = rng() < 0.55
    word = many if counted else mass
    be = "are" if counted else "is"
    be_not = "aren't" if counted else "isn't"
    chance = rng()
    if chance < 0.2:
        return end(
            f"there {be_not} {'many' if counted else 'much'} {word} {spot if counted else 'left'}"
        )
    if chance < 0.4:
        too = choose(
            rng,
            ("too many", "so many", "very few", "only a few")
            if counted
            else ("too much", "so much", "very little", "only a little"),
        )
        return end(f"there {be} {too} {word} {spot if counted else 'in the house'}")
    verb = choose(rng, ("bought", "has", "wants", "needs"))
    if chance < 0.65:
        less = choose(rng, ("fewer", "more") if counted else ("less", "more"))
        word = word if not counted else _owned(rng)
        return end(f"{subject.text} {verb} {less} {word} than {other.text}")
    if chance < 0.8:
        word = word if not counted else _owned(rng)
        return end(
            f"{subject.text} {verb} as {'many' if counted else 'much'} {word} as {other.text}"
        )
    if counted:
        word = _owned(rng)
    how = "how many" if counted else "how much"
    return end(f"{how} {word} does {subject.text} need", "?")


def _owned(rng: Rng) -> str:
    nouns = nouns_of("counted", "collected", "toy", "book", "countfood")
    found = [noun for noun in nouns if noun.plural and not noun.only_plural]
    return choose(rng, found).plural


def scattered(rng: Rng) -> str:
    """Speak of a number of things, then of their parts: "Three of them were red."."""
    frame, nouns = choose(rng, countable())
    noun = choose(rng, nouns)
    subject = person(rng)
    number = choose(rng, ("three", "four", "five", "six", "ten"))
    first = f"{end(f'{subject.text} {frame.verb.past} {number} {noun.plural}')}"
    if noun.adjectives and rng() < 0.8:
        adjective = choose(rng, noun.adjectives)
        part = choose(
            rng,
            (
                "all of them were",
                "one of them was",
                "two of them were",
                "none of them was",
                "most of them were",
                "each of them was",
                "only one of them was",
            ),
        )
        return f"{first} {end(f'{part} {adjective.word}')}"
    kept = choose(
        rng,
        (
            "counted them twice",
            "showed them all to a friend",
            "was proud of every one of them",
        ),
    )
    if kept.startswith("was"):
        kept = f"{agree(subject, 'was')}{kept[3:]}"
    return f"{first} {end(f'{subject.pronoun.he} {kept}')}"


QUANTIFIED = (
    (of_people, 3.0),
    (of_things, 2.0),
    (much, 2.0),
    (scattered, 1.5),
)
