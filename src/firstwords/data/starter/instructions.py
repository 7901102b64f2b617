"""Instructions about the form of an answer: lists, one word, capitals, repetition, stories."""

from collections.abc import Callable
from functools import cache

from firstwords.data.starter.fact_questions import fact_and_question
from firstwords.data.starter.facts import facts_by_subject
from firstwords.data.starter.letters import maybe_quoted
from firstwords.data.starter.rng import Rng, choose, randint, sample
from firstwords.data.starter.stories import make_story
from firstwords.data.starter.tables import table_rows, table_sections
from firstwords.data.starter.templates import article, capitalize, join_list, make_sentence
from firstwords.data.starter.turn import Turn, draw_turn
from firstwords.data.starter.words import number_in_words, spelled_words

# Relations whose value is a word or two.
_SHORT_RELATIONS = (
    "capital",
    "symbol",
    "number",
    "opposite",
    "plural",
    "past",
    "young",
    "after",
    "colour",
)


_COLOURS = ["red", "blue", "green", "yellow", "white", "black", "brown", "pink", "grey"]
_FRUITS = ["apples", "pears", "plums", "cherries", "bananas", "oranges", "grapes", "lemons"]


@cache
def _list_items() -> dict[str, tuple[str, ...]]:
    """Return everything a list may contain, by what it may be asked for: 'birds', 'fruits', ..."""
    animals: dict[str, list[str]] = {}
    for _, many, group, *_rest in table_rows("animals.txt"):
        animals.setdefault(group, []).append(many)
    kinds = {
        "birds": animals["bird"],
        "mammals": animals["mammal"],
        "fish": animals["fish"],
        "insects": animals["insect"],
        "animals": animals["bird"] + animals["mammal"] + animals["insect"],
        "chemical elements": [row[0] for row in table_rows("elements.txt")],
        "planets": [row[0] for row in table_rows("planets.txt")],
        "months": [row[0] for row in table_rows("calendar.txt")],
        "colours": _COLOURS,
        "fruits": _FRUITS,
        "names": [*table_sections("cast.txt")["girls"], *table_sections("cast.txt")["boys"]],
    }
    for facts in facts_by_subject("countries").values():
        for fact in facts:
            if fact.relation == "continent" and not fact.held_out:
                kinds.setdefault(f"countries in {fact.value}", []).append(fact.slots["s"])
    return {kind: tuple(items) for kind, items in kinds.items()}


_LIST_QUESTIONS = (
    "[Name|List|Tell me|Give me] {n} {k}.",
    "Can you think of {n} {k}?",
    "I need {n} {k}[.|, please.]",
    "[Make|Write] a list of {n} {k}.",
)


def make_list(rng: Rng) -> Turn:
    """Ask for a list: 'Name three birds.'"""
    kinds = _list_items()
    kind = choose(rng, tuple(kinds))
    count = randint(rng, 2, 5)
    items = sample(rng, kinds[kind], count)
    number = number_in_words(count) if rng() < 0.7 else str(count)
    question = make_sentence(rng, _LIST_QUESTIONS, {"n": number, "k": kind})
    expected = (str(count), *kinds[kind])
    if "list" in question.lower():
        lines = [f"{i}. {capitalize(item)}" for i, item in enumerate(items, start=1)]
        return Turn(question, "\n".join(lines), "list", expected)
    return Turn(question, capitalize(join_list(items)) + ".", "list", expected)


_LIMITS = ("Give only the answer.", "Just the answer, please.", "Only the answer, no sentence.")


def one_word(rng: Rng, held_out: bool = False) -> Turn:
    """Ask for a fact, to be answered with its value alone."""
    while True:
        fact, question = fact_and_question(rng, held_out=held_out)
        if fact.relation in _SHORT_RELATIONS:
            break
    short = ("Answer in one word.", "Answer with one word only.") if " " not in fact.value else ()
    limit = choose(rng, (*_LIMITS, *short))
    question = f"{limit} {question}" if rng() < 0.3 else f"{question} {limit}"
    # The answer keeps the case it has in a sentence: with a capital it would be another token,
    # which the model would have to learn separately.
    values = {value.rstrip(".") for value in (fact.value, *fact.values)}
    expected = (*sorted(values), *sorted(map(capitalize, values)))
    return Turn(question, fact.value, "exact", expected)


