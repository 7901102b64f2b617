"""Instructions and choices: lists, one word only, capitals, stories to order, (A) (B) (C)."""

from __future__ import annotations

from functools import cache

from .facts import ASKED, Fact, asked_fact, ended, subjects, topic
from .holdout import asked, held_out
from .letters import in_question, quoted
from .phrase import (
    Rand,
    article,
    capital,
    fill,
    listing,
    pick,
    rows,
    say,
    sections,
    some,
    weighted,
    whole,
)
from .scenes import scene
from .stories import story
from .turn import Turn, drawn
from .words import in_words, spelled_words

_SHORT = ("capital", "symbol", "number", "opposite", "plural", "past", "young", "after", "colour")


def posed(r: Rand, name: str = "", kept: bool = False) -> tuple[Fact, str]:
    """A fact that may be asked, with a question: one that training may show, or that it never
    shows."""
    while True:
        fact = asked_fact(r, name)
        question = fact.question(r)
        if held_out("question", asked(question)) == kept:
            return fact, question


_COLOURS = ["red", "blue", "green", "yellow", "white", "black", "brown", "pink", "grey"]
_FRUITS = ["apples", "pears", "plums", "cherries", "bananas", "oranges", "grapes", "lemons"]


@cache
def _kinds_of_things() -> dict[str, tuple[str, ...]]:
    """What a list may be asked of: 'birds', 'countries in Asia', ..."""
    found: dict[str, list[str]] = {}
    for _, many, group, *_rest in rows("animals.txt"):
        found.setdefault(group, []).append(many)
    kinds = {
        "birds": found["bird"],
        "mammals": found["mammal"],
        "fish": found["fish"],
        "insects": found["insect"],
        "animals": found["bird"] + found["mammal"] + found["insect"],
        "chemical elements": [row[0] for row in rows("elements.txt")],
        "planets": [row[0] for row in rows("planets.txt")],
        "months": [row[0] for row in rows("calendar.txt")],
        "colours": _COLOURS,
        "fruits": _FRUITS,
        "names": [*sections("cast.txt")["girls"], *sections("cast.txt")["boys"]],
    }
    for facts in topic("countries").values():
        for fact in facts:
            if fact.relation == "continent" and fact.taught:
                kinds.setdefault(f"countries in {fact.value}", []).append(fact.slots["s"])
    return {kind: tuple(items) for kind, items in kinds.items()}


_LIST_ASKS = (
    "[Name|List|Tell me|Give me] {n} {k}.",
    "Can you think of {n} {k}?",
    "I need {n} {k}[.|, please.]",
    "[Make|Write] a list of {n} {k}.",
)


def make_list(r: Rand) -> Turn:
    """'Name three birds.'"""
    kinds = _kinds_of_things()
    kind = pick(r, tuple(kinds))
    count = whole(r, 2, 5)
    items = some(r, kinds[kind], count)
    number = in_words(count) if r() < 0.7 else str(count)
    ask = say(r, _LIST_ASKS, {"n": number, "k": kind})
    right = (str(count), *kinds[kind])
    if "list" in ask.lower():
        lines = [f"{i}. {capital(item)}" for i, item in enumerate(items, start=1)]
        return Turn(ask, "\n".join(lines), "list", right)
    return Turn(ask, capital(listing(items)) + ".", "list", right)


_LIMITS = ("Give only the answer.", "Just the answer, please.", "Only the answer, no sentence.")


def one_word(r: Rand, kept: bool = False) -> Turn:
    """A question to be answered with the value alone."""
    while True:
        fact, ask = posed(r, kept=kept)
        if fact.relation in _SHORT:
            break
    short = ("Answer in one word.", "Answer with one word only.") if " " not in fact.value else ()
    limit = pick(r, (*_LIMITS, *short))
    plain = f"{limit} {ask}" if r() < 0.3 else f"{ask} {limit}"
    # As it stands in a sentence: with a capital it would be another token, to be learned apart.
    right = {value.rstrip(".") for value in (fact.value, *fact.values)}
    return Turn(plain, fact.value, "exactly", (*sorted(right), *sorted(map(capital, right))))


def in_capitals(r: Rand) -> Turn:
    """Words in capital letters."""
    words = " ".join(some(r, spelled_words(False), whole(r, 1, 2)))
    written = in_question(r, words)
    asks = ("Write {w} in capital letters.", "Put this in capitals: {w}", "Say {w} in capitals.")
    return Turn(say(r, asks, {"w": written}), words.upper(), "exactly", (words.upper(),))


def echo(r: Rand) -> Turn:
    """Say it after me, or say it several times."""
    if r() < 0.5:
        word, count = pick(r, spelled_words(False)), whole(r, 2, 5)
        ask = f"Say the word {quoted(word)} {in_words(count)} times."
        return Turn(ask, " ".join([word] * count), "repeats", (str(count), word))
    words = " ".join(some(r, spelled_words(False), whole(r, 2, 4)))
    return Turn(
        pick(r, ("Repeat after me: ", "Say this: ", "Copy this: ")) + quoted(words),
        words,
        "exactly",
        (words,),
    )


def sort_numbers(r: Rand) -> Turn:
    """Numbers from the smallest to the largest, or the other way round."""
    numbers = some(r, range(1, 100), 3)
    down = r() < 0.3
    row = ", ".join(map(str, sorted(numbers, reverse=down)))
    way = "from the largest to the smallest" if down else "from the smallest to the largest"
    given = ", ".join(map(str, numbers))
    ask = pick(r, (f"Sort these numbers {way}: {given}.", f"Put {given} in order {way}."))
    return Turn(ask, row + ".", "exactly", (row,))


