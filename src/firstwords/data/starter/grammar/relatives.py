"""Relative clauses: of subject, object, possessor and place, full and reduced."""

from functools import cache

from firstwords.data.starter.grammar.clauses import (
    PAST_PERFECT,
    PAST_SIMPLE,
    PRESENT_SIMPLE,
    Action,
    act,
    end,
    gap,
    pool,
    predicate,
    say,
    tense_for,
    time_of,
)
from firstwords.data.starter.grammar.lexicon import Frame, Noun, nouns_of, wording
from firstwords.data.starter.grammar.links import link
from firstwords.data.starter.grammar.phrases import (
    HE,
    SHE,
    THEY,
    Phrase,
    agree,
    moods,
    name,
    one_person,
    one_thing,
    other_person,
    owner,
    some_people,
    the_thing,
    traits,
)
from firstwords.data.starter.grammar.statements import anybody
from firstwords.data.starter.rng import Rng, choose


def _about(rng: Rng, noun: Noun, phrase: Phrase) -> str:
    """Return a predicate for a thing: "is old", "were delicious"."""
    adjective = choose(rng, noun.lasting)
    return f"{agree(phrase, choose(rng, ('is', 'was')))} {adjective}"


def thing_done(rng: Rng, subject: Phrase, kind: str = "things") -> tuple[Noun, Phrase, Action]:
    """Return a described noun, the definite phrase for it, and the action done to it."""
    options = _done_to_described(kind)
    frame, nouns = choose(rng, options)
    noun = choose(rng, nouns)
    phrase = the_thing(rng, noun, 0.0)
    if not noun.only_plural and noun.plural and "one" not in frame.flags and rng() < 0.4:
        phrase = Phrase(f"the {noun.plural}", THEY, "which", noun.plural)
    return noun, phrase, Action(frame.verb, phrase, f" {phrase.text}", "", frame)


@cache
def _done_to_described(kind: str) -> tuple[tuple[Frame, tuple[Noun, ...]], ...]:
    rows = []
    for frame in pool(kind):
        nouns = tuple(noun for noun in frame.nouns if noun.lasting)
        if nouns and frame.verb.base not in ("break", "burn", "tear", "spill"):
            rows.append((frame, nouns))
    return tuple(rows)


def of_subject(rng: Rng) -> str:
    """Relate a person who does something: "the girl who broke the vase is my cousin"."""
    who = relative_head(rng)
    action = act(rng, "things", who, 0.15, 0.15)
    tense = tense_for(rng, action)
    clause = f"who {predicate(who, tense, action)}"
    chance = rng()
    if chance < 0.3:
        return end(f"{name(rng).text} {choose(rng, _KNOWS)} {who.text} {clause}")
    if chance < 0.45 and who.pronoun.agreement == 1:
        return end(f"{one_person(rng).text} was the one who {predicate(who, PAST_SIMPLE, action)}")
    if chance < 0.6:
        return end(f"do you know {who.text} {clause}", "?")
    return end(f"{who.text} {clause} {about_person(rng, who)}")


_KNOWS = ("knows", "thanked", "was talking to", "is looking for", "met", "wrote to", "smiled at")


def relative_head(rng: Rng) -> Phrase:
    """Return "the" person or people that a relative clause tells apart: "the old man"."""
    while True:
        who = one_person(rng) if rng() < 0.65 else some_people(rng)
        if who.text.startswith("the ") and who.noun:
            return who


def about_person(rng: Rng, who: Phrase) -> str:
    """Return a predicate for a person or people: "is my cousin", "were very kind"."""
    verb = agree(who, choose(rng, ("is", "was")))
    chance = rng()
    trait = choose(rng, traits())
    if chance < 0.35 and trait not in who.text:
        return f"{verb} {choose(rng, ('', 'very ', 'quite '))}{trait}"
    if chance < 0.55:
        return f"{verb} {choose(rng, moods())}"
    if chance < 0.75:
        relative = choose(rng, nouns_of("relative"))
        if "any" in relative.classes:
            word = relative.word if who.pronoun.agreement == 1 else relative.plural
            return f"{agree(who, 'is')} {owner(rng)} {word}"
    return f"{agree(who, choose(rng, ('lives', 'lived', 'works')))} {choose(rng, _HOMES)}"


_HOMES = ("in the village", "near the harbour", "by the sea", "in our street")


def of_object(rng: Rng) -> str:
    """Relate a thing that somebody does something to: "the vase that Ada broke was old"."""
    subject = anybody(rng)
    noun, phrase, action = thing_done(rng, subject)
    tense = tense_for(rng, action)
    clause = gap(subject, tense, action)
    that = choose(rng, (" that", "", " which", ""))
    when = time_of(rng, tense, 0.3)
    if rng() < 0.25:
        where = choose(rng, ("Here", "There"))
        return f"{where} {agree(phrase, 'is')} {phrase.text}{that} {clause}{when}."
    return end(f"{phrase.text}{that} {clause}{when} {_about(rng, noun, phrase)}")


