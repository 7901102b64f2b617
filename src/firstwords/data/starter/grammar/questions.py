"""Questions of all kinds, most with their answers."""

from functools import cache

from firstwords.data.starter.grammar.clauses import (
    PAST_SIMPLE,
    PRESENT_SIMPLE,
    Action,
    Tense,
    act,
    any_for_some,
    ask,
    ask_object,
    deny,
    end,
    gap,
    places_of,
    predicate,
    say,
    tense_for,
    time_of,
    two_nouns,
    verb_group,
)
from firstwords.data.starter.grammar.lexicon import Frame, Noun, frames, nouns_of, verb
from firstwords.data.starter.grammar.phrases import (
    HE,
    THEY,
    Phrase,
    agree,
    described,
    name,
    one_person,
    other_person,
    person,
    the_thing,
)
from firstwords.data.starter.grammar.relatives import thing_done
from firstwords.data.starter.grammar.statements import WE_PHRASE, anybody, located
from firstwords.data.starter.rng import Rng, choose
from firstwords.data.starter.templates import article


def _did(subject: Phrase, tense: Tense, yes: bool = True) -> str:
    """Return the short form of a clause: "she did", "he hasn't"."""
    agreement = subject.pronoun.agreement
    auxiliary = (tense.auxiliary if yes else tense.negative)[agreement]
    return f"{subject.pronoun.he} {auxiliary}"


def _fact(
    rng: Rng, kind: str = "things", subject: Phrase | None = None
) -> tuple[Phrase, Action, Tense]:
    """Return who did what, and a tense that suits it."""
    subject = subject or person(rng)
    if rng() < 0.12:
        habit = act(rng, "habits", subject, 0.1, 0.1)
        if habit.object is not None and (kind == "people") == (habit.object.who == "who"):
            return subject, habit, PRESENT_SIMPLE
    action = act(rng, kind, subject, 0.15, 0.1)
    return subject, action, tense_for(rng, action)


def yes_no(rng: Rng) -> str:
    """Ask whether something is so, and answer with yes or no."""
    subject, action, tense = _fact(rng, "happenings")
    when = time_of(rng, tense, 0.4)
    action = action._replace(rest=any_for_some(action.rest))
    question = end(ask(subject, tense, action) + when, "?")
    chance = rng()
    if chance < 0.25:
        return question
    if chance < 0.6:
        return f"{question} Yes, {_did(subject, tense)}."
    if chance < 0.85 or tense.name != "past" or subject.pronoun.agreement == 2:
        return f"{question} No, {_did(subject, tense, False)}."
    other = other_person(rng, subject)
    return f"{question} No, but {other.text} did."


def who(rng: Rng) -> str:
    """Ask who did something."""
    subject, action, tense = _fact(rng, "things")
    singular = Phrase("who", HE)
    question = f"{end(predicate(singular, tense, action), '?')}"
    question = f"Who {question[0].lower()}{question[1:]}"
    chance = rng()
    if chance < 0.3:
        auxiliary = tense.auxiliary[subject.pronoun.agreement]
        return f"{question} {end(f'{subject.text} {auxiliary}')}"
    if chance < 0.7 and tense is not PRESENT_SIMPLE:
        group = verb_group(action.verb, tense, subject.pronoun.agreement)
        it = pronoun_for(action)
        return f"{question} {end(f'{subject.text} {group} {it}')}"
    return f"{question} {end(say(subject, tense, action))}"


def pronoun_for(action: Action) -> str:
    """Return the pronoun for the object of an action: "it"; "some" and "one" if it is new."""
    thing = action.object
    if thing is None:
        return ""
    if thing.definite or thing.who == "who":
        return thing.pronoun.him
    return "some" if thing.pronoun is THEY or thing.text.startswith("some ") else "it"


def what(rng: Rng) -> str:
    """Ask what somebody did something to, and answer with he or she."""
    subject, action, tense = _fact(rng, "things")
    when = time_of(rng, tense, 0.25)
    if tense is PAST_SIMPLE and not when and rng() < 0.3:
        when = f" {choose(rng, _MOMENTS).format(he=subject.pronoun.he, was=agree(subject, 'was'))}"
    question = f"What {ask_object(subject, tense, action)}{when}?"
    return f"{question} {_answer(rng, subject, tense, action)}"


_MOMENTS = (
    "before {he} went home",
    "after {he} had come back",
    "while the others were asleep",
    "when {he} {was} in town",
    "because {he} {was} in a hurry",
    "after the rain had stopped",
)


