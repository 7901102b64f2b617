"""What tales can be about: the nouns of `kinds.txt`, and the realms of `places.txt`."""

from functools import cache
from importlib import resources
from typing import NamedTuple

from firstwords.data.starter.tables import parse_sections, without_comments

# "There was once a sister" asks for a second one.
_RELATED = ("sister", "brother", "nephew", "niece", "son", "daughter", "twin")
LIVING = ("person", "animal", "swimmer", "creature")


class Kind(NamedTuple):
    """A noun that can be the hero, a place or a thing of a tale."""

    noun: str
    group: str  # a value of `plots.GROUPS`, or "place"
    realm: str  # where it lives and how it moves: a prefix of the headings of `places.txt`
    pronoun: str  # "she", "he" or "it"; "" for either of she and he
    at: str = ""  # of places: "in", "on" or "at"


class Place(NamedTuple):
    """A place with its preposition."""

    bare: str  # "the mill"
    at: str  # "at the mill"


def tale_text(name: str) -> str:
    """Return the text of a table beside this module, without comments."""
    return without_comments((resources.files(__package__) / name).read_text(encoding="utf-8"))


@cache
def tale_sections(name: str) -> dict[str, tuple[str, ...]]:
    """Return the lines below each heading of a table beside this module."""
    return parse_sections(tale_text(name))


def _nouns(lines: tuple[str, ...]) -> list[str]:
    return [noun.strip() for noun in ",".join(lines).replace(",,", ",").split(",") if noun.strip()]


@cache
def kinds() -> dict[str, Kind]:
    """Return all kinds by noun."""
    found: dict[str, Kind] = {}
    for heading, lines in tale_sections("kinds.txt").items():
        group, *rest = heading.split()
        if group == "portable":
            continue
        last = rest[1] if len(rest) > 1 else ""
        at, pronoun = (last, "it") if group == "place" else ("", last)
        if not pronoun and group not in LIVING:
            pronoun = "it"
        for noun in _nouns(lines):
            found.setdefault(noun, Kind(noun, group, rest[0], pronoun, at))
    return found


@cache
def kinds_of(group: str, realm: str = "") -> tuple[Kind, ...]:
    """Return the kinds of a group, of one realm if given, that can be alone in a tale."""
    found = (k for k in kinds().values() if k.group == group and realm in ("", k.realm))
    return tuple(k for k in found if k.noun not in _RELATED)


@cache
def portable_things() -> tuple[str, ...]:
    """Return the things that somebody can carry."""
    return tuple(_nouns(tale_sections("kinds.txt")["portable"]))


@cache
def places_of(realm: str) -> tuple[Place, ...]:
    """Return the places where heroes of a realm go."""
    cells = [line.split(" | ") for line in tale_sections("places.txt")[f"{realm} places"]]
    return tuple(Place(bare, f"{at} {bare}") for bare, at in cells)
