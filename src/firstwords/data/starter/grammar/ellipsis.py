"""Ellipsis: so do I, neither does he, one and ones, gaps, and questions cut short."""

from functools import cache

from firstwords.data.starter.grammar.clauses import act, deny, end, say, tense_for, two_nouns
from firstwords.data.starter.grammar.lexicon import Noun, nouns_of
from firstwords.data.starter.grammar.phrases import (
    SHE,
    WE,
    I,
    Phrase,
    agree,
    contrasts,
    moods,
    one_person,
    other_person,
    person,
    traits,
)
from firstwords.data.starter.rng import Rng, choose
from firstwords.data.starter.templates import article


def so_did(rng: Rng) -> str:
    """Say that somebody else did the same, or did not either."""
    first, second = one_person(rng), person(rng)
    while second.text == first.text or second.pronoun is first.pronoun:
        second = person(rng)
    if rng() < 0.15:
        second = Phrase(*((("I", I), ("we", WE))[int(rng() * 2)]))
    action = act(rng, "shared", first, 0.1, 0.0)
    tense = tense_for(rng, action)
    positive, negative = tense.auxiliary, tense.negative
    b = second.pronoun.agreement
    chance = rng()
    if chance < 0.3:
        return end(f"{say(first, tense, action)}, and so {positive[b]} {second.text}")
    if chance < 0.5:
        return end(f"{deny(first, tense, action)}, and neither {positive[b]} {second.text}")
    if chance < 0.7:
        return end(f"{say(first, tense, action)}, but {second.text} {negative[b]}")
    if chance < 0.8:
        return end(f"{deny(first, tense, action)}, but {second.text} {positive[b]}")
    if chance < 0.9:
        return end(f"{say(first, tense, action)}, and {second.text} {positive[b]} too")
    return end(f"{deny(first, tense, action)}, and {second.text} {negative[b]} either")


def state_too(rng: Rng) -> str:
    """Do the same with "be": "Ada is tired, and so am I."."""
    first = one_person(rng)
    second = Phrase("I", I) if rng() < 0.3 else person(rng)
    while second.text == first.text:
        second = person(rng)
    adjective = choose(rng, moods() if rng() < 0.6 else traits())
    be, other = agree(first, "is"), agree(second, "is")
    chance = rng()
    if chance < 0.4:
        return end(f"{first.text} {be} {adjective}, and so {other} {second.text}")
    if chance < 0.6:
        return end(f"{first.text} isn't {adjective}, and neither {other} {second.text}")
    return end(
        f"{first.text} is {adjective}, but {second.text} {agree(second, 'isn' + chr(39) + 't')}"
    )


def gapping(rng: Rng) -> str:
    """Leave out the verb the second time: "Ada bought a hat, and Ben a scarf."."""
    first = one_person(rng)
    second = other_person(rng, first)
    verb, a, b = two_nouns(rng)
    if rng() < 0.5:
        return end(f"{first.text} {verb.past} {a.a}, and {second.text} {b.a}")
    return end(f"{first.text} wanted to {verb.base} {a.a}, and {second.text} {b.a}")


def one(rng: Rng) -> str:
    """Use "one" and "ones" for a noun said before."""
    noun = choose(rng, oneable())
    pairs = contrasts(noun)
    adjective, other = choose(rng, pairs)
    verb = choose(rng, ("bought", "has", "found", "wanted"))
    first = one_person(rng)
    second = other_person(rng, first)
    chance = rng()
    if chance < 0.35:
        return end(
            f"{first.text} {verb} {article(adjective)} {adjective} "
            f"{noun.word}, and {second.text} {verb} {article(other)} {other} one"
        )
    if chance < 0.6:
        return end(f"{first.text} liked the {adjective} {noun.plural} better than the {other} ones")
    if chance < 0.8:
        return (
            f"Which {noun.word} would you like, the {adjective} one "
            f"or the {other} one? {end(f'the {adjective} one, please')}"
        )
    return end(f"the {adjective} {noun.word} is {first.text}'s, and the {other} one is mine")


@cache
def oneable() -> tuple[Noun, ...]:
    """Return nouns that "one" can stand for."""
    return tuple(
        noun
        for noun in nouns_of(
            "clothing", "toy", "vehicle", "vessel", "readable", "ridden", "knitted"
        )
        if noun.plural and not noun.only_plural and contrasts(noun)
    )


def cut_short(rng: Rng) -> str:
    """Cut a question short: "Somebody broke the vase, but nobody knows who."."""
    action = act(rng, "things", SHE_PHRASE, 0.1, 0.1)
    subject = one_person(rng)
    own = act(rng, "things", subject, 0.1, 0.0)
    chance = rng()
    knows = choose(
        rng,
        ("nobody knows", "I don't know", "I can't say", "nobody could tell us", "I can't remember"),
    )
    if chance < 0.35:
        return end(f"somebody {action.did}, but {knows} who").replace(" her ", " the ")
    if chance < 0.7:
        word = choose(rng, ("where", "when"))
        return end(f"{subject.text} {own.did}, but {knows} {word}")
    verb = choose(rng, ("bought", "found", "hid", "lost", "dropped", "saw", "heard", "broke"))
    return end(f"{subject.text} {verb} something, but {knows} what")


SHE_PHRASE = Phrase("she", SHE)


def to_only(rng: Rng) -> str:
    """Stop after "to", or after an auxiliary: "She didn't want to, but she had to."."""
    subject = one_person(rng)
    action = act(rng, "plans", subject, 0.1, 0.0)
    vp = f"{action.do}"
    he = subject.pronoun.he
    chance = rng()
    if chance < 0.3:
        return end(f"{subject.text} didn't want to {vp}, but {he} had to")
    if chance < 0.5:
        return end(f"I asked {subject.text} to {vp}, and {he} promised to")
    if chance < 0.7:
        return end(f"{subject.text} would like to {vp}, but {he} can't")
    if chance < 0.85:
        return end(f"{subject.text} said that {he} would {vp}, and {he} did")
    return end(f"{subject.text} can {vp} if {he} wants to")


ELLIPSES = (
    (so_did, 3.0),
    (state_too, 1.0),
    (gapping, 1.0),
    (one, 1.5),
    (cut_short, 1.0),
    (to_only, 1.5),
)