def how_much(rng: Rng) -> str:
    """Ask how big or heavy something is; "how" takes its adjective along."""
    noun = described(rng, gradable=True)
    adjective = choose(rng, noun.gradable).word
    thing = the_thing(rng, noun, 0.0)
    it, be = thing.pronoun.he, agree(thing, "is")
    chance = rng()
    if chance < 0.5:
        answer = choose(rng, (f"{it} {be} very {adjective}", f"{it} {be} not very {adjective}"))
        return f"How {adjective} {be} {thing.text}? {end(answer)}"
    if chance < 0.8:
        who = one_person(rng)
        verb = choose(rng, ("asked", "wants to know", "told us", "didn't say"))
        return end(f"{who.text} {verb} how {adjective} {thing.text} {agree(thing, 'was')}")
    return f"Do you know how {adjective} {thing.text} {be}?"


def _answer(rng: Rng, subject: Phrase, tense: Tense, action: Action) -> str:
    chance = rng()
    assert action.object is not None
    if chance < 0.15:
        return end(action.object.text)
    if chance < 0.6:
        return end(say(Phrase(subject.pronoun.he, subject.pronoun), tense, action))
    return end(say(subject, tense, action))


def whom(rng: Rng) -> str:
    """Ask about a person as an object."""
    subject, action, tense = _fact(rng, "people")
    question = f"Who {ask_object(subject, tense, action)}?"
    return f"{question} {_answer(rng, subject, tense, action)}"


def where_when(rng: Rng) -> str:
    """Ask where or when something happened."""
    subject, action, _ = _fact(rng, "passive things")
    he = Phrase(subject.pronoun.he, subject.pronoun)
    action = action._replace(place="")
    assert action.object is not None
    short = action._replace(rest=f" {pronoun_for(action)}") if action.object.definite else action
    places = places_of(action.frame)
    if rng() < 0.4 or not places:
        when = time_of(rng, PAST_SIMPLE, 1.0)
        return (
            f"When {ask(subject, PAST_SIMPLE, action)}? {end(say(he, PAST_SIMPLE, short) + when)}"
        )
    where = choose(rng, places)
    return (
        f"Where {ask(subject, PAST_SIMPLE, action)}? {end(f'{say(he, PAST_SIMPLE, short)}{where}')}"
    )


def how_many(rng: Rng) -> str:
    """Ask how many or how much, and answer with a number."""
    number = choose(rng, ("two", "three", "four", "five", "six", "seven", "eight", "ten", "twelve"))
    chance = rng()
    if chance < 0.4:
        spot, noun = located(rng)
        if noun.only_plural:
            return how_many(rng)
        verb = choose(rng, ("are", "were"))
        return f"How many {noun.plural} {verb} there {spot}? There {verb} {number}."
    if chance < 0.8:
        subject = person(rng)
        frame, nouns = choose(rng, countable())
        noun = choose(rng, nouns)
        he = subject.pronoun.he
        return (
            f"How many {noun.plural} did {subject.text} {frame.verb.base}? "
            f"{end(f'{he} {frame.verb.past} {number}')}"
        )
    subject = person(rng)
    noun = choose(rng, nouns_of("drink", "spread", "dish"))
    verb, past = choose(rng, ("buy bought", "want wanted", "need needed")).split()
    amount = choose(rng, ("a little", "a lot", "too much", "very little"))
    return (
        f"How much {noun.word} did {subject.text} {verb}? "
        f"{end(f'{subject.pronoun.he} {past} {amount}')}"
    )


@cache
def countable() -> tuple[tuple[Frame, tuple[Noun, ...]], ...]:
    verbs = (
        "pick",
        "buy",
        "peel",
        "slice",
        "wash",
        "count",
        "collect",
        "feed",
        "photograph",
        "plant",
    )
    return tuple(
        (frame, nouns)
        for frame in frames()
        if frame.verb.base in verbs
        and (nouns := tuple(n for n in frame.nouns if n.plural and not n.only_plural))
    )


def which(rng: Rng) -> str:
    """Ask which of several, or what kind, and answer with "the red one", "a red one"."""
    subject = one_person(rng)
    noun, phrase, action = thing_done(rng, subject)
    adjective = choose(rng, noun.lasting)
    he, past = subject.pronoun.he, action.verb.past
    gapped = ask_object(subject, PAST_SIMPLE, action)
    if not noun.plural:
        return f"What kind of {noun.word} {gapped}? {end(f'{he} {past} {adjective} {noun.word}')}"
    several = noun.only_plural or phrase.pronoun is THEY
    word, one = (noun.plural, "ones") if several else (noun.word, "one")
    if rng() < 0.3:
        a = adjective if several else f"{article(adjective)} {adjective}"
        return f"What kind of {word} {gapped}? {end(f'{he} {past} {a} {one}')}"
    answer = f"the {adjective} {one}"
    if rng() < 0.4:
        answer = f"{he} {past} {answer}"
    return f"Which {word} {gapped}? {end(answer)}"


