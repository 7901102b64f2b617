"""Statements: tenses with fitting times, agreement, adverbs, modal verbs, commands, there is."""

from functools import cache

from firstwords.data.starter.grammar.clauses import (
    CAN,
    COULD,
    FUTURE_PERFECT,
    MIGHT,
    MUST,
    PAST_SIMPLE,
    PERFECT,
    PERFECT_PROGRESSIVE,
    PRESENT_SIMPLE,
    SHOULD,
    Action,
    act,
    deny,
    end,
    pool,
    say,
    tense_for,
    time_of,
)
from firstwords.data.starter.grammar.lexicon import Noun, nouns_of
from firstwords.data.starter.grammar.phrases import (
    SPEAKERS,
    THEY,
    WE,
    YOU,
    Phrase,
    agree,
    described,
    moods,
    name,
    one_person,
    one_thing,
    other_person,
    owner,
    person,
    someone,
    the_thing,
    thing,
    traits,
)
from firstwords.data.starter.rng import Rng, choose
from firstwords.data.starter.tables import table_rows
from firstwords.data.starter.templates import article

_HOW = ("carefully", "slowly", "quickly", "quietly", "gladly", "on purpose", "all alone", "at once")
_LUCK = ("Luckily", "Fortunately", "Of course", "In the end", "At last", "Suddenly", "Perhaps")
_OFTEN = ("often ", "always ", "usually ", "sometimes ", "never ", "rarely ", "hardly ever ")
_NOT = ("Don't", "Never", "Please don't", "Try not to")
_FRONT = ("Yesterday", "This morning", "Last week", "On Monday", "One day", "After lunch")


def anybody(rng: Rng) -> Phrase:
    """Return the subject of a statement, now and then "I", "we", "they" or "you"."""
    if rng() < 0.1:
        return SPEAKERS[int(rng() * 4)]
    return person(rng)


def event(rng: Rng) -> str:
    """Say what somebody does, in a tense with a time that suits it."""
    subject = anybody(rng)
    if rng() < 0.15:
        action = act(rng, "habits", subject)
        return end(say(subject, PRESENT_SIMPLE, action) + time_of(rng, PRESENT_SIMPLE, 0.8))
    action = act(rng, "happenings", subject)
    tense = tense_for(rng, action)
    if tense is PAST_SIMPLE and rng() < 0.2:
        return f"{choose(rng, _FRONT)} {say(subject, tense, action)}."
    return end(say(subject, tense, action) + time_of(rng, tense))


def animal_event(rng: Rng) -> str:
    """Say what an animal does."""
    frame = choose(rng, pool("animals"))
    noun = choose(rng, nouns_of(*frame.subject))
    while "person" in noun.classes or not noun.plural:
        noun = choose(rng, nouns_of("animal"))
    animal = thing(rng, noun, 0.3)
    it = f" {one_person(rng).text}" if frame.object == ("person",) else ""
    if frame.nouns:
        it = f" {one_thing(rng, choose(rng, frame.nouns), 0.2).text}"
    where = choose(rng, ("", "", " in the yard", " behind the barn", " near the pond"))
    action = Action(frame.verb, None, it, where, frame)
    tense = tense_for(rng, action)
    return end(say(animal, tense, action) + time_of(rng, tense, 0.4))


def lasting_event(rng: Rng) -> str:
    """Say how long something has lasted, or will take: perfect progressive, future perfect."""
    subject = anybody(rng)
    if rng() < 0.4:
        action = act(rng, "thing plans", subject, place=0.0)
        return end(say(subject, FUTURE_PERFECT, action) + time_of(rng, FUTURE_PERFECT, 1.0))
    action = act(rng, "long", subject, place=0.3)
    return end(say(subject, PERFECT_PROGRESSIVE, action) + time_of(rng, PERFECT_PROGRESSIVE, 1.0))


def adverb(rng: Rng) -> str:
    """Place an adverb: of frequency before the verb, of manner at the end, of luck in front."""
    chance = rng()
    subject = person(rng)
    if chance < 0.4:
        action = act(rng, "habits", subject)
        return end(say(subject, PRESENT_SIMPLE, action, choose(rng, _OFTEN)))
    action = act(rng, "thing plans", subject, place=0.0)
    if chance < 0.6:
        return end(say(subject, PERFECT, action, choose(rng, ("just ", "already ", "finally "))))
    if chance < 0.8:
        return end(f"{say(subject, PAST_SIMPLE, action)} {choose(rng, _HOW)}")
    rest = say(subject, PAST_SIMPLE, action)
    return f"{choose(rng, _LUCK)}, {rest}."


