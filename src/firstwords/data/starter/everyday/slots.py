"""The slots of everyday conversations: names, pets, foods, towns, each drawn when first used."""

from functools import cache

from firstwords.data.starter.facts import Fact, facts_by_subject
from firstwords.data.starter.holdout import is_held_out
from firstwords.data.starter.rng import Rng, choose
from firstwords.data.starter.tables import table_sections

_KEYBOARD_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_SYLLABLES = "ba bli cro da flo gri ka lo mu na po quee ra spo tra vu wo zi zam nok plim"


@cache
def first_names(held_out: bool) -> tuple[str, ...]:
    """Return the names that users have in training, or only in the exam."""
    lists = table_sections("cast.txt")
    names = lists["girls"] + lists["boys"]
    return tuple(name for name in names if is_held_out("memory", f"name {name}") == held_out)


@cache
def _capitals() -> tuple[Fact, ...]:
    """Return the capitals that conversations may state of the countries in `slots.txt`."""
    names = table_sections("slots.txt")["country"]
    facts = [fact for name in names for fact in facts_by_subject("countries")[name]]
    return tuple(fact for fact in facts if fact.relation == "capital" and not fact.held_out)


@cache
def _countries() -> tuple[str, ...]:
    return tuple(fact.slots["s"] for fact in _capitals())


class Slots(dict[str, str]):
    """A mapping from slots to values that draws a value when it is first asked for."""

    def __init__(self, rng: Rng) -> None:
        self._rng = rng

    def __missing__(self, key: str) -> str:
        self[key] = value = self._draw(key)
        return value

    def _draw(self, key: str) -> str:
        rng = self._rng
        if key in ("n", "m"):
            name = choose(rng, first_names(False))
            while name in self.values():
                name = choose(rng, first_names(False))
            return name
        if key == "petname":
            return choose(rng, table_sections("cast.txt")["pets"])
        if key == "country":
            return choose(rng, _countries())
        if key == "CAPITAL":  # the answer to a question for it
            (fact,) = (f for f in _capitals() if f.slots["s"] == self["country"])
            return fact.answer(rng)
        if key == "mash":
            return _mash(rng)
        if key == "nonsense":
            return "".join(choose(rng, _SYLLABLES.split()) for _ in range(2 + (rng() < 0.4)))
        return choose(rng, table_sections("slots.txt")[key])


def _mash(rng: Rng) -> str:
    """Return keys pressed at random, as in 'asdfjkl'."""
    row = choose(rng, _KEYBOARD_ROWS)
    if rng() < 0.4:
        start = int(rng() * 3)
        return row[start : start + 4 + int(rng() * 4)]
    return "".join(choose(rng, row) for _ in range(4 + int(rng() * 7)))
