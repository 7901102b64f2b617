"""Portraits: who somebody is, has, likes, can do and wants, with questions about it."""

from functools import cache
from typing import NamedTuple

from firstwords.data.starter.grammar.clauses import end
from firstwords.data.starter.grammar.comparison import comparable_people
from firstwords.data.starter.grammar.ellipsis import oneable
from firstwords.data.starter.grammar.events import with_questions
from firstwords.data.starter.grammar.lexicon import Verb, verb
from firstwords.data.starter.grammar.phrases import Phrase, contrasts, name
from firstwords.data.starter.grammar.pronouns import relatives
from firstwords.data.starter.grammar.statements import jobs_of_anybody
from firstwords.data.starter.rng import Rng, choose, randint, sample
from firstwords.data.starter.tables import table_sections


class Trait(NamedTuple):
    """A sentence about a person, and a question that it answers."""

    text: str
    question: str
    answer: str


class Life(NamedTuple):
    """A verb phrase: what somebody does, likes or wishes for."""

    verb: Verb
    rest: str


def portrait(rng: Rng) -> str:
    """Describe a person and a relative, then ask about them."""
    who = name(rng)
    kin, _, pronoun = choose(rng, relatives())
    other = name(rng)
    while other.pronoun is not pronoun or pronoun is who.pronoun:
        kin, _, pronoun = choose(rng, relatives())
        other = name(rng)
    relative = Phrase(other.text, pronoun, "who", kin)
    makers = (_habit, _skill, _never, _wish, _liking, _owning, _compared)
    chosen = sample(rng, makers, randint(rng, 2, 4))
    traits_ = [_home(rng, who), _relative(rng, who, relative)]
    traits_ += [maker(rng, who, relative) for maker in chosen]
    asked = [f"{trait.question}\n{trait.answer}" for trait in traits_]
    text = " ".join(trait.text for trait in traits_)
    return with_questions(rng, text, sample(rng, asked, randint(rng, 0, 4)))


_PLACES = (
    "lives near the harbour",
    "lives in a small village",
    "lives by the sea",
    "lives on a farm",
    "lives above a bakery",
    "lives next to the station",
    "lives in the old town",
    "comes from the north",
)


def _home(rng: Rng, who: Phrase) -> Trait:
    place, work = choose(rng, _PLACES), choose(rng, jobs_of_anybody()).a
    he = who.pronoun.he
    text = choose(
        rng,
        (
            f"{who.text} is {work} who {place}.",
            f"This is {who.text}, who is {work} and {place}.",
            f"{who.text}, who {place}, is {work}.",
            f"{who.text} {place}. {end(f'{he} is {work}')}",
        ),
    )
    if rng() < 0.5:
        return Trait(text, f"Who {place}?", f"{who.text} does.")
    return Trait(text, f"What is {who.text}?", end(f"{he} is {work}"))


def _relative(rng: Rng, who: Phrase, kin: Phrase) -> Trait:
    his, word = who.pronoun.his, kin.noun
    work = choose(rng, jobs_of_anybody()).a
    text = choose(
        rng,
        (
            f"{his} {word}, whose name is {kin.text}, is {work}",
            f"{his} {word} {kin.text} wants to become {work}",
            f"{kin.text}, {his} {word}, is {work}",
            f"{his} {word} is called {kin.text}",
        ),
    )
    question = f"What is {who.text}'s {word} called?"
    return Trait(end(text), question, end(f"{kin.pronoun.he} is called {kin.text}"))


@cache
def _lives(kind: str) -> tuple[Life, ...]:
    """Return the verb phrases of a section of `grammar_lives.txt`."""
    rows = []
    for line in table_sections("grammar_lives.txt")[kind]:
        base, space, rest = line.partition(" ")
        rows.append(Life(verb(base), space + rest))
    return tuple(rows)