def quality(rng: Rng) -> str:
    """Say what somebody or something is like."""
    if rng() < 0.5:
        subject = anybody(rng)
        adjective = choose(rng, moods() if rng() < 0.5 else traits())
    else:
        noun = described(rng, gradable=True)
        adjective = choose(rng, noun.gradable).word
        subject = the_thing(rng, noun, 0.0) if rng() < 0.6 else plural_thing(rng, noun)
    verb = choose(rng, ("is", "was", "is", "was", "looks", "seemed"))
    degree = choose(rng, ("", "", "very ", "quite ", "rather ", "not very ", "really "))
    if verb in ("looks", "seemed") and degree == "not very ":
        degree = "a little "
    return end(f"{subject.text} {agree(subject, verb)} {degree}{adjective}")


def plural_thing(rng: Rng, noun: Noun) -> Phrase:
    """Return several things, definite: "the lamps", "these lamps"."""
    if not noun.plural or noun.only_plural:
        return the_thing(rng, noun, 0.0)
    return Phrase(f"{choose(rng, ('the', 'these', 'those'))} {noun.plural}", THEY, "which")


def occupation(rng: Rng) -> str:
    """Say what somebody is: "Ada is a patient teacher"."""
    chance = rng()
    if chance < 0.5:
        if rng() < 0.3:
            jobs = jobs_of_anybody()
            return end(f"{name(rng).text} wants to be {choose(rng, jobs).a}")
        return end(f"{name(rng).text} {choose(rng, ('is', 'was'))} {job(rng)}")
    relative = choose(rng, nouns_of("sibling"))
    if chance < 0.8:
        return end(f"{owner(rng)} {relative.word} {choose(rng, ('is', 'became'))} {job(rng)}")
    word = choose(rng, jobs_of_anybody()).plural
    return end(f"{owner(rng)} {relative.plural} {choose(rng, ('are', 'were'))} {word}")


def job(rng: Rng) -> str:
    """Return a job of no fixed sex with "a" or "an": "an actor", "a clever detective"."""
    jobs = jobs_of_anybody()
    noun = choose(rng, jobs)
    if rng() < 0.6:
        return noun.a
    word = f"{choose(rng, traits())} {noun.word}"
    return f"{article(word)} {word}"


@cache
def jobs_of_anybody() -> tuple[Noun, ...]:
    """Return the jobs of no fixed sex that more than one person can have."""
    return tuple(n for n in nouns_of("job") if "any" in n.classes and "only" not in n.classes)


def distance(rng: Rng) -> str:
    """Let the verb agree with its subject across another noun: "the keys to the shed are lost"."""
    subjects = distant_subjects()
    before, nouns, plural, after, predicates = choose(rng, subjects)
    noun = choose(rng, nouns)
    word = noun.plural if plural else noun.word
    return end(f"{before}{word}{after} {choose(rng, predicates)}")


@cache
def distant_subjects() -> tuple[tuple[str, tuple[Noun, ...], bool, str, tuple[str, ...]], ...]:
    """Return the subjects of `grammar_distance.txt`: text around a noun, and its predicates."""
    rows = []
    for subject, predicates in table_rows("grammar_distance.txt"):
        before, mark = subject.split("{")
        key, after = mark.split("}")
        plural = key.endswith("*")
        nouns = tuple(
            noun
            for noun in nouns_of(key.rstrip("*"))
            if noun.plural and (plural or not noun.only_plural)
        )
        rows.append((before, nouns, plural, after, tuple(predicates.split(" / "))))
    return tuple(rows)


@cache
def spots() -> tuple[tuple[str, tuple[Noun, ...]], ...]:
    """Return places with the things that may be there."""
    return tuple(
        (spot, nouns_of(*names.split())) for spot, names in table_rows("grammar_spots.txt")
    )


def located(rng: Rng) -> tuple[str, Noun]:
    """Return a place and a noun for something that may be there."""
    places = spots()
    spot, nouns = choose(rng, places)
    return spot, choose(rng, nouns)


