"""Pronouns: reflexives that agree with their subject, and pronouns whose reference is clear."""

from functools import cache

from firstwords.data.starter.grammar.clauses import act, end, object_form
from firstwords.data.starter.grammar.lexicon import nouns_of, wording
from firstwords.data.starter.grammar.phrases import (
    HE,
    SHE,
    THEY,
    WE,
    YOU,
    I,
    Phrase,
    Pronoun,
    agree,
    name,
    one_person,
    other_person,
    some_people,
)
from firstwords.data.starter.grammar.relatives import relative_head
from firstwords.data.starter.grammar.statements import anybody
from firstwords.data.starter.rng import Rng, choose


def reflexive(rng: Rng) -> str:
    """Let somebody do something to himself, herself, itself or themselves.

    The reflexive agrees with the subject of its own clause, not with another person before it.
    """
    chance = rng()
    if chance < 0.12:
        return _of_animal(rng)
    if chance < 0.55:
        subject = anybody(rng)
        return end(f"{subject.text} {_deed_to(rng, subject)}")
    if chance < 0.7:
        who = relative_head(rng)
        return end(f"{name(rng).text} knows {who.text} who {_deed_to(rng, who)}")
    subject = relative_of(rng)
    if chance < 0.9:
        return end(f"{subject.text} {_deed_to(rng, subject)}")
    thinker = other_person(rng, subject)
    verb = choose(rng, ("said", "saw", "knew", "noticed", "told us", "thought"))
    return end(f"{thinker.text} {verb} that {subject.text} {_deed_to(rng, subject)}")


def _deed_to(rng: Rng, subject: Phrase) -> str:
    himself = subject.pronoun.himself
    if subject.text == "you":
        himself = choose(rng, ("yourself", "yourselves"))
    was = agree(subject, "was")
    return choose(rng, wording("selves")).format(self=himself, his=subject.pronoun.his, was=was)


def _of_animal(rng: Rng) -> str:
    animal = choose(rng, nouns_of("pet", "livestock"))
    verb = choose(rng, ("washed", "warmed", "hid", "hurt", "shook"))
    where = choose(rng, _WHERE)
    if rng() < 0.5:
        return end(f"the {animal.word} {verb} itself{where}")
    return end(f"the {animal.plural} {verb} themselves{where}")


_WHERE = ("", " in the sun", " by the fire", " after the rain", " behind the shed")


def relative_of(rng: Rng) -> Phrase:
    """Return a relative of somebody of the other sex: "Ada's brother", "the king's daughters"."""
    who = name(rng)
    relative = choose(rng, relatives())
    while who.pronoun is relative[2]:
        who = name(rng)
    if relative[1] and rng() < 0.3:
        return Phrase(f"{who.text}'s {relative[1]}", THEY)
    return Phrase(f"{who.text}'s {relative[0]}", relative[2])


@cache
def relatives() -> tuple[tuple[str, str, Pronoun], ...]:
    """Return one, many and pronoun of the relatives whose sex is known: "sister".

    There is no plural of those of whom people have one: "mother".
    """
    return tuple(
        (
            noun.word,
            "" if "only" in noun.classes else noun.plural,
            SHE if "female" in noun.classes else HE,
        )
        for noun in nouns_of("relative")
        if "any" not in noun.classes
    )


def personal(rng: Rng) -> str:
    """Refer to one of two people, who differ in their pronouns."""
    first = one_person(rng)
    second = other_person(rng, first)
    he, him, his = first.pronoun.he, first.pronoun.him, first.pronoun.his
    text = choose(rng, wording("pronouns"))
    return end(
        text.format(
            a=first.text,
            b=second.text,
            he=he,
            him=him,
            his=his,
            theirs=first.pronoun.theirs,
            bhe=second.pronoun.he,
            bhim=second.pronoun.him,
            bhis=second.pronoun.his,
        )
    )


def each_other(rng: Rng) -> str:
    """Let two or more people do something to each other."""
    subject = some_people(rng)
    return end(f"{subject.text} {choose(rng, wording('each other'))}")


def emphatic(rng: Rng) -> str:
    """Stress that nobody else did it: "Ada baked the cake herself", "by herself"."""
    chance = rng()
    if chance < 0.2:
        ruler = choose(rng, _RULERS)
        action = act(rng, "thing plans", ruler, 0.15, 0.0)
        return end(f"{ruler.text} {ruler.pronoun.himself} {action.did}")
    subject = anybody(rng)
    action = act(rng, "thing plans", subject, 0.15, 0.0)
    he, himself = subject.pronoun.he, subject.pronoun.himself
    if chance < 0.4:
        return end(f"nobody helped {object_form(subject)}, so {he} {action.did} {himself}")
    by = choose(rng, (" all by", " by", "", ""))
    return end(f"{subject.text} {action.did}{by} {himself}")


_RULERS = (
    Phrase("the king", HE),
    Phrase("the queen", SHE),
    Phrase("the captain", HE),
    Phrase("the headmistress", SHE),
    Phrase("the president", HE),
    Phrase("the mayor", SHE),
)


def owned(rng: Rng) -> str:
    """Use mine, yours, hers, theirs: "This coat is hers, and that one is his."."""
    noun = choose(rng, nouns_of("clothing", "lost", "vehicle", "toy"))
    several = noun.only_plural
    word = noun.plural if several else noun.word
    this, that, be = ("these", "those", "are") if several else ("this", "that one", "is")
    a, b = (choose(rng, _OWNERS) for _ in range(2))
    if a is b or {a, b} in _OVERLAPPING:
        return emphatic(rng)
    if rng() < 0.5:
        return end(f"{this} {word} {be} {a.theirs}, and {that} {be} {b.theirs}")
    he = choose(rng, ("forgot", "lost", "could not find"))
    return end(f"{a.he} {he} {a.his} {word}, so {b.he} lent {a.him} {b.theirs}")


_OWNERS = (I, YOU, HE, SHE, THEY, WE)
_OVERLAPPING = ({I, WE}, {YOU, WE})

PRONOUNS = (
    (reflexive, 4.0),
    (personal, 4.0),
    (each_other, 1.5),
    (emphatic, 1.5),
    (owned, 1.0),
)