_STORY_ASKS = (
    "[Tell me|Write|Make up|Please tell me] a [short |little |]story about {x}.",
    "[I would like to hear|I want|I would like] a [short |]story about {x}[.|, please.]",
)


def tell_story(r: Rand, kept: bool = False) -> Turn:
    """A short story about someone or something."""
    return drawn(r, lambda r: _tell_story(r, kept), kept)


def _tell_story(r: Rand, kept: bool) -> Turn:
    told = story(r, brief=True, questions=0, kept=kept)
    s = told.slots
    if not kept and r() < 0.1:
        return Turn(say(r, ("[Tell me|Tell|Write] a [short |]story[.|, please.]",)), told.text)
    plain = f"{article(s['Aplain'])} {s['Aplain']}"
    both = f"{s['A']} and {s['B']}"
    about = pick(r, (both, both, f"{plain} named {s['A']}", f"someone called {s['A']}"))
    right = (s["A"], s["B"]) if about == both else (s["A"],)
    # With a title in the words of the question, everyone is there before the story begins.
    titled = f"A story about {about}\n\n{told.text}"
    return Turn(say(r, _STORY_ASKS, {"x": about}), titled, "tells", right)


def choice(r: Rand, kept: bool = False) -> Turn:
    """A question with three or four answers to choose from."""
    while True:
        name = weighted(r, ASKED)
        fact, question = posed(r, name, kept)
        others = [] if fact.relation in _MANY_RIGHT else _others(r, fact, name)
        if len(others) >= 2:
            break
    options = some(r, [fact.value, *others], len(others) + 1)
    # The letter behind its option, as one token with the sign before it ("=A"): a model that looks
    # back for the option finds its letter in one step.
    lines = [f"- {option}={letter}" for letter, option in zip("ABCD", options, strict=False)]
    place = options.index(fact.value)
    lead = pick(r, ("", "", "Choose the right answer. ", "Which answer is right? "))
    ask = f"{lead}{question}\n" + "\n".join(lines)
    # The fact first: then the answer only has to be found among the options.
    answer = f"{fact.answer(r)} The answer is {fact.value}={'ABCD'[place]}."
    return Turn(ask, answer, "option", ("ABCD"[place],))


# Relations of which a subject may have more values than the table names, or is asked for several.
_MANY_RIGHT = (
    *("eats", "lives", "sound", "is", "use", "season", "state", "legs", "neighbour"),
    "participle",
)


def _others(r: Rand, fact: Fact, name: str) -> list[str]:
    """Two or three wrong answers of the same sort."""
    found: list[str] = []
    names = subjects(name)
    for _ in range(30):
        for other in topic(name)[pick(r, names)]:
            same = other.relation == fact.relation
            if same and other.value != fact.value and other.value not in found:
                found.append(other.value)
        if len(found) >= 3:
            break
    found = [value for value in found if not _also_right(fact, value)]
    return found[: whole(r, 2, 3)]


def _also_right(fact: Fact, value: str) -> bool:
    """Whether an answer meant to be wrong could be held for right."""
    return any(value in own or own in value for own in fact.values)


def yes_or_no(r: Rand) -> Turn:
    """'Is Paris the capital of France?'"""
    relation = pick(r, ("capital", "continent"))
    fact, other = (_taught(r, relation) for _ in range(2))
    country, right, said = fact.slots["s"], fact.value, pick(r, (fact, other)).value
    if relation == "capital":
        ask, truth = f"Is {said} the capital of {country}?", f"the capital of {country} is {right}."
    else:
        ask, truth = f"Is {country} in {said}?", f"{country} is in {right}."
    word = "Yes" if said == right else "No"
    return Turn(ask, ended(f"{word}, {truth}"), "says", (word,))


def _taught(r: Rand, relation: str) -> Fact:
    """Any country's fact of that relation that may be asked."""
    while True:
        for fact in topic("countries")[pick(r, subjects("countries"))]:
            if fact.relation == relation and fact.taught:
                return fact


_OTHERS = (make_list, make_list, in_capitals, echo, sort_numbers)


def instruction(r: Rand, kept: bool = False) -> Turn:
    """Any of the short instructions."""
    return one_word(r, kept) if r() < 0.3 else drawn(r, pick(r, _OTHERS), kept)


_READING = (
    "{t}\n\n{q}",
    "[Read this|Read this story|Here is a story]: {t}\n\n{q}",
    "{t}\n\n[Question: |Answer this: |]{q}",
)


def reading(r: Rand, kept: bool = False) -> list[Turn]:
    """A scene or a short story, and some questions about it: the more there are, the more a row of
    tokens teaches about looking things up."""
    if r() < 0.6:
        text, asks = scene(r, whole(r, 2, 6), kept)
    else:
        told = story(r, brief=True, questions=whole(r, 2, 4), kept=kept)
        text, asks = told.text, told.asked
    turns = [
        # Where the answer begins with the key ("Who found it?"), another order is another answer.
        Turn(a.question, a.answer, "begins" if a.answer.startswith(a.key) else "says", (a.key,))
        for a in asks
    ]
    ask = fill(r, pick(r, _READING), {"t": text, "q": turns[0].ask})
    return [turns[0]._replace(ask=ask), *turns[1:]]
