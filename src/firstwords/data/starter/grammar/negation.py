"""Negation, and the words that need it or another licence: any, ever, yet, at all, either."""

from functools import cache

from firstwords.data.starter.grammar.clauses import (
    PAST_SIMPLE,
    PERFECT,
    PRESENT_SIMPLE,
    Action,
    act,
    any_for_some,
    deny,
    end,
    say,
    tense_for,
    time_of,
    two_nouns,
    verb_group,
)
from firstwords.data.starter.grammar.lexicon import Frame, Noun, frames, wording
from firstwords.data.starter.grammar.phrases import (
    NEUTRAL,
    YOU,
    I,
    Phrase,
    agree,
    described,
    name,
    one_person,
    other_person,
    person,
    traits,
)
from firstwords.data.starter.grammar.statements import YOU_PHRASE, anybody
from firstwords.data.starter.rng import Rng, choose, sample


def no(rng: Rng) -> str:
    """Deny that something is so, happened, or will happen."""
    subject = anybody(rng)
    action = act(rng, "happenings", subject)
    tense = tense_for(rng, action)
    clause = deny(subject, tense, action, rng() < 0.3)
    chance = rng()
    if chance < 0.3 and tense is PERFECT:
        return end(f"{clause} yet")
    if chance < 0.45 and tense is PERFECT:
        return end(say(subject, tense, action, "never "))
    if chance < 0.3 and tense is PRESENT_SIMPLE:
        return end(f"{clause} any more")
    return end(clause + time_of(rng, tense, 0.35))


def any_of(rng: Rng) -> str:
    """Use "any" where something licenses it, and "some" where nothing does."""
    subject = person(rng)
    frame, nouns = choose(rng, _amounts())
    noun = choose(rng, nouns)
    word = noun.plural or noun.word
    verb = frame.verb
    name_ = subject.text
    he = subject.pronoun.he
    chance = rng()
    if chance < 0.2:
        return end(f"{name_} didn't {verb.base} any {word}{time_of(rng, PAST_SIMPLE, 0.3)}")
    if chance < 0.3:
        return end(f"did {name_} {verb.base} any {word}", "?")
    if chance < 0.4:
        return end(f"{name_} {agree(subject, 'has')} hardly {verb.participle} any {word}")
    if chance < 0.5:
        return end(f"nobody {verb.past} any {word}")
    if chance < 0.6:
        return end(f"if {name_} {agree(subject, verb.third)} any {word}, {he} will tell us")
    if chance < 0.7:
        return end(f"{name_} came home without {verb.ing} any {word}")
    if chance < 0.85:
        return end(
            f"{name_} {verb.past} some {word}, but "
            f"{other_person(rng, subject).text} didn't {verb.base} any"
        )
    return end(f"{name_} {verb.past} no {word} at all")


@cache
def _amounts() -> tuple[tuple[Frame, tuple[Noun, ...]], ...]:
    verbs = ("buy", "pick", "cook", "bake", "peel", "collect", "photograph", "plant", "sell")
    rows = []
    for frame in frames():
        nouns = tuple(
            n for n in frame.nouns if not n.only_plural and not n.classes & {"vehicle", "furniture"}
        )
        if frame.verb.base in verbs and nouns and not frame.complement:
            rows.append((frame, nouns))
    return tuple(rows)


def new_act(rng: Rng, subject: Phrase) -> Action:
    """Return an action without a definite object, such as may never have happened."""
    while True:
        action = act(rng, "things", subject, 0.1, 0.0)
        if action.object is None or not action.object.definite or not action.object.noun:
            return action


def ever(rng: Rng) -> str:
    """Use "ever" in questions, after superlatives and with negative words."""
    chance = rng()
    if chance < 0.3:
        return have_you_ever(rng)
    if chance < 0.45:
        return best_ever(rng)
    subject = person(rng)
    if chance < 0.6:
        action = act(rng, "habits", subject, 0.1, 0.0)
        does = verb_group(action.verb, PRESENT_SIMPLE, subject.pronoun.agreement)
        return end(f"{subject.text} hardly ever {does}{action.rest}")
    action = new_act(rng, subject)
    done = f"{action.verb.participle}{any_for_some(action.rest)}"
    if chance < 0.7:
        return end(f"{subject.text} {agree(subject, 'has')} not ever {done}")
    return end(f"{choose(rng, _NOBODY_HAS)} ever {done}")


_NOBODY_HAS = (
    "nobody in our family has",
    "nobody in my class has",
    "nobody in the village has",
    "hardly anybody has",
    "hardly anyone has",
    "few people have",
    "none of us has",
    "no one has",
)


