"""The plots of tales: parsed, and checked against the world.

A plot of `plots/*.txt` reads as follows.

    == the lent coat              its name
    : PN kind                     groups of heroes (see GROUPS) and moods
    : with P                      groups of friends, if not all suit; "alone" if there is none
    : thing key, coat             the thing {O}; "any" for whatever can be carried
    : place built                 {P} is the place that the tale is about: built, wild or any
    : about snow, the snow        what it is about; such a tale introduces its hero itself
    : hero king                   the kind of its hero
    : end happy friends           the sections of `endings.txt` that suit, if not the moods
    : no rain cold                the second threads that do not suit
    = a,b: x~y / x2~y2            slots of the plot; one of the sets is chosen at random
    > setup // In the end, end.   the tale in two or three sentences
    m a moral / another           what it teaches
    ? question => answer => keywords
    - a beat ## A gets key; ...   what happens, and how it changes the world (`world.py`)
    or the same beat in other words
    ~                             a place where a second thread of the tale may continue
"""

import re
from functools import cache
from typing import NamedTuple

from firstwords.data.starter.tables import text_files, without_comments
from firstwords.data.starter.tales.world import World, world_after

# The letters of the groups of kinds.
GROUPS = {
    "P": "person",
    "N": "animal",
    "W": "swimmer",
    "R": "creature",
    "T": "thing",
    "F": "food",
    "V": "vehicle",
    "B": "boat",
    "A": "aircraft",
    "M": "landmark",
    "S": "sky",
    "L": "plant",
}
MOODS = ("happy", "funny", "sad", "scary", "quiet", "kind")


class Question(NamedTuple):
    """A question about a tale, as templates; `keywords` make an answer right."""

    question: str
    answer: str
    keywords: str


class Plot(NamedTuple):
    """What happens in a tale."""

    name: str
    heroes: frozenset[str]  # groups
    friends: frozenset[str]  # groups; empty if the hero is alone
    moods: tuple[str, ...]
    things: tuple[str, ...]  # "any", or nouns; empty if there is no {O}
    place: str  # "built", "wild", "any", or empty
    about: tuple[str, ...]
    hero: str  # a noun; "" for any of its groups
    endings: tuple[str, ...]
    choices: tuple[tuple[tuple[str, ...], tuple[tuple[str, ...], ...]], ...]  # keys, options
    setup: str
    outcome: str
    morals: tuple[str, ...]
    questions: tuple[Question, ...]
    parts: tuple[str, ...]  # templates; between them a second thread may continue
    world: World  # at the end
    without: tuple[str, ...]  # names of threads
    size: int  # about how many characters it has


def parse_plots(text: str) -> list[Plot]:
    """Return the plots of a file without comments."""
    return [_parse(block) for block in re.split(r"^== ", text, flags=re.MULTILINE)[1:]]


def _parse(block: str) -> Plot:
    name, *lines = [line.strip() for line in block.splitlines() if line.strip()]
    fields: dict[str, str] = {}
    choices, questions, effects = [], [], []
    beats: list[list[str]] = []
    parts: list[list[list[str]]] = [beats]
    setup = outcome = ""
    morals: tuple[str, ...] = ()
    for line in lines:
        mark, _, rest = line.partition(" ")
        if mark == ":":
            key, _, value = rest.partition(" ")
            is_field = key in ("with", "alone", "thing", "place", "about", "hero", "end", "no")
            fields[key if is_field else "heroes"] = value if is_field else rest
        elif mark == "=":
            keys, options = rest.split(":", 1)
            rows = tuple(tuple(cell.strip() for cell in o.split("~")) for o in options.split(" / "))
            choices.append((tuple(keys.split(",")), rows))
        elif mark == ">":
            setup, outcome = rest.split(" // ")
        elif mark == "m":
            morals = tuple(rest.split(" / "))
        elif mark == "?":
            questions.append(Question(*rest.split(" => ")))
        elif mark == "~":
            parts.append([])
        elif mark == "-":
            beat, _, changes = rest.partition(" ## ")
            effects += [change.strip() for change in changes.split(";") if change.strip()]
            parts[-1].append([beat])
        elif mark == "or":
            parts[-1][-1].append(rest)
        else:
            raise ValueError(f"{name}: unknown mark in line {line!r}")
    groups, *moods = fields.get("heroes", "PNR happy").split()
    friends = fields.get("with", "".join(GROUPS))
    return Plot(
        name,
        frozenset(GROUPS[letter] for letter in groups),
        frozenset() if "alone" in fields else frozenset(GROUPS[letter] for letter in friends),
        tuple(moods),
        tuple(filter(None, (noun.strip() for noun in fields.get("thing", "").split(",")))),
        (fields["place"] or "any") if "place" in fields else "",
        tuple(filter(None, (noun.strip() for noun in fields.get("about", "").split(",")))),
        fields.get("hero", ""),
        tuple(fields.get("end", " ".join(moods)).split()),
        tuple(choices),
        setup,
        outcome,
        morals,
        tuple(questions),
        tuple(" ".join(_one_of(beat) for beat in part) for part in parts),
        _checked_world(name, effects),
        tuple(fields.get("no", "").split()),
        _size(" ".join(" ".join(_one_of(beat) for beat in part) for part in parts)),
    )


_CHOICE = re.compile(r"\[([^\[\]|]*)\|[^\[\]]*\]")


def _size(template: str) -> int:
    """Return about how long the text of a template is."""
    while (shorter := _CHOICE.sub(r"\1", template)) != template:
        template = shorter
    return len(re.sub(r"\{[^}]*\}", "names", template))


def _one_of(ways: list[str]) -> str:
    return ways[0] if len(ways) == 1 else f"[{'|'.join(ways)}]"


def _checked_world(name: str, effects: list[str]) -> World:
    try:
        return world_after(effects)
    except ValueError as problem:
        raise ValueError(f"plot {name!r}: {problem}") from problem


@cache
def tale_plots() -> tuple[Plot, ...]:
    """Return all plots.

    Raises ValueError if one is not well formed, or takes for granted what is not so.
    """
    found: list[Plot] = []
    for _, text in text_files(__package__, "plots"):
        found += parse_plots(without_comments(text))
    return tuple(found)
