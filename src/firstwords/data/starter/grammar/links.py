"""Causes and effects in one sentence: because, so, when, unless, and conditionals of every kind."""

from functools import cache
from typing import NamedTuple

from firstwords.data.starter.grammar.clauses import (
    FUTURE,
    PAST_PERFECT,
    PAST_SIMPLE,
    PRESENT_SIMPLE,
    WOULD,
    WOULD_HAVE,
    Tense,
    end,
    object_form,
    verb_group,
)
from firstwords.data.starter.grammar.lexicon import Verb, verb
from firstwords.data.starter.grammar.phrases import (
    IT,
    THEY,
    YOU,
    Phrase,
    Pronoun,
    one_person,
    person,
)
from firstwords.data.starter.rng import Rng, choose
from firstwords.data.starter.tables import table_rows


class Half(NamedTuple):
    """A cause or an effect: its subject, or "" for the person that the link is about."""

    subject: str
    pronoun: Pronoun
    verb: Verb
    rest: str

    def say(self, person: Pronoun, tense: Tense, subject: str = "") -> str:
        """Return the clause; `person` is whom it is about, `subject` how to call that person."""
        text = self.subject or subject
        pronoun = self.pronoun if self.subject else person
        group = _group(self.verb, tense, pronoun.agreement)
        rest = self.rest
        if "{" in rest:
            rest = rest.format(his=person.his, him=person.him, himself=person.himself)
        return f"{text} {group}{rest}" if text else f"{group}{rest}"

    def deny(self, person: Pronoun, tense: Tense, subject: str = "") -> str:
        """Return the negated clause."""
        text = self.subject or subject
        agreement = (self.pronoun if self.subject else person).agreement
        form = f"{tense.between}{self.verb[tense.form]}"
        if self.verb.base == "be" and tense is PAST_SIMPLE:
            no, form = _WASNT[agreement], ""
        elif self.verb.base == "be" and tense is PRESENT_SIMPLE:
            no, form = _ISNT[agreement], ""
        else:
            no = tense.negative[agreement]
        rest = self.rest
        if "{" in rest:
            rest = rest.format(his=person.his, him=person.him, himself=person.himself)
        return f"{text} {no} {form}{rest}".replace("  ", " ")


_WASNT = ("wasn't", "wasn't", "weren't")
_ISNT = ("am not", "isn't", "aren't")


def _group(verb: Verb, tense: Tense, agreement: int) -> str:
    if verb.base == "be" and tense is PRESENT_SIMPLE:
        return ("am", "is", "are")[agreement]
    if verb.base == "be" and tense is PAST_SIMPLE:
        return ("was", "was", "were")[agreement]
    return verb_group(verb, tense, agreement)


class Link(NamedTuple):
    """A cause and its effect, each as it is said first and as it is said second.

    What is said second refers to a thing of the first half with a pronoun: "the milk turned sour
    because Ada left it in the sun".
    """

    cause: Half
    effect: Half
    cause_second: Half
    effect_second: Half


def _link(cause: Half, effect: Half) -> Link:
    subject = effect.subject
    if not subject or f"{subject} " not in f"{cause.rest} ":
        return Link(cause, effect, cause, effect)
    pronoun = effect.pronoun
    later = cause.rest.replace(subject, pronoun.him)
    return Link(cause, effect, cause._replace(rest=later), effect._replace(subject=pronoun.he))


@cache
def links(people_only: bool = False) -> tuple[Link, ...]:
    """Return all links of `grammar_links.txt`, or those about what one person does and gets."""
    rows = tuple(_link(_half(a), _half(b)) for a, b in table_rows("grammar_links.txt"))
    if people_only:
        return tuple(row for row in rows if not row.cause.subject and not row.effect.subject)
    return rows


def _half(text: str) -> Half:
    subject, tilde, phrase = text.rpartition("~")
    base, space, rest = phrase.strip().partition(" ")
    subject = subject.strip()
    pronoun = THEY if subject.endswith("*") else IT
    return Half(subject.rstrip("*") if tilde else "", pronoun, verb(base), space + rest)


def link(rng: Rng, people_only: bool = False) -> Link:
    """Return a cause and its effect."""
    rows = links(people_only)
    return choose(rng, rows)


def ordered(rng: Rng, row: Link) -> tuple[bool, Half, Half]:
    """Return whether the cause comes first, the cause and the effect.

    It must come first if a pronoun in the effect refers to its person.
    """
    first = rng() < 0.5 or (bool(row.effect.subject) and "{" in row.effect.rest)
    return (True, row.cause, row.effect_second) if first else (False, row.cause_second, row.effect)


