"""Short texts: several sentences about the same people and things, often with questions."""

from firstwords.data.starter.grammar.clauses import THEMES, Action, act, any_for_some, end
from firstwords.data.starter.grammar.comparison import comparable_people
from firstwords.data.starter.grammar.ellipsis import oneable
from firstwords.data.starter.grammar.events import (
    ASKED,
    Deed,
    all_tenses,
    deed,
    reasons,
    retold,
    with_questions,
)
from firstwords.data.starter.grammar.lexicon import wording
from firstwords.data.starter.grammar.phrases import Phrase, contrasts, name, one_person
from firstwords.data.starter.grammar.portraits import portrait
from firstwords.data.starter.grammar.reports import I_PHRASE
from firstwords.data.starter.grammar.sentences import MAKERS, any_sentence
from firstwords.data.starter.grammar.statements import jobs_of_anybody, located
from firstwords.data.starter.rng import Rng, choose, randint, sample
from firstwords.data.starter.templates import article
from firstwords.data.starter.words import number_in_words


def _two(rng: Rng) -> tuple[Phrase, Phrase]:
    """Return two named people whose pronouns differ."""
    first = name(rng)
    second = name(rng)
    while second.pronoun is first.pronoun:
        second = name(rng)
    return first, second


_CLOCK = (
    "at eight o'clock",
    "at nine o'clock",
    "at ten o'clock",
    "at noon",
    "at two o'clock",
    "at four o'clock",
)
_DAYS = ("on Monday", "on Tuesday", "on Wednesday", "on Thursday", "on Friday", "on Saturday")


def scene(rng: Rng) -> str:
    """Tell what two people did, with questions and answers about each statement."""
    first, second = _two(rng)
    deeds: list[Deed] = []
    used: set[str] = set()
    theme = choose(rng, THEMES) if rng() < 0.7 else "passive things"
    times = _CLOCK if rng() < 0.5 else _DAYS
    for when in times[: randint(rng, 2, 5)] if rng() < 0.5 else times[-randint(rng, 2, 5) :]:
        agent, other = (first, second) if rng() < 0.5 else (second, first)
        d = deed(rng, agent, other, theme)
        if d.thing.noun not in used and d.action.verb.base not in used:
            used |= {d.thing.noun, d.action.verb.base}
            deeds.append(d._replace(when=f" {when}"))
    lines = []
    for d, before in zip(deeds, [None, *deeds], strict=False):
        same = before is not None and before.agent is d.agent and rng() < 0.6
        who = d.he if same else d.agent.text
        front = rng() < 0.5
        lines.append(
            f"{end(d.when[1:], '')}, {who} {d.done}." if front else end(f"{who} {d.done}{d.when}")
        )
    asked = [maker(rng, d) for d in deeds for maker in sample(rng, ASKED, randint(rng, 1, 2))]
    if rng() < 0.6:
        asked = sample(rng, asked, len(asked))
    return with_questions(rng, " ".join(lines), asked)


def contrast(rng: Rng) -> str:
    """Compare two people: what each has, did, can do, wants, and what they share."""
    first, second = _two(rng)
    lines = []
    for aspect in sample(rng, _ASPECTS, randint(rng, 3, 6)):
        a, b = (first, second) if rng() < 0.5 else (second, first)
        lines.append(aspect(rng, a, b))
    return " ".join(lines)


def _own_one(rng: Rng, a: Phrase, b: Phrase) -> str:
    noun = choose(rng, oneable())
    pairs = contrasts(noun)
    one, other = choose(rng, pairs)
    return end(
        f"{a.text} has {article(one)} {one} {noun.word}, "
        f"and {b.text} has {article(other)} {other} one"
    )


def _abilities(rng: Rng, a: Phrase, b: Phrase) -> str:
    able = choose(rng, _ABLE)
    return end(choose(rng, (
        "{0} can {2}, but {1} can't",
        "{0} can {2}, and so can {1}",
        "{0} can't {2}, and neither can {1}",
        "{0} can {2} better than {1}",
        "neither {0} nor {1} can {2}",
        "both {0} and {1} can {2}",
        "{0} can't {2}, but {1} can",
    )).format(a.text, b.text, able))  # fmt: skip


_ABLE = (
    "swim",
    "whistle",
    "juggle",
    "play the piano",
    "ride a horse",
    "bake bread",
    "sing",
    "skate",
    "speak French",
    "play chess",
    "climb trees",
    "draw horses",
    "sail a boat",
    "cook",
    "dance",
    "run fast",
)


def _comparison(rng: Rng, a: Phrase, b: Phrase) -> str:
    adjective = choose(rng, comparable_people())
    return end(choose(rng, (
        f"{a.text} is {adjective.more} than {b.text}",
        f"{a.text} isn't as {adjective.word} as {b.text}",
        f"{a.text} is as {adjective.word} as {b.text}",
        f"{a.text} is {adjective.word}, but {b.text} is even {adjective.more}",
    )))  # fmt: skip