def have_you_ever(rng: Rng) -> str:
    """Ask whether somebody has ever done something."""
    subject = YOU_PHRASE if rng() < 0.5 else person(rng)
    speaker = I if subject.pronoun is YOU else subject.pronoun
    never = f" No, {speaker.he} never {('have', 'has', 'have')[speaker.agreement]}."
    action = new_act(rng, subject)
    done = f"{action.verb.participle}{any_for_some(action.rest)}"
    question = end(f"{agree(subject, 'has')} {subject.text} ever {done}", "?")
    return question + choose(rng, ("", never, " Yes, once."))


def best_ever(rng: Rng) -> str:
    """Use "ever" after a superlative: "the biggest owl that Ada has ever seen"."""
    noun = described(rng, gradable=True)
    while not noun.a:
        noun = described(rng, gradable=True)
    most = choose(rng, noun.gradable).most
    that = choose(rng, ("", "that "))
    seen = choose(rng, ("seen", "heard of", "come across"))
    return f"This is the {most} {noun.word} {that}{name(rng).text} has ever {seen}."


def nobody(rng: Rng) -> str:
    """Use nobody, nothing, nowhere, none and neither as subjects and objects."""
    chance = rng()
    if chance < 0.25:
        action = act(rng, "thing plans", NEUTRAL, 0.2, 0.1)
        return end(f"{choose(rng, _NOBODY)} {action.did}{action.place}")
    subject = person(rng)
    if chance < 0.45:
        return end(f"{subject.text} {choose(rng, wording('with nothing'))}")
    if chance < 0.65:
        return end(f"{subject.text} {choose(rng, wording('with any'))}")
    if chance < 0.8:
        first, second = two_plans(rng, subject)
        return end(f"{subject.text} neither {first.did} nor {second.did}")
    if chance < 0.9:
        one = one_person(rng)
        action = act(rng, "thing plans", NEUTRAL, 0.1, 0.0)
        return end(f"neither {one.text} nor {other_person(rng, one).text} {action.did}")
    trait, other = sample(rng, traits(), 2)
    return end(f"{subject.text} {agree(subject, 'is')} neither {trait} nor {other}")


_NOBODY = ("nobody", "no one", "none of the children", "not one of us", "none of them")


def two_plans(rng: Rng, subject: Phrase) -> tuple[Action, Action]:
    """Return two deliberate actions with different verbs."""
    first = second = act(rng, "thing plans", subject, 0.1, 0.0)
    while second.verb is first.verb:
        second = act(rng, "thing plans", subject, 0.1, 0.0)
    return first, second


def yet(rng: Rng) -> str:
    """Contrast already with yet, some with any, still with no longer."""
    first = one_person(rng)
    second = other_person(rng, first)
    action = act(rng, "thing plans", first, 0.1, 0.0)
    verb = action.verb
    chance = rng()
    if chance < 0.35 and "'s" not in action.rest:
        return end(
            f"{first.text} has already {verb.participle}{action.rest}, but {second.text} hasn't yet"
        )
    if chance < 0.55:
        return end(
            f"has {first.text} {verb.participle}{any_for_some(action.rest)} yet", "?"
        ) + choose(rng, ("", " Not yet.", f" {end(f'no, {first.pronoun.he} is still waiting')}"))
    if chance < 0.75:
        habit = act(rng, "habits", first, 0.1, 0.0)
        return end(f"{first.text} no longer {habit.does}")
    return end(f"{first.text} still hasn't {verb.participle}{any_for_some(action.rest)}")


def fronted(rng: Rng) -> str:
    """Put a negative word in front, which inverts the clause: "Never had Ada seen a swan."."""
    subject = one_person(rng)
    action = act(rng, "things", subject, 0.2, 0.0)
    verb = action.verb
    chance = rng()
    if chance < 0.35:
        word = choose(rng, ("never before", "never", "not once"))
        return end(f"{word} had {subject.text} {verb.participle}{action.rest}")
    if chance < 0.7:
        second = choose(
            rng, ("the bell rang", "it began to rain", "the lights went out", "the telephone rang")
        )
        if rng() < 0.5:
            return end(f"hardly had {subject.text} {verb.participle}{action.rest} when {second}")
        return end(f"no sooner had {subject.text} {verb.participle}{action.rest} than {second}")
    habit = act(rng, "habits", subject, 0.1, 0.0)
    word = choose(rng, ("rarely", "seldom", "only on Sundays", "only in summer"))
    return end(f"{word} does {subject.text} {habit.do}")


def not_but(rng: Rng) -> str:
    """Correct a mistake: "Ada didn't buy a hat but a scarf."."""
    subject = one_person(rng)
    chosen, first, second = two_nouns(rng)
    if rng() < 0.5:
        return end(f"{subject.text} didn't {chosen.base} {first.a} but {second.a}")
    return end(f"{subject.text} {chosen.past} {second.a}, not {first.a}")


NEGATIONS = (
    (no, 3.0),
    (any_of, 3.0),
    (ever, 2.0),
    (nobody, 2.5),
    (yet, 2.0),
    (fronted, 1.0),
    (not_but, 1.0),
)
