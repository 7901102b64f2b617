"""Clauses: a subject, a tense and an action, said, denied, asked or turned into the passive."""

import re
from functools import cache
from typing import NamedTuple

from firstwords.data.starter.grammar.lexicon import Frame, Noun, Verb, frames
from firstwords.data.starter.grammar.phrases import (
    IT,
    THEY,
    Phrase,
    one_thing,
    other_name,
    other_person,
    some_things,
)
from firstwords.data.starter.rng import Rng, choose

BASE, THIRD, PAST, PARTICIPLE, ING = range(5)


class Tense(NamedTuple):
    """A tense with aspect or a modal verb; the auxiliaries are those of I, she and they."""

    name: str
    auxiliary: tuple[str, str, str]  # also that of questions, so simple tenses have "do"
    negative: tuple[str, str, str]
    between: str  # between the auxiliary and the verb: "have ", "been "
    form: int  # which form of the verb follows the auxiliary
    simple: tuple[int, int, int]  # the forms without an auxiliary, or ()
    times: tuple[str, ...]


def _same(word: str) -> tuple[str, str, str]:
    return word, word, word


_WAS, _WASNT = ("was", "was", "were"), ("wasn't", "wasn't", "weren't")
_IS, _ISNT = ("am", "is", "are"), ("am not", "isn't", "aren't")
_HAS, _HASNT = ("have", "has", "have"), ("haven't", "hasn't", "haven't")
_HAD, _HADNT = _same("had"), _same("hadn't")
_WILL, _WONT = _same("will"), _same("won't")
_NONE = (-1, -1, -1)
_AGO = (
    "yesterday",
    "last night",
    "this morning",
    "on Monday",
    "on Friday",
    "last week",
    "a few days ago",
    "an hour ago",
    "after lunch",
    "before breakfast",
    "in the afternoon",
    "on Saturday",
)
_HABITS = (
    "every day",
    "every morning",
    "on Sundays",
    "once a week",
    "in the holidays",
    "after school",
    "twice a week",
    "every evening",
    "at weekends",
)
_SOON = (
    "tomorrow",
    "next week",
    "on Saturday",
    "soon",
    "this evening",
    "after lunch",
    "in an hour",
    "tomorrow morning",
    "in a few days",
)
_NOW = ("now", "at the moment", "right now")
_MEANWHILE = (
    "when the bell rang",
    "when the lights went out",
    "at six o'clock",
    "when I came in",
    "when it began to rain",
    "at that moment",
    "when the telephone rang",
)
_BY_THEN = (
    "by noon",
    "by then",
    "before the guests arrived",
    "by the time we got home",
    "before it got dark",
)
_BY_WHEN = (
    "by noon",
    "by tomorrow evening",
    "by the time we get home",
    "by the end of the week",
    "before the guests arrive",
)
_SO_LONG = ("for an hour", "since breakfast", "all morning", "for ten minutes", "since two o'clock")
_LATELY = ("today", "this week", "twice this week", "this morning", "three times")

PAST_SIMPLE = Tense("past", _same("did"), _same("didn't"), "", BASE, (PAST, PAST, PAST), _AGO)
PRESENT_SIMPLE = Tense(
    "present",
    ("do", "does", "do"),
    ("don't", "doesn't", "don't"),
    "",
    BASE,
    (BASE, THIRD, BASE),
    _HABITS,
)
PROGRESSIVE = Tense("progressive", _IS, _ISNT, "", ING, _NONE, _NOW)
PAST_PROGRESSIVE = Tense("past progressive", _WAS, _WASNT, "", ING, _NONE, _MEANWHILE)
PERFECT = Tense("perfect", _HAS, _HASNT, "", PARTICIPLE, _NONE, _LATELY)
PAST_PERFECT = Tense("past perfect", _HAD, _HADNT, "", PARTICIPLE, _NONE, _BY_THEN)
FUTURE = Tense("future", _WILL, _WONT, "", BASE, _NONE, _SOON)
GOING_TO = Tense("going to", _IS, _ISNT, "going to ", BASE, _NONE, _SOON)
FUTURE_PERFECT = Tense("future perfect", _WILL, _WONT, "have ", PARTICIPLE, _NONE, _BY_WHEN)
PERFECT_PROGRESSIVE = Tense("perfect progressive", _HAS, _HASNT, "been ", ING, _NONE, _SO_LONG)


def _modal(word: str, negative: str, between: str = "", form: int = BASE) -> Tense:
    return Tense(word, _same(word), _same(negative), between, form, _NONE, ())