def _acts(rng: Rng, a: Phrase, b: Phrase) -> str:
    one, other = act(rng, "habits", a, 0.1, 0.0), act(rng, "habits", b, 0.1, 0.0)
    when = choose(rng, ("on Sundays", "after school", "in the evening", "in the holidays"))
    link = choose(rng, ("while", "and", "but"))
    return end(f"{when}, {a.text} {one.does}{one.place}, {link} {b.text} {other.does}{other.place}")


def _wishes(rng: Rng, a: Phrase, b: Phrase) -> str:
    one, other = act(rng, "plans", a, 0.1, 0.0), act(rng, "plans", b, 0.1, 0.0)
    return end(
        f"{a.text} wants to {one.do}{one.place}, but {b.text} would rather {other.do}{other.place}"
    )


def _shared(rng: Rng, a: Phrase, b: Phrase) -> str:
    return end(choose(rng, wording("shared")).format(a=a.text, b=b.text))


def _jobs(rng: Rng, a: Phrase, b: Phrase) -> str:
    one, other = plain_job(rng), plain_job(rng)
    if one == other:
        return end(f"{a.text} and {b.text} both want to be {plural_job(rng)}")
    return end(f"{a.text} wants to be {one}, and {b.text} {other}")


_ASPECTS = (_own_one, _abilities, _comparison, _acts, _wishes, _shared, _jobs)


def plural_job(rng: Rng) -> str:
    """Return a job in the plural: "nurses"."""
    jobs = jobs_of_anybody()
    return choose(rng, jobs).plural


def plain_job(rng: Rng) -> str:
    """Return a job with "a" or "an": "a nurse"."""
    jobs = jobs_of_anybody()
    return choose(rng, jobs).a


def day(rng: Rng) -> str:
    """Tell what somebody did one day, with pronouns, links and time clauses."""
    who, friend = _two(rng)
    he = who.pronoun.he
    acts: list[Action] = []
    used: set[str] = set()
    theme = choose(rng, ("home", "garden", "town", "out", "school"))
    while len(acts) < 5:
        action = act(rng, theme, who, 0.15, 0.2)
        assert action.object is not None
        if action.verb.base not in used and action.object.noun not in used:
            used |= {action.verb.base, action.object.noun}
            acts.append(action)
    one, two, three, four, five = acts
    it = one.object.pronoun.him if one.object else ""
    him, other = who.pronoun.him, friend.text
    together = three.did.replace(f" {who.pronoun.his} ", " their ")
    start = choose(
        rng, ("One morning", "On Saturday", "Last Sunday", "Yesterday", "In the holidays")
    )
    fourth: tuple[str, ...]
    if "moment" in four.frame.flags:
        fourth = (f"{he} forgot to {four.do}", f"{he} also {four.did}{four.place}")
    else:
        fourth = (
            f"while {he} was {four.doing}, it began to rain",
            f"{he} did not {four.do}, because there was no time",
            f"{he} spent an hour {four.doing}{four.place}",
            f"{four.doing} took {him} an hour",
            f"{he} had never enjoyed {four.doing}, but this time it was fun",
        )
    second = (
        f"then {he} {two.did}{two.place}",
        f"after that, {he} {two.did}{two.place}",
        f"when {he} had {one.verb.participle} {it}, {he} {two.did}{two.place}",
        f"before {he} {two.did}, {he} talked to {other}",
    )
    third = (
        f"{other} helped {him} to {three.do}",
        f"{other} asked {him} to {three.do}, and {he} did",
        f"{he} wanted to {three.do}, but {other} had already done it",
        f"{other} wanted to {three.do}, but {he} did it instead",
        f"{other} told {him} not to {three.do}, so {he} didn't",
        f"{he} and {other} {together} together",
    )
    last = (
        f"in the evening, {he} told {other} what {he} had done",
        f"at last {he} was tired and went to bed",
        f"{he} enjoyed {who.pronoun.himself} very much",
        f"tomorrow {he} is going to {five.do}",
        f"next time, {he} will {five.do} as well",
        f"it was a good day, and {other} said so too",
        f"{other} asked {him} whether {he} had {five.done}, and {he} said no",
        f"{he} would have {five.done} too, but it was getting dark",
        f"nobody but {other} knew what {he} had done that day",
    )
    lines = [f"{start}, {who.text} {one.did}{one.place}."]
    lines += [end(choose(rng, options)) for options in (second, third, fourth, last)]
    return " ".join(lines[: randint(rng, 3, 5)])


