"""The cast of a story: its characters, object, places and season, drawn from `cast.txt`."""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

from firstwords.data.starter.rng import Rng, choose, sample
from firstwords.data.starter.tables import table_sections
from firstwords.data.starter.templates import article, fill_template

SEASONS = {
    "spring": ("March", "April", "May"),
    "summer": ("June", "July", "August"),
    "autumn": ("September", "October", "November"),
    "winter": ("December", "January", "February"),
}
_PRONOUNS = {"she": ("she", "her", "her", "herself"), "he": ("he", "him", "his", "himself")}


class Character(NamedTuple):
    """A person or animal in a story, with the forms of its pronoun."""

    name: str
    kind: str  # "girl", "boy" or an animal
    trait: str
    he: str
    him: str
    his: str
    himself: str

    @property
    def description(self) -> str:
        """Trait and kind: 'brave girl', 'brave fox'."""
        return f"{self.trait} {self.kind}"


class Place(NamedTuple):
    """A place and how it is used in a sentence."""

    bare: str  # "the mill"
    at: str  # "at the mill"
    to: str  # "to the mill"
    surroundings: str  # "in" (indoors), "out" (outdoors, in a town) or "wild"
    note: str = ""  # "soil" where plants grow, "room" where people do not live nearby


class Cast(NamedTuple):
    """Everything that the slots of a plot refer to."""

    hero: Character
    friend: Character
    elder: str
    thing: str
    look: str  # an adjective for `thing`
    places: tuple[Place, Place]
    spot: str  # where something may lie at the second place
    season: str


@cache
def places() -> tuple[Place, ...]:
    """Return all places of `cast.txt`."""
    cells = [line.split("|") for line in table_sections("cast.txt")["places"]]
    return tuple(
        Place(bare, f"{at} {bare}", f"to {bare}", surroundings, *note)
        for bare, at, surroundings, *note in cells
    )


_SETTINGS: dict[str, Callable[[Place], bool]] = {
    "": lambda place: True,
    "wild": lambda place: place.surroundings == "wild",
    "outdoors": lambda place: place.surroundings != "in",
    "town": lambda place: place.surroundings != "wild",
    "open": lambda place: place.surroundings == "out",
    "soil": lambda place: place.note == "soil",
    "near": lambda place: place.note != "room",
}


@cache
def places_suited_to(setting: str) -> tuple[Place, ...]:
    """Return the places that suit a setting.

    It is "wild", "outdoors" (wild or in a town), "town" (indoors or outdoors), "open" (outdoors in
    a town), "soil" (where plants grow), "near" (where people may live nearby), or "" for all.
    """
    return tuple(filter(_SETTINGS[setting], places()))


@cache
def seasons_and_places(setting: str) -> tuple[tuple[str, ...], tuple[Place, ...]]:
    """Return the seasons and the places of a plot's setting, such as "wild summer autumn"."""
    words = setting.split()
    seasons = tuple(word for word in words if word in SEASONS) or tuple(SEASONS)
    return seasons, places_suited_to(" ".join(word for word in words if word not in SEASONS))


def _draw_character(rng: Rng, kind: str, he: str, other_name: str) -> Character:
    lists = table_sections("cast.txt")
    names = lists["pets"]
    if kind == "child":
        kind = "girl" if he == "she" else "boy"
        names = lists["girls"] if he == "she" else lists["boys"]
    name = choose(rng, names)
    while name == other_name:
        name = choose(rng, names)
    return Character(name, kind, choose(rng, lists["traits"]), *_PRONOUNS[he])


def draw_cast(rng: Rng, setting: str = "", things: str = "") -> Cast:
    """Draw a cast for one story, with places and a season that suit the setting.

    `things` is the kind of its object, any if empty. Hero and friend never share a pronoun, so that
    "he" is never ambiguous.
    """
    lists = table_sections("cast.txt")
    he = choose(rng, ("she", "he"))
    other = "he" if he == "she" else "she"
    kinds = sample(rng, lists["kinds"], 2)
    chance = rng()
    if chance < 0.5:
        kinds = ["child", "child"]
    elif chance < 0.65:
        kinds[0] = "child"
    hero = _draw_character(rng, kinds[0], he, "")
    friend = _draw_character(rng, kinds[1], other, hero.name)
    elders = "elders of animals" if kinds[0] != "child" else "elders of children"
    seasons, suitable = seasons_and_places(setting)
    first, second = sample(rng, suitable, 2)
    return Cast(
        hero,
        friend,
        choose(rng, lists[elders]),
        choose(rng, lists[f"objects {things}" if things else "objects"]),
        choose(rng, lists["looks"]),
        (first, second),
        choose(rng, lists["spots in" if second.surroundings == "in" else "spots out"]),
        choose(rng, seasons),
    )


def story_slots(rng: Rng, cast: Cast) -> dict[str, str]:
    """Return the slots that every plot may use; `plots.txt` lists them at its top."""
    a, b = cast.hero, cast.friend
    is_animal = b.kind not in ("girl", "boy")
    introduction = choose(
        rng,
        (
            f"{article(b.trait)} {b.trait} {b.kind} named {b.name}",
            f"{article(b.kind)} {b.kind} called {b.name}",
            f"{b.name} the {b.kind}" if is_animal else f"a {b.kind} by the name of {b.name}",
        ),
    )
    friend = fill_template(rng, f"{a.his} [|good |dear |old |best ]friend {b.name}")
    first, second = cast.places
    homes = [
        choose(rng, places_suited_to("near")).bare if place.note == "room" else place.bare
        for place in cast.places
    ]
    return {
        "A": a.name,
        "Aplain": a.description,
        "Aintro": f"{a.description} {choose(rng, ('named', 'called'))} {a.name}",
        "he": a.he,
        "him": a.him,
        "his": a.his,
        "himself": a.himself,
        "B": b.name,
        "Bnew": friend if rng() < 0.6 else f"{b.name} the {b.kind}" if is_animal else friend,
        "Bnew2": introduction,
        "bhe": b.he,
        "bhim": b.him,
        "bhis": b.his,
        "C": cast.elder,
        "O": cast.thing,
        "the O": f"the {cast.thing}",
        "look": cast.look,
        "RO": f"{cast.look} {cast.thing}",
        "place1": first.at,
        "to1": first.to,
        "bare1": first.bare,
        "place2": second.at,
        "to2": second.to,
        "bare2": second.bare,
        "side1": first.surroundings,
        "side2": second.surroundings,
        "near1": homes[0],
        "near2": homes[1],
        "season": cast.season,
        "month": choose(rng, SEASONS[cast.season]),
        "spot": cast.spot,
    }
