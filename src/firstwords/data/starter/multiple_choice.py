"""Questions with given answers: multiple choice, and yes or no."""

from firstwords.data.starter.fact_questions import fact_and_question
from firstwords.data.starter.facts import (
    TOPIC_WEIGHTS,
    Fact,
    facts_by_subject,
    subjects,
    with_one_full_stop,
)
from firstwords.data.starter.rng import Rng, choose, choose_weighted, randint, sample
from firstwords.data.starter.turn import Turn


def multiple_choice(rng: Rng, held_out: bool = False) -> Turn:
    """Ask for a fact, with three or four options."""
    while True:
        topic = choose_weighted(rng, TOPIC_WEIGHTS)
        fact, question = fact_and_question(rng, topic, held_out)
        wrong = [] if fact.relation in _SEVERAL_RIGHT else _wrong_values(rng, fact, topic)
        if len(wrong) >= 2:
            break
    options = sample(rng, [fact.value, *wrong], len(wrong) + 1)
    # The letter follows its option, as one token with the sign before it ("=A"). So a model that
    # attends to the option finds its letter in one step.
    lines = [f"- {option}={letter}" for letter, option in zip("ABCD", options, strict=False)]
    letter = "ABCD"[options.index(fact.value)]
    lead_in = choose(rng, ("", "", "Choose the right answer. ", "Which answer is right? "))
    question = f"{lead_in}{question}\n" + "\n".join(lines)
    # The fact comes first; then its value only has to be found among the options.
    answer = f"{fact.answer(rng)} The answer is {fact.value}={letter}."
    return Turn(question, answer, "option", (letter,))


# Relations with several right values, or more of them than the table lists.
_SEVERAL_RIGHT = (
    *("eats", "lives", "sound", "is", "use", "season", "state", "legs", "neighbour"),
    "participle",
)


def _wrong_values(rng: Rng, fact: Fact, topic: str) -> list[str]:
    """Return up to three wrong values of the same relation."""
    values: list[str] = []
    names = subjects(topic)
    for _ in range(30):
        for other in facts_by_subject(topic)[choose(rng, names)]:
            same = other.relation == fact.relation
            if same and other.value != fact.value and other.value not in values:
                values.append(other.value)
        if len(values) >= 3:
            break
    values = [value for value in values if not _overlaps(fact, value)]
    return values[: randint(rng, 2, 3)]


def _overlaps(fact: Fact, value: str) -> bool:
    """Return whether a value contains a right one or is part of it, and so might count as right."""
    return any(value in right or right in value for right in fact.values)


def yes_or_no(rng: Rng) -> Turn:
    """Ask whether a fact about a country is true: 'Is Paris the capital of France?'"""
    relation = choose(rng, ("capital", "continent"))
    fact, other = (_fact_about_a_country(rng, relation) for _ in range(2))
    country, value, asked_value = fact.slots["s"], fact.value, choose(rng, (fact, other)).value
    if relation == "capital":
        question = f"Is {asked_value} the capital of {country}?"
        statement = f"the capital of {country} is {value}."
    else:
        question = f"Is {country} in {asked_value}?"
        statement = f"{country} is in {value}."
    word = "Yes" if asked_value == value else "No"
    return Turn(question, with_one_full_stop(f"{word}, {statement}"), "answers", (word,))


def _fact_about_a_country(rng: Rng, relation: str) -> Fact:
    """Return a fact of this relation that conversations may ask for."""
    while True:
        for fact in facts_by_subject("countries")[choose(rng, subjects("countries"))]:
            if fact.relation == relation and not fact.held_out:
                return fact
