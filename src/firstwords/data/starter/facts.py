"""Facts: what is so, how it is told, how it is asked, how it is answered.

A fact is a relation (say, *capital*) between a subject and a value. The wording lives in
`facts.txt`, the facts in the other tables; whoever adds a table adds a function here.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from .holdout import held_out
from .phrase import Rand, listing, pick, rows, say, sections, weighted
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
    """One fact; `slots` has what its wording needs, always with s (subject) and v (value).

    `values` are all answers that count as right. A fact and its inverse ("Paris is the capital of
    France") share the `key` by which `holdout.py` decides.
    """

    relation: str
    slots: dict[str, str]
    values: tuple[str, ...]
    key: str

    @property
    def value(self) -> str:
        """The right answer in as few words as there are; a list if there are several."""
        return self.slots["v"]

    @property
    def taught(self) -> bool:
        """Whether conversations may ask and answer it."""
        return not held_out("fact", self.key)

    def _worded(self, r: Rand, use: str) -> str:
        return ended(say(r, sections("facts.txt")[f"{self.relation} {use}"], self.slots))

    def told(self, r: Rand) -> str:
        """The fact as a sentence of a text."""
        return self._worded(r, "say")

    def question(self, r: Rand) -> str:
        return self._worded(r, "ask")

    def question_anew(self, r: Rand) -> str:
        """The question in words that only the exam has."""
        return self._worded(r, "ask anew")

    def answer(self, r: Rand) -> str:
        return self._worded(r, "answer")


def ended(text: str) -> str:
    """The sentence with one full stop at its end: 'Washington, D.C.' brings its own."""
    return text[:-1] if text.endswith("..") and not text.endswith("...") else text


def _fact(
    relation: str,
    subject: str,
    value: str,
    *,
    values: tuple[str, ...] = (),
    key: str = "",
    **more: str,
) -> Fact:
    slots = {"s": subject, "v": value, **more}
    return Fact(relation, slots, values or (value,), key or f"{relation}:{subject}")


def _number(relation: str, subject: str, value: int, **more: str) -> Fact:
    """A fact whose value is told in digits; an answer may also give it in words."""
    digits = str(value)
    return _fact(relation, subject, digits, values=(digits, in_words(value)), **more)


def _items(text: str) -> tuple[str, ...]:
    """The parts of a cell that lists several things: 'a, b' and 'a, b, and c'."""
    parts = text.replace(", and ", ", ").replace(" and ", ", ").split(", ")
    return tuple(part for part in parts if part)


@cache
def neighbours() -> dict[str, tuple[str, ...]]:
    """The countries on the other side of each country's land borders, in alphabetical order."""
    found: dict[str, list[str]] = {name: [] for name, *_ in rows("countries.txt")}
    for name, others in rows("borders.txt"):
        for other in others.split(", "):
            found[name].append(other)
            found[other].append(name)
    order = {name: place for place, name in enumerate(found)}
    return {name: tuple(sorted(others, key=order.__getitem__)) for name, others in found.items()}


def _city(name: str) -> str:
    """'the city of Lima', 'Kuwait City'."""
    return name if name.endswith("City") else f"the city of {name}"


def _borders(values: tuple[str, ...]) -> dict[str, str]:
    """Slots for one or several neighbours."""
    either = listing(values, "or")
    if len(values) == 1:
        return {
            "lb": "a land border",
            "its": "its only land border",
            "bs": "land border",
            "bare": "is",
            "vor": either,
        }
    return {
        "lb": "land borders",
        "its": "its land borders",
        "bs": "land borders",
        "bare": "are",
        "vor": either,
    }


def _countries() -> dict[str, list[Fact]]:
    spoken = {row[0]: tuple(row[1].split(", ")) for row in rows("languages.txt")}
    found = {}
    for name, city, continent in rows("countries.txt"):
        own = name + ("'" if name.endswith("s") else "'s")
        found[name] = [
            _fact("capital", name, city, o=own, c=_city(city)),
            _fact("continent", name, continent, o=own),
        ]
        if city != name:
            found[name].append(_fact("capitalof", city, name, key=f"capital:{name}", c=_city(city)))
        for relation, values, more in (
            ("neighbour", neighbours()[name], _borders(neighbours()[name])),
            ("language", spoken[name], {"vare": "is" if len(spoken[name]) == 1 else "are"}),
        ):
            if values:
                found[name].append(_fact(relation, name, listing(values), values=values, **more))
    return found


def _elements() -> dict[str, list[Fact]]:
    found = {}
    for number, (name, symbol, state, use) in enumerate(rows("elements.txt"), start=1):
        facts = [
            _fact("symbol", name, symbol),
            _number("number", name, number, protons="proton" if number == 1 else "protons"),
            _fact("symbolof", symbol, name, key=f"symbol:{name}"),
            _fact("numberof", str(number), name, key=f"number:{name}"),
        ]
        if state:
            facts.append(_fact("state", name, state))
        if use:
            facts.append(_fact("use", name, use))
        found[name] = facts
    return found


def _legs(name: str, many: str, count: int) -> Fact:
    value = in_words(count) if count else "no"
    values = (value, str(count)) if count else (value, "0", "zero", "none")
    return _fact("legs", name, value, values=values, p=many, vn=value if count else "none")


def _animals() -> dict[str, list[Fact]]:
    found = {}
    for name, many, group, legs, food, home, sound, young in rows("animals.txt"):
        plural = CLASSES[group]
        facts = [
            _fact("class", name, group, values=(group, plural), p=many, vp=plural),
            _fact("eats", name, food, values=_items(food), p=many),
            _fact("lives", name, home, p=many),
        ]
        if legs:
            facts.append(_legs(name, many, int(legs)))
        if sound:
            facts.append(_fact("sound", name, sound, p=many))
        if young:
            facts.append(_fact("young", name, young, p=many))
        found[name] = facts
    return found


def _words() -> dict[str, list[Fact]]:
    found: dict[str, list[Fact]] = {}
    for one, other in rows("opposites.txt"):
        key = f"opposite:{one}"
        found[f"{one}/{other}"] = [
            _fact("opposite", one, other, key=key),
            _fact("opposite", other, one, key=key),
        ]
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
            _number("days", name, int(days), leap=leap),
            _fact("month", name, place),
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
            _fact("planetof", place, name, key=f"planet:{name}", n=in_words(number)),
        ]
    return found