def whose(rng: Rng) -> str:
    """Ask whose something is."""
    nouns = nouns_of("clothing", "lost", "vehicle", "toy", "tool", "pet", "luggage")
    noun = choose(rng, nouns)
    several = noun.only_plural or (bool(noun.plural) and rng() < 0.3)
    word = noun.plural if several else noun.word
    this, be, they = ("these", "are", "they") if several else ("this", "is", "it")
    whom = one_person(rng)
    answer = choose(
        rng, (f"{they} {be} {whom.text}'s", f"{they} belong{'' if several else 's'} to {whom.text}")
    )
    chance = rng()
    if chance < 0.3:
        answer = f"{they}'re mine" if several else "it's mine"
    if chance > 0.6:
        verb = choose(rng, ("borrow", "find", "hide"))
        past = {"borrow": "borrowed", "find": "found", "hide": "hid"}[verb]
        who_ = other_person(rng, whom)
        found = f"{who_.pronoun.he} {past} {whom.text}'s {word}"
        return f"Whose {word} did {who_.text} {verb}? {end(found)}"
    if rng() < 0.5:
        return f"Whose {word} {be} {this}? {end(answer)}"
    return f"Whose {be} {this} {word}? {end(answer)}"


def embedded(rng: Rng) -> str:
    """Put a question inside a sentence; it keeps the order of a statement."""
    subject, action, tense = _fact(rng, "things")
    when = time_of(rng, tense, 0.2)
    chance = rng()
    if chance < 0.25:
        clause = f"what {gap(subject, tense, action)}{when}"
    elif chance < 0.45:
        action = action._replace(place="")
        clause = (
            f"{choose(rng, ('where', 'when', 'why', 'how'))} {say(subject, PAST_SIMPLE, action)}"
        )
    elif chance < 0.65:
        clause = f"who {predicate(Phrase('who', HE), tense, action)}{when}"
    else:
        clause = f"{choose(rng, ('whether', 'if'))} {say(subject, tense, action)}{when}"
    frame = choose(rng, _WONDER)
    mark = "?" if frame.startswith(("do ", "can ", "could ", "did ")) else "."
    asker = other_person(rng, subject)
    return end(frame.format(asker.text, clause), mark)


_WONDER = (
    "I wonder {1}",
    "do you know {1}",
    "nobody knows {1}",
    "can you tell me {1}",
    "{0} asked {1}",
    "{0} wants to know {1}",
    "I don't know {1}",
    "did {0} ask {1}",
    "please find out {1}",
    "could you tell me {1}",
    "{0} didn't say {1}",
    "I have no idea {1}",
)


def tag(rng: Rng) -> str:
    """Add a question tag, negative after a positive statement and positive after a negative."""
    subject, action, tense = _fact(rng, "happenings", anybody(rng))
    if subject.pronoun.agreement == 0:
        subject = name(rng)
    agreement, he = subject.pronoun.agreement, subject.pronoun.he
    if rng() < 0.6:
        clause = say(subject, tense, action) + time_of(rng, tense, 0.2)
        return end(f"{clause}, {tense.negative[agreement]} {he}", "?")
    clause = deny(subject, tense, action)
    return end(f"{clause}, {tense.auxiliary[agreement]} {he}", "?")


def negative(rng: Rng) -> str:
    """Ask a negative question: "Didn't Ada lock the door?", "Why don't we plant a tree?"."""
    subject, action, tense = _fact(rng, "things")
    chance = rng()
    if chance < 0.35:
        plan = act(rng, "plans", WE_PHRASE, 0.15, 0.1)
        return f"Why don't {choose(rng, ('we', 'you'))} {plan.do}?".replace("you our", "you your")
    no = tense.negative[subject.pronoun.agreement]
    verb = f"{tense.between}{action.verb[tense.form]}"
    question = f"{no} {subject.text} {verb}{action.rest}"
    if chance < 0.55:
        return f"Why {question}?"
    answer = choose(
        rng, ("", f" Yes, {_did(subject, tense)}.", f" No, {_did(subject, tense, False)}.")
    )
    return f"{end(question, '?')}{answer}"