CAN = _modal("can", "can't")
COULD = _modal("could", "couldn't")
MUST = _modal("must", "mustn't")
SHOULD = _modal("should", "shouldn't")
WOULD = _modal("would", "wouldn't")
MIGHT = _modal("might", "might not")
MAY = _modal("may", "may not")
WOULD_HAVE = _modal("would", "wouldn't", "have ", PARTICIPLE)

PASSIVE = {
    "past": Tense("past", _WAS, _WASNT, "", PARTICIPLE, _NONE, _AGO),
    "present": Tense("present", _IS, _ISNT, "", PARTICIPLE, _NONE, _HABITS),
    "progressive": Tense("progressive", _IS, _ISNT, "being ", PARTICIPLE, _NONE, _NOW),
    "past progressive": Tense(
        "past progressive", _WAS, _WASNT, "being ", PARTICIPLE, _NONE, _MEANWHILE
    ),
    "perfect": Tense("perfect", _HAS, _HASNT, "been ", PARTICIPLE, _NONE, _LATELY),
    "past perfect": Tense("past perfect", _HAD, _HADNT, "been ", PARTICIPLE, _NONE, _BY_THEN),
    "future": Tense("future", _WILL, _WONT, "be ", PARTICIPLE, _NONE, _SOON),
    "can": _modal("can", "can't", "be ", PARTICIPLE),
    "must": _modal("must", "mustn't", "be ", PARTICIPLE),
    "should": _modal("should", "shouldn't", "be ", PARTICIPLE),
}


class Action(NamedTuple):
    """What somebody does: a verb, its object, and where."""

    verb: Verb
    object: Phrase | None
    rest: str  # everything after the verb without the place: " the old vase"
    place: str  # " in the garden" or ""
    frame: Frame

    @property
    def do(self) -> str:
        """The verb and what follows it: "break the vase"."""
        return self.verb.base + self.rest

    @property
    def does(self) -> str:
        """The third person: "breaks the vase"."""
        return self.verb.third + self.rest

    @property
    def did(self) -> str:
        """The past: "broke the vase"."""
        return self.verb.past + self.rest

    @property
    def done(self) -> str:
        """The participle: "broken the vase"."""
        return self.verb.participle + self.rest

    @property
    def doing(self) -> str:
        """The form in -ing: "breaking the vase"."""
        return self.verb.ing + self.rest


_PLACE = re.compile(
    r" (?:in|at|on|under|behind|beside|along|near|by) the (?!last|rain|dark|way|head)"
)


def places_of(frame: Frame) -> tuple[str, ...]:
    """Return those tails of a verb that answer the question "where"."""
    return tuple(tail for tail in frame.tails if _PLACE.match(tail))


THEMES = ("kitchen", "home", "workshop", "garden", "farm", "town", "out", "school")


@cache
def pool(kind: str) -> tuple[Frame, ...]:
    """Return the frames of a kind.

    "things" and "people" have such an object, "plans" are deliberate with or without an object,
    "alone" has none, "gifts" has two objects, and any other kind is a complement or a flag.
    """
    found = tuple(frame for frame in frames() if _is_kind(frame, kind))
    if not found:
        raise ValueError(f"no frame of kind {kind!r}")
    return found


def _is_kind(frame: Frame, kind: str) -> bool:
    plain = "person" in frame.subject and not frame.complement
    if kind == "animals":
        return (
            not {"animal", "doglike"}.isdisjoint(frame.subject) and "alternates" not in frame.flags
        )
    if kind == "alone":
        return plain and not frame.object and frame.verb.base != "behave"
    if kind == "people":
        return plain and frame.object == ("person",)
    if kind == "things":
        return plain and bool(frame.nouns) and "many" not in frame.flags
    if kind == "passive things":
        return _is_kind(frame, "things") and not frame.flags & {"active", "state"}
    if kind == "plans":
        willing = not frame.flags & {"accident", "state", "unplanned"}
        return willing and (
            _is_kind(frame, "things") or _is_kind(frame, "people") or _is_kind(frame, "alone")
        )
    if kind == "thing plans":
        return _is_kind(frame, "things") and not frame.flags & {"accident", "state", "unplanned"}
    if kind == "happenings":
        return any(_is_kind(frame, k) for k in ("things", "people", "alone"))
    if kind == "habits":
        return _is_kind(frame, "plans") and "once" not in frame.flags
    if kind == "doing now":
        return _is_kind(frame, "plans") and "moment" not in frame.flags
    if kind == "tenses":
        return _is_kind(frame, "doing now") and "once" not in frame.flags and bool(frame.nouns)
    if kind == "shared":
        return _is_kind(frame, "habits") and "moment" not in frame.flags
    if kind == "long":
        return _is_kind(frame, "alone") and "long" in frame.flags
    if kind == "accident things":
        unlucky = frame.flags >= {"accident", "once"} and "lucky" not in frame.flags
        return unlucky and _is_kind(frame, "things")
    if kind in THEMES:
        return kind in frame.themes and _is_kind(frame, "thing plans")
    if kind == "gifts":
        return frame.complement == "to-person"
    return frame.complement == kind or kind in frame.flags


