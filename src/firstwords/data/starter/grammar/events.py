"""One event told in many ways: active, passive, cleft, asked and answered, denied, reported."""

from typing import NamedTuple

from firstwords.data.starter.grammar.clauses import (
    FUTURE,
    FUTURE_PERFECT,
    GOING_TO,
    PAST_PERFECT,
    PAST_PROGRESSIVE,
    PAST_SIMPLE,
    PERFECT,
    PERFECT_PROGRESSIVE,
    PRESENT_SIMPLE,
    PROGRESSIVE,
    WOULD_HAVE,
    Action,
    act,
    end,
    pool,
    say,
)
from firstwords.data.starter.grammar.links import Link, link, pick_tense, why_question
from firstwords.data.starter.grammar.phrases import (
    THEY,
    YOU,
    Phrase,
    one_person,
    other_person,
    the_thing,
)
from firstwords.data.starter.rng import Rng, choose, randint, sample


class Deed(NamedTuple):
    """Something that somebody did to a thing in the past, and somebody else who did not."""

    agent: Phrase
    other: Phrase
    thing: Phrase
    action: Action
    when: str  # " this morning"

    @property
    def done(self) -> str:
        """The predicate: "painted the gate"."""
        return f"{self.action.did}"

    @property
    def he(self) -> str:
        """The pronoun for the agent: "she"."""
        return self.agent.pronoun.he

    @property
    def it(self) -> str:
        """The pronoun for the thing as an object: "it"."""
        return self.thing.pronoun.him

    @property
    def was(self) -> str:
        """The auxiliary of the passive: "was" or "were"."""
        return ("was", "was", "were")[self.thing.pronoun.agreement]


def _name(rng: Rng, d: Deed) -> str:
    """Return the agent by name or by pronoun; the other person has another pronoun."""
    return d.agent.text if rng() < 0.4 else d.he


def _thing(rng: Rng, d: Deed) -> str:
    """Return the thing by name or by pronoun, as an object."""
    return d.thing.text if rng() < 0.5 else d.it


_WHENS = (" yesterday", " this morning", " last week", " on Monday", " after lunch", " an hour ago")


def deed(
    rng: Rng, agent: Phrase | None = None, other: Phrase | None = None, kind: str = "passive things"
) -> Deed:
    """Return a deed of a person, with a definite thing."""
    agent = agent or one_person(rng)
    other = other or other_person(rng, agent)
    frame = choose(rng, pool(kind))
    noun = choose(rng, frame.nouns)
    thing = the_thing(rng, noun, 0.2)
    if not noun.only_plural and noun.plural and "one" not in frame.flags and rng() < 0.35:
        thing = Phrase(f"the {noun.plural}", THEY, "which", noun.plural)
    return Deed(
        agent,
        other,
        thing,
        Action(frame.verb, thing, f" {thing.text}", "", frame),
        choose(rng, _WHENS),
    )


def _passive(rng: Rng, d: Deed) -> str:
    return end(f"{d.thing.text} {d.was} {d.action.verb.participle} by {d.agent.text}")


def _cleft_agent(rng: Rng, d: Deed) -> str:
    tail = f", not {d.other.text}" if rng() < 0.5 else ""
    return f"It was {d.agent.text} who {d.done}{tail}."


def _cleft_thing(rng: Rng, d: Deed) -> str:
    if rng() < 0.5:
        return f"It was {d.thing.text} that {d.agent.text} {d.action.verb.past}."
    return f"What {d.agent.text} {d.action.verb.past} was {d.thing.text}."


def _who(rng: Rng, d: Deed) -> str:
    answer = choose(
        rng,
        (
            f"{d.agent.text} did",
            f"{d.agent.text} {d.action.verb.past} {d.it}",
            f"{d.agent.text} {d.done}",
        ),
    )
    return f"Who {d.done}?\n{end(answer)}"


def _what(rng: Rng, d: Deed) -> str:
    return f"What did {d.agent.text} {d.action.verb.base}?\n{end(f'{d.he} {d.done}')}"


def _when(rng: Rng, d: Deed) -> str:
    if rng() < 0.5:
        return (
            f"When did {d.agent.text} {d.action.do}?\n"
            f"{end(f'{d.he} {d.action.verb.past} {d.it}{d.when}')}"
        )
    they = d.thing.pronoun.he
    return (
        f"When {d.was} {d.thing.text} {d.action.verb.participle}?\n"
        f"{end(f'{they} {d.was} {d.action.verb.participle}{d.when}')}"
    )


def _yes(rng: Rng, d: Deed) -> str:
    return f"Did {d.agent.text} {d.action.do}?\nYes, {d.he} did."