def _habit(rng: Rng, who: Phrase, kin: Phrase) -> Trait:
    life = choose(rng, _lives("habits"))
    when = choose(rng, ("every morning", "on Sundays", "after work", "in the evening"))
    he, does = who.pronoun.he, life.verb.third + life.rest
    text = f"{when}, {he} {does}" if rng() < 0.5 else f"{he} {does} {when}"
    return Trait(end(text), f"What does {who.text} do {when}?", end(f"{he} {does}"))


_SKILLS = (
    "whistle",
    "juggle",
    "skate",
    "ride a horse",
    "speak French",
    "ski",
    "drive a car",
    "type",
)


def _skill(rng: Rng, who: Phrase, kin: Phrase) -> Trait:
    he, his = who.pronoun.he, who.pronoun.his
    skill = choose(rng, _SKILLS)
    if rng() < 0.5:
        text = f"{he} can {skill}, but {kin.text} can't"
        if rng() < 0.5:
            return Trait(end(text), f"Can {kin.text} {skill}?", f"No, {kin.pronoun.he} can't.")
        return Trait(end(text), f"Can {who.text} {skill}?", f"Yes, {he} can.")
    text = f"{he} can't {skill}, and neither can {his} {kin.noun}"
    return Trait(end(text), f"Who can't {skill}?", f"Neither {who.text} nor {kin.text} can.")


def _never(rng: Rng, who: Phrase, kin: Phrase) -> Trait:
    he, life = who.pronoun.he, choose(rng, _lives("never"))
    done = life.verb.participle + life.rest
    text = end(choose(rng, (f"{he} has never {done}", f"{he} has not {done} yet")))
    return Trait(text, f"Has {who.text} ever {done}?", f"No, {he} never has.")


def _wish(rng: Rng, who: Phrase, kin: Phrase) -> Trait:
    he, life = who.pronoun.he, choose(rng, _lives("wishes"))
    do = life.verb.base + life.rest
    when = choose(rng, ("one day", "next year", "some day"))
    text = choose(rng, (f"{he} hopes to {do} {when}", f"{when}, {he} wants to {do}"))
    answer = end(f"{he} wants to {do}")
    return Trait(end(text), f"What does {who.text} want to do {when}?", answer)


def _liking(rng: Rng, who: Phrase, kin: Phrase) -> Trait:
    he, his = who.pronoun.he, who.pronoun.his
    life = choose(rng, _lives("likes"))
    doing = life.verb.ing + life.rest
    text = choose(
        rng,
        (
            f"what {he} likes best is {doing}",
            f"{he} is fond of {doing}",
            f"{he} enjoys {doing}, but {his} {kin.noun} doesn't",
            f"{he} never gets tired of {doing}",
            f"{doing} makes {who.pronoun.him} happy",
        ),
    )
    return Trait(end(text), f"What does {who.text} like?", end(f"{he} likes {doing}"))


def _owning(rng: Rng, who: Phrase, kin: Phrase) -> Trait:
    noun = choose(rng, oneable())
    one, other = choose(rng, contrasts(noun))
    text = f"the {one} {noun.word} is {who.pronoun.theirs}, and the {other} one is {kin.text}'s"
    if rng() < 0.5:
        question = f"Whose is the {other} {noun.word}?"
        return Trait(end(text), question, f"It is {kin.text}'s.")
    question = f"Which {noun.word} is {who.text}'s?"
    return Trait(end(text), question, f"The {one} one is {who.pronoun.theirs}.")


def _compared(rng: Rng, who: Phrase, kin: Phrase) -> Trait:
    adjective = choose(rng, comparable_people())
    while "trait" not in adjective.classes:
        adjective = choose(rng, comparable_people())
    he = who.pronoun.he
    text = f"{he} is {adjective.more} than {who.pronoun.his} {kin.noun}"
    question = f"Who is {adjective.more}, {who.text} or {kin.text}?"
    return Trait(end(text), question, f"{who.text} is {adjective.more}.")
