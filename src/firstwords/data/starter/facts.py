"""Facts: how they are stated, asked for and answered.

A fact is a relation (such as *capital*) between a subject and a value. The facts are in the tables,
each of which has a function below that reads it, and the wording of all relations in `facts.txt`.
"""

from functools import cache
from typing import NamedTuple

from firstwords.data.starter.holdout import is_held_out
from firstwords.data.starter.rng import Rng, choose, choose_weighted, favouring_first
from firstwords.data.starter.tables import table_rows, table_sections
from firstwords.data.starter.templates import join_list, make_sentence
from firstwords.data.starter.words import number_in_words

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
    """A relation between a subject and a value.

    A fact and its inverse ("Paris is the capital of France") share their `key`, so that either both
    are held out or neither.
    """

    relation: str
    slots: dict[str, str]  # for the wording; always with "s" (subject) and "v" (value)
    values: tuple[str, ...]  # all answers that count as right
    key: str

    @property
    def value(self) -> str:
        """The shortest right answer; an enumeration if several things belong to it."""
        return self.slots["v"]

    @property
    def held_out(self) -> bool:
        """Whether pretraining states the fact and conversations never ask for it."""
        return is_held_out("fact", self.key)

    def _word(self, rng: Rng, use: str) -> str:
        return with_one_full_stop(
            make_sentence(rng, table_sections("facts.txt")[f"{self.relation} {use}"], self.slots)
        )

    def statement(self, rng: Rng) -> str:
        """Return the fact as a sentence of a document."""
        return self._word(rng, "say")

    def question(self, rng: Rng) -> str:
        """Return a question for the fact in words that training uses."""
        return self._word(rng, "ask")

    def exam_question(self, rng: Rng) -> str:
        """Return a question for the fact in words that only the exam uses."""
        return self._word(rng, "ask anew")

    def answer(self, rng: Rng) -> str:
        """Return the answer to a question for the fact, as a sentence."""
        return self._word(favouring_first(rng), "answer")


def with_one_full_stop(text: str) -> str:
    """Return the sentence with one full stop at its end: 'Washington, D.C.' has its own."""
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


def _numeric_fact(relation: str, subject: str, value: int, **more: str) -> Fact:
    """Return a fact with a numeric value, stated in digits; answers may also give it in words."""
    digits = str(value)
    return _fact(relation, subject, digits, values=(digits, number_in_words(value)), **more)


def _split_list(text: str) -> tuple[str, ...]:
    """Return the items of an enumeration: 'a, b' or 'a, b, and c'."""
    parts = text.replace(", and ", ", ").replace(" and ", ", ").split(", ")
    return tuple(part for part in parts if part)


@cache
def neighbours() -> dict[str, tuple[str, ...]]:
    """Return the countries with a land border to each country, in alphabetical order."""
    borders: dict[str, list[str]] = {name: [] for name, *_ in table_rows("countries.txt")}
    for name, others in table_rows("borders.txt"):
        for other in others.split(", "):
            borders[name].append(other)
            borders[other].append(name)
    order = {name: place for place, name in enumerate(borders)}
    return {name: tuple(sorted(others, key=order.__getitem__)) for name, others in borders.items()}


def _city(name: str) -> str:
    """Return 'the city of Lima' for Lima, but 'Kuwait City' for Kuwait City."""
    return name if name.endswith("City") else f"the city of {name}"


def _border_slots(values: tuple[str, ...]) -> dict[str, str]:
    """Return the slots of a *neighbour* fact, in the singular or the plural."""
    either = join_list(values, "or")
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
    spoken = {row[0]: tuple(row[1].split(", ")) for row in table_rows("languages.txt")}
    facts = {}
    for name, city, continent in table_rows("countries.txt"):
        possessive = name + ("'" if name.endswith("s") else "'s")
        facts[name] = [
            _fact("capital", name, city, o=possessive, c=_city(city)),
            _fact("continent", name, continent, o=possessive),
        ]
        if city != name:
            facts[name].append(_fact("capitalof", city, name, key=f"capital:{name}", c=_city(city)))
        for relation, values, more in (
            ("neighbour", neighbours()[name], _border_slots(neighbours()[name])),
            ("language", spoken[name], {"vare": "is" if len(spoken[name]) == 1 else "are"}),
        ):
            if values:
                facts[name].append(_fact(relation, name, join_list(values), values=values, **more))
    return facts


def _elements() -> dict[str, list[Fact]]:
    facts = {}
    for number, (name, symbol, state, use) in enumerate(table_rows("elements.txt"), start=1):
        own_facts = [
            _fact("symbol", name, symbol),
            _numeric_fact("number", name, number, protons="proton" if number == 1 else "protons"),
            _fact("symbolof", symbol, name, key=f"symbol:{name}"),
            _fact("numberof", str(number), name, key=f"number:{name}"),
        ]
        if state:
            own_facts.append(_fact("state", name, state))
        if use:
            own_facts.append(_fact("use", name, use))
        facts[name] = own_facts
    return facts


def _legs(name: str, many: str, count: int) -> Fact:
    value = number_in_words(count) if count else "no"
    values = (value, str(count)) if count else (value, "0", "zero", "none")
    return _fact("legs", name, value, values=values, p=many, vn=value if count else "none")


def _animals() -> dict[str, list[Fact]]:
    facts = {}
    for name, many, group, legs, food, home, sound, young in table_rows("animals.txt"):
        plural = CLASSES[group]
        own_facts = [
            _fact("class", name, group, values=(group, plural), p=many, vp=plural),
            _fact("eats", name, food, values=_split_list(food), p=many),
            _fact("lives", name, home, p=many),
        ]
        if legs:
            own_facts.append(_legs(name, many, int(legs)))
        if sound:
            own_facts.append(_fact("sound", name, sound, p=many))
        if young:
            own_facts.append(_fact("young", name, young, p=many))
        facts[name] = own_facts
    return facts


