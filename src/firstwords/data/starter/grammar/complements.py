"""Clauses inside clauses: that, to do, doing; control, raising, and easy to please."""

from functools import cache

from firstwords.data.starter.grammar.clauses import (
    FUTURE,
    PAST_PERFECT,
    PAST_PROGRESSIVE,
    PAST_SIMPLE,
    PERFECT,
    PRESENT_SIMPLE,
    PROGRESSIVE,
    WOULD,
    Action,
    Tense,
    act,
    any_for_some,
    end,
    object_form,
    pool,
    say,
    tense_for,
    verb_group,
)
from firstwords.data.starter.grammar.lexicon import Frame, wording
from firstwords.data.starter.grammar.phrases import (
    NEUTRAL,
    I,
    Phrase,
    agree,
    moods,
    name,
    one_person,
    other_person,
    person,
    the_thing,
    traits,
)
from firstwords.data.starter.grammar.statements import anybody, located
from firstwords.data.starter.rng import Rng, choose


def another(rng: Rng, first: Phrase) -> Phrase:
    """Return a person or people other than `first`, with another noun."""
    while True:
        second = person(rng)
        if second.text != first.text and (not second.noun or second.noun[:4] != first.noun[:4]):
            return second


def that_clause(rng: Rng) -> str:
    """Say what somebody thinks, knows, hopes or hears."""
    frame = choose(rng, pool("that"))
    thinker = anybody(rng)
    subject = another(rng, thinker)
    if rng() < 0.2:
        subject = Phrase(thinker.pronoun.he, thinker.pronoun)
    action = act(rng, "happenings", subject, 0.15, 0.1)
    that = choose(rng, ("that ", "that ", ""))
    agreement = thinker.pronoun.agreement
    past = rng() < 0.65
    if frame.verb.base == "hope":
        tense = WOULD if past else FUTURE
        action = act(rng, "plans", subject, 0.15, 0.1)
    elif past:
        tense = PAST_PERFECT
    else:
        tense = tense_for(rng, action)
        if tense is PAST_PERFECT:
            tense = PAST_SIMPLE
    verb = frame.verb.past if past else verb_group(frame.verb, PRESENT_SIMPLE, agreement)
    if not past and frame.verb.base in ("notice", "discover", "guess", "hear", "forget"):
        verb = frame.verb.past
        tense = PAST_PERFECT
    return end(f"{thinker.text} {verb} {that}{say(subject, tense, action)}")


def feeling_that(rng: Rng) -> str:
    """Say that somebody is glad or sure of something, or that it is a pity."""
    subject = person(rng)
    action = act(rng, "happenings", subject, 0.15, 0.1)
    tense = tense_for(rng, action)
    clause = say(subject, tense, action)
    if rng() < 0.5:
        bad = action.verb.base in _BAD
        return end(f"{choose(rng, _IT_IS_BAD if bad else _IT_IS)} that {clause}")
    thinker = name(rng)
    if thinker.text in clause:
        thinker = Phrase("I", I)
    be = agree(thinker, "is")
    word = choose(rng, _SORRY if action.verb.base in _BAD else _GLAD)
    return end(f"{thinker.text} {be} {word} {choose(rng, ('that ', ''))}{clause}")


_SORRY = ("sorry", "sad", "sure", "surprised", "angry")
_GLAD = ("sure", "glad", "surprised", "certain", "proud", "happy")
_BAD = ("lose", "break", "tear", "spill", "burn", "miss", "drop", "forget", "fall", "stumble")
_IT_IS_BAD = ("it is a pity", "it is true", "it seems", "it turned out", "I am afraid")
_IT_IS = (
    "it is true",
    "it seems",
    "it is possible",
    "everybody knows",
    "it is good",
    "it turned out",
    "it is no secret",
)


