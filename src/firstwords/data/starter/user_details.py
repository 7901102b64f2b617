"""Conversations in which users say something about themselves and ask for it later."""

from firstwords.data.starter.fact_questions import fact_turn
from firstwords.data.starter.facts import subjects
from firstwords.data.starter.holdout import is_held_out
from firstwords.data.starter.letters import letter_turn
from firstwords.data.starter.numbers import math_turn
from firstwords.data.starter.rng import Rng, choose, randint, sample
from firstwords.data.starter.tables import table_sections
from firstwords.data.starter.templates import make_answer, make_sentence
from firstwords.data.starter.turn import Turn

_FOODS = (
    "pancakes soup cherries bread cheese honey rice apples noodles plums carrots pizza pears "
    "grapes biscuits porridge potatoes beans salad eggs muffins oranges melons nuts cake"
)


def memory(rng: Rng, held_out: bool = False) -> list[Turn]:
    """State one to three details, talk about other things, and ask for the details.

    With `held_out` training never shows a user with these details.
    """
    details = dict(_random_detail(rng, held_out) for _ in range(randint(rng, 1, 3)))
    turns = [_state(rng, kind, slots) for kind, slots in details.items()]
    turns += [
        choose(rng, (fact_turn, math_turn, fact_turn, letter_turn))(rng)
        for _ in range(randint(rng, 0, 2))
    ]
    shuffled = sample(rng, list(details.items()), len(details))
    return turns + [_ask(rng, kind, slots) for kind, slots in shuffled]


def _state(rng: Rng, kind: str, slots: dict[str, str]) -> Turn:
    # The user asks to remember where a thing is hidden; the other details are statements.
    wording = table_sections("talk.txt")
    heading = "hidden ask" if kind == "hidden" else f"{kind} tell"
    statement = make_sentence(rng, wording[heading], slots)
    return Turn(statement, make_answer(rng, wording[f"{kind} told"], slots))


def _ask(rng: Rng, kind: str, slots: dict[str, str]) -> Turn:
    wording = table_sections("talk.txt")
    heading = "hidden asked" if kind == "hidden" else f"{kind} ask"
    question = make_sentence(rng, wording[heading], slots)
    answer = make_answer(rng, wording[f"{kind} recall"], slots)
    return Turn(question, answer, "answers", (slots["w" if kind == "hidden" else "v"],))


def _random_detail(rng: Rng, held_out: bool) -> tuple[str, dict[str, str]]:
    """Return the kind and the slots of a detail about the user, or of where a thing is hidden."""
    while True:
        kind, slots = _any_detail(rng)
        if is_held_out("memory", f"{kind} {slots['v']}") == held_out:
            return kind, slots


def _any_detail(rng: Rng) -> tuple[str, dict[str, str]]:
    lists = table_sections("cast.txt")
    kind = choose(rng, ("name", "name", "name", "age", "pet", "colour", "home", "likes", "hidden"))
    if kind == "name":
        return kind, {"v": choose(rng, lists["girls"] + lists["boys"])}
    if kind == "age":
        return kind, {"v": str(randint(rng, 6, 80))}
    if kind == "pet":
        animal = choose(rng, ("dog", "cat", "rabbit", "hamster", "pony", "parrot", "tortoise"))
        return kind, {"v": choose(rng, lists["pets"]), "k": animal}
    if kind == "colour":
        colours = "red blue green yellow purple orange pink brown black white grey gold silver"
        return kind, {"v": choose(rng, colours.split())}
    if kind == "home":
        return kind, {"v": choose(rng, subjects("countries"))}
    if kind == "likes":
        return kind, {"v": choose(rng, _FOODS.split())}
    return kind, {"v": choose(rng, lists["objects"]), "w": choose(rng, lists["spots in"])}