def _definitions() -> list[tuple[str, ...]]:
    """The rows whose subject is singular, as the wording needs it."""
    return [row for row in rows("definitions.txt") if row[1] != "scissors"]


def _things() -> dict[str, list[Fact]]:
    found = {}
    for _, name, what, more in _definitions():
        found[name] = [_fact("is", name, what, more=more)]
    for name, colour in rows("colours.txt"):
        found[f"colour of {name}"] = [_fact("colour", name, colour)]
    for one, other, mixed in rows("mixing.txt"):
        key = f"mix:{one} and {other}"
        found[f"{one} with {other}"] = [_fact("mix", one, mixed, key=key, m=other)]
    for parts, name, number in rows("measures.txt"):
        subject = f"{parts} in {name}"
        key = f"measure:{subject}"
        found[subject] = [_number("measure", name, int(number), key=key, u=parts)]
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
    for group, name, *_ in _definitions():
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
# How often a relation is asked among those of its topic; 1 if it is not named here.
_OFTEN = {
    "capital": 6.0,
    "continent": 4.0,
    "capitalof": 2.0,
    "neighbour": 2.0,
    "language": 2.0,
    "symbol": 4.0,
    "number": 4.0,
    "symbolof": 2.0,
    "eats": 4.0,
    "lives": 4.0,
    "class": 4.0,
    "legs": 2.0,
    "sound": 2.0,
    "young": 2.0,
    "opposite": 5.0,
    "plural": 2.0,
    "past": 3.0,
    "is": 5.0,
    "measure": 1.5,
    "mix": 0.4,
}


def any_fact(r: Rand, name: str = "") -> Fact:
    """A random fact, of the topic if one is named."""
    if not name:
        name = weighted(r, ASKED)
    return pick(r, topic(name)[pick(r, subjects(name))])


def asked_fact(r: Rand, name: str = "") -> Fact:
    """A random fact that conversations may ask and answer, of the topic if one is named."""
    return _of_relation(r, name, taught=True)


def kept_fact(r: Rand, name: str = "") -> Fact:
    """A random fact that training tells and never asks, of the topic if one is named."""
    return _of_relation(r, name, taught=False)


def _of_relation(r: Rand, name: str, taught: bool) -> Fact:
    """The topic first, then the relation, then the fact: rare relations get their share too."""
    found, often = _by_relation(name or weighted(r, ASKED), taught)
    return pick(r, found[weighted(r, often)])


@cache
def _by_relation(name: str, taught: bool) -> tuple[dict[str, tuple[Fact, ...]], dict[str, float]]:
    """The facts of a topic that are taught, or those that are not, by relation; and how often
    each relation is asked."""
    found: dict[str, list[Fact]] = {}
    for facts in topic(name).values():
        for fact in facts:
            if fact.taught == taught:
                found.setdefault(fact.relation, []).append(fact)
    often = {relation: _OFTEN.get(relation, 1.0) for relation in found}
    return {relation: tuple(facts) for relation, facts in found.items()}, often
