"""Questions about a thing by its name: "tell me about owls", "what is a kettle".

`SOURCES` lists the functions that know something. Each yields `Subject`s; a library of texts adds
one that calls `from_pairs`.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import NamedTuple

from firstwords.data.starter.everyday.dictionary import (
    meaning,
    nouns_of,
    nouns_that_count,
    plural_of,
)
from firstwords.data.starter.everyday.library_subjects import library_how_tos, library_things
from firstwords.data.starter.everyday.typed import TypingStyle, draw_style, is_exam_only, type_out
from firstwords.data.starter.facts import Fact, facts_by_subject, subjects
from firstwords.data.starter.lexicon import Entry
from firstwords.data.starter.rng import (
    Rng,
    choose,
    choose_weighted,
    favouring_first,
    randint,
    sample,
    seeded_rng,
)
from firstwords.data.starter.tables import table_rows, table_sections
from firstwords.data.starter.templates import article, capitalize, make_sentence
from firstwords.data.starter.turn import Turn


class Subject(NamedTuple):
    """A thing that users ask about, and the sentences that answer, most important first."""

    name: str
    sentences: tuple[str, ...]
    heading: str = "ask"  # the section of `about.txt` with the wording of questions


def from_pairs(pairs: Iterable[tuple[str, str]], heading: str = "ask") -> Iterator[Subject]:
    """Yield the subjects of (name, answer) pairs, for a source of texts.

    `heading` is the section of `about.txt` with the wording of questions: "ask" for a name with its
    article ("a kettle"), "ask many" for a plural, "ask how" for an infinitive ("boil an egg").
    """
    for name, answer in pairs:
        yield Subject(name, tuple(_SENTENCE_END.split(answer)), heading)


_SENTENCE_END = re.compile(r"(?<=[.!?]) (?=[A-Z])")


def _definitions() -> Iterator[Subject]:
    for fact in _asked_facts("things"):
        if fact.relation == "is":
            name = fact.slots["s"]
            what = f"{name[0].upper()}{name[1:]} is {fact.value}."
            yield Subject(name, (what, fact.slots["more"]))


def _asked_facts(topic: str) -> Iterator[Fact]:
    """Yield the facts that conversations may state."""
    for name in subjects(topic):
        yield from (fact for fact in facts_by_subject(topic)[name] if not fact.held_out)


def _explained() -> Iterator[Subject]:
    """Yield ideas, places, people and records that no other table tells of."""
    for heading, lines in table_sections("explained.txt").items():
        for line in lines:
            name, *sentences = line.split(" | ")
            yield Subject(name, tuple(sentences), heading)


def _animals() -> Iterator[Subject]:
    for name in subjects("animals"):
        facts = [fact for fact in facts_by_subject("animals")[name] if not fact.held_out]
        if len(facts) >= 2:
            yield Subject(facts[0].slots.get("p", name), _answers(facts), "ask many")


def _countries() -> Iterator[Subject]:
    for name, *_ in table_rows("countries.txt"):
        facts = [
            fact
            for fact in facts_by_subject("countries")[name]
            if fact.relation in ("capital", "continent", "language") and not fact.held_out
        ]
        if len(facts) >= 2:
            yield Subject(name, _answers(facts), "ask place")


def _country_places() -> Iterator[Subject]:
    """Yield the continent of every country, and its neighbours."""
    for name, *_ in table_rows("countries.txt"):
        facts = {fact.relation: fact for fact in facts_by_subject("countries")[name]}
        continent, borders = facts["continent"], facts.get("neighbour")
        if not continent.held_out:
            more = () if borders is None or borders.held_out else (f"It borders {borders.value}.",)
            yield Subject(name, (*_answers([continent]), *more), "ask where")


def _answers(facts: list[Fact]) -> tuple[str, ...]:
    """Return a sentence for each fact; after the first, "a vole" is "it"."""
    rng = seeded_rng(0, "about", 0)
    name = facts[0].slots["s"]
    subject = f"{capitalize(article(name))} {name} "
    first, *others = (fact.answer(rng) for fact in facts)
    return (first, *(re.sub(f"^{subject}", "It ", answer) for answer in others))


def _library() -> Iterator[Subject]:
    """Yield what the library says something about."""
    for entry, sentences in library_things():
        many = plural_of(entry)
        if many and entry.inflection != "=":
            yield Subject(f"{article(entry.word)} {entry.word}", sentences, "ask")
            yield Subject(many, sentences, "ask many")
        else:
            yield Subject(entry.word, sentences, "ask stuff")


def _how_tos() -> Iterator[Subject]:
    return from_pairs(library_how_tos(), "ask how")


def _lexicon() -> Iterator[Subject]:
    """Yield the commoner nouns of the lexicon with their meanings."""
    return _one_and_many(nouns_that_count()[:1500], "ask", "ask many")


def _jobs() -> Iterator[Subject]:
    """Yield what people at work do."""
    return _one_and_many(nouns_of("job"), "ask job", "ask jobs")


def _one_and_many(entries: Iterable[Entry], one: str, many: str) -> Iterator[Subject]:
    """Yield each noun with its meaning and example, asked for in the singular and the plural."""
    for entry in entries:
        sentences = (meaning(entry), entry.example)
        yield Subject(f"{article(entry.word)} {entry.word}", sentences, one)
        if plural_of(entry) != entry.word:
            yield Subject(plural_of(entry), sentences, many)


# The sources and how often they are asked. What stands in no other table is asked most.
SOURCES: dict[Callable[[], Iterator[Subject]], float] = {
    _explained: 6.0,
    _definitions: 1.0,
    _animals: 1.0,
    _countries: 1.0,
    _country_places: 1.0,
    _library: 1.0,
    _how_tos: 1.0,
    _jobs: 1.0,
    _lexicon: 1.0,
}
_COMMON_FIRST = (_jobs, _lexicon)  # in the order of how often the library uses the words


@cache
def _subjects_of(source: Callable[[], Iterator[Subject]]) -> tuple[Subject, ...]:
    return tuple(source())


def about(rng: Rng) -> list[Turn]:
    """Ask about one or two things; then perhaps for more, or for a shorter answer."""
    style = draw_style(rng)
    turns: list[Turn] = []
    for _ in range(randint(rng, 1, 2)):
        turns += turns_about(rng, draw_subject(rng), style)
    return turns


def draw_subject(rng: Rng) -> Subject:
    """Return what somebody asks about."""
    source = choose_weighted(rng, SOURCES)
    usual = favouring_first(rng) if source in _COMMON_FIRST else rng
    return choose(usual, _subjects_of(source))


def turns_about(rng: Rng, subject: Subject, style: TypingStyle, most: int = 3) -> list[Turn]:
    """Ask about the subject; then perhaps for more, or for a shorter answer.

    The answer has at most `most` sentences.
    """
    wording = table_sections("about.txt")
    question = _question(rng, subject)
    least = 2 if subject.heading == "ask how" else 1  # one step is no way to do something
    count = min(len(subject.sentences), randint(rng, least, most))
    answer = " ".join(subject.sentences[:count])
    turns = [Turn(type_out(rng, style, question, subject.name.split()), answer)]
    rest = subject.sentences[count:]
    if rest and rng() < 0.3:
        turns.append(Turn(type_out(rng, style, make_sentence(rng, wording["more"])), rest[0]))
    elif count > 1 and rng() < 0.3:
        question = type_out(rng, style, make_sentence(rng, wording["shorter"]))
        turns.append(Turn(question, subject.sentences[0]))
    return turns


def _question(rng: Rng, subject: Subject) -> str:
    """Return a question about the subject in normal spelling, one that the exam does not ask."""
    usual = favouring_first(rng)
    while True:
        wording = table_sections("about.txt")[subject.heading]
        question = make_sentence(usual, wording, {"s": subject.name})
        never_examined = subject.heading in _NEVER_EXAMINED or question.startswith("Tell me about")
        if never_examined or not is_exam_only(question):
            return question


# Ways of asking in which the exam asks for nothing, as it does not with "tell me about owls".
_NEVER_EXAMINED = ("ask person", "ask who", "ask whether", "ask job")


def explained_page(rng: Rng) -> str:
    """Return a document that explains a few things, with or without the questions."""
    lines = []
    for subject in sample(rng, _subjects_of(_explained), randint(rng, 4, 7)):
        answer = " ".join(subject.sentences)
        asks = subject.heading == "ask whether" or rng() < 0.4  # "Yes" alone says nothing
        lines.append(f"{_question(rng, subject)} {answer}" if asks else answer)
    return "\n".join(lines)