def _words() -> dict[str, list[Fact]]:
    facts: dict[str, list[Fact]] = {}
    for one, other in table_rows("opposites.txt"):
        key = f"opposite:{one}"
        facts[f"{one}/{other}"] = [
            _fact("opposite", one, other, key=key),
            _fact("opposite", other, one, key=key),
        ]
    for one, many in table_rows("plurals.txt"):
        facts[f"{one}+"] = [_fact("plural", one, many)]
    for base, past, participle in table_rows("verbs.txt"):
        own_facts = [_fact("participle", base, participle, m=past)]
        if base != "be":
            own_facts.append(_fact("past", base, past))
        facts[f"to {base}"] = own_facts
    return facts


def _calendar() -> dict[str, list[Fact]]:
    table = table_rows("calendar.txt")
    facts: dict[str, list[Fact]] = {}
    for i, (name, place, days, season) in enumerate(table):
        leap = ", and 29 in a leap year" if name == "February" else ""
        following = table[(i + 1) % 12][0]
        facts[name] = [
            _numeric_fact("days", name, int(days), leap=leap),
            _fact("month", name, place),
            _fact("after", name, following),
            _fact("season", name, season),
        ]
    for i, day in enumerate(WEEK):
        facts[day] = [_fact("weekday", day, WEEK[(i + 1) % 7])]
    return facts


def _planets() -> dict[str, list[Fact]]:
    facts = {}
    for number, (name, place, *_) in enumerate(table_rows("planets.txt"), start=1):
        facts[name] = [
            _fact("planet", name, place),
            _fact("planetof", place, name, key=f"planet:{name}", n=number_in_words(number)),
        ]
    return facts


def _definitions() -> list[tuple[str, ...]]:
    """Return the rows with a singular subject: the wording has no plural."""
    return [row for row in table_rows("definitions.txt") if row[1] != "scissors"]


def _things() -> dict[str, list[Fact]]:
    facts = {}
    for _, name, what, more in _definitions():
        facts[name] = [_fact("is", name, what, more=more)]
    for name, colour in table_rows("colours.txt"):
        facts[f"colour of {name}"] = [_fact("colour", name, colour)]
    for one, other, mixed in table_rows("mixing.txt"):
        key = f"mix:{one} and {other}"
        facts[f"{one} with {other}"] = [_fact("mix", one, mixed, key=key, m=other)]
    for parts, name, number in table_rows("measures.txt"):
        subject = f"{parts} in {name}"
        key = f"measure:{subject}"
        facts[subject] = [_numeric_fact("measure", name, int(number), key=key, u=parts)]
    return facts


_TOPIC_TABLES = {
    "countries": _countries,
    "elements": _elements,
    "animals": _animals,
    "words": _words,
    "calendar": _calendar,
    "planets": _planets,
    "things": _things,
}
TOPICS = tuple(_TOPIC_TABLES)


@cache
def facts_by_subject(topic: str) -> dict[str, list[Fact]]:
    """Return all facts of a topic, by their subject."""
    return _TOPIC_TABLES[topic]()


@cache
def subjects(topic: str) -> tuple[str, ...]:
    """Return the subjects of a topic's facts."""
    return tuple(facts_by_subject(topic))


@cache
def definition_groups() -> dict[str, tuple[str, ...]]:
    """Return the subjects of definitions by group: tools, jobs, places, ..."""
    names_by_group: dict[str, list[str]] = {}
    for group, name, *_ in _definitions():
        names_by_group.setdefault(group, []).append(name)
    return {group: tuple(names) for group, names in names_by_group.items()}


# How often each topic is asked for.
TOPIC_WEIGHTS = {
    "countries": 30.0,
    "elements": 16.0,
    "animals": 22.0,
    "words": 16.0,
    "calendar": 5.0,
    "planets": 3.0,
    "things": 22.0,
}
# How often each relation is asked for among those of its topic; 1 for all others.
_RELATION_WEIGHTS = {
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


def random_fact(rng: Rng, topic: str = "") -> Fact:
    """Return any fact, of `topic` if given. All subjects of a topic are equally likely."""
    if not topic:
        topic = choose_weighted(rng, TOPIC_WEIGHTS)
    return choose(rng, facts_by_subject(topic)[choose(rng, subjects(topic))])


def random_asked_fact(rng: Rng, topic: str = "") -> Fact:
    """Return a fact that conversations may ask for, of `topic` if given."""
    return _random_fact_by_relation(rng, topic, held_out=False)


def random_held_out_fact(rng: Rng, topic: str = "") -> Fact:
    """Return a fact that pretraining states and conversations never ask for."""
    return _random_fact_by_relation(rng, topic, held_out=True)


def _random_fact_by_relation(rng: Rng, topic: str, held_out: bool) -> Fact:
    """Draw the topic, then the relation, then the fact, so that rare relations get their share."""
    facts, weights = _by_relation(topic or choose_weighted(rng, TOPIC_WEIGHTS), held_out)
    return choose(rng, facts[choose_weighted(rng, weights)])


@cache
def _by_relation(
    topic: str, held_out: bool
) -> tuple[dict[str, tuple[Fact, ...]], dict[str, float]]:
    """Return a topic's facts by relation, held out or not, and the relations' weights."""
    by_relation: dict[str, list[Fact]] = {}
    for facts in facts_by_subject(topic).values():
        for fact in facts:
            if fact.held_out == held_out:
                by_relation.setdefault(fact.relation, []).append(fact)
    weights = {relation: _RELATION_WEIGHTS.get(relation, 1.0) for relation in by_relation}
    return {relation: tuple(facts) for relation, facts in by_relation.items()}, weights
