"""Passives, clefts, and verbs whose objects can become subjects or change places."""

from functools import cache

from firstwords.data.starter.grammar.clauses import (
    CAN,
    FUTURE,
    MUST,
    PASSIVE,
    PAST_PERFECT,
    PAST_PROGRESSIVE,
    PAST_SIMPLE,
    PERFECT,
    PROGRESSIVE,
    SHOULD,
    Action,
    Tense,
    end,
    object_form,
    passive,
    pool,
    say,
    time_of,
)
from firstwords.data.starter.grammar.lexicon import Frame, nouns_of
from firstwords.data.starter.grammar.phrases import (
    THEY,
    Phrase,
    agree,
    one_person,
    one_thing,
    other_person,
    person,
    someone,
    the_thing,
)
from firstwords.data.starter.rng import Rng, choose

_PASSIVE_TENSES = (PAST_SIMPLE,) * 4 + (PERFECT, PAST_PERFECT, PROGRESSIVE, PAST_PROGRESSIVE)


def _deed(rng: Rng, adjective: float = 0.2) -> tuple[Phrase, Phrase, Action]:
    """Return agent, thing and action for a passive; the thing is definite."""
    agent = person(rng)
    frame = choose(rng, pool("passive things"))
    noun = choose(rng, frame.nouns)
    phrase = the_thing(rng, noun, adjective)
    if not noun.only_plural and noun.plural and "one" not in frame.flags and rng() < 0.35:
        phrase = Phrase(f"the {noun.plural}", THEY, "which", noun.plural)
    return agent, phrase, Action(frame.verb, phrase, f" {phrase.text}", "", frame)


def _tense(rng: Rng, action: Action) -> Tense:
    tense = choose(rng, _PASSIVE_TENSES)
    continuous = tense in (PROGRESSIVE, PAST_PROGRESSIVE)
    if continuous and not action.frame.flags.isdisjoint(("moment", "state", "accident")):
        return PAST_SIMPLE
    return tense


def passive_by(rng: Rng) -> str:
    """Say what was done by whom: "The vase was broken by Ada."."""
    agent, thing, action = _deed(rng)
    tense = _tense(rng, action)
    when = time_of(rng, tense, 0.25)
    return end(f"{passive(thing, tense, action)} by {object_form(agent)}{when}")


def passive_short(rng: Rng) -> str:
    """Say what is done, was done or must be done, without the agent."""
    _, thing, action = _deed(rng)
    tense = _tense(rng, action)
    chance = rng()
    if chance < 0.2 and "accident" not in action.frame.flags:
        tense = (CAN, MUST, SHOULD, FUTURE)[int(rng() * 4)]
        return end(
            passive(thing, tense, action) + choose(rng, ("", " tomorrow", " today", " first"))
        )
    if chance < 0.35:
        adverb = choose(rng, ("never ", "already ", "just "))
        return end(passive(thing, PERFECT, action, adverb))
    if chance < 0.5:
        verb = PASSIVE["past"].negative[thing.pronoun.agreement]
        return end(f"{thing.text} {verb} {action.verb.participle}{time_of(rng, PAST_SIMPLE, 0.4)}")
    return end(
        passive(thing, tense, action) + time_of(rng, tense, 0.5 if tense is PERFECT else 0.95)
    )


def passive_person(rng: Rng) -> str:
    """Say what was done to a person: "Ben was helped by a sailor."."""
    who = person(rng)
    options = _passive_people()
    frame = choose(rng, options)
    action = Action(frame.verb, who, "", "", frame)
    agent = other_person(rng, who) if rng() < 0.7 else someone(rng)
    return end(
        f"{passive(who, PAST_SIMPLE, action)} by {agent.text}{time_of(rng, PAST_SIMPLE, 0.2)}"
    )


@cache
def _passive_people() -> tuple[Frame, ...]:
    return tuple(f for f in pool("people") if not f.flags & {"active"})


def passive_question(rng: Rng) -> str:
    """Ask about a passive: "Was the gate painted by Ben?", "When was the tower built?"."""
    agent, thing, action = _deed(rng)
    be = ("was", "was", "were")[thing.pronoun.agreement]
    it = thing.pronoun.he
    participle = action.verb.participle
    chance = rng()
    if chance < 0.4:
        other = other_person(rng, agent) if agent.pronoun is not THEY else one_person(rng)
        answer = f"no, {it} {be} {participle} by {other.text}" if rng() < 0.5 else f"yes, {it} {be}"
        return (
            f"{end(f'{be} {thing.text} {participle} by {object_form(agent)}', '?')} {end(answer)}"
        )
    if chance < 0.7:
        when = time_of(rng, PAST_SIMPLE, 1.0)
        return f"When {be} {thing.text} {participle}? {end(f'{it} {be} {participle}{when}')}"
    return (
        f"Who {be} {thing.text} {participle} by? "
        f"{end(f'{it} {be} {participle} by {object_form(agent)}')}"
    )