_CAPITALS_QUESTIONS = (
    "Write {w} in capital letters.",
    "Put this in capitals: {w}",
    "Say {w} in capitals.",
)


def in_capitals(rng: Rng, held_out: bool = False) -> Turn:
    """Ask for a word or two in capital letters."""
    words = " ".join(sample(rng, spelled_words(False), randint(rng, 1, 2)))
    slots = {"w": maybe_quoted(rng, words, held_out)}
    question = make_sentence(rng, _CAPITALS_QUESTIONS, slots)
    return Turn(question, words.upper(), "exact", (words.upper(),))


def say_times(asked: str, count: int = 1) -> str:
    """Return the answer to the request to say something. What is said follows a space, as in the
    request, so that it has the same tokens."""
    return f"All right: {', '.join([asked] * count)}."


def repeat(rng: Rng, held_out: bool = False) -> Turn:
    """Ask to repeat some words once, or one word several times."""
    if rng() < 0.5:
        word, count = choose(rng, spelled_words(False)), randint(rng, 2, 5)
        asked = maybe_quoted(rng, word, held_out)
        question = f"Say the word {asked} {number_in_words(count)} times."
        return Turn(question, say_times(asked, count), "repeats", (str(count), word))
    words = " ".join(sample(rng, spelled_words(False), randint(rng, 2, 4)))
    request = choose(rng, ("Repeat after me: ", "Say this: ", "Copy this: "))
    return Turn(request + maybe_quoted(rng, words, held_out), words, "exact", (words,))


def sort_numbers(rng: Rng) -> Turn:
    """Ask to sort three numbers, in ascending or descending order."""
    numbers = sample(rng, range(1, 100), 3)
    descending = rng() < 0.3
    ordered = ", ".join(map(str, sorted(numbers, reverse=descending)))
    way = "from the largest to the smallest" if descending else "from the smallest to the largest"
    given = ", ".join(map(str, numbers))
    question = choose(rng, (f"Sort these numbers {way}: {given}.", f"Put {given} in order {way}."))
    return Turn(question, ordered + ".", "exact", (ordered,))


_STORY_REQUESTS = (
    "[Tell me|Write|Make up|Please tell me] a [short |little |]story about {x}.",
    "[I would like to hear|I want|I would like] a [short |]story about {x}[.|, please.]",
)


def tell_story(rng: Rng, held_out: bool = False) -> Turn:
    """Ask for a short story, mostly about named characters."""
    return draw_turn(rng, lambda rng: _tell_story(rng, held_out), held_out)


def _tell_story(rng: Rng, held_out: bool) -> Turn:
    story = make_story(rng, brief=True, n_questions=0, held_out=held_out)
    hero, friend, description = story.slots["A"], story.slots["B"], story.slots["Aplain"]
    if not held_out and rng() < 0.1:
        request = make_sentence(rng, ("[Tell me|Tell|Write] a [short |]story[.|, please.]",))
        return Turn(request, story.text)
    both = f"{hero} and {friend}"
    described = f"{article(description)} {description} named {hero}"
    about = choose(rng, (both, both, described, f"someone called {hero}"))
    expected = (hero, friend) if about == both else (hero,)
    # The title repeats the request, so that the story can copy its names from nearby.
    titled = f"A story about {about}\n\n{story.text}"
    return Turn(make_sentence(rng, _STORY_REQUESTS, {"x": about}), titled, "story", expected)


_WITHOUT_FACTS: tuple[Callable[[Rng, bool], Turn], ...] = (
    lambda rng, _: make_list(rng),
    lambda rng, _: make_list(rng),
    in_capitals,
    repeat,
    lambda rng, _: sort_numbers(rng),
)


def instruction(rng: Rng, held_out: bool = False) -> Turn:
    """Give a random instruction, other than to tell a story."""
    if rng() < 0.3:
        return one_word(rng, held_out)
    make = choose(rng, _WITHOUT_FACTS)
    return draw_turn(rng, lambda rng: make(rng, held_out), held_out)
