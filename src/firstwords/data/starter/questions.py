"""Facts in conversation: asked outright, in words of the exam's own, and one after the other.

Every function draws a turn or a conversation. With `kept` it draws one that training never shows
(`holdout.py`).
"""

from __future__ import annotations

from . import tasks
from .encyclopedia import science_topics
from .facts import Fact, kept_fact, subjects, topic
from .holdout import asked, held_out
from .phrase import Rand, fill, pick, some, whole
from .turn import Turn


def in_manner(r: Rand, question: str, leads: bool = True) -> str:
    """The question as people type it: mostly with care, now and then without, and now and then
    with a word before it if there may be `leads`."""
    chance = r()
    if chance < 0.06:
        return question[:1].lower() + question[1:]
    if chance < 0.1:
        return question.lower().rstrip("?.! ")
    if chance < 0.13:
        return question.rstrip("?. ")
    if chance < 0.25 and leads:
        return pick(r, _LEADS) + question
    return question


_LEADS = (
    "I have a question. ",
    "Here is my question: ",
    "Can you help me? ",
    "Please help me. ",
    "I want to know something. ",
    "A question for you: ",
    "I forgot something. ",
    "My teacher asks: ",
    "Now think. ",
    "Do you know this? ",
    "Thank you. ",
    "Good. ",
)


def about(r: Rand, fact: Fact) -> Turn:
    """A fact, asked in training's way."""
    return Turn(in_manner(r, fact.question(r)), fact.answer(r), "says", fact.values)


def about_anew(r: Rand, fact: Fact) -> Turn:
    """A fact, asked in words that only the exam has."""
    return Turn(fact.question_anew(r), fact.answer(r), "says", fact.values)


def fact_turn(r: Rand, kept: bool = False) -> Turn:
    """A fact that may be asked; `kept` keeps its question, not the fact."""
    fact, question = tasks.posed(r, kept=kept)
    return Turn(in_manner(r, question), fact.answer(r), "says", fact.values)


def untaught_turn(r: Rand) -> Turn:
    """A fact that only pretraining tells."""
    return about(r, kept_fact(r))


def facts(r: Rand) -> list[Turn]:
    """One to three unconnected facts."""
    return [fact_turn(r) for _ in range(whole(r, 1, 3))]


def _explained(r: Rand) -> Turn:
    one = pick(r, science_topics())
    return Turn(in_manner(r, one.question(r)), one.answer(r))


def science(r: Rand) -> list[Turn]:
    return [_explained(r)]


_THEN = {
    "capital": ("And its capital?", "What is its capital?", "And what is the capital?"),
    "continent": ("Which continent is it in?", "And its continent?", "And which continent?"),
    "symbol": ("What is its symbol?", "And its symbol?"),
    "number": ("What is its atomic number?", "And its number?"),
    "state": ("Is it a solid, a liquid, or a gas?", "Solid, liquid, or gas?"),
    "class": ("What kind of animal is that?", "Is it a mammal, a bird, or something else?"),
    "legs": ("How many legs do they have?", "And how many legs?"),
    "eats": ("What do they eat?", "And what do they eat?"),
    "lives": ("Where do they live?", "And where do they live?"),
    "sound": ("What sound do they make?", "And what sound do they make?"),
    "young": ("What are their young called?", "And what is a baby one called?"),
}


def _subject(r: Rand, name: str, kept: bool, fewest: int) -> list[Fact]:
    """What may be asked about one subject in the middle of a talk."""
    while True:
        subject = pick(r, subjects(name))
        own = [f for f in topic(name)[subject] if f.relation in _THEN and f.taught]
        if held_out("followup", subject) == kept and len(own) >= fewest:
            return own


def followup(r: Rand, kept: bool = False) -> list[Turn]:
    """A question, then others that only make sense after it."""
    while True:
        name = pick(r, ("countries", "elements", "animals", "animals"))
        turns = (_same_question if r() < 0.3 else _same_subject)(r, name, kept)
        if not held_out("question", asked(turns[0].ask)):
            return turns


def _same_subject(r: Rand, name: str, kept: bool) -> list[Turn]:
    """'What is the capital of Peru?' 'Which continent is it in?'"""
    first, *rest = some(r, _subject(r, name, kept, 2), whole(r, 2, 3))
    turns = [about(r, first)]
    for one in rest:
        turns.append(Turn(pick(r, _THEN[one.relation]), one.answer(r), "says", one.values))
    return turns


_SAME = {
    "countries": ("capital", "continent"),
    "elements": ("symbol", "number"),
    "animals": ("eats", "lives"),
}


def _same_question(r: Rand, name: str, kept: bool) -> list[Turn]:
    """'What is the capital of Peru?' 'And of Chad?'"""
    relation = pick(r, _SAME[name])
    found: list[Fact] = []
    while len(found) < 2 or (len(found) < 3 and r() < 0.5):
        own = _subject(r, name, kept, 1)
        found += [fact for fact in own if fact.relation == relation and fact not in found]
    turns = [about(r, found[0])]
    for fact in found[1:]:
        ask = fill(
            r,
            "[And {x}?|What about {x}?|And what about {x}?]",
            {"x": fact.slots.get("p", fact.slots["s"])},
        )
        turns.append(Turn(ask, fact.answer(r), "says", fact.values))
    return turns
