"""Tales about a wish: a goal, an obstacle, attempts, a helper or an idea, success, consequences.

`wishes.txt` has the wishes and the wording of each step. The planner draws the steps and remembers
them: who was helped comes back to help, and who laughed has the last word to say.
"""

from functools import cache
from typing import NamedTuple

from firstwords.data.starter.rng import Rng, choose
from firstwords.data.starter.tales.kinds import kinds_of, portable_things, tale_sections
from firstwords.data.starter.tales.plots import GROUPS, Question
from firstwords.data.starter.templates import fill_template

_CELLS = ("V", "did", "doing", "groups", "fail", "advice", "success")


class Wish(NamedTuple):
    """What a hero wants to do."""

    slots: dict[str, str]  # V "dance", did "danced", doing "dancing", fail, advice, success
    groups: tuple[str, ...]  # of heroes


class WishPlan(NamedTuple):
    """A tale about a wish, as templates."""

    beats: tuple[str, ...]
    setup: str
    outcome: str
    questions: tuple[Question, ...]
    slots: dict[str, str]
    has_friend: bool


@cache
def _rows() -> tuple[tuple[str, ...], ...]:
    rows = tale_sections("wishes.txt")["wishes"]
    return tuple(tuple(cell.strip() for cell in row.split("|")) for row in rows)


@cache
def _rows_for(group: str) -> tuple[tuple[str, ...], ...]:
    """Return the wishes of heroes of a group; all wishes if it has none or is empty."""
    letter = next((letter for letter, name in GROUPS.items() if name == group), "")
    return tuple(row for row in _rows() if letter and letter in row[3]) or _rows()


def draw_wish(rng: Rng, group: str = "") -> Wish:
    """Return a wish, of heroes of a group if given.

    If it is about some thing or somebody, that is drawn too.
    """
    row = choose(rng, _rows_for(group))
    cells = dict(zip(_CELLS, row, strict=True))
    groups = tuple(GROUPS[letter] for letter in cells.pop("groups"))
    first, _, rest = cells["V"].partition(": ")
    if rest:
        cells["V"], cells["x"] = rest, choose(rng, _nouns_of(first))
        for key in ("V", "did", "doing"):
            cells[key] = fill_template(rng, cells[key], cells)
    return Wish(cells, groups)


def _nouns_of(what: str) -> tuple[str, ...]:
    if what == "portable":
        return portable_things()
    return tuple(kind.noun for kind in kinds_of(*what.split()))


_OBSTACLES = ("laughed", "untaught", "afraid", "forbidden")
_HELPERS = ("return", "return", "friend", "elder")


def plan_wish(rng: Rng, wish: Wish, is_living: bool) -> WishPlan:
    """Return the steps of a tale about this wish, each following from those before."""
    steps = tale_sections("wishes.txt")
    obstacle, helper = choose(rng, _OBSTACLES), choose(rng, _HELPERS)
    if helper == "elder" and obstacle in ("laughed", "forbidden"):
        helper = "friend"  # who laughed does not help
    slots = dict(wish.slots)
    names = ["goal", obstacle, "attempt"]
    if helper == "return":
        able = steps["need,deed"] if is_living else steps["need,deed of things"]
        need, deed = choose(rng, able).split(" ~ ")
        slots["need"], slots["deed"] = need, deed
        names.append("deed")
    names.append(helper)
    if rng() < 0.6:
        names.append("practice")
    names.append("success")
    names.append(f"after {obstacle if rng() < 0.6 else helper}")
    helped = {"return": "{B}", "friend": "{B}", "elder": "{C}"}[helper]
    questions = [
        Question("What did {A} want?", "{A} wanted to {V}.", "{V}"),
        Question("What happened the first time?", "The first time, {he} {fail}.", "{fail}"),
        Question("Who gave {A} advice?", f"{helped} gave {{A}} advice.", helped),
        Question("Did it work in the end?", "Yes. In the end, {A} {success}.", "Yes"),
    ]
    if helper == "return":
        questions += [
            Question(
                "Why did {B} help {A}?",
                "{B} helped {A} because {A} had been kind: {A} {deed}.",
                "{deed}",
            ),
            Question("How did {A} help {B}?", "{A} {deed}.", "{deed}"),
        ]
    if obstacle == "laughed":
        questions.append(Question("Who laughed at {A}?", "{C} laughed at {A}.", "{C}"))
    return WishPlan(
        tuple(choose(rng, steps[name]) for name in names),
        "{A} wanted to {V}, but the first time {he} {fail}.",
        "In the end, with the help of {helper}, {A} {success}.".replace("{helper}", _SHORT[helper]),
        tuple(questions),
        slots,
        helper != "elder",
    )


_SHORT = {"return": "{Bnew}", "friend": "{Bnew}", "elder": "{C}"}
