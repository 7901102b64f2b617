"""The small world that stories happen in: who is there, what they are like, where things are."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from .phrase import Rand, article, fill, pick, sections, some

_PRONOUNS = {"she": ("she", "her", "her", "herself"), "he": ("he", "him", "his", "himself")}


class Character(NamedTuple):
    """Someone in a story. `kind` is "girl", "boy" or an animal."""

    name: str
    kind: str
    trait: str
    he: str
    him: str
    his: str
    himself: str

    @property
    def plain(self) -> str:
        """'brave girl' or 'brave fox'."""
        return f"{self.trait} {self.kind}"


class Place(NamedTuple):
    """A place: 'the mill', 'at the mill', 'to the mill'; `side` is in, out (of doors) or wild."""

    bare: str
    at: str
    to: str
    side: str


class Cast(NamedTuple):
    """Who takes part, and with what: all that a plot is told about."""

    hero: Character
    friend: Character
    elder: str
    thing: str
    look: str
    places: tuple[Place, Place]
    spot: str


@cache
def places() -> tuple[Place, ...]:
    """All places of `cast.txt`."""
    cells = [line.split("|") for line in sections("cast.txt")["places"]]
    return tuple(Place(bare, f"{at} {bare}", f"to {bare}", side) for bare, at, side in cells)


@cache
def places_for(setting: str) -> tuple[Place, ...]:
    """The places that suit a setting: "wild", "outdoors" (the wild too), or "" for all."""
    sides = {"wild": ("wild",), "outdoors": ("wild", "out")}.get(setting, ("wild", "out", "in"))
    return tuple(place for place in places() if place.side in sides)


def _character(r: Rand, kind: str, he: str, taken: str) -> Character:
    lists = sections("cast.txt")
    names = lists["pets"]
    if kind == "child":
        kind = "girl" if he == "she" else "boy"
        names = lists["girls"] if he == "she" else lists["boys"]
    name = pick(r, names)
    while name == taken:
        name = pick(r, names)
    return Character(name, kind, pick(r, lists["traits"]), *_PRONOUNS[he])


def cast(r: Rand, setting: str = "") -> Cast:
    """A cast for one story, with places that suit the setting.

    Hero and friend never share a pronoun, so "he" is always clear.
    """
    lists = sections("cast.txt")
    he = pick(r, ("she", "he"))
    other = "he" if he == "she" else "she"
    kinds = some(r, lists["kinds"], 2)
    chance = r()
    if chance < 0.5:
        kinds = ["child", "child"]
    elif chance < 0.65:
        kinds[0] = "child"
    hero = _character(r, kinds[0], he, "")
    friend = _character(r, kinds[1], other, hero.name)
    elders = "elders of animals" if kinds[0] != "child" else "elders of children"
    two = some(r, places_for(setting), 2)
    return Cast(
        hero,
        friend,
        pick(r, lists[elders]),
        pick(r, lists["objects"]),
        pick(r, lists["looks"]),
        (two[0], two[1]),
        pick(r, lists["spots in" if two[1].side == "in" else "spots out"]),
    )


def slots_of(r: Rand, c: Cast) -> dict[str, str]:
    """The slots that every plot may use; see the head of `plots.txt`."""
    a, b = c.hero, c.friend
    animal = b.kind not in ("girl", "boy")
    stranger = pick(
        r,
        (
            f"{article(b.trait)} {b.trait} {b.kind} named {b.name}",
            f"{article(b.kind)} {b.kind} called {b.name}",
            f"{b.name} the {b.kind}" if animal else f"a {b.kind} by the name of {b.name}",
        ),
    )
    known = fill(r, f"{a.his} [|good |dear |old |best ]friend {b.name}")
    first, second = c.places
    return {
        "A": a.name,
        "Aplain": a.plain,
        "Aintro": f"{a.plain} {pick(r, ('named', 'called'))} {a.name}",
        "he": a.he,
        "him": a.him,
        "his": a.his,
        "himself": a.himself,
        "B": b.name,
        "Bnew": known if r() < 0.6 else f"{b.name} the {b.kind}" if animal else known,
        "Bnew2": stranger,
        "bhe": b.he,
        "bhim": b.him,
        "bhis": b.his,
        "C": c.elder,
        "O": c.thing,
        "the O": f"the {c.thing}",
        "look": c.look,
        "RO": f"{c.look} {c.thing}",
        "place1": first.at,
        "to1": first.to,
        "bare1": first.bare,
        "place2": second.at,
        "to2": second.to,
        "bare2": second.bare,
        "spot": c.spot,
    }
