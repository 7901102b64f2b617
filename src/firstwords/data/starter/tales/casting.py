"""The cast of a tale, which keeps its names, kinds and pronouns to the end."""

from functools import cache
from typing import NamedTuple

from firstwords.data.starter.rng import Rng, choose, sample
from firstwords.data.starter.tables import table_sections
from firstwords.data.starter.tales.kinds import Kind, kinds, kinds_of, places_of, tale_sections
from firstwords.data.starter.templates import article

_PRONOUNS = {
    "she": ("she", "her", "her", "herself"),
    "he": ("he", "him", "his", "himself"),
    "it": ("it", "it", "its", "itself"),
}
_OTHER = {"she": "he", "he": "she"}


class Actor(NamedTuple):
    """A character of a tale."""

    name: str
    kind: Kind
    he: str  # "she", "he" or "it"


@cache
def _names(key: str) -> tuple[str, ...]:
    lists = table_sections("cast.txt")
    names = tale_sections("names.txt")
    if key in ("she", "he"):
        return lists["girls"] if key == "she" else lists["boys"]
    if key == "animal":
        return (*lists["pets"], *names["animals"])
    return names[key]


def draw_name(rng: Rng, kind: Kind, he: str, other: str = "") -> str:
    """Return a name that suits the kind and is not `other`."""
    if kind.noun in tale_sections("names.txt"):
        names = _names(kind.noun)
    elif kind.group in ("animal", "swimmer"):
        names = _names("animal")
    elif kind.group == "person" or he != "it":
        names = _names(he)
    else:
        names = _names("things")
    while True:
        name = choose(rng, names)
        if name not in (other, kind.noun.capitalize()):
            return name


def _pronoun_of(name: str) -> str:
    """Return "she" or "he" for a name of people, "" for others."""
    lists = table_sections("cast.txt")
    return "she" if name in lists["girls"] else "he" if name in lists["boys"] else ""


def draw_actor(rng: Rng, kind: Kind, other: Actor | None = None, name: str = "") -> Actor:
    """Return a character of this kind, whose name and if possible pronoun are not `other`'s."""
    he = kind.pronoun or _pronoun_of(name) or choose(rng, ("she", "he"))
    if other and not (kind.pronoun or _pronoun_of(name)):
        he = _OTHER.get(other.he, he)
    return Actor(name or draw_name(rng, kind, he, other.name if other else ""), kind, he)


def draw_friend_kind(rng: Rng, hero: Actor, groups: frozenset[str]) -> Kind:
    """Return a kind of one of the groups that suits as the friend of the hero.

    Its pronoun is never the hero's.
    """
    kind = hero.kind
    child = kinds()["boy" if hero.he == "she" else "girl"]
    if kind.group in ("person", "creature") and "person" in groups and rng() < 0.55:
        return child
    options = _friends_of(kind.group, kind.realm, hero.he, groups)
    if not options:
        return child
    while True:
        friend = choose(rng, options)
        if friend != kind or len(options) == 1:
            return friend


_SMALL_FRIENDS = {
    "thing": ("mouse", "spider", "moth", "cat", "girl", "boy"),
    "food": ("mouse", "cat", "hen", "girl", "boy"),
    "plant": ("bee", "snail", "robin", "squirrel", "ladybird", "mouse", "girl", "boy"),
    "vehicle": ("sparrow", "cat", "girl", "boy", "farmer", "teacher"),
    "boat": ("gull", "girl", "boy", "sailor", "fisherman"),
    "aircraft": ("gull", "sparrow", "girl", "boy", "pilot"),
    "landmark": ("sparrow", "cat", "girl", "boy"),
}


@cache
def _friends_of(group: str, realm: str, he: str, groups: frozenset[str]) -> tuple[Kind, ...]:
    """Return the kinds that suit as friends of heroes of a group, realm and pronoun."""
    if group in _SMALL_FRIENDS:
        options: tuple[Kind, ...] = tuple(kinds()[noun] for noun in _SMALL_FRIENDS[group])
    elif realm == "water":
        options = kinds_of("swimmer")
    elif group == "animal":
        options = kinds_of("animal", "air" if realm == "ice" else realm)
    elif group == "sky":
        options = (*kinds_of("animal", "air"), kinds()["girl"], kinds()["boy"])
    else:
        options = (*kinds_of("animal", "land"), *kinds_of("person"))
    return tuple(kind for kind in options if kind.group in groups and kind.pronoun != he)


class Cast(NamedTuple):
    """The characters of a tale, its thing and its looks."""

    hero: Actor
    friend: Actor
    trait: str
    thing: str
    look: str


def cast_slots(rng: Rng, cast: Cast, paired: bool = False) -> dict[str, str]:
    """Return the slots of a tale; `paired` if its opening introduces the friend as well."""
    a, b = cast.hero, cast.friend
    he, him, his, himself = _PRONOUNS[a.he]
    bhe, bhim, bhis, bhimself = _PRONOUNS[b.he]
    if a.he == b.he:  # so that no pronoun is ambiguous
        bhe, bhim, bhis = b.name, b.name, f"{b.name}'s"
    kind, bkind, realm = a.kind.noun, b.kind.noun, a.kind.realm
    first, second = sample(rng, places_of(realm), 2)
    named = choose(rng, ("named", "called"))
    described = f"{cast.trait} {kind}" if cast.trait else kind
    table = tale_sections("places.txt")
    elders = [one for one in table[f"{realm} elders"] if kind not in one and bkind not in one]
    return {
        "A": a.name,
        "kind": kind,
        "desc": described,
        "Aintro": f"{article(described)} {described} {named} {a.name}",
        "he": he,
        "him": him,
        "his": his,
        "himself": himself,
        "B": b.name,
        "bkind": bkind,
        "Bintro": f"{article(bkind)} {bkind} {named} {b.name}",
        "Bnew": b.name if paired else _introduction(rng, b, his),
        "Bone": b.name if paired else f"{article(bkind)} {bkind} {named} {b.name}",
        "Bfriend": b.name if paired else _as_friend(b, his),
        "bhe": bhe,
        "bhim": bhim,
        "bhis": bhis,
        "bhimself": bhimself,
        "C": choose(rng, elders),
        "O": cast.thing,
        "RO": f"{cast.look} {cast.thing}",
        "place1": first.at,
        "bare1": first.bare,
        "place2": second.at,
        "bare2": second.bare,
        "home": choose(rng, table[f"{realm} home"]),
        "walked": choose(rng, table[f"{realm} moves"]),
    }


def _introduction(rng: Rng, b: Actor, his: str) -> str:
    """Return how a tale first names the friend."""
    kind = b.kind.noun
    ways = [f"{article(kind)} {kind} called {b.name}", f"{article(kind)} {kind} named {b.name}"]
    return choose(rng, (*ways, _as_friend(b, his)))


def _as_friend(b: Actor, his: str) -> str:
    is_child = b.kind.noun in ("girl", "boy")
    return f"{his} friend {b.name}" if is_child else f"{his} friend {b.name} the {b.kind.noun}"
