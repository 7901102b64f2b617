"""A library of texts written for Firstwords: stories, letters, instructions, explanations, verse.

Each file beside this one has pieces of one topic. A piece starts with a line `== Title`; its text
has the marks of `templates.py`, and slots for the people in it, who have other names each time.
"""

from functools import cache
from typing import NamedTuple

from firstwords.data.starter.rng import Rng, choose, sample
from firstwords.data.starter.tables import table_sections, text_files
from firstwords.data.starter.templates import fill_template

TITLE_PROBABILITY = 0.6
_FAMILY_NAMES = (
    *("Hill", "Price", "Bell", "Okafor", "Novak", "Moreno", "Lund", "Patel", "Fisher", "Tanaka"),
    *("Baker", "Cole", "Haddad", "Silva", "Walker", "Kowal", "Green", "Berg", "Costa", "Murphy"),
)
_VILLAGES = (
    *("Ashford", "Millbrook", "Greenfield", "Westbury", "Riverton", "Stonebridge", "Oakham"),
    *("Fairhill", "Ferndale", "Brookside", "Elmwood", "Thornbury", "Larkfield", "Hollow End"),
)


class Piece(NamedTuple):
    """A text with variants. `topic` is the name of its file, such as "howto-kitchen"."""

    topic: str
    title: str
    text: str


@cache
def pieces() -> tuple[Piece, ...]:
    """Return all pieces of the library."""
    found = []
    for topic, texts in text_files(__name__):
        for piece in texts.split("\n== ")[1:]:
            title, _, text = piece.partition("\n")
            found.append(Piece(topic, title.strip(), text.strip()))
    return tuple(found)


def page(rng: Rng) -> str:
    """Return a piece of the library, mostly below its title."""
    piece = choose(rng, pieces())
    template = f"{piece.title}\n\n{piece.text}" if rng() < TITLE_PROBABILITY else piece.text
    return fill_template(rng, template, draw_people(rng))


def draw_people(rng: Rng) -> dict[str, str]:
    """Return names for the slots of a piece, all different."""
    names = table_sections("cast.txt")
    girl, girl2 = sample(rng, names["girls"], 2)
    boy, boy2 = sample(rng, names["boys"], 2)
    woman, man = sample(rng, _FAMILY_NAMES, 2)
    return {
        "girl": girl,
        "girl2": girl2,
        "boy": boy,
        "boy2": boy2,
        "woman": f"Mrs {woman}",
        "man": f"Mr {man}",
        "village": choose(rng, _VILLAGES),
    }