def cleft(rng: Rng) -> str:
    """Put one part of a sentence in front: "It was Ada who broke the vase."."""
    agent, thing, action = _deed(rng)
    chance = rng()
    rest = f"{action.did}"
    if chance < 0.3:
        return f"It was {agent.text} who {rest}."
    if chance < 0.5:
        other = other_person(rng, agent) if agent.pronoun is not THEY else one_person(rng)
        return f"It wasn't {agent.text} but {other.text} who {rest}."
    if chance < 0.75:
        return f"It was {thing.text} that {agent.text} {action.verb.past}."
    when = time_of(rng, PAST_SIMPLE, 1.0)
    return f"It was{when} that {agent.text} {rest}."


# -- objects that become subjects -----------------------------------------------------


def _alternating(rng: Rng) -> tuple[Frame, Phrase]:
    frame = choose(rng, pool("alternates"))
    nouns = nouns_of(*frame.subject)
    noun = choose(rng, nouns)
    return frame, the_thing(rng, noun, 0.1)


def by_itself(rng: Rng) -> str:
    """Say what happened to a thing, with nobody doing it: "The vase broke."."""
    frame, thing = _alternating(rng)
    action = Action(frame.verb, None, "", "", frame)
    chance = rng()
    if chance < 0.4:
        return end(say(thing, PAST_SIMPLE, action) + time_of(rng, PAST_SIMPLE, 0.5))
    if chance < 0.6:
        adverb = (
            choose(rng, ("suddenly ", "slowly ", "finally "))
            if "moment" not in frame.flags
            else "suddenly "
        )
        return end(say(thing, PAST_SIMPLE, action, adverb))
    if chance < 0.8 and "once" in frame.flags:
        return end(say(thing, PERFECT, action))
    it = thing.pronoun.he
    return (
        f"Why did {thing.text} {frame.verb.base}? "
        f"{choose(rng, _NO_IDEA)} {end(f'{it} just {frame.verb.past}')}"
    )


_NO_IDEA = ("I don't know.", "Nobody touched anything.", "Nobody knows.", "I can't say.")


def by_somebody(rng: Rng) -> str:
    """Say or ask who or what did something to a thing that may also do it by itself."""
    if rng() < 0.4:
        frame = choose(rng, pool("force"))
        thing = the_thing(rng, choose(rng, frame.nouns), 0.2)
        who, agent = "What", f"the {choose(rng, frame.subject)}"
    else:
        frame, thing = _alternating(rng)
        who, agent = "Who", one_person(rng).text
        if frame.subject == ("ships",):
            who, agent = "What", "the storm"
    past = frame.verb.past
    if rng() < 0.6:
        return end(f"{agent} {past} {thing.text}{time_of(rng, PAST_SIMPLE, 0.4)}")
    return f"{who} {past} {thing.text}? {end(agent)}"


def give(rng: Rng) -> str:
    """Say who gave what to whom, in either order, in a question or in the passive."""
    giver = one_person(rng)
    frame = choose(rng, pool("gifts"))
    thing = one_thing(rng, choose(rng, frame.nouns), 0.2, 0.6)
    receiver = other_person(rng, giver)
    he, past = giver.pronoun.he, frame.verb.past
    to = "for" if "for" in frame.flags else "to"
    when = time_of(rng, PAST_SIMPLE, 0.3)
    chance = rng()
    if chance < 0.1:
        return end(f"{giver.text} {past} {thing.text} {to} {choose(rng, _ME)}{when}")
    if chance < 0.2:
        question = f"who did {giver.text} {frame.verb.base} {thing.text} {to}"
        return f"{end(question, '?')} {end(f'{he} {past} {it_or_one(thing)} {to} {receiver.text}')}"
    if chance < 0.4 or "both" not in frame.flags:
        return end(f"{giver.text} {past} {thing.text} {to} {receiver.text}{when}")
    if chance < 0.7:
        who = choose(rng, _ME) if chance < 0.45 else receiver.text
        return end(f"{giver.text} {past} {who} {thing.text}{when}")
    if chance < 0.8 or to == "for":
        question = f"what did {giver.text} {frame.verb.base} {receiver.text}"
        return f"{end(question, '?')} {end(f'{he} {past} {receiver.pronoun.him} {thing.text}')}"
    done = frame.verb.participle
    if chance < 0.9 or not thing.definite:
        return end(f"{receiver.text} was {done} {thing.text} by {giver.text}")
    return end(f"{thing.text} {agree(thing, 'was')} {done} to {receiver.text} by {giver.text}")


_ME = ("me", "us", "you", "them")


def it_or_one(thing: Phrase) -> str:
    """Return the pronoun for a thing as an object; a new thing is named again."""
    return thing.pronoun.him if thing.definite else thing.text


VOICES = (
    (passive_by, 3.0),
    (passive_short, 3.0),
    (passive_person, 1.5),
    (passive_question, 1.5),
    (cleft, 2.0),
    (by_itself, 2.0),
    (by_somebody, 1.5),
    (give, 3.0),
)