def fact(rng: Rng) -> str:
    """Make a clause the subject, or let "it" stand for it; or put it after "news" or "fact"."""
    subject = person(rng)
    action = act(rng, "happenings", subject, 0.1, 0.0)
    other = name(rng)
    had = say(subject, PAST_PERFECT, action)
    while other.text in had:
        other = name(rng)
    chance = rng()
    if chance < 0.25:
        return end(f"that {had} {choose(rng, ('surprised', 'pleased', 'puzzled'))} {other.text}")
    if chance < 0.5:
        return end(f"it {choose(rng, ('surprised', 'pleased', 'puzzled'))} {other.text} that {had}")
    news = choose(rng, ("news", "story", "rumour"))
    if chance < 0.75:
        verb = choose(rng, ("heard", "believed", "could not forget", "told us"))
        return end(f"{other.text} {verb} the {news} that {had}")
    if rng() < 0.4:
        return end(f"the fact that {had} {choose(rng, ('surprised', 'pleased'))} {other.text}")
    made = choose(
        rng, ("made {} smile", "surprised {}", "spread quickly", "was on everybody's lips")
    )
    return end(f"the {news} that {had} {made.format(other.text)}")


def expected(rng: Rng) -> str:
    """Expect or want somebody, it or there to do or be something."""
    subject = anybody(rng)
    verb = agree(subject, choose(rng, ("expects", "expected", "wants", "wanted")))
    chance = rng()
    if chance < 0.35:
        what = choose(rng, _THERE_TO_BE)
        return end(f"{subject.text} {verb} there to be {what}")
    if chance < 0.6:
        return end(f"{subject.text} {verb} it to {choose(rng, _IT_TO)}")
    if chance < 0.8:
        be = choose(rng, ("is likely", "is sure", "is certain", "seems", "began", "was about"))
        return end(
            f"it {be} to {choose(rng, ('rain', 'snow', 'get dark', 'get cold', 'be a fine day'))}"
        )
    other = other_person(rng, subject)
    action = act(rng, "plans", other, 0.1, 0.1)
    return end(f"{subject.text} {verb} {other.text} to {action.do}{action.place}")


_THERE_TO_BE = (
    "cake at the party",
    "a storm in the night",
    "snow on the hills",
    "enough chairs for everybody",
    "a letter in the box",
    "music at the wedding",
    "no trouble",
    "a prize for the winner",
    "fewer people on the train",
)
_IT_TO = (
    "be a surprise",
    "rain all day",
    "be easy",
    "stop raining",
    "snow before the holidays",
    "be a long journey",
    "get warmer in April",
    "be dark by five o'clock",
)


def wants_to(rng: Rng) -> str:
    """Let somebody want, try, promise or refuse to do something."""
    subject = anybody(rng)
    frame = choose(rng, _frames("to-do", of_others=False))
    action = act(rng, "plans", subject, 0.15, 0.2)
    vp = f"{action.do}{action.place}"
    tense = _tense_of_plan(rng, frame)
    if frame.verb.base == "learn":
        vp = choose(rng, _SKILLS)
    no = "not " if rng() < 0.1 and frame.verb.base in ("decide", "promise", "try") else ""
    group = verb_group(frame.verb, tense, subject.pronoun.agreement)
    if rng() < 0.15:
        negative = (
            f"{tense.negative[subject.pronoun.agreement]} {tense.between}{frame.verb[tense.form]}"
        )
        group = negative
    return end(f"{subject.text} {group} {no}to {vp}")


_SKILLS = (
    "swim",
    "skate",
    "juggle",
    "ride a horse",
    "tell the time",
    "read music",
    "bake bread",
    "play chess",
    "sail a boat",
    "tie a bow",
    "whistle",
    "cook soup",
)


def _tense_of_plan(rng: Rng, frame: Frame) -> Tense:
    chance, base = rng(), frame.verb.base
    if "state" in frame.flags:
        return PRESENT_SIMPLE if chance < 0.4 else PAST_SIMPLE
    if chance < 0.2 and base != "hope":
        return PERFECT
    if chance < 0.35 and base in ("try", "plan", "hope", "learn"):
        return PROGRESSIVE
    if chance < 0.45 and base not in ("hope", "start", "learn"):
        return FUTURE
    return PAST_SIMPLE