def long_distance(rng: Rng) -> str:
    """Ask for a part of a clause inside another: "What do you think Ada bought?"."""
    subject, action, tense = _fact(rng, "things")
    frame = choose(
        rng, ("do you think", "did you say", "does {} believe", "do they say", "did {} say")
    )
    frame = frame.format(other_person(rng, subject).text)
    chance = rng()
    if chance < 0.45:
        that = choose(rng, ("", "", "that "))
        return f"What {frame} {that}{gap(subject, tense, action)}?"
    if chance < 0.8:
        return f"Who {frame} {predicate(Phrase('who', HE), tense, action)}?"
    action = act(rng, "people", subject)
    return f"Who {frame} {gap(subject, PAST_SIMPLE, action)}?"


def choice(rng: Rng) -> str:
    """Ask which of two, and answer with one of them."""
    subject = person(rng)
    chosen, first, second = two_nouns(rng)
    he = subject.pronoun.he
    answer = first.a if rng() < 0.5 else second.a
    return (
        f"Did {subject.text} {chosen.base} {first.a} or {second.a}? "
        f"{end(f'{he} {chosen.past} {answer}')}"
    )


def with_preposition(rng: Rng) -> str:
    """Ask with a preposition at the end: "What was Ben looking at?"."""
    word, preposition, nouns = choose(rng, _ASKED)
    noun = choose(rng, nouns)
    who_ = one_person(rng)
    forms = verb(word)
    he = who_.pronoun.he
    what_ = "Who" if noun in _PEOPLE_ASKED else "What"
    if rng() < 0.5:
        question = f"{what_} did {who_.text} {forms.base} {preposition}"
        answer = f"{he} {forms.past} {preposition} {noun}"
    else:
        question = f"{what_} was {who_.text} {forms.ing} {preposition}"
        answer = f"{he} was {forms.ing} {preposition} {noun}"
    return f"{question}? {end(answer)}"


_PEOPLE_ASKED = ("the teacher", "the doctor", "a friend", "the neighbours", "the postman")
_ASKED = (
    ("talk", "to", _PEOPLE_ASKED),
    ("wait", "for", ("the bus", "the train", "a friend", "the postman", "a parcel", "the ferry")),
    ("look", "at", ("the map", "the owl", "a photograph", "the clock", "the stars")),
    ("look", "for", ("the key", "a pencil", "a ticket", "the kitten", "the other glove")),
    ("listen", "to", ("the radio", "a song", "the rain", "the teacher", "an old story")),
    ("laugh", "at", ("the clown", "a joke", "the puppet show")),
    ("think", "about", ("the holidays", "the race", "the party", "an old friend")),
    ("talk", "about", ("the film", "the match", "a book", "the new school", "dinosaurs")),
    ("write", "to", _PEOPLE_ASKED),
    ("point", "at", ("the rainbow", "the castle", "the biggest cake", "a seagull")),
    ("play", "with", ("a friend", "the puppy", "a ball", "the toy train")),
    ("pay", "for", ("the tickets", "the cake", "both books", "the ice cream")),
)


def how(rng: Rng) -> str:
    """Ask how long, how often or how somebody does something."""
    subject = one_person(rng)
    he = subject.pronoun.he
    chance = rng()
    if chance < 0.35:
        action = act(rng, "long", subject)
        long = choose(
            rng,
            ("for an hour", "for ten minutes", "all afternoon", "for two hours", "until dinner"),
        )
        return (
            f"How long did {subject.text} {action.verb.base}{action.place}? "
            f"{end(f'{he} {action.verb.past} {long}')}"
        )
    if chance < 0.7:
        action = act(rng, "habits", subject, 0.1, 0.0)
        often = choose(
            rng, ("every day", "once a week", "twice a month", "every Saturday", "very rarely")
        )
        does = verb_group(action.verb, PRESENT_SIMPLE, 1)
        return (
            f"How often does {subject.text} {action.do}? {end(f'{he} {does}{action.rest} {often}')}"
        )
    way, by = choose(
        rng,
        (
            "get to school|by bus",
            "travel to the island|by ferry",
            "get home|on foot",
            "come to work|by bicycle",
            "get into the house|through the window",
            "find the way|with a map",
        ),
    ).split("|")
    first, _, rest = way.partition(" ")
    return f"How did {subject.text} {way}? {end(f'{he} {verb(first).past} {rest} {by}')}"


QUESTIONS = (
    (yes_no, 4.0),
    (who, 3.0),
    (what, 3.0),
    (how_much, 1.0),
    (whom, 2.0),
    (where_when, 2.0),
    (how_many, 2.0),
    (which, 1.5),
    (whose, 1.0),
    (embedded, 3.0),
    (tag, 2.0),
    (negative, 1.5),
    (long_distance, 1.5),
    (choice, 1.0),
    (with_preposition, 1.5),
    (how, 1.5),
)