def there_is(rng: Rng) -> str:
    """Say that something is somewhere; it is new, so it has no "the"."""
    spot, noun = located(rng)
    chance = rng()
    several = noun.only_plural or rng() < 0.45
    if several:
        word = noun.plural
        number = choose(rng, ("two", "three", "four", "many", "some", "several", "no", "a few"))
        if chance < 0.15:
            return end(f"are there any {word} {spot}", "?")
        if chance < 0.25:
            return end(f"there aren't any {word} {spot}")
        verb = choose(rng, ("are", "were", "used to be", "will be", "must be"))
        return end(f"there {verb} {number} {word} {spot}")
    thing = one_thing(rng, noun, 0.35, 1.0).text
    if chance < 0.15:
        return end(f"is there {thing} {spot}", "?")
    if chance < 0.25:
        return end(f"there {choose(rng, ('is', 'was'))} no {noun.word} {spot}")
    if chance < 0.4:
        one = someone(rng)
        where = choose(rng, ("at the door", "in the hall", "outside the shop", "on the bridge"))
        doing = choose(rng, ("waiting ", "standing ", "", "sitting "))
        return end(f"there {choose(rng, ('is', 'was'))} {one.text} {doing}{where}")
    verb = choose(rng, ("is", "was", "must be", "used to be", "seems to be", "might be"))
    return end(f"there {verb} {thing} {spot}")


_WORN = (
    ("broken", ("cup", "plate", "chair", "window", "toy train", "umbrella")),
    ("torn", ("page", "shirt", "sail", "curtain", "map")),
    ("hidden", ("key", "door", "letter", "coin")),
    ("forgotten", ("umbrella", "glove", "suitcase", "hat")),
    ("frozen", ("pond", "stream")),
    ("stolen", ("bicycle", "ring", "purse")),
    ("fallen", ("tree", "branch", "apple")),
    ("lost", ("key", "kitten", "dog", "ticket", "glove")),
    ("burnt", ("cake", "sausage", "pancake")),
    ("woven", ("basket",)),
    ("written", ("message", "invitation")),
    ("painted", ("wall", "fence", "bench")),
    ("knitted", ("scarf", "blanket", "pullover")),
    ("worn", ("coat", "boot", "carpet")),
    ("bent", ("nail", "spoon", "wire")),
)


def participle(rng: Rng) -> str:
    """Use a participle as an adjective: "the broken cup", "a frozen pond"."""
    word, names = choose(rng, _WORN)
    noun = choose(rng, names)
    who = one_person(rng).text
    verb = choose(rng, ("saw", "found", "looked at", "pointed at", "asked about", "stopped at"))
    chance = rng()
    if chance < 0.5:
        return end(f"{who} {verb} {choose(rng, (article(word), 'the', 'the'))} {word} {noun}")
    if chance < 0.75:
        where = choose(rng, ("in front of the house", "behind the shed", "near the bridge"))
        return end(f"there {choose(rng, ('is', 'was'))} {article(word)} {word} {noun} {where}")
    return end(f"the {word} {noun} {choose(rng, ('is', 'was'))} {who}'s")


def modal(rng: Rng) -> str:
    """Say what somebody can, must, should or used to do."""
    subject = anybody(rng)
    action = act(rng, "plans", subject, place=0.1)
    chance = rng()
    if chance < 0.55:
        tense = (CAN, COULD, MUST, SHOULD, MIGHT)[int(rng() * 5)]
        clause = deny if rng() < 0.25 and tense is not MIGHT else say
        when = choose(rng, ("", " tomorrow", " today", " this afternoon", ""))
        return end(clause(subject, tense, action) + ("" if tense is COULD else when))
    if chance < 0.7:
        action = act(rng, "habits", subject)
        when = choose(rng, ("", " every summer", " when we were small", " on Sundays"))
        return end(f"{subject.text} used to {action.do}{action.place}{when}")
    if chance < 0.85:
        action = act(rng, "plans", YOU_PHRASE, place=0.1)
        return end(f"could you {action.do}{action.place}, please", "?")
    verb = agree(subject, "has")
    return end(f"{subject.text} {verb} to {action.do}{action.place}")


YOU_PHRASE = Phrase("you", YOU)
WE_PHRASE = Phrase("we", WE)