def act(rng: Rng, kind: str, subject: Phrase, adjective: float = 0.2, place: float = 0.2) -> Action:
    """Return something that the subject may do, of a kind of `pool`."""
    frame = choose(rng, pool(kind))
    where = ""
    if frame.tails and rng() < (2 * place if frame.object else 0.9):
        where = choose(rng, frame.tails)
    if not frame.object:
        return Action(frame.verb, None, "", where, frame)
    if frame.nouns:
        noun = choose(rng, frame.nouns)
        if kind in ("habits", "tenses") and rng() < 0.85:
            thing = _habit_object(noun)
        else:
            thing = _object(rng, frame, noun, subject, adjective)
    elif subject.noun == "" and rng() < 0.5:
        thing = other_name(rng, subject)
    else:
        thing = other_person(rng, subject)
    return Action(frame.verb, thing, f" {thing.text}", where, frame)


_KNOWN = ("place", "instrument", "room", "lockable", "weeded", "weedable", "swept", "crossable")
"""Classes of things that speaker and hearer know: "the garden", seldom "a garden"."""


def _object(rng: Rng, frame: Frame, noun: Noun, subject: Phrase, adjective: float) -> Phrase:
    if not noun.classes.isdisjoint(_KNOWN):
        return one_thing(rng, noun, 0.1, 0.2)
    own = 0.8 if frame.verb.base in ("lose", "forget") else 0.15
    if rng() < own and not noun.classes.isdisjoint(("clothing", "lost", "tool", "vehicle")):
        return _own(noun, subject)
    if "each" in frame.flags:
        several = subject.pronoun.agreement == 2
        return some_things(rng, noun, adjective) if several else one_thing(rng, noun, adjective)
    if "one" in frame.flags or rng() < (0.4 if "food" in noun.classes else 0.7):
        return one_thing(rng, noun, adjective)
    return some_things(rng, noun, adjective)


def _habit_object(noun: Noun) -> Phrase:
    """Return what somebody often does something to: "apples", "soup", "the museum"."""
    if noun.classes.isdisjoint(("place", "instrument", "lockable", "crossable", "room")):
        word = noun.plural or noun.word
        return Phrase(word, THEY if noun.plural else IT, "which", word, False)
    return Phrase(f"the {noun.word}", IT, "which", noun.word)


def two_nouns(rng: Rng) -> tuple[Verb, Noun, Noun]:
    """Return a verb and two different nouns that "a" can precede, if possible of one class."""
    rows = _paired_plans()
    verb, nouns = choose(rng, rows)
    first = choose(rng, nouns)
    for attempt in range(12):
        second = choose(rng, nouns)
        alike = len(first.classes & second.classes) > 1 or attempt > 8
        if second is not first and alike:
            break
    return verb, first, nouns[nouns.index(first) - 1] if second is first else second


@cache
def _paired_plans() -> tuple[tuple[Verb, tuple[Noun, ...]], ...]:
    """Return the deliberate verbs with at least two nouns that "a" can precede."""
    rows = ((f, tuple(noun for noun in f.nouns if noun.a)) for f in pool("thing plans"))
    return tuple(
        (frame.verb, nouns)
        for frame, nouns in rows
        if len(nouns) > 1 and "instrument" not in frame.object
    )


def _own(noun: Noun, subject: Phrase) -> Phrase:
    """Return the subject's own thing: "her coat", "their coats"."""
    several = noun.only_plural or (subject.pronoun.agreement == 2 and noun.plural)
    word = (noun.plural or noun.word) if several else noun.word
    base = one_thing(_never, noun)._replace(text=f"{subject.pronoun.his} {word}", noun=word)
    return base._replace(pronoun=THEY if several else IT)


def _never() -> float:
    return 0.99


# -- forms of a clause ------------------------------------------------------------------