def _named(cause: Half, effect: Half, who: Phrase, first: bool) -> tuple[str, str]:
    """Return how cause and effect call the person: by name in what is said first."""
    he = who.pronoun.he
    if first and not cause.subject:
        return who.text, he
    if not first and not effect.subject:
        return he, who.text
    return who.text, who.text


def conditional(rng: Rng) -> str:
    """Say what follows from something: always, later, in a dream, or had it been so."""
    row = link(rng)
    who = YOU_PERSON if rng() < 0.15 else person(rng)
    chance = rng()
    if chance < 0.2:
        who = YOU_PERSON
        tenses = PRESENT_SIMPLE, PRESENT_SIMPLE
    elif chance < 0.5:
        tenses = PRESENT_SIMPLE, FUTURE
    elif chance < 0.75:
        tenses = PAST_SIMPLE, WOULD
    else:
        tenses = PAST_PERFECT, WOULD_HAVE
    first, cause, effect = ordered(rng, row)
    a, b = _named(cause, effect, who, first)
    word = "when" if chance < 0.08 else "if"
    condition = cause.say(who.pronoun, tenses[0], a)
    if cause.verb.base == "be" and tenses[0] is PAST_SIMPLE:
        condition = condition.replace(" was ", " were ", 1)
    result = effect.say(who.pronoun, tenses[1], b)
    if chance > 0.9 and cause.pronoun is not None:
        condition = condition.replace(" had ", " ", 1)
        word = "had"
    if first:
        return end(f"{word} {condition}, {result}")
    return end(f"{result} {word} {condition}")


YOU_PERSON = Phrase("you", YOU)


def unless(rng: Rng) -> str:
    """Say what will not happen without its cause, or what did not."""
    row = link(rng)
    who = person(rng)
    first, cause, effect = ordered(rng, row)
    a, b = _named(cause, effect, who, first)
    if rng() < 0.5:
        result = effect.deny(who.pronoun, FUTURE, b)
        condition = cause.say(who.pronoun, PRESENT_SIMPLE, a)
        word = "unless"
    else:
        result = effect.deny(who.pronoun, WOULD_HAVE, b)
        condition = cause.deny(who.pronoun, PAST_PERFECT, a)
        word = "if"
    return end(f"{word} {condition}, {result}") if first else end(f"{result} {word} {condition}")


def because(rng: Rng) -> str:
    """Give the reason for what happened: because, since, so, that is why."""
    row = link(rng)
    who = person(rng)
    first, cause, effect = ordered(rng, row)
    a, b = _named(cause, effect, who, first)
    if first:
        reason = cause.say(who.pronoun, PAST_SIMPLE, a)
        result = effect.say(who.pronoun, PAST_SIMPLE, b)
        return end(
            choose(
                rng,
                (
                    "{0}, so {1}",
                    "since {0}, {1}",
                    "as {0}, {1}",
                    "{0}, and so {1}",
                    "because {0}, {1}",
                ),
            ).format(reason, result)
        )
    result = effect.say(who.pronoun, PAST_SIMPLE, b)
    reason = cause.say(who.pronoun, pick_tense(rng, cause), a)
    return end(f"{result} because {reason}")


def pick_tense(rng: Rng, cause: Half) -> Tense:
    """Return past or past perfect, the tenses of a reason for something past."""
    if cause.verb.base == "be":
        return PAST_SIMPLE
    return PAST_SIMPLE if rng() < 0.4 else PAST_PERFECT


def why(rng: Rng) -> str:
    """Ask why, and answer with the cause."""
    row = link(rng)
    who = one_person(rng)
    named = bool(row.effect.subject) and "{" not in row.effect.rest
    he = who.text if named else who.pronoun.he
    reason = row.cause_second.say(who.pronoun, pick_tense(rng, row.cause), he)
    return f"{why_question(row.effect, who)} {end(f'because {reason}')}"


def why_question(effect: Half, who: Phrase) -> str:
    """Return a question for the cause of an effect: "Why did Ada get wet?"."""
    pronoun = who.pronoun
    rest = effect.rest.format(his=pronoun.his, him=object_form(who), himself=pronoun.himself)
    subject = effect.subject or who.text
    if effect.verb.base == "be":
        agreement = (effect.pronoun if effect.subject else pronoun).agreement
        return f"Why {('was', 'was', 'were')[agreement]} {subject}{rest}?"
    return f"Why did {subject} {effect.verb.base}{rest}?"


LINKS = (
    (conditional, 6.0),
    (unless, 1.5),
    (because, 3.0),
    (why, 1.5),
)
