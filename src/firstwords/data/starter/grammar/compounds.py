"""Longer sentences: clauses of time, concession and manner, and clauses inside clauses."""

from firstwords.data.starter.grammar.clauses import (
    PAST_PERFECT,
    PAST_SIMPLE,
    THEMES,
    Action,
    act,
    end,
    gap,
)
from firstwords.data.starter.grammar.phrases import (
    Phrase,
    agree,
    moods,
    name,
    one_person,
    other_person,
    person,
)
from firstwords.data.starter.grammar.relatives import about_person, relative_head, thing_done
from firstwords.data.starter.rng import Rng, choose


def two_acts(rng: Rng, subject: Phrase) -> tuple[Action, Action]:
    """Return two different actions that belong together, as in one kitchen or one garden."""
    theme = choose(rng, THEMES)
    first = act(rng, theme, subject, 0.15, 0.0)
    while True:
        second = act(rng, theme, subject, 0.15, 0.2)
        assert first.object is not None
        assert second.object is not None
        if second.verb is not first.verb and second.object.noun != first.object.noun:
            return first, second


def one_after_another(rng: Rng) -> str:
    """Order two actions of one person: after, before, when, as soon as, then."""
    who = person(rng)
    a, b = two_acts(rng, who)
    he = who.pronoun.he
    had = f"{a.done}"
    then = f"{b.did}{b.place}"
    chance = rng()
    if chance < 0.45:
        word = choose(rng, ("after", "when", "as soon as", "once"))
        return end(f"{word} {who.text} had {had}, {he} {then}")
    if chance < 0.65:
        return end(f"{who.text} {a.did} before {he} {then}")
    if chance < 0.8:
        return end(f"having {had}, {who.text} {then}")
    return end(f"{who.text} {a.did}, {b.did}, and {choose(rng, _THEN)}")


_THEN = ("went home", "had a cup of tea", "rested for a while", "went to bed", "called a friend")


def meanwhile(rng: Rng) -> str:
    """Say what two people did at the same time, or what interrupted one of them."""
    first = one_person(rng)
    second = other_person(rng, first)
    a, b = act(rng, "doing now", first, 0.1, 0.2), act(rng, "doing now", second, 0.1, 0.2)
    was = f"{first.text} was {a.doing}{a.place}"
    chance = rng()
    if chance < 0.5:
        return end(f"while {was}, {second.text} {b.did}{b.place}")
    if chance < 0.7:
        return end(f"{was} when {second.text} {choose(rng, _ENTRANCES)}")
    b = act(rng, "long", second)
    return end(f"{second.text} {b.verb.past}{b.place} until {first.text} {choose(rng, _ENTRANCES)}")


_ENTRANCES = (
    "knocked at the door",
    "came home",
    "called from the garden",
    "came down the stairs",
    "arrived with the cake",
    "came back from the market",
    "looked in through the window",
)


def although(rng: Rng) -> str:
    """Say what happened in spite of something."""
    who = person(rng)
    he, was = who.pronoun.he, agree(who, "was")
    a, b = two_acts(rng, who)
    mood = choose(rng, ("tired", "ill", "nervous", "hungry", "in a hurry", "not very well", "busy"))
    deeds = f"{a.did} and {b.did}{b.place}"
    chance = rng()
    if chance < 0.4:
        return end(f"although {who.text} {was} {mood}, {he} {deeds}")
    if chance < 0.7:
        return end(f"{who.text} {deeds}, even though {he} {was} {mood}")
    return end(f"{who.text} {was} so {choose(rng, moods())} that {he} forgot to {b.do}")


def inside(rng: Rng) -> str:
    """Put a relative clause inside a clause with "that"."""
    thinker = one_person(rng)
    maker = other_person(rng, thinker)
    noun, phrase, action = thing_done(rng, maker)
    adjective = choose(rng, noun.lasting)
    past = rng() < 0.5
    thinks = choose(
        rng,
        ("thought", "said", "knew", "noticed", "remembered")
        if past
        else ("thinks", "says", "knows", "believes"),
    )
    clause = gap(maker, PAST_PERFECT if past else PAST_SIMPLE, action)
    that = choose(rng, (" that", "", " which"))
    be = agree(phrase, "was" if past else "is")
    return end(f"{thinker.text} {thinks} that {phrase.text}{that} {clause} {be} {adjective}")


def described_person(rng: Rng) -> str:
    """Give the subject a relative clause with two actions, or a clause that it says."""
    who = relative_head(rng)
    a, b = two_acts(rng, who)
    chance = rng()
    if chance < 0.4:
        clause = f"who {a.did} and {b.did}"
        return end(f"{who.text} {clause} {about_person(rng, who)}")
    other = name(rng)
    if chance < 0.7:
        speech = choose(rng, ("said", "knew", "hoped", "told us", "believed"))
        clause = f"who {a.did} {speech} that {other.text} would {b.do}"
        return end(f"{who.text} {clause}")
    return end(f"{other.text} asked {who.text} who had {a.done} to {b.do}")


def reason_and_result(rng: Rng) -> str:
    """Say what somebody wanted, did instead, or promised to do."""
    who = one_person(rng)
    other = other_person(rng, who)
    a, b = two_acts(rng, who)
    chance = rng()
    if chance < 0.4:
        return end(
            f"{who.text} wanted to {a.do}, but {other.text} asked {who.pronoun.him} to {b.do} first"
        )
    if chance < 0.7:
        return end(f"instead of {a.doing}, {who.text} {b.did}{b.place}")
    return end(
        f"{who.text} promised {other.text} that {who.pronoun.he} "
        f"would {a.do} as soon as {who.pronoun.he} had {b.done}"
    )


COMPOUNDS = (
    (one_after_another, 3.0),
    (meanwhile, 2.0),
    (although, 2.0),
    (inside, 2.0),
    (described_person, 2.0),
    (reason_and_result, 2.0),
)