def _no(rng: Rng, d: Deed) -> str:
    truth = choose(
        rng,
        (
            f" {end(f'{d.agent.text} did')}",
            f" {end(f'{d.agent.text} {d.action.verb.past} {d.it}')}",
        ),
    )
    return f"Did {d.other.text} {d.action.do}?\nNo, {d.other.pronoun.he} didn't.{truth}"


def _passive_question(rng: Rng, d: Deed) -> str:
    they = d.thing.pronoun.he
    return (
        f"Who {d.was} {d.thing.text} {d.action.verb.participle} by?\n"
        f"{end(f'{they} {d.was} {d.action.verb.participle} by {d.agent.text}')}"
    )


def _denied(rng: Rng, d: Deed) -> str:
    text = f"{d.other.text} didn't {d.action.verb.base} {choose(rng, (d.it, d.thing.text))}"
    return end(text + choose(rng, ("", "", f", but {d.agent.text} did")))


def _reported(rng: Rng, d: Deed) -> str:
    said = choose(rng, ("said", "heard", "knew", "noticed", "told us", "remembered"))
    had = f"had {d.action.verb.participle} {_thing(rng, d)}"
    return end(f"{d.other.text} {said} that {_name(rng, d)} {had}")


def _quoted(rng: Rng, d: Deed) -> str:
    speaker = _name(rng, d)
    said = f"{speaker} said" if speaker == d.he else f"said {speaker}"
    return f'"I {d.done}{d.when}," {said}.'


def _relative(rng: Rng, d: Deed) -> str:
    if rng() < 0.5:
        return end(f"{_name(rng, d)} was the one who {d.done}")
    return end(
        f"{_name(rng, d)} told {d.other.text} about "
        f"{d.thing.text} that {d.he} had {d.action.verb.participle}"
    )


def _tag(rng: Rng, d: Deed) -> str:
    if rng() < 0.5:
        question = end(f"{d.agent.text} {d.done}, didn't {d.he}", "?")
        return f"{question}\nYes, {d.he} did."
    she = d.other.pronoun.he
    question = end(f"{d.other.text} didn't {d.action.do}, did {she}", "?")
    return f"{question}\nNo, {she} didn't."


def _unreal(rng: Rng, d: Deed) -> str:
    who = _name(rng, d)
    if "accident" in d.action.frame.flags:
        return end(f"{who} {choose(rng, _BY_ACCIDENT).format(he=d.he, him=d.agent.pronoun.him)}")
    done = d.action.verb.participle
    otherwise = choose(rng, _OTHERWISE).format(b=d.other.text, it=d.it, done=done)
    return end(f"if {who} hadn't {done} {d.it}, {otherwise}")


_BY_ACCIDENT = (
    "didn't do it on purpose",
    "was sorry",
    "said that {he} was sorry",
    "didn't mean to",
)
_OTHERWISE = (
    "nobody would have done it",
    "{b} would have {done} {it}",
    "somebody else would have had to do it",
    "{b} would have had to do it",
)


def _asked(rng: Rng, d: Deed) -> str:
    had = f"had {d.action.verb.participle} {_thing(rng, d)}"
    reply = choose(
        rng, (f"and {d.he} said yes", f"and {d.he} nodded", f"and {d.he} said that {d.he} had")
    )
    return end(f"{d.other.text} asked {d.agent.text} whether {d.he} {had}, {reply}")


def _surprised(rng: Rng, d: Deed) -> str:
    verb = choose(rng, ("surprised", "pleased", "puzzled", "did not surprise"))
    return end(
        f"it {verb} {d.other.text} that {d.agent.text} had {d.action.verb.participle} {d.it}"
    )


def _afterwards(rng: Rng, d: Deed) -> str:
    word = choose(rng, ("after", "when", "as soon as"))
    then = choose(rng, ("went home", "had a cup of tea", "called a friend", "sat down to rest"))
    return end(f"{word} {d.he} had {d.action.verb.participle} {d.it}, {d.he} {then}")


def _know_who(rng: Rng, d: Deed) -> str:
    question = choose(rng, ("do you know who", "can you tell me who", "who do you think"))
    reply = choose(
        rng, (f"{d.agent.text} did", f"it was {d.agent.text}", f"I think {d.agent.text} did")
    )
    return f"{end(f'{question} {d.done}', '?')}\n{end(reply)}"


def _not_the_other(rng: Rng, d: Deed) -> str:
    question = f"Wasn't it {d.other.text} who {d.done}?"
    return f"{question}\nNo, it was {d.agent.text}."


def _nobody_else(rng: Rng, d: Deed) -> str:
    return choose(
        rng, (f"Nobody else {d.action.verb.past} {d.it}.", f"Only {d.agent.text} {d.done}.")
    )


def _perfect(rng: Rng, d: Deed) -> str:
    they = d.thing.text if rng() < 0.5 else d.thing.pronoun.he
    has = ("has", "has", "have")[d.thing.pronoun.agreement]
    return end(f"now {they} {has} been {d.action.verb.participle}")


