"""Facts: what is so, how it is told, how it is asked, how it is answered.

A fact is a relation (say, *capital*) between a subject and a value. The wording lives in
`facts.txt`, the facts in the other tables; whoever adds a table adds a function here.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from .phrase import Rand, capital, pick, rows, say, sections, weighted
from .words import in_words

WEEK = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
CLASSES = {
    "mammal": "mammals",
    "bird": "birds",
    "fish": "fish",
    "insect": "insects",
    "reptile": "reptiles",
    "amphibian": "amphibians",
    "crustacean": "crustaceans",
    "mollusc": "molluscs",
    "arachnid": "arachnids",
    "cnidarian": "cnidarians",
    "echinoderm": "echinoderms",
    "annelid": "annelids",
}


class Fact(NamedTuple):
    """One fact; `slots` has what its wording needs, always with s (subject) and v (value)."""

    relation: str
    slots: dict[str, str]

    @property
    def value(self) -> str:
        """The right answer in as few words as there are."""
        return self.slots["v"]

    def told(self, r: Rand) -> str:
        """The fact as a sentence of a text."""
        return say(r, sections("facts.txt")[f"{self.relation} say"], self.slots)

    def question(self, r: Rand) -> str:
        return say(r, sections("facts.txt")[f"{self.relation} ask"], self.slots)

    def answer(self, r: Rand) -> str:
        return say(r, sections("facts.txt")[f"{self.relation} answer"], self.slots)


def _fact(relation: str, subject: str, value: str, **more: str) -> Fact:
    return Fact(relation, {"s": subject, "v": value, **more})


def _countries() -> dict[str, list[Fact]]:
    found = {}
    for name, city, continent in rows("countries.txt"):
        found[name] = [_fact("capital", name, city), _fact("continent", name, continent)]
        if city != name:
            found[name].append(_fact("capitalof", city, name))
    return found


def _elements() -> dict[str, list[Fact]]:
    found = {}
    for number, (name, symbol, state, use) in enumerate(rows("elements.txt"), start=1):
        protons = "proton" if number == 1 else "protons"
        facts = [
            _fact("symbol", name, symbol),
            _fact("number", name, str(number), protons=protons),
            _fact("symbolof", symbol, name),
            _fact("numberof", str(number), name),
        ]
        if state:
            facts.append(_fact("state", name, state))
        if use:
            facts.append(_fact("use", name, use))
        found[name] = facts
    return found


def _animals() -> dict[str, list[Fact]]:
    found = {}
    for name, many, group, legs, food, home, sound, young in rows("animals.txt"):
        facts = [
            _fact("class", name, group, p=many, vp=CLASSES[group]),
            _fact("eats", name, food, p=many),
            _fact("lives", name, home, p=many),
        ]
        if legs:
            value = "no" if legs == "0" else in_words(int(legs))
            facts.append(_fact("legs", name, value, p=many))
        if sound:
            facts.append(_fact("sound", name, sound, p=many))
        if young:
            facts.append(_fact("young", name, young, p=many))
        found[name] = facts
    return found


def _words() -> dict[str, list[Fact]]:
    found: dict[str, list[Fact]] = {}
    for one, other in rows("opposites.txt"):
        found[f"{one}/{other}"] = [_fact("opposite", one, other), _fact("opposite", other, one)]
    for one, many in rows("plurals.txt"):
        found[f"{one}+"] = [_fact("plural", one, many)]
    for base, past, participle in rows("verbs.txt"):
        facts = [_fact("participle", base, participle, m=past)]
        if base != "be":
            facts.append(_fact("past", base, past))
        found[f"to {base}"] = facts
    return found


def _calendar() -> dict[str, list[Fact]]:
    table = rows("calendar.txt")
    found: dict[str, list[Fact]] = {}
    for i, (name, place, days, season) in enumerate(table):
        leap = ", and 29 in a leap year" if name == "February" else ""
        following = table[(i + 1) % 12][0]
        found[name] = [
            _fact("days", name, days, leap=leap),
            _fact("month", name, place, w=table[(i + 5) % 12][1]),
            _fact("after", name, following),
            _fact("season", name, season),
        ]
    for i, day in enumerate(WEEK):
        found[day] = [_fact("weekday", day, WEEK[(i + 1) % 7])]
    return found


def _planets() -> dict[str, list[Fact]]:
    found = {}
    for number, (name, place, *_) in enumerate(rows("planets.txt"), start=1):
        found[name] = [
            _fact("planet", name, place),
            _fact("planetof", place, name, n=in_words(number)),
        ]
    return found


def _things() -> dict[str, list[Fact]]:
    found = {}
    for _, name, what, more in rows("definitions.txt"):
        if name != "scissors":
            found[name] = [_fact("is", name, what, more=more)]
    for name, colour in rows("colours.txt"):
        found[f"colour of {name}"] = [_fact("colour", name, colour)]
    for one, other, mixed in rows("mixing.txt"):
        found[f"{one} with {other}"] = [_fact("mix", one, mixed, m=other)]
    return found


_TOPICS = {
    "countries": _countries,
    "elements": _elements,
    "animals": _animals,
    "words": _words,
    "calendar": _calendar,
    "planets": _planets,
    "things": _things,
}
TOPICS = tuple(_TOPICS)


@cache
def topic(name: str) -> dict[str, list[Fact]]:
    """All facts of a topic, by what they are about."""
    return _TOPICS[name]()


@cache
def subjects(name: str) -> tuple[str, ...]:
    """What a topic has facts about."""
    return tuple(topic(name))


@cache
def groups() -> dict[str, tuple[str, ...]]:
    """Definitions by group: tools, jobs, places ..."""
    found: dict[str, list[str]] = {}
    for group, name, *_ in rows("definitions.txt"):
        if name != "scissors":
            found.setdefault(group, []).append(name)
    return {group: tuple(names) for group, names in found.items()}


ASKED = {
    "countries": 30.0,
    "elements": 16.0,
    "animals": 22.0,
    "words": 16.0,
    "calendar": 5.0,
    "planets": 3.0,
    "things": 22.0,
}


def any_fact(r: Rand, name: str = "") -> Fact:
    """A random fact, of the topic if one is named."""
    if not name:
        name = weighted(r, ASKED)
    return pick(r, topic(name)[pick(r, subjects(name))])


def short_answer(fact: Fact) -> str:
    """The value alone, as a one-word answer is written."""
    return capital(fact.value)
