"""Encyclopedia pages: facts of one topic, told one after the other in changing words."""

from __future__ import annotations

import re
from functools import cache

from .facts import Fact, any_fact, groups, subjects, topic
from .phrase import Rand, capital, fill, pick, rows, say, sections, some, table_text, whole


class Topic:
    """An everyday science question: how it is asked and the sentences that answer it."""

    def __init__(self, block: str) -> None:
        lines = [line.strip() for line in block.splitlines() if line.strip()]
        self.name = lines[0]
        self.questions = tuple(line[2:] for line in lines[1:] if line.startswith("? "))
        self.sentences = tuple(line for line in lines[1:] if not line.startswith("? "))

    def question(self, r: Rand) -> str:
        return say(r, self.questions)

    def answer(self, r: Rand) -> str:
        return " ".join(capital(fill(r, line)) for line in self.sentences)


@cache
def science_topics() -> tuple[Topic, ...]:
    """All topics of `science.txt`."""
    blocks = re.split(r"^-- ", table_text("science.txt"), flags=re.MULTILINE)[1:]
    return tuple(Topic(block) for block in blocks)


def _titled(r: Rand, name: str, facts: list[Fact], text: str) -> str:
    """The page with a title before it, two times out of five."""
    if r() > 0.4:
        return text
    slots = dict(facts[0].slots)
    slots["t"] = facts[-1].slots["s"]
    slots["tp"] = facts[-1].slots.get("p", "")
    title = say(r, sections("facts.txt")[f"title {name}"], slots)
    return f"{title}\n\n{text}"


def _telling(r: Rand, facts: list[Fact]) -> str:
    return " ".join(fact.told(r) for fact in facts)


_FORWARD = {"capital", "continent", "neighbour", "language", "symbol", "number", "state", "use"}


def _facts_about(r: Rand, name: str, subject: str, count: int) -> list[Fact]:
    """Some facts about a subject, told from its own side (not "X is the capital of ...")."""
    own = [f for f in topic(name)[subject] if f.relation in _FORWARD or name == "animals"]
    return some(r, own, count)


def countries(r: Rand) -> str:
    """Three to six countries, often of one continent."""
    names = list(some(r, subjects("countries"), whole(r, 3, 6)))
    if r() < 0.5:
        home = topic("countries")[names[0]][1].value
        near = [n for n in subjects("countries") if topic("countries")[n][1].value == home]
        names = some(r, near, len(names))
    facts = []
    for name in names:
        facts += _facts_about(r, "countries", name, whole(r, 1, 3))
    homes = [topic("countries")[name][1] for name in names]
    one_home = len({home.value for home in homes}) == 1
    return _titled(r, "continent" if one_home else "countries", homes, _telling(r, facts))


def elements(r: Rand) -> str:
    """Two to four chemical elements."""
    facts = []
    for name in some(r, subjects("elements"), whole(r, 2, 4)):
        facts += _facts_about(r, "elements", name, whole(r, 2, 4))
    return _titled(r, "elements", facts, _telling(r, facts))


def animals(r: Rand) -> str:
    """A page about one animal, or about two."""
    names = some(r, subjects("animals"), whole(r, 1, 3))
    facts = []
    for name in names:
        facts += _facts_about(r, "animals", name, 6 if len(names) == 1 else 4)
    if len(names) == 1:
        extra = some(r, topic("animals")[pick(r, subjects("animals"))], 2)
        return _titled(r, "animal", [facts[0]], _telling(r, facts + extra))
    return _titled(r, "animals", facts, _telling(r, facts))


def _several(r: Rand, name: str, count: int) -> list[Fact]:
    """Different facts of a topic."""
    drawn = [any_fact(r, name) for _ in range(count)]
    return list({(f.relation, f.slots["s"]): f for f in drawn}.values())


def words(r: Rand) -> str:
    """Opposites, plurals and forms of verbs."""
    facts = _several(r, "words", whole(r, 5, 9))
    return _titled(r, "words", facts, _telling(r, facts))


def calendar(r: Rand) -> str:
    """Months, days and seasons."""
    facts = _several(r, "calendar", whole(r, 6, 10))
    return _titled(r, "calendar", facts, _telling(r, facts))


def planets(r: Rand) -> str:
    """Two or three planets, with what is special about them."""
    told, facts = [], []
    for name, _, kind, *notes in some(r, rows("planets.txt"), whole(r, 2, 4)):
        fact = topic("planets")[name][0]
        facts.append(fact)
        told.append(fact.told(r))
        if r() < 0.4:
            made = {
                "rocky": "It is [made of rock|a rocky planet|a ball of rock].",
                "gas": "It is [a giant made of gas|a gas giant|mostly gas].",
                "ice": "It is [an ice giant|a giant of ice and gas].",
            }
            told.append(say(r, (made[kind],)))
        told.extend(some(r, notes, whole(r, 1, 3)))
    told.append(any_fact(r, "things").told(r))
    return _titled(r, "planets", facts, " ".join(told))


def things(r: Rand) -> str:
    """Definitions, mostly of one group, with a colour or two between them."""
    names = some(r, groups()[pick(r, tuple(groups()))], whole(r, 2, 4))
    facts = [topic("things")[name][0] for name in names]
    facts.append(any_fact(r, "things"))
    return _titled(r, "things", facts, _telling(r, facts))


def science(r: Rand) -> str:
    """Two everyday questions with their explanations."""
    told = []
    for one in some(r, science_topics(), 2):
        told.append(f"{one.question(r)} {one.answer(r)}" if r() < 0.6 else one.answer(r))
    if r() < 0.4:
        told.append(any_fact(r, "things").told(r))
    return "\n\n".join(told)


def almanac(r: Rand) -> str:
    """A little of everything."""
    leads = (
        "[Did you know this|Have you heard this|Do you know this]? ",
        "[Here is something to remember|Here is a small fact|Now for something else]. ",
        "[Think about this|Remember this|Write this down]. ",
        "",
        "",
        "",
        "",
        "",
    )
    facts = [any_fact(r) for _ in range(whole(r, 4, 8))]
    return " ".join(fill(r, pick(r, leads)) + fact.told(r) for fact in facts)
