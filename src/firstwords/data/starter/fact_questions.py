"""Questions about facts: single ones, in the exam's own words, and follow-ups.

Every function draws a turn, or the turns of a conversation. With `held_out` it draws one that
training never shows (`holdout.py`).
"""

from firstwords.data.starter.encyclopedia import science_topics
from firstwords.data.starter.facts import (
    Fact,
    facts_by_subject,
    random_asked_fact,
    random_held_out_fact,
    subjects,
)
from firstwords.data.starter.holdout import is_held_out, question_key
from firstwords.data.starter.rng import Rng, choose, randint, sample
from firstwords.data.starter.templates import fill_template
from firstwords.data.starter.turn import Turn


def as_typed(rng: Rng, question: str, lead_in: bool = True) -> str:
    """Return the question as people type it.

    Mostly that is with care, sometimes without capitals or punctuation, and sometimes, if `lead_in`
    allows, after a sentence such as "I have a question."
    """
    chance = rng()
    if chance < 0.06:
        return question[:1].lower() + question[1:]
    if chance < 0.1:
        return question.lower().rstrip("?.! ")
    if chance < 0.13:
        return question.rstrip("?. ")
    if chance < 0.25 and lead_in:
        return choose(rng, _LEAD_INS) + question
    return question


_LEAD_INS = (
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


def fact_and_question(rng: Rng, topic: str = "", held_out: bool = False) -> tuple[Fact, str]:
    """Return a fact that conversations may ask for, with a question.

    With `held_out` training never shows this question; it may show others for the same fact.
    """
    while True:
        fact = random_asked_fact(rng, topic)
        question = fact.question(rng)
        if is_held_out("question", question_key(question)) == held_out:
            return fact, question


def ask_fact(rng: Rng, fact: Fact) -> Turn:
    """Ask for the fact in words that training uses."""
    return Turn(as_typed(rng, fact.question(rng)), fact.answer(rng), "answers", fact.values)


def ask_fact_in_exam_words(rng: Rng, fact: Fact) -> Turn:
    """Ask for the fact in words that only the exam uses."""
    return Turn(fact.exam_question(rng), fact.answer(rng), "answers", fact.values)


def fact_turn(rng: Rng, held_out: bool = False) -> Turn:
    """Ask for a random fact; `held_out` refers to the question, not to the fact."""
    fact, question = fact_and_question(rng, held_out=held_out)
    return Turn(as_typed(rng, question), fact.answer(rng), "answers", fact.values)


def held_out_fact_turn(rng: Rng) -> Turn:
    """Ask for a random fact that only pretraining states."""
    return ask_fact(rng, random_held_out_fact(rng))


def fact_questions(rng: Rng) -> list[Turn]:
    """Ask for one to three unrelated facts."""
    return [fact_turn(rng) for _ in range(randint(rng, 1, 3))]


def science_questions(rng: Rng) -> list[Turn]:
    """Ask for the explanation of an everyday science topic."""
    topic = choose(rng, science_topics())
    return [Turn(as_typed(rng, topic.question(rng)), topic.answer(rng))]


# Questions that refer to the subject of the one before, by relation.
_FOLLOWUPS = {
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


def _facts_of_a_subject(rng: Rng, topic: str, held_out: bool, at_least: int) -> list[Fact]:
    """Return the facts about a random subject that a follow-up may ask for."""
    while True:
        subject = choose(rng, subjects(topic))
        facts = [
            fact
            for fact in facts_by_subject(topic)[subject]
            if fact.relation in _FOLLOWUPS and not fact.held_out
        ]
        if is_held_out("followup", subject) == held_out and len(facts) >= at_least:
            return facts


def followup(rng: Rng, held_out: bool = False) -> list[Turn]:
    """Ask a question, then others that only make sense after it."""
    while True:
        topic = choose(rng, ("countries", "elements", "animals", "animals"))
        turns = (_same_question if rng() < 0.3 else _same_subject)(rng, topic, held_out)
        if not is_held_out("question", question_key(turns[0].question)):
            return turns


def _same_subject(rng: Rng, topic: str, held_out: bool) -> list[Turn]:
    """Ask about one subject: 'What is the capital of Peru?' 'And its continent?'"""
    first, *others = sample(rng, _facts_of_a_subject(rng, topic, held_out, 2), randint(rng, 2, 3))
    turns = [ask_fact(rng, first)]
    for fact in others:
        question = choose(rng, _FOLLOWUPS[fact.relation])
        turns.append(Turn(question, fact.answer(rng), "answers", fact.values))
    return turns


_REPEATABLE_RELATIONS = {
    "countries": ("capital", "continent"),
    "elements": ("symbol", "number"),
    "animals": ("eats", "lives"),
}


def _same_question(rng: Rng, topic: str, held_out: bool) -> list[Turn]:
    """Ask for one relation of several subjects: 'What is the capital of Peru?' 'And Chad?'"""
    relation = choose(rng, _REPEATABLE_RELATIONS[topic])
    facts: list[Fact] = []
    while len(facts) < 2 or (len(facts) < 3 and rng() < 0.5):
        candidates = _facts_of_a_subject(rng, topic, held_out, 1)
        facts += [fact for fact in candidates if fact.relation == relation and fact not in facts]
    turns = [ask_fact(rng, facts[0])]
    for fact in facts[1:]:
        question = fill_template(
            rng,
            "[And {x}?|What about {x}?|And what about {x}?]",
            {"x": fact.slots.get("p", fact.slots["s"])},
        )
        turns.append(Turn(question, fact.answer(rng), "answers", fact.values))
    return turns