def numbers(rng: Rng) -> str:
    """Count some things and say what some, most, all or none of them are like."""
    spot, noun = located(rng)
    while noun.only_plural or not contrasts(noun):
        spot, noun = located(rng)
    pairs = contrasts(noun)
    one, other = choose(rng, pairs)
    few, many = randint(rng, 1, 3), randint(rng, 4, 9)
    total, count, rest = (number_in_words(n) for n in (few + many, few, many))
    those = "is" if few == 1 else "are"
    things = noun.plural
    person_ = one_person(rng).text
    most = choose(rng, ("most of them are", "almost all of them are", f"{rest} of them are"))
    lines = [
        f"There are {total} {things} {spot}.",
        end(f"{most} {one}, but {count} {those} {other}"),
    ]
    more = (
        f"None of the {things} is both {one} and {other}.",
        f"There are more {one} {things} than {other} ones.",
        f"There are fewer {other} {things} than {one} ones.",
        end(f"{person_} would like to have one of them"),
        end(f"{person_} has counted every one of them"),
        f"Each of the {things} is either {one} or {other}.",
    )
    lines += sample(rng, more, randint(rng, 1, 3))
    asked = [
        f"How many {things} are there {spot}?\nThere are {total}.",
        f"How many of the {things} are {other}?\n{end(f'{count} of them {those}')}",
        f"How many of the {things} are {one}?\n{end(f'{rest} of them are')}",
        f"Are all of the {things} {one}?\n{end(f'no, {count} of them {those} {other}')}",
        f"Are there any {things} {spot}?\nYes, there are {total}.",
        f"Is there {noun.a} {spot}?\nYes, there are {total}.",
        f"Are most of the {things} {one}?\nYes, most of them are.",
    ]
    return with_questions(rng, " ".join(lines), sample(rng, asked, randint(rng, 1, 4)))


def dialogue(rng: Rng) -> str:
    """Let two people ask and tell each other what they did and are going to do."""
    first, second = _two(rng)
    lines = []
    theme = choose(rng, THEMES)
    for number in range(randint(rng, 2, 4)):
        asker, teller = (first, second) if number % 2 == 0 else (second, first)
        action = act(rng, theme, I_PHRASE, 0.2, 0.0)
        said = choose(rng, ("said", "answered", "replied"))
        lines.append(_exchange(rng, asker, teller, action, said))
    return "\n".join(lines)


_EXCHANGES = (
    ("What did you {do}?", ("I {did}{rest}",)),
    (
        "Have you ever {done}{yours}?",
        ("No, I never have", "Yes, I have, but only once", "No, but I would like to", "Yes, often"),
    ),
    (
        "Will you help me to {do}{rest}?",
        ("Of course I will", "I would love to, but I have no time", "Yes, if you help me later"),
    ),
    (
        "Did you {do}{yours}?",
        (
            "Yes, I did",
            "No, I didn't",
            "Not yet, but I will do it tomorrow",
            "No, nobody asked me to",
        ),
    ),
    (
        "Let's {do}{ours}.",
        (
            "What a good idea",
            "I would rather stay at home",
            "Yes, let's",
            "I can't, I am too tired",
        ),
    ),
    (
        "I am going to {do}{rest}.",
        ("So am I", "I have never done that", "I am not", "So is my aunt"),
    ),
    ("I can't {do}{any} today.", ("Neither can I", "Why not, I wonder", "Nor can I", "But I can")),
    ("Do you want to {do}{yours}?", ("Yes, I do", "No, I don't want to", "I do, but not now")),
    ("Who {did}{theirs}?", ("I did", "I don't know who did", "It wasn't me", "My brother did")),
)


def _exchange(rng: Rng, asker: Phrase, teller: Phrase, action: Action, said: str) -> str:
    """Return what one person asks or tells, and what the other replies, on two lines."""
    first, replies = choose(rng, _EXCHANGES)
    verb, rest = action.verb, action.rest
    slots = {
        "do": verb.base,
        "did": verb.past,
        "done": verb.participle,
        "rest": rest,
        "any": any_for_some(rest),
        "yours": rest.replace(" my ", " your "),
        "ours": rest.replace(" my ", " our "),
        "theirs": rest.replace(" my ", " the "),
    }
    first = first.format_map(slots)
    reply = choose(rng, replies).format_map(slots)
    asked = "asked" if first[-1] == "?" else "said"
    if first[-1] == ".":
        first = f"{first[:-1]},"
    return f'"{first}" {asked} {asker.text}.\n"{reply}," {said} {teller.text}.'


def collection(rng: Rng) -> str:
    """Return sentences that have nothing to do with each other."""
    return choose(rng, ("\n", " ", "\n")).join(
        [any_sentence(rng) for _ in range(randint(rng, 6, 14))]
    )


def one_topic(rng: Rng) -> str:
    """Return several sentences of one construction."""
    maker = choose(rng, MAKERS)
    return "\n".join([maker(rng) for _ in range(randint(rng, 3, 7))])


_PAGES = (
    *(retold,) * 6,
    *(scene,) * 5,
    *(contrast,) * 3,
    *(portrait,) * 5,
    *(day,) * 5,
    *(numbers,) * 2,
    *(dialogue,) * 3,
    *(all_tenses,) * 2,
    *(reasons,) * 2,
    *(collection,) * 16,
    *(one_topic,) * 3,
)


def page(rng: Rng) -> str:
    """Return a document: one or two texts, or sentences of all kinds."""
    maker = choose(rng, _PAGES)
    if maker in (collection, one_topic) or rng() < 0.4:
        return maker(rng)
    return "\n\n".join([maker(rng) for _ in range(randint(rng, 1, 3))])