def of_liked_person(rng: Rng) -> str:
    """Relate a person as an object: "the boy that Ada helped is my cousin"."""
    subject = anybody(rng)
    who = relative_head(rng)
    frame = choose(rng, pool("people"))
    action = Action(frame.verb, who, "", "", frame)
    tense = tense_for(rng, action)
    that = choose(rng, (" that", "", " who", ""))
    return end(f"{who.text}{that} {gap(subject, tense, action)} {about_person(rng, who)}")


def reduced(rng: Rng) -> str:
    """Reduce a relative clause to a participle: "the vase broken by Ada", "the boy waiting"."""
    if rng() < 0.5:
        agent = one_person(rng)
        noun, phrase, action = thing_done(rng, agent, "passive things")
        return end(
            f"{phrase.text} {action.verb.participle} by {agent.text} {_about(rng, noun, phrase)}"
        )
    who = relative_head(rng)
    action = act(rng, "doing now", who, 0.2, 0.4)
    return end(f"{who.text} {action.doing}{action.place} {about_person(rng, who)}")


def of_owner(rng: Rng) -> str:
    """Relate an owner with "whose": "the girl whose bicycle Ben repaired"."""
    who = relative_head(rng)
    chance = rng()
    if chance < 0.35:
        relative = choose(rng, nouns_of("relative"))
        his = Phrase(f"whose {relative.word}", HE)
        action = act(rng, "habits", IT_PERSON, 0.1, 0.0)
        return end(f"{who.text} {predicate_of(his, action)} {about_person(rng, who)}")
    subject = one_person(rng)
    nouns = nouns_of("clothing", "lost", "vehicle", "toy", "tool")
    noun = choose(rng, nouns)
    word = noun.plural if noun.only_plural else noun.word
    verb = choose(rng, ("found", "borrowed", "admired", "hid"))
    if chance < 0.7:
        return end(f"{who.text} whose {word} {subject.text} {verb} {about_person(rng, who)}")
    state = choose(rng, ("lost", "stolen", "found again", "forgotten on the train"))
    was = "were" if noun.only_plural else "was"
    return end(f"{who.text} whose {word} {was} {state} {about_person(rng, who)}")


IT_PERSON = Phrase("she", SHE)


def predicate_of(subject: Phrase, action: Action) -> str:
    """Return a habit of a subject: "whose sister plays the piano"."""
    return say(subject, PRESENT_SIMPLE, action)


def of_two(rng: Rng) -> str:
    """Relate one thing to two clauses: "the book that Ada bought and Ben read"."""
    first = one_person(rng)
    second = other_person(rng, first)
    given, taken, names = choose(rng, _SHARED_THINGS)
    noun = choose(rng, nouns_of(*names))
    thing = the_thing(rng, noun, 0.0)
    clause = f"{first.text} {given} and {second.text} {taken}"
    if noun.lasting and rng() < 0.7:
        return end(f"{thing.text} that {clause} {_about(rng, noun, thing)}")
    return f"This is {thing.text} that {clause}."


_SHARED_THINGS = (
    ("bought", "read", ("book", "comic", "magazine")),
    ("wrote", "answered", ("letter",)),
    ("baked", "decorated", ("cake", "tart")),
    ("planted", "watered", ("rose", "sunflower", "apple tree")),
    ("lost", "found", ("key", "wallet", "ticket", "button")),
    ("built", "painted", ("shed", "hut", "wall")),
    ("washed", "dried", ("plate", "bowl", "jug", "cup")),
    ("wrote", "sang", ("song", "lullaby")),
    ("broke", "repaired", ("clock", "radio", "chair", "window")),
    ("drew", "framed", ("map", "portrait", "picture")),
    ("hid", "discovered", ("coin", "letter", "ring")),
    ("told", "wrote down", ("story", "joke", "riddle")),
    ("threw", "caught", ("ball",)),
)


def of_place(rng: Rng) -> str:
    """Relate a place with "where", or a time with "when"."""
    subject = anybody(rng)
    chance = rng()
    if chance < 0.6:
        place, deeds = choose(rng, _DEEDS_AT)
        deed = choose(rng, deeds).format(his=subject.pronoun.his, was=agree(subject, "was"))
        if rng() < 0.5:
            return f"This is {place} where {subject.text} {deed}."
        return f"{end(f'{place} where {subject.text} {deed}', '')} is {choose(rng, _WHERE)}."
    action = act(rng, "things", subject, 0.1, 0.0)
    day = choose(rng, ("the day", "the summer", "the evening", "the year"))
    verb = choose(rng, ("remember", "will never forget", "often think of"))
    return f"I {verb} {day} when {say(subject, PAST_SIMPLE, action)}."


