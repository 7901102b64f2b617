"""Comparisons: taller than, as tall as, the tallest; the more, the better."""

from functools import cache

from firstwords.data.starter.grammar.clauses import end
from firstwords.data.starter.grammar.lexicon import (
    Adjective,
    Noun,
    adjectives,
    nouns,
    verb,
    wording,
)
from firstwords.data.starter.grammar.phrases import one_person, other_person
from firstwords.data.starter.rng import Rng, choose


def of_people(rng: Rng) -> str:
    """Compare two people, or one with a group."""
    first = one_person(rng)
    second = other_person(rng, first)
    adjectives_ = comparable_people()
    adjective = choose(rng, adjectives_)
    chance = rng()
    be = choose(rng, ("is", "was"))
    than = "than"
    if chance < 0.3:
        much = choose(rng, ("", "much ", "a little ", "even "))
        return end(f"{first.text} {be} {much}{adjective.more} {than} {second.text}")
    if chance < 0.45:
        return end(f"{first.text} {be} as {adjective.word} as {second.text}")
    if chance < 0.6:
        return end(f"{first.text} isn't as {adjective.word} as {second.text}")
    if chance < 0.8:
        group = choose(
            rng, ("in the class", "of all", "in the family", "in the village", "of the three")
        )
        return end(f"{first.text} {be} the {adjective.most} {group}")
    if chance < 0.9:
        me = choose(rng, ("I am", "you are", "we are"))
        return end(f"{first.text} is {adjective.more} than {me}")
    return end(f"{first.text} is getting {adjective.more} every year")


@cache
def comparable_people() -> tuple[Adjective, ...]:
    """Return the adjectives by which people are compared."""
    return tuple(
        a
        for a in adjectives()
        if a.classes & {"trait", "person"} and a.word not in ("old", "famous")
    ) + tuple(a for a in adjectives() if a.word == "old")


@cache
def _comparable() -> tuple[tuple[Noun, tuple[Adjective, ...]], ...]:
    flat = ("new", "ripe", "tiny")
    rows = []
    for noun in nouns().values():
        suited = tuple(a for a in noun.gradable if a.word not in flat)
        if (
            suited
            and noun.classes.isdisjoint(("person", "job", "relative"))
            and noun.plural
            and not noun.only_plural
        ):
            rows.append((noun, suited))
    return tuple(rows)


def of_things(rng: Rng) -> str:
    """Compare two things of a kind, or one with all others."""
    rows = _comparable()
    noun, suited = choose(rng, rows)
    adjective = choose(rng, suited)
    chance = rng()
    a = one_person(rng).text
    if chance < 0.25:
        return end(
            f"this {noun.word} is "
            f"{choose(rng, ('', 'much ', 'a bit '))}{adjective.more} than that one"
        )
    if chance < 0.4:
        return end(f"{a}'s {noun.word} is {adjective.more} than mine")
    if chance < 0.55:
        return (
            end(f"{a}'s {noun.word} isn't as {adjective.word} as ours")
            if rng() < 0.5
            else end(f"my {noun.word} is as {adjective.word} as yours")
        )
    if chance < 0.75:
        return (
            end(f"this is the {adjective.most} {noun.word} {choose(rng, _OF_ALL)}")
            if not noun.classes & {"animal", "bird", "insect"}
            else end(
                f"the {adjective.most} {noun.word} was the {choose(rng, ('first', 'last'))} to eat"
            )
        )
    if chance < 0.9:
        return end(f"the {noun.plural} on the left are {adjective.more} than those on the right")
    return end(f"which of the two {noun.plural} is {adjective.more}", "?")


_OF_ALL = ("of all", "in the shop", "that I know", "here", "in the world")


def of_deeds(rng: Rng) -> str:
    """Compare how people do things: "Ada runs faster than Ben (does)."."""
    first = one_person(rng)
    second = other_person(rng, first)
    chance = rng()
    if chance < 0.35:
        return end(choose(rng, wording("the more")).format(a=first.text, he=first.pronoun.he))
    deed, adverbs = choose(rng, _DEEDS)
    forms = verb(deed)
    adverb = choose(rng, adverbs)
    more = _MORE.get(adverb, f"more {adverb}")
    third, past = forms.third, forms.past
    if chance < 0.55:
        return end(f"{first.text} {third} {more} than {second.text}{choose(rng, ('', ' does'))}")
    if chance < 0.7:
        return end(f"{first.text} {past} as {adverb} as {first.pronoun.he} could")
    if chance < 0.85:
        return end(f"{first.text} {third} as {adverb} as {second.text}{choose(rng, ('', ' does'))}")
    return end(
        f"of {choose(rng, ('us all', 'all my friends', 'all the people I know'))}, "
        f"{first.text} {past} {_most(more)}"
    )


def _most(more: str) -> str:
    if more.startswith("more "):
        return f"the most{more[4:]}"
    return {
        "better": "best",
        "worse": "worst",
        "earlier": "the earliest",
        "further": "furthest",
    }.get(more, f"the {more[:-1]}st")


_MORE = {
    "fast": "faster",
    "well": "better",
    "high": "higher",
    "hard": "harder",
    "loudly": "more loudly",
    "early": "earlier",
    "late": "later",
    "far": "further",
    "badly": "worse",
}
_DEEDS = (
    ("run", ("fast", "far", "quickly")),
    ("sing", ("well", "loudly", "beautifully", "badly")),
    ("work", ("hard", "carefully", "quickly")),
    ("jump", ("high", "far")),
    ("swim", ("fast", "far", "well")),
    ("get up", ("early", "late")),
    ("drive", ("carefully", "slowly", "fast")),
    ("write", ("neatly", "quickly", "clearly")),
    ("speak", ("clearly", "slowly", "politely")),
    ("dance", ("gracefully", "well")),
    ("arrive", ("early", "late")),
    ("laugh", ("loudly",)),
)

COMPARISONS = (
    (of_people, 3.0),
    (of_things, 3.0),
    (of_deeds, 2.0),
)
