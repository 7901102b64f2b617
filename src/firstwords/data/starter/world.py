"""The small world that stories happen in: who is there, what they are like, where things are."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

from .phrase import Rand, article, fill, pick, sections, some

SEASONS = {
    "spring": ("March", "April", "May"),
    "summer": ("June", "July", "August"),
    "autumn": ("September", "October", "November"),
    "winter": ("December", "January", "February"),
}
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
    """A place: 'the mill', 'at the mill', 'to the mill'; `side` is in, out (of doors) or wild.
    `mark` is "soil" where plants grow, "room" where nobody lives near."""

    bare: str
    at: str
    to: str
    side: str
    mark: str = ""


class Cast(NamedTuple):
    """Who takes part, and with what: all that a plot is told about."""

    hero: Character
    friend: Character
    elder: str
    thing: str
    look: str
    places: tuple[Place, Place]
    spot: str
    season: str


@cache
def places() -> tuple[Place, ...]:
    """All places of `cast.txt`."""
    cells = [line.split("|") for line in sections("cast.txt")["places"]]
    return tuple(
        Place(bare, f"{at} {bare}", f"to {bare}", side, *mark) for bare, at, side, *mark in cells
    )


_SUITS: dict[str, Callable[[Place], bool]] = {
    "": lambda place: True,
    "wild": lambda place: place.side == "wild",
    "outdoors": lambda place: place.side != "in",
    "town": lambda place: place.side != "wild",
    "open": lambda place: place.side == "out",
    "soil": lambda place: place.mark == "soil",
    "near": lambda place: place.mark != "room",
}


@cache
def places_for(setting: str) -> tuple[Place, ...]:
    """The places that suit a setting: "wild", "outdoors" (the wild too), "town" (not the wild),
    "open" (in town, under the sky), "soil", "near" (where one may live near), or "" for all."""
    return tuple(filter(_SUITS[setting], places()))


@cache
def seasons_and_places(setting: str) -> tuple[tuple[str, ...], tuple[Place, ...]]:
    """A plot's setting, like "wild summer autumn", read: its seasons and its places."""
    words = setting.split()
    seasons = tuple(word for word in words if word in SEASONS) or tuple(SEASONS)
    return seasons, places_for(" ".join(word for word in words if word not in SEASONS))


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


def cast(r: Rand, setting: str = "", things: str = "") -> Cast:
    """A cast for one story, with places and a season that suit the setting, and with an object of
    the kind `things` (any if empty).

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
    seasons, suited = seasons_and_places(setting)
    two = some(r, suited, 2)
    return Cast(
        hero,
        friend,
        pick(r, lists[elders]),
        pick(r, lists[f"objects {things}" if things else "objects"]),
        pick(r, lists["looks"]),
        (two[0], two[1]),
        pick(r, lists["spots in" if two[1].side == "in" else "spots out"]),
        pick(r, seasons),
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
    homes = [
        pick(r, places_for("near")).bare if place.mark == "room" else place.bare
        for place in c.places
    ]
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
        "side1": first.side,
        "side2": second.side,
        "near1": homes[0],
        "near2": homes[1],
        "season": c.season,
        "month": pick(r, SEASONS[c.season]),
        "spot": c.spot,
    }
