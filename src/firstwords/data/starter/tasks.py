"""Instructions and choices: lists, one word only, capitals, stories to order, A) B) C)."""

from __future__ import annotations

from functools import cache

from .facts import ASKED, Fact, any_fact, short_answer, subjects, topic
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
from .stories import story
from .words import in_words, vocabulary

Turn = tuple[str, str]

_SHORT = ("capital", "symbol", "number", "opposite", "plural", "past", "young", "after", "colour")


def short_fact(r: Rand) -> Fact:
    """A fact whose answer is a word or two."""
    while True:
        fact = any_fact(r)
        if fact.relation in _SHORT:
            return fact


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
        "colours": ["red", "blue", "green", "yellow", "white", "black", "brown", "pink", "grey"],
        "fruits": ["apples", "pears", "plums", "cherries", "bananas", "oranges", "grapes"],
        "names": [*sections("cast.txt")["girls"], *sections("cast.txt")["boys"]],
    }
    for name, _, continent in rows("countries.txt"):
        kinds.setdefault(f"countries in {continent}", []).append(name)
    return {kind: tuple(items) for kind, items in kinds.items()}


def make_list(r: Rand) -> Turn:
    """'Name three birds.'"""
    kinds = _kinds_of_things()
    kind = pick(r, tuple(kinds))
    count = whole(r, 2, 5)
    items = some(r, kinds[kind], count)
    number = in_words(count) if r() < 0.7 else str(count)
    ask = say(
        r,
        (
            "[Name|List|Tell me|Give me] {n} {k}.",
            "Can you name {n} {k}?",
            "I need {n} {k}[.|, please.]",
            "[Make|Write] a list of {n} {k}.",
        ),
        {"n": number, "k": kind},
    )
    if "list" in ask.lower() or r() < 0.3:
        lines = [f"{i}. {capital(item)}" for i, item in enumerate(items, start=1)]
        return ask, "\n".join(lines)
    return ask, capital(listing(items)) + "."


def one_word(r: Rand) -> Turn:
    """A question to be answered with the value alone."""
    fact = short_fact(r)
    one = " " not in fact.value
    limit = pick(
        r,
        (
            "Answer in one word." if one else "Give just the answer.",
            "Give only the answer.",
            "Answer with one word only." if one else "Only the answer.",
            "Just the answer, please.",
            "Only the answer, no sentence.",
        ),
    )
    ask = fact.question(r)
    plain = f"{limit} {ask}" if r() < 0.3 else f"{ask} {limit}"
    return plain, short_answer(fact)


def in_capitals(r: Rand) -> Turn:
    """An answer, or a word, in capital letters."""
    if r() < 0.5:
        word = " ".join(some(r, vocabulary(), whole(r, 1, 3)))
        ask = say(
            r,
            (
                "Write {w} in capital letters.",
                "Put this in capitals: {w}",
                "Say {w} in capitals.",
            ),
            {"w": word},
        )
        return ask, word.upper()
    fact = short_fact(r)
    return f"{fact.question(r)} Answer in capital letters.", fact.answer(r).upper()


def echo(r: Rand) -> Turn:
    """Say it after me, or say it several times."""
    word = pick(r, vocabulary())
    if r() < 0.5:
        count = whole(r, 2, 5)
        ask = f"Say the word {word} {in_words(count)} times."
        return ask, capital(" ".join([word] * count)) + "."
    words = " ".join(some(r, vocabulary(), whole(r, 2, 4)))
    return pick(r, ("Repeat after me: ", "Say this: ", "Copy this: ")) + words, words


def sort_numbers(r: Rand) -> Turn:
    """Numbers from the smallest to the largest, or the other way round."""
    numbers = some(r, range(1, 100), whole(r, 3, 5))
    down = r() < 0.3
    row = sorted(numbers, reverse=down)
    way = "from the largest to the smallest" if down else "from the smallest to the largest"
    given = ", ".join(map(str, numbers))
    ask = pick(r, (f"Sort these numbers {way}: {given}.", f"Put {given} in order {way}."))
    return ask, ", ".join(map(str, row)) + "."


def tell_story(r: Rand) -> Turn:
    """A short story about someone or something."""
    told = story(r, brief=True, questions=0)
    s = told.slots
    about = pick(
        r,
        (
            f"{s['A']} and {s['B']}",
            f"{article(s['Aplain'])} {s['Aplain']} named {s['A']}",
            f"{article(s['Aplain'])} {s['Aplain']}",
            f"someone called {s['A']}",
        ),
    )
    asks = (
        "[Tell me|Write|Make up|Please tell me] a [short |little |]story about {x}.",
        "[I would like to hear|I want|I would like] a [short |]story about {x}[.|, please.]",
        "[Tell me|Tell|Write] a [short |]story[.|, please.]",
    )
    ask = say(r, asks, {"x": about})
    return ask, told.text


def choice(r: Rand) -> Turn:
    """A question with three or four answers to choose from."""
    while True:
        name = weighted(r, ASKED)
        fact = any_fact(r, name)
        others = [] if fact.relation in _MANY_RIGHT else _others(r, fact, name)
        if len(others) >= 2:
            break
    options = some(r, [fact.value, *others], len(others) + 1)
    letters = "ABCD"
    rows_ = [f"{letter}) {option}" for letter, option in zip(letters, options, strict=False)]
    right = rows_[options.index(fact.value)]
    lead = pick(r, ("", "", "Choose the right answer. ", "Which answer is right? "))
    ask = f"{lead}{fact.question(r)}\n" + "\n".join(rows_)
    if r() < 0.2:
        return ask + "\nAnswer with the letter only.", right[0]
    return ask, pick(r, (right, f"The answer is {right}.", f"{right} is right."))


_MANY_RIGHT = ("eats", "lives", "sound", "is", "use", "season", "state", "legs")


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
    return value in fact.value or fact.value in value


def yes_or_no(r: Rand) -> Turn:
    """'Is Paris the capital of France?'"""
    name, city, continent = pick(r, rows("countries.txt"))
    other, wrong, away = pick(r, rows("countries.txt"))
    if r() < 0.5:
        if r() < 0.5 or other == name:
            return f"Is {city} the capital of {name}?", f"Yes, {city} is the capital of {name}."
        return (
            f"Is {wrong} the capital of {name}?",
            f"No, the capital of {name} is {city}.",
        )
    if away == continent:
        return f"Is {name} in {continent}?", f"Yes, {name} is in {continent}."
    return f"Is {name} in {away}?", f"No, {name} is in {continent}."


def instruction(r: Rand) -> Turn:
    """Any of the short instructions."""
    return pick(r, (make_list, make_list, one_word, one_word, in_capitals, echo, sort_numbers))(r)


def reading(r: Rand) -> list[Turn]:
    """A short story and one or two questions about it."""
    told = story(r, brief=True, questions=whole(r, 1, 3))
    first, *rest = told.asked
    ask = fill(
        r,
        pick(
            r,
            (
                "{t}\n\n{q}",
                "[Read this|Read this story|Here is a story]: {t}\n\n{q}",
                "{t}\n\n[Question: |Answer this: |]{q}",
                "{q} [The story:|Read:] {t}",
            ),
        ),
        {"t": told.text, "q": first.question},
    )
    return [(ask, first.answer), *((one.question, one.answer) for one in rest)]
