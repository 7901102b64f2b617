"""Conversations in which a user tells what happened, a piece in each turn.

The episodes are in `episodes.txt`: a loss, a party, a new job. The assistant answers each piece,
asks back, and remembers the names that it heard.
"""

from functools import cache
from typing import NamedTuple

from firstwords.data.starter.everyday.dialogue import tidy
from firstwords.data.starter.everyday.slots import Slots
from firstwords.data.starter.everyday.typed import draw_style, is_never_said, type_out
from firstwords.data.starter.rng import Rng, choose, favouring_first, randint, sample
from firstwords.data.starter.tables import table_sections
from firstwords.data.starter.templates import capitalize, fill_template, make_answer
from firstwords.data.starter.turn import Turn

TABLE = "episodes.txt"
_TRIES = 30


class Beat(NamedTuple):
    """A piece of an episode: ways to say it, and answers."""

    says: tuple[str, ...]
    answers: tuple[str, ...]
    tells: str = ""  # what this beat tells, such as a name
    asks: str = ""  # what it asks for, which another beat has told


@cache
def episodes() -> dict[str, tuple[Beat, ...]]:
    """Return the beats of every episode."""
    return {name: tuple(parse_beats(lines)) for name, lines in table_sections(TABLE).items()}


def parse_beats(lines: tuple[str, ...]) -> list[Beat]:
    """Return the beats in the lines of an episode. Raises ValueError for a line without a mark."""
    beats: list[Beat] = []
    tells = asks = ""
    for line in lines:
        mark, text = line[:2], line[2:]
        if mark == "+ ":
            tells = text
        elif mark == "= ":
            asks = text
        elif mark == "? ":
            if not beats or beats[-1].answers:
                beats.append(Beat((), (), tells, asks))
                tells = asks = ""
            beats[-1] = beats[-1]._replace(says=(*beats[-1].says, text))
        elif mark == "! ":
            beats[-1] = beats[-1]._replace(answers=(*beats[-1].answers, text))
        else:
            raise ValueError(f"not a line of an episode: {line!r}")
    return beats


def episode(rng: Rng) -> list[Turn]:
    """Tell an episode: its first beat and two to four of the others, in order."""
    style, slots = draw_style(rng), Slots(rng)
    first, *others = choose(rng, tuple(episodes().values()))
    places = sorted(sample(rng, range(len(others)), min(len(others), randint(rng, 2, 4))))
    turns: list[Turn] = []
    told: set[str] = set()
    for beat in (first, *(others[place] for place in places)):
        if beat.asks and beat.asks not in told:
            continue
        said = _say(rng, beat, slots)
        if not said:
            continue
        answer = tidy(make_answer(rng, beat.answers, slots))
        turns.append(Turn(type_out(rng, style, said, slots.values()), answer))
        told.add(beat.tells)
    return turns


def _say(rng: Rng, beat: Beat, slots: Slots) -> str:
    """Return a message of the beat that training may show; "" if there is none."""
    for _ in range(_TRIES):
        text = tidy(capitalize(fill_template(rng, choose(favouring_first(rng), beat.says), slots)))
        if not is_never_said(text):
            return text
    return ""