_WHERE = (
    "not far from here",
    "near the station",
    "in the old town",
    "on the other side of the river",
)
_DEEDS_AT = (
    ("the shop", ("bought {his} boots", "found the blue hat", "worked last summer")),
    ("the house", ("grew up", "spent {his} holidays", "lived for ten years", "{was} born")),
    ("the park", ("learned to cycle", "lost {his} gloves", "met an old friend")),
    ("the library", ("borrowed the atlas", "read about the stars", "worked for a year")),
    ("the lake", ("learned to swim", "saw the swans", "caught a big fish")),
    ("the school", ("learned to read", "met {his} best friend", "taught for many years")),
    ("the tea shop", ("had lunch", "left {his} umbrella", "met a famous singer")),
    ("the field", ("flew {his} kite", "found the lost lamb", "saw a hare")),
    ("the village", ("spent the summer", "{was} born", "sold {his} apples")),
    ("the hospital", ("worked as a nurse", "visited a friend", "{was} born")),
)
_STRANDED = (
    ("sat on", ("chair", "bench", "wall", "stool", "box"), True),
    ("slept in", ("bed", "hut", "tree house", "hotel"), True),
    ("wrote with", ("pencil",), True),
    ("played with", ("doll", "kitten", "ball", "puppet", "toy train", "puppy"), True),
    ("listened to", ("song", "story", "concert", "radio"), True),
    ("looked at", ("map", "picture", "photograph", "owl", "castle"), True),
    ("waited for", ("bus", "train", "ferry", "taxi", "parcel"), True),
    ("laughed at", ("joke", "puppet show", "picture"), True),
    ("was looking for", ("key", "coin", "glove", "ticket", "kitten"), True),
    ("swam in", ("river", "stream"), True),
    ("climbed into", ("boat", "tree house", "van"), True),
    ("asked about", ("castle", "picture", "race", "recipe"), True),
    ("lived in", ("house", "tower", "hotel", "castle"), True),
    ("paid for", ("ticket", "cake", "book", "coat"), True),
    ("talked about", ("film", "party", "match", "problem", "dragon"), True),
    ("fell over", ("bucket", "stone", "branch", "broom"), True),
)


@cache
def _stranded() -> tuple[tuple[str, str, tuple[Noun, ...]], ...]:
    rows = []
    for words, names, _ in _STRANDED:
        verb, preposition = words.rsplit(" ", 1)
        rows.append((verb, preposition, nouns_of(*names)))
    return tuple(rows)


def stranded(rng: Rng) -> str:
    """Leave a preposition at the end: "the chair that Ben sat on"; or take it along: "on which"."""
    rows = _stranded()
    verb, preposition, nouns = choose(rng, rows)
    noun = choose(rng, nouns)
    thing = the_thing(rng, noun, 0.0)
    who = one_person(rng)
    chance = rng()
    if chance < 0.2:
        clause = f"{preposition} which {who.text} {verb}"
    else:
        clause = f"{choose(rng, ('that ', '', 'which '))}{who.text} {verb} {preposition}"
    if noun.lasting and rng() < 0.7:
        return end(f"{thing.text} {clause} {_about(rng, noun, thing)}")
    return f"{choose(rng, ('This', 'That'))} {choose(rng, ('is', 'was'))} {thing.text} {clause}."


def aside(rng: Rng) -> str:
    """Add a relative clause between commas: "Ada, who had lost her key, waited outside."."""
    who = name(rng) if rng() < 0.6 else one_person(rng)
    cause, effect, _, _ = link(rng, people_only=True)
    if rng() < 0.6:
        first = cause.say(who.pronoun, PAST_PERFECT)
        return end(f"{who.text}, who {first}, {effect.say(who.pronoun, PAST_SIMPLE)}")
    action = act(rng, "things", who, 0.15, 0.2)
    trait = choose(rng, moods())
    return end(
        f"{who.text}, who {agree(who, 'was')} {trait}, {predicate(who, PAST_SIMPLE, action)}"
    )


def free(rng: Rng) -> str:
    """Use a relative clause without a head: "what Ada bought was a hat"."""
    chance = rng()
    if chance < 0.35:
        lost = choose(rng, _findable())
        return f"{choose(rng, wording('finders'))} finds the {lost.word} {choose(rng, _REWARDS)}."
    subject = one_person(rng)
    noun, _, action = thing_done(rng, subject)
    if chance < 0.7 and not noun.only_plural:
        thing = one_thing(rng, noun, 0.4, 1.0)
        return end(f"what {gap(subject, PAST_SIMPLE, action)} was {thing.text}")
    verb = choose(rng, ("asked about", "liked", "talked about"))
    return end(f"{name(rng).text} {verb} what {gap(subject, PAST_PERFECT, action)}")


_REWARDS = ("gets a prize", "may keep it", "should tell the teacher", "can bring it to me")


@cache
def _findable() -> tuple[Noun, ...]:
    return tuple(noun for noun in nouns_of("lost") if not noun.only_plural)


RELATIVES = (
    (of_subject, 3.0),
    (of_object, 3.0),
    (of_liked_person, 1.5),
    (reduced, 1.5),
    (of_owner, 1.5),
    (of_place, 1.5),
    (of_two, 1.0),
    (stranded, 2.0),
    (aside, 1.0),
    (free, 1.0),
)