def command(rng: Rng) -> str:
    """Tell somebody to do something, or not to."""
    action = act(rng, "plans", YOU_PHRASE, place=0.1)
    vp = f"{action.do}{action.place}"
    chance = rng()
    if chance < 0.3:
        return end(vp + choose(rng, (", please", "", " before it gets dark", " first", " now")))
    if chance < 0.45:
        return f"Please {vp}."
    if chance < 0.6:
        return f"{name(rng).text}, {vp}{choose(rng, ('', ', please'))}!"
    if chance < 0.8:
        action = act(rng, "accident things", YOU_PHRASE, 0.2, 0.0)
        assert action.object is not None
        return f"{choose(rng, _NOT)} {action.verb.base} the {action.object.noun}!"
    action = act(rng, "plans", WE_PHRASE, place=0.2)
    return f"Let's {action.do}{action.place}{choose(rng, ('!', ' together.', '.'))}"


def exclamation(rng: Rng) -> str:
    """Exclaim: "What a beautiful rose!", "How heavy the suitcase is!"."""
    noun = described(rng, gradable=True)
    adjective = choose(rng, noun.gradable).word
    chance = rng()
    if chance < 0.35:
        verb = choose(rng, ("is", "was", "looks"))
        thing = the_thing(rng, noun, 0.0)
        return f"How {adjective} {thing.text} {agree(thing, verb)}!"
    if chance < 0.6 or noun.only_plural or not noun.plural:
        word = f"{adjective} {noun.plural or noun.word}"
        those = "these are" if noun.plural else "this is"
        return f"What {word}{choose(rng, ('', ' ' + those))}!"
    word = f"{adjective} {noun.word}"
    return f"What {article(word)} {word}{choose(rng, ('', ' this is', ' you have'))}!"


def pairing(rng: Rng) -> str:
    """Join two clauses, predicates or names with and, but, or, both, either, not only."""
    first = one_person(rng)
    second = other_person(rng, first)
    a, b = act(rng, "thing plans", first, 0.15, 0.0), act(rng, "thing plans", second, 0.15, 0.0)
    chance = rng()
    if chance < 0.3:
        link = choose(rng, ("and", "while", "and then", "but"))
        return end(f"{say(first, PAST_SIMPLE, a)}, {link} {say(second, PAST_SIMPLE, b)}")
    a, b = act(rng, "thing plans", first, 0.15, 0.0), act(rng, "thing plans", first, 0.15, 0.0)
    if chance < 0.5:
        return end(f"{say(first, PAST_SIMPLE, a)} and {b.did}")
    if chance < 0.65:
        tense = choose(rng, ("will", "can", "must"))
        return end(f"{first.text} {tense} either {a.do} or {b.do}")
    if chance < 0.8:
        return end(f"{first.text} not only {a.did} but also {b.did}")
    verb, where = (
        choose(rng, ("are", "were")),
        choose(rng, ("outside", "at home", "in the garden", "ill", "here")),
    )
    return end(f"both {first.text} and {second.text} {verb} {where}")


def pointing(rng: Rng) -> str:
    """Point at things with this, these, that and those."""
    noun = described(rng)
    adjective = choose(rng, noun.adjectives)
    if not noun.plural:
        be = choose(rng, ("is", "was"))
        return end(f"{choose(rng, ('this', 'that'))} {noun.word} {be} {adjective.word}")
    if noun.only_plural or rng() < 0.5:
        this, that, one, word = "these", "those", "ones", noun.plural
        verb = choose(rng, ("are", "were"))
    else:
        this, that, one, word = "this", "that", "one", noun.word
        verb = choose(rng, ("is", "was"))
    either = choose(rng, (this, that))
    if rng() < 0.4 and not noun.classes.isdisjoint(("object", "clothing", "vehicle", "pet")):
        belong = "belongs" if one == "one" else "belong"
        return end(f"{either} {word} {belong} to {one_person(rng).text}")
    if adjective.opposite == "-" or rng() < 0.2:
        return end(f"{either} {word} {verb} {adjective.word}")
    other = adjective.opposite
    return end(f"{this} {word} {verb} {adjective.word}, but {that} {one} {verb} {other}")


STATEMENTS = (
    (event, 10.0),
    (animal_event, 1.0),
    (lasting_event, 2.0),
    (adverb, 3.0),
    (quality, 3.0),
    (occupation, 1.0),
    (distance, 4.0),
    (there_is, 3.0),
    (participle, 1.0),
    (modal, 3.0),
    (command, 2.0),
    (exclamation, 1.0),
    (pairing, 2.5),
    (pointing, 1.5),
)