def has_person_do(rng: Rng) -> str:
    """Let somebody ask, persuade, warn or promise somebody else to do something."""
    subject = anybody(rng)
    other = other_person(rng, subject)
    frame = choose(rng, _frames("to-do", of_others=True))
    past = frame.verb.past
    if frame.verb.base == "promise":
        # The one who promises also does it; the verb agrees with "Ada" in "promised Ben to come".
        action = act(rng, "plans", subject, 0.15, 0.1)
        return end(f"{subject.text} promised {other.text} to {action.do}")
    if frame.verb.base == "warn":
        action = act(rng, "accident things", other, 0.15, 0.0)
        danger = f"{action.verb.base}{any_for_some(action.rest)}"
        return end(f"{subject.text} warned {other.text} not to {danger}")
    action = act(rng, "plans", other, 0.15, 0.1)
    no = ""
    if rng() < 0.12 and frame.verb.base in _MAY_DENY:
        no, action = "not ", action._replace(rest=any_for_some(action.rest))
    if rng() < 0.2 and frame.verb.base not in ("want", "beg", "help"):
        return end(f"{other.text} was {frame.verb.participle} {no}to {action.do}{action.place}")
    return end(f"{subject.text} {past} {other.text} {no}to {action.do}{action.place}")


_MAY_DENY = ("tell", "ask", "advise", "remind", "beg")


def watches_person(rng: Rng) -> str:
    """Let somebody let, make, see or hear somebody else do something."""
    subject = anybody(rng)
    other = other_person(rng, subject)
    frame = choose(rng, _frames("do" if rng() < 0.45 else "doing", of_others=True))
    past = frame.verb.past
    if frame.verb.base == "hear":
        return end(f"{subject.text} heard {other.text} {choose(rng, wording('heard'))}")
    if frame.complement == "do":
        action = act(rng, "plans", other, 0.15, 0.1)
        return end(f"{subject.text} {past} {other.text} {action.do}{action.place}")
    action = act(rng, "doing now", other, 0.15, 0.1)
    return end(f"{subject.text} {past} {other.text} {action.doing}{action.place}")


def doing(rng: Rng) -> str:
    """Let somebody enjoy, stop or suggest doing something, or be good at it."""
    chance = rng()
    if chance < 0.15:
        action = act(rng, "habits", NEUTRAL, 0.1, 0.0)
        return end(f"{action.doing} {choose(rng, _FUN).format(name(rng).text)}")
    subject = anybody(rng)
    action = act(rng, "habits", subject, 0.15, 0.1)
    vp = f"{action.doing}{action.place}"
    if chance < 0.6:
        frame = choose(rng, _frames("doing", of_others=False))
        tense = tense_for(rng, Action(frame.verb, None, "", "", frame))
        if tense in (PROGRESSIVE, PAST_PROGRESSIVE, PAST_PERFECT):
            tense = PAST_SIMPLE
        group = verb_group(frame.verb, tense, subject.pronoun.agreement)
        return end(f"{subject.text} {group} {vp}")
    if chance < 0.8:
        be = agree(subject, choose(rng, ("is", "was")))
        return end(f"{subject.text} {be} {choose(rng, _GOOD_AT)} {vp}")
    second = act(rng, "thing plans", subject, 0.1, 0.0)
    link = choose(rng, ("before", "after", "instead of", "without"))
    return end(f"{subject.text} {second.did} {link} {vp}")


_FUN = ("is fun", "is hard work", "makes {} happy", "is not easy", "takes a long time")


@cache
def _frames(kind: str, of_others: bool) -> tuple[Frame, ...]:
    """Return the verbs with a kind of complement: what one does oneself, or makes others do."""
    return tuple(frame for frame in pool(kind) if bool(frame.object) == of_others)


_GOOD_AT = (
    "good at",
    "tired of",
    "proud of",
    "interested in",
    "looking forward to",
    "used to",
    "thinking of",
    "fond of",
    "afraid of",
)