ASKED = (_who, _what, _when, _yes, _no, _passive_question, _know_who, _not_the_other)
TOLD = (
    _passive, _cleft_agent, _cleft_thing, _denied, _reported, _quoted, _relative, _unreal,
    _nobody_else, _perfect, _asked, _surprised, _afterwards,
)  # fmt: skip


def told(d: Deed) -> str:
    """Return the plain statement of a deed: "Ada painted the gate this morning."."""
    return end(f"{d.agent.text} {d.done}{d.when}")


def retold(rng: Rng) -> str:
    """Tell one event in several ways, then ask about it."""
    d = deed(rng)
    first = (
        told(d)
        if rng() < 0.7
        else end(f"{d.thing.text} {d.was} {d.action.verb.participle} by {d.agent.text}{d.when}")
    )
    ways = sample(rng, TOLD, randint(rng, 2, 5))
    text = " ".join([first, *(way(rng, d) for way in ways)])
    asked = sample(rng, (*ASKED, _tag), randint(rng, 0, 4))
    return with_questions(rng, text, [way(rng, d) for way in asked])


def with_questions(rng: Rng, text: str, asked: list[str]) -> str:
    """Return the text with its questions below; answers stand beside or below their questions."""
    if rng() < 0.3:
        asked = [question.replace("?\n", "? ") for question in asked]
    return "\n".join([text, *asked])


def all_tenses(rng: Rng) -> str:
    """Tell one habit in several tenses: every day, yesterday, now, already, tomorrow."""
    who = one_person(rng)
    he = Phrase(who.pronoun.he, who.pronoun)
    action = act(rng, "tenses", who, 0.2, 0.0)
    named = [who] if rng() < 0.5 else [who, he]
    lines: list[str] = []
    for tense, front in sample(rng, _TENSES, randint(rng, 4, 7)):
        subject = named[0] if len(lines) == 0 or rng() < 0.3 else named[-1]
        adverb = ""
        if tense in (PERFECT, PAST_PERFECT):
            adverb = choose(rng, ("just ", "already ", "")) if tense is PERFECT else "already "
        clause = say(subject, tense, action, adverb)
        times = choose(rng, tense.times) if not adverb or tense is PAST_PERFECT else ""
        if front and times and rng() < 0.5:
            lines.append(f"{end(times, '')}{',' if tense is not PAST_SIMPLE else ''} {clause}.")
        else:
            lines.append(end(f"{clause} {times}".strip()))
    return " ".join(lines)


_TENSES = (
    (PAST_SIMPLE, True),
    (PRESENT_SIMPLE, True),
    (PROGRESSIVE, False),
    (PAST_PROGRESSIVE, False),
    (PERFECT, False),
    (PAST_PERFECT, True),
    (FUTURE, True),
    (GOING_TO, True),
    (PERFECT_PROGRESSIVE, False),
    (FUTURE_PERFECT, True),
)


def reasons(rng: Rng) -> str:
    """Tell what happened and why, then what would have happened otherwise."""
    row = link(rng, people_only=rng() < 0.6)
    who = one_person(rng)
    cause = row.cause.say(who.pronoun, PAST_SIMPLE, who.text)
    called = who.text if row.cause.subject else who.pronoun.he
    effect = row.effect_second.say(who.pronoun, PAST_SIMPLE, called)
    ways = sample(rng, (_why, _otherwise, _whenever, _again), randint(rng, 2, 4))
    told_first = end(choose(rng, _SO).format(cause, effect))
    return " ".join([told_first, *(way(rng, row, who) for way in ways)])


_SO = ("{0}, so {1}", "{0}, and so {1}", "because {0}, {1}", "{0}. Because of this, {1}")


def _why(rng: Rng, row: Link, who: Phrase) -> str:
    reason = row.cause_second.say(who.pronoun, pick_tense(rng, row.cause), who.pronoun.he)
    return f"{why_question(row.effect, who)} {end(f'because {reason}')}"


def _otherwise(rng: Rng, row: Link, who: Phrase) -> str:
    condition = row.cause.deny(who.pronoun, PAST_PERFECT, who.text)
    return end(f"if {condition}, {row.effect_second.deny(who.pronoun, WOULD_HAVE, who.pronoun.he)}")


def _whenever(rng: Rng, row: Link, who: Phrase) -> str:
    condition = row.cause.say(YOU, PRESENT_SIMPLE, "you")
    return end(f"whenever {condition}, {row.effect_second.say(YOU, PRESENT_SIMPLE, 'you')}")


def _again(rng: Rng, row: Link, who: Phrase) -> str:
    he = who.pronoun.he
    condition = row.cause.say(who.pronoun, PRESENT_SIMPLE, he)
    result = row.effect_second.say(who.pronoun, FUTURE, he)
    return f"What happens if {condition} again? {end(f'{result} again')}"