def verb_group(verb: Verb, tense: Tense, agreement: int, adverb: str = "") -> str:
    """Return the auxiliaries and the verb: "has often broken". `adverb` ends in a space."""
    form = tense.simple[agreement]
    if form >= 0:
        return adverb + verb[form]
    return f"{tense.auxiliary[agreement]} {adverb}{tense.between}{verb[tense.form]}"


def say(subject: Phrase, tense: Tense, action: Action, adverb: str = "") -> str:
    """Return the clause: "Ada has broken the vase"."""
    group = verb_group(action.verb, tense, subject.pronoun.agreement, adverb)
    return f"{subject.text} {group}{action.rest}{action.place}"


def predicate(subject: Phrase, tense: Tense, action: Action) -> str:
    """Return the clause without its subject: "has broken the vase"."""
    group = verb_group(action.verb, tense, subject.pronoun.agreement)
    return f"{group}{action.rest}{action.place}"


def deny(subject: Phrase, tense: Tense, action: Action, full: bool = False) -> str:
    """Return the negated clause: "Ada hasn't broken the vase", or "has not" if `full`."""
    agreement = subject.pronoun.agreement
    no = f"{tense.auxiliary[agreement]} not" if full else tense.negative[agreement]
    verb = f"{tense.between}{action.verb[tense.form]}"
    return f"{subject.text} {no} {verb}{any_for_some(action.rest)}{action.place}"


def any_for_some(rest: str) -> str:
    """Return an object with "any" in place of "some", for negations and open questions."""
    return f" any{rest[5:]}" if rest.startswith(" some ") else rest


def ask(subject: Phrase, tense: Tense, action: Action) -> str:
    """Return the inverted clause without a question mark: "has Ada broken the vase"."""
    verb = f"{tense.between}{action.verb[tense.form]}"
    auxiliary = tense.auxiliary[subject.pronoun.agreement]
    return f"{auxiliary} {subject.text} {verb}{action.rest}{action.place}"


def ask_object(subject: Phrase, tense: Tense, action: Action) -> str:
    """Return the inverted clause without its object: "has Ada broken"."""
    verb = f"{tense.between}{action.verb[tense.form]}"
    auxiliary = tense.auxiliary[subject.pronoun.agreement]
    return f"{auxiliary} {subject.text} {verb}{action.place}"


def gap(subject: Phrase, tense: Tense, action: Action) -> str:
    """Return the clause without its object, as in a relative clause: "Ada has broken"."""
    group = verb_group(action.verb, tense, subject.pronoun.agreement)
    return f"{subject.text} {group}{action.place}"


def passive(thing: Phrase, tense: Tense, action: Action, adverb: str = "") -> str:
    """Return the passive clause without the agent: "the vase has been broken"."""
    group = verb_group(action.verb, PASSIVE[tense.name], thing.pronoun.agreement, adverb)
    return f"{thing.text} {group}"


def object_form(phrase: Phrase) -> str:
    """Return the phrase as an object: "me" for "I"."""
    return phrase.pronoun.him if phrase.text == phrase.pronoun.he else phrase.text


def end(text: str, mark: str = ".") -> str:
    """Return the text as a sentence, with a capital first letter."""
    return f"{text[0].upper()}{text[1:]}{mark}"


def time_of(rng: Rng, tense: Tense, chance: float = 0.6) -> str:
    """Return a time that suits the tense, after a space, or ""."""
    always = tense is PAST_PERFECT or tense is PAST_PROGRESSIVE
    if not tense.times or (rng() >= chance and not always):
        return ""
    return f" {choose(rng, tense.times)}"


_ASPECTS = (PAST_SIMPLE,) * 8 + (
    PROGRESSIVE,
    PROGRESSIVE,
    PAST_PROGRESSIVE,
    PERFECT,
    PERFECT,
    PAST_PERFECT,
    FUTURE,
    FUTURE,
    GOING_TO,
)
_CONTINUOUS = (PROGRESSIVE, PAST_PROGRESSIVE, PERFECT_PROGRESSIVE)


def tense_for(rng: Rng, action: Action) -> Tense:
    """Return a tense that suits the action: no progressive of states, no habit of one event."""
    tense = choose(rng, _ASPECTS)
    flags = action.frame.flags
    if tense in _CONTINUOUS and not flags.isdisjoint(("state", "moment")):
        return PAST_SIMPLE
    if tense is PRESENT_SIMPLE and not flags.isdisjoint(("once", "accident")):
        return PERFECT if "state" not in flags else PAST_SIMPLE
    if tense in (FUTURE, GOING_TO) and "accident" in flags:
        return PAST_SIMPLE
    return tense