def raising(rng: Rng) -> str:
    """Say how things seem, or what is likely: "Ada seems to know the way."."""
    subject = anybody(rng)
    chance = rng()
    if chance < 0.3:
        adjective = choose(rng, moods() if rng() < 0.6 else traits())
        return end(f"{subject.text} {agree(subject, choose(rng, _SEEMS))} to be {adjective}")
    action = act(rng, "happenings", subject, 0.15, 0.1)
    if chance < 0.55:
        return end(f"{subject.text} {agree(subject, choose(rng, _SEEMS))} to have {action.done}")
    if chance < 0.75:
        action = act(rng, "plans", subject, 0.15, 0.1)
        return end(f"{subject.text} {agree(subject, 'is')} {choose(rng, _LIKELY)} to {action.do}")
    if chance < 0.85:
        return end(f"it {choose(rng, ('seems', 'appears'))} that {say(subject, PERFECT, action)}")
    spot, noun = located(rng)
    if noun.only_plural or rng() < 0.5:
        return end(
            f"there {choose(rng, ('seem', 'appear'))} to be "
            f"{choose(rng, ('some', 'a lot of', 'three', 'no'))} {noun.plural} {spot}"
        )
    return end(f"there {choose(rng, ('seems', 'appears'))} to be {noun.a} {spot}")


def easy(rng: Rng) -> str:
    """Say what is easy to do: in "the tap is easy to repair", the tap is what is repaired."""
    frame = choose(rng, pool("thing plans"))
    thing = the_thing(rng, choose(rng, frame.nouns), 0.15)
    word = choose(rng, ("easy", "hard", "difficult", "not hard", "not easy", "fun"))
    for_whom = f" for {one_person(rng).text}" if rng() < 0.2 else ""
    be = choose(rng, ("is", "was"))
    if rng() < 0.4:
        return end(f"it {be} {word}{for_whom} to {frame.verb.base} {thing.text}")
    return end(f"{thing.text} {agree(thing, be)} {word}{for_whom} to {frame.verb.base}")


def eager(rng: Rng) -> str:
    """Say who is eager to do something, and who is easy to please."""
    subject = anybody(rng)
    be = agree(subject, choose(rng, ("is", "was")))
    if rng() < 0.3:
        return end(f"{subject.text} {be} {choose(rng, _PLEASING)}")
    action = act(rng, "plans", subject, 0.15, 0.2)
    return end(f"{subject.text} {be} {choose(rng, _EAGER)} to {action.do}{action.place}")


_EAGER = (
    "eager",
    "happy",
    "ready",
    "willing",
    "keen",
    "glad",
    "able",
    "too tired",
    "too busy",
    "afraid",
    "not allowed",
    "strong enough",
    "old enough",
    "clever enough",
)


def purpose(rng: Rng) -> str:
    """Say what something is for, or why somebody went somewhere."""
    subject = anybody(rng)
    action = act(rng, "doing now", subject, 0.1, 0.0)
    vp = f"{action.do}"
    chance = rng()
    if chance < 0.4:
        where = choose(
            rng,
            (
                "got up early",
                "came back",
                "hurried home",
                "went outside",
                "came home early",
            ),
        )
        return end(f"{subject.text} {where} {choose(rng, ('to', 'in order to', 'to'))} {vp}")
    if chance < 0.7:
        return end(
            f"{subject.text} {agree(subject, choose(rng, ('has', 'had')))} "
            f"{choose(rng, _CHANCES)} to {vp}"
        )
    return end(f"it took {object_form(subject)} {choose(rng, _SPANS)} to {vp}")


_LIKELY = ("likely", "certain", "sure", "unlikely", "about", "going")

_CHANCES = ("no time", "enough time", "a chance", "no reason", "permission")

_PLEASING = (
    "easy to please",
    "hard to understand",
    "impossible to surprise",
    "easy to talk to",
    "nice to work with",
    "difficult to find",
    "fun to play with",
    "hard to wake",
)

_SPANS = ("an hour", "ten minutes", "all day", "a long time")

_SEEMS = ("seems", "seemed", "appears")

COMPLEMENTS = (
    (that_clause, 3.0),
    (feeling_that, 1.5),
    (fact, 1.5),
    (expected, 1.5),
    (wants_to, 3.0),
    (has_person_do, 2.5),
    (watches_person, 2.0),
    (doing, 3.0),
    (raising, 2.5),
    (easy, 1.5),
    (eager, 1.5),
    (purpose, 1.5),
)
