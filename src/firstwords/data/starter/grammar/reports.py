"""Direct speech, and the same words reported: tenses, pronouns and times shift."""

from firstwords.data.starter.grammar.clauses import (
    CAN,
    COULD,
    FUTURE,
    PAST_PERFECT,
    PAST_PROGRESSIVE,
    PAST_SIMPLE,
    PERFECT,
    PROGRESSIVE,
    WOULD,
    act,
    ask,
    end,
    say,
    tense_for,
)
from firstwords.data.starter.grammar.phrases import I, Phrase, one_person, other_person
from firstwords.data.starter.grammar.statements import YOU_PHRASE, command, event, exclamation
from firstwords.data.starter.rng import Rng, choose


def direct(rng: Rng) -> str:
    """Quote what somebody said, asked or called."""
    speaker = one_person(rng)
    hearer = other_person(rng, speaker)
    quote = _quote(rng)
    said = choose(rng, ("said", "said", "called", "cried", "whispered", "answered"))
    if quote[-1] == "?":
        said = choose(rng, ("asked", "asked", "wondered"))
    if rng() < 0.3 and said in ("said", "asked", "whispered"):
        to = "" if said == "asked" else " to"
        return f'{end(f"{speaker.text} {said}{to} {hearer.text}", "")}, "{quote}"'
    if quote[-1] == ".":
        quote = quote[:-1] + ","
    verb = f"{said} {speaker.text}" if rng() < 0.5 else f"{speaker.text} {said}"
    return f'"{quote}" {verb}.'


def _quote(rng: Rng) -> str:
    chance = rng()
    if chance < 0.3:
        action = act(rng, "things", I_PHRASE, 0.15, 0.1)
        return end(say(I_PHRASE, tense_for(rng, action), action))
    if chance < 0.5:
        action = act(rng, "things", YOU_PHRASE, 0.15, 0.1)
        return end(ask(YOU_PHRASE, (PAST_SIMPLE, PERFECT)[int(rng() * 2)], action), "?")
    if chance < 0.65:
        return command(rng)
    if chance < 0.75:
        return exclamation(rng)
    if chance < 0.9:
        return event(rng)
    return question_word(rng)


def question_word(rng: Rng) -> str:
    """Return a short question to a hearer."""
    action = act(rng, "things", YOU_PHRASE, 0.15, 0.1)
    word = choose(rng, ("when", "where", "why"))
    return end(f"{word} did you {action.do}", "?")


I_PHRASE = Phrase("I", I)
_SHIFTED = {
    "past": PAST_PERFECT,
    "present": PAST_SIMPLE,
    "progressive": PAST_PROGRESSIVE,
    "perfect": PAST_PERFECT,
    "future": WOULD,
}
_SHIFTS = (
    (PAST_SIMPLE, "yesterday", "the day before"),
    (PAST_SIMPLE, "last week", "the week before"),
    (FUTURE, "tomorrow", "the next day"),
    (FUTURE, "next week", "the following week"),
    (PROGRESSIVE, "now", "at that moment"),
    (PERFECT, "today", "that day"),
    (CAN, "", ""),
)


def reported(rng: Rng) -> str:
    """Quote somebody, then report the same words: "Ada said that she had broken a vase."."""
    speaker = one_person(rng)
    action = act(rng, "thing plans", speaker, 0.15, 0.0)
    tense, now, then = choose(rng, _SHIFTS)
    if tense is PROGRESSIVE and "moment" in action.frame.flags:
        tense, now, then = _SHIFTS[0]
    shifted = COULD if tense is CAN else _SHIFTED[tense.name]
    mine = action._replace(rest=action.rest.replace(f" {speaker.pronoun.his} ", " my "))
    now, then = (f" {now}" if now else "", f" {then}" if then else "")
    he = Phrase(speaker.pronoun.he, speaker.pronoun)
    quote = f"{end(say(I_PHRASE, tense, mine) + now, ',')}"
    hearer = other_person(rng, speaker)
    said = choose(rng, ("said that", "said", f"told {hearer.text} that"))
    whole = rng() < 0.5
    teller = speaker.pronoun.he if whole and rng() < 0.7 else speaker.text
    report = end(f"{teller} {said} {say(he, shifted, action)}{then}")
    if not whole:
        return report
    return f'"{quote}" said {speaker.text}. {report}'


def reported_question(rng: Rng) -> str:
    """Report a question, a command or an offer."""
    speaker = one_person(rng)
    hearer = other_person(rng, speaker)
    action = act(rng, "thing plans", hearer, 0.15, 0.0)
    he = Phrase(hearer.pronoun.he, hearer.pronoun)
    yours = action._replace(rest=action.rest.replace(f" {hearer.pronoun.his} ", " your "))
    chance = rng()
    whole = rng() < 0.5
    asker = speaker.pronoun.he if whole and rng() < 0.7 else speaker.text
    if chance < 0.4:
        quote = end(ask(YOU_PHRASE, PAST_SIMPLE, yours), "?")
        report = end(
            f"{asker} asked {hearer.text} {choose(rng, ('whether', 'if'))} "
            f"{say(he, PAST_PERFECT, action)}"
        )
    elif chance < 0.7:
        word = choose(rng, ("where", "when", "why"))
        quote = end(f"{word} {ask(YOU_PHRASE, PAST_SIMPLE, yours)}", "?")
        report = end(f"{asker} asked {hearer.text} {word} {say(he, PAST_PERFECT, action)}")
    else:
        quote = end(f"please {action.verb.base}{yours.rest}")
        report = end(f"{asker} asked {hearer.text} to {action.do}")
        return f'"{quote[:-1]}," said {speaker.text}. {report}' if whole else report
    return f'"{quote}" asked {speaker.text}. {report}' if whole else report


REPORTS = (
    (direct, 3.0),
    (reported, 3.0),
    (reported_question, 2.0),
)
