"""Encyclopedia pages: facts of one topic, in varied wording."""

import re
from functools import cache

from firstwords.data.starter.facts import (
    Fact,
    definition_groups,
    facts_by_subject,
    random_fact,
    subjects,
)
from firstwords.data.starter.rng import Rng, choose, randint, sample
from firstwords.data.starter.tables import table_rows, table_sections, table_text
from firstwords.data.starter.templates import capitalize, fill_template, make_sentence


class ScienceTopic:
    """An everyday science question: its wordings and the sentences that answer it."""

    def __init__(self, block: str) -> None:
        lines = [line.strip() for line in block.splitlines() if line.strip()]
        self.name = lines[0]
        self.questions = tuple(line[2:] for line in lines[1:] if line.startswith("? "))
        self.sentences = tuple(line for line in lines[1:] if not line.startswith("? "))

    def question(self, rng: Rng) -> str:
        """Return the question in one of its wordings."""
        return make_sentence(rng, self.questions)

    def answer(self, rng: Rng) -> str:
        """Return all sentences of the answer, each in one of its wordings."""
        return " ".join(capitalize(fill_template(rng, line)) for line in self.sentences)


@cache
def science_topics() -> tuple[ScienceTopic, ...]:
    """Return all topics of `science.txt`."""
    blocks = re.split(r"^-- ", table_text("science.txt"), flags=re.MULTILINE)[1:]
    return tuple(ScienceTopic(block) for block in blocks)


def _maybe_titled(rng: Rng, name: str, facts: list[Fact], text: str) -> str:
    """Return the text, below a title two times out of five."""
    if rng() > 0.4:
        return text
    slots = dict(facts[0].slots)
    slots["t"] = facts[-1].slots["s"]
    slots["tp"] = facts[-1].slots.get("p", "")
    title = make_sentence(rng, table_sections("facts.txt")[f"title {name}"], slots)
    return f"{title}\n\n{text}"


def _statements(rng: Rng, facts: list[Fact]) -> str:
    return " ".join(fact.statement(rng) for fact in facts)


# Relations that are stated from the subject's side (not "X is the capital of ...").
_FORWARD_RELATIONS = {
    "capital",
    "continent",
    "neighbour",
    "language",
    "symbol",
    "number",
    "state",
    "use",
}


def _facts_about(rng: Rng, topic: str, subject: str, count: int) -> list[Fact]:
    """Return up to `count` facts about a subject, in random order."""
    facts = [
        fact
        for fact in facts_by_subject(topic)[subject]
        if fact.relation in _FORWARD_RELATIONS or topic == "animals"
    ]
    return sample(rng, facts, count)


def countries(rng: Rng) -> str:
    """Return a page about three to six countries, often of one continent."""
    names = list(sample(rng, subjects("countries"), randint(rng, 3, 6)))
    if rng() < 0.5:
        home = facts_by_subject("countries")[names[0]][1].value
        near = [
            n for n in subjects("countries") if facts_by_subject("countries")[n][1].value == home
        ]
        names = sample(rng, near, len(names))
    facts = []
    for name in names:
        facts += _facts_about(rng, "countries", name, randint(rng, 1, 3))
    homes = [facts_by_subject("countries")[name][1] for name in names]
    one_home = len({home.value for home in homes}) == 1
    return _maybe_titled(
        rng, "continent" if one_home else "countries", homes, _statements(rng, facts)
    )


def elements(rng: Rng) -> str:
    """Return a page about two to four chemical elements."""
    facts = []
    for name in sample(rng, subjects("elements"), randint(rng, 2, 4)):
        facts += _facts_about(rng, "elements", name, randint(rng, 2, 4))
    return _maybe_titled(rng, "elements", facts, _statements(rng, facts))


def animals(rng: Rng) -> str:
    """Return a page about one to three animals."""
    names = sample(rng, subjects("animals"), randint(rng, 1, 3))
    facts = []
    for name in names:
        facts += _facts_about(rng, "animals", name, 6 if len(names) == 1 else 4)
    if len(names) == 1:
        extra = sample(rng, facts_by_subject("animals")[choose(rng, subjects("animals"))], 2)
        return _maybe_titled(rng, "animal", [facts[0]], _statements(rng, facts + extra))
    return _maybe_titled(rng, "animals", facts, _statements(rng, facts))


def _different_facts(rng: Rng, topic: str, count: int) -> list[Fact]:
    """Return up to `count` different facts of a topic."""
    facts = [random_fact(rng, topic) for _ in range(count)]
    return list({(fact.relation, fact.slots["s"]): fact for fact in facts}.values())


def words(rng: Rng) -> str:
    """Return a page about opposites, plurals and verb forms."""
    facts = _different_facts(rng, "words", randint(rng, 5, 9))
    return _maybe_titled(rng, "words", facts, _statements(rng, facts))


def calendar(rng: Rng) -> str:
    """Return a page about months, days and seasons."""
    facts = _different_facts(rng, "calendar", randint(rng, 6, 10))
    return _maybe_titled(rng, "calendar", facts, _statements(rng, facts))


def planets(rng: Rng) -> str:
    """Return a page about two to four planets, with what is special about each."""
    sentences, facts = [], []
    for name, _, kind, *notes in sample(rng, table_rows("planets.txt"), randint(rng, 2, 4)):
        fact = facts_by_subject("planets")[name][0]
        facts.append(fact)
        sentences.append(fact.statement(rng))
        if rng() < 0.4:
            composition = {
                "rocky": "It is [made of rock|a rocky planet|a ball of rock].",
                "gas": "It is [a giant made of gas|a gas giant|mostly gas].",
                "ice": "It is [an ice giant|a giant of ice and gas].",
            }
            sentences.append(make_sentence(rng, (composition[kind],)))
        sentences.extend(sample(rng, notes, randint(rng, 1, 3)))
    sentences.append(random_fact(rng, "things").statement(rng))
    return _maybe_titled(rng, "planets", facts, " ".join(sentences))


def things(rng: Rng) -> str:
    """Return a page of definitions, mostly of one group of things."""
    names = sample(
        rng, definition_groups()[choose(rng, tuple(definition_groups()))], randint(rng, 2, 4)
    )
    facts = [facts_by_subject("things")[name][0] for name in names]
    facts.append(random_fact(rng, "things"))
    return _maybe_titled(rng, "things", facts, _statements(rng, facts))


def science(rng: Rng) -> str:
    """Return a page with two everyday questions and their explanations."""
    paragraphs = []
    for topic in sample(rng, science_topics(), 2):
        with_question = rng() < 0.6
        question = f"{topic.question(rng)} " if with_question else ""
        paragraphs.append(question + topic.answer(rng))
    if rng() < 0.4:
        paragraphs.append(random_fact(rng, "things").statement(rng))
    return "\n\n".join(paragraphs)


def almanac(rng: Rng) -> str:
    """Return a page of facts from all topics."""
    lead_ins = (
        "[Did you know this|Have you heard this|Do you know this]? ",
        "[Here is something to remember|Here is a small fact|Now for something else]. ",
        "[Think about this|Remember this|Write this down]. ",
        "",
        "",
        "",
        "",
        "",
    )
    facts = [random_fact(rng) for _ in range(randint(rng, 4, 8))]
    return " ".join(
        fill_template(rng, choose(rng, lead_ins)) + fact.statement(rng) for fact in facts
    )
