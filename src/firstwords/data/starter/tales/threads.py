"""Second threads: small events that begin early in a tale and matter again at its end."""

import re
from functools import cache
from typing import NamedTuple

from firstwords.data.starter.tales.kinds import tale_text
from firstwords.data.starter.tales.plots import GROUPS, Question
from firstwords.data.starter.tales.world import world_after


class Thread(NamedTuple):
    """A thread: a beginning, perhaps a middle, and an end, as templates."""

    name: str
    heroes: frozenset[str]
    choices: tuple[tuple[tuple[str, ...], tuple[tuple[str, ...], ...]], ...]
    beginning: str
    middle: str
    end: str
    questions: tuple[Question, ...]


@cache
def threads() -> tuple[Thread, ...]:
    """Return the threads of `threads.txt`.

    Raises ValueError if one takes for granted what is not so.
    """
    blocks = re.split(r"^== ", tale_text("threads.txt"), flags=re.MULTILINE)[1:]
    return tuple(_parse(block) for block in blocks)


def _parse(block: str) -> Thread:
    name, *lines = [line.strip() for line in block.splitlines() if line.strip()]
    heroes = "PNR"
    choices, questions, effects = [], [], []
    parts: dict[str, list[str]] = {"1": [], "2": [], "3": []}
    for line in lines:
        mark, _, rest = line.partition(" ")
        if mark == ":":
            heroes = rest
        elif mark == "=":
            keys, options = rest.split(":", 1)
            rows = tuple(tuple(cell.strip() for cell in o.split("~")) for o in options.split(" / "))
            choices.append((tuple(keys.split(",")), rows))
        elif mark == "?":
            questions.append(Question(*rest.split(" => ")))
        elif mark in parts:
            text, _, changes = rest.partition(" ## ")
            effects += [change.strip() for change in changes.split(";") if change.strip()]
            parts[mark].append(text)
        else:
            raise ValueError(f"{name}: unknown mark in line {line!r}")
    world_after(effects)
    first, second, third = ("[" + "|".join(ways) + "]" if ways else "" for ways in parts.values())
    return Thread(
        name,
        frozenset(GROUPS[letter] for letter in heroes),
        tuple(choices),
        first,
        second,
        third,
        tuple(questions),
    )
