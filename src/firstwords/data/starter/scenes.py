"""Scenes: a few sentences about two or three people, with questions that have one right answer.

The small world behind a scene keeps who is where and who has what, so a question asks for how
things stand at the end. What is told about a person is a *situation* ("likes Ada plums"); a fifth
of the situations are kept for the exam and stand in no scene of training.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache

from .holdout import held_out
from .phrase import Rand, pick, say, sections, some, whole
from .stories import Asked
from .world import Place, places

TRIES = 40


class NothingLeft(Exception):
    """All values are used up: this scene cannot go on as it was drawn."""


@dataclass
class Scene:
    """What has been told so far, and how things stand."""

    r: Rand
    people: list[dict[str, str]]
    kept: bool = False  # whether a situation of the exam may be told now
    told: list[str] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    moves: dict[str, tuple[str, dict[str, str]]] = field(default_factory=dict)
    things: dict[str, tuple[str, dict[str, str]]] = field(default_factory=dict)

    def wording(self, name: str) -> tuple[str, ...]:
        return sections("scenes.txt")[name]

    def fresh(self, values: tuple[str, ...], kind: str, who: str) -> str:
        """A value that no one else in this scene has, of a situation that may be told. Raises
        NothingLeft."""
        for _ in range(TRIES):
            value = pick(self.r, values)
            if value not in self.used and held_out("story", f"{kind} {who} {value}") == self.kept:
                self.used.add(value)
                return value
        raise NothingLeft

    def tell(self, kind: str, slots: dict[str, str]) -> None:
        self.told.append(say(self.r, self.wording(f"{kind} say"), slots))

    def ask(self, kind: str, slots: dict[str, str]) -> None:
        for line in self.wording(f"{kind} ask"):
            question, answer, key = (say(self.r, (part,), slots) for part in line.split(" => "))
            self.asked.append(Asked(question, answer, key))

    def state(self, kind: str, person: dict[str, str], value: str, **more: str) -> None:
        """Something that stays as it is told."""
        slots = {**person, "v": value, **more}
        self.tell(kind, slots)
        self.ask(kind, slots)


_LISTS = {
    "likes": "foods",
    "afraid": "fears",
    "becomes": "jobs",
    "does": "deeds",
}


def _plain(kind: str) -> Callable[[Scene, dict[str, str]], None]:
    def event(scene: Scene, person: dict[str, str]) -> None:
        values = scene.wording(_LISTS[kind])
        scene.state(kind, person, scene.fresh(values, kind, person["X"]))

    return event


def _object(scene: Scene, kind: str, who: str) -> str:
    return scene.fresh(sections("cast.txt")["objects"], kind, who)


def _wants(scene: Scene, person: dict[str, str]) -> None:
    look = pick(scene.r, sections("cast.txt")["looks"])
    scene.state("wants", person, f"{look} {_object(scene, 'wants', person['X'])}")


def _feels(scene: Scene, person: dict[str, str]) -> None:
    feeling = scene.fresh(scene.wording("feelings"), "feels", person["X"])
    value, why = feeling.split("|")
    if value in scene.used:
        raise NothingLeft
    scene.used.add(value)
    scene.state("feels", person, value, w=why)


def _finds(scene: Scene, person: dict[str, str]) -> None:
    spot = pick(scene.r, sections("cast.txt")["spots out"])
    scene.state("finds", person, _object(scene, "finds", person["X"]), w=spot)


def _makes(scene: Scene, person: dict[str, str]) -> None:
    elder = pick(scene.r, sections("cast.txt")["elders of children"])
    dish = scene.fresh(scene.wording("dishes"), "makes", person["X"])
    scene.state("makes", person, dish, w=elder)


def _wears(scene: Scene, person: dict[str, str]) -> None:
    colour = pick(scene.r, ("red", "blue", "green", "yellow", "white", "brown", "black", "grey"))
    wardrobe = scene.wording("clothes")
    if person["he"] == "she":
        wardrobe += scene.wording("clothes of girls")
    clothes = scene.fresh(wardrobe, "wears", person["X"])
    pair = "pair of "  # of blue boots: the colour is the boots' own
    worn = clothes.removeprefix(pair)
    scene.state("wears", person, f"{pair if worn != clothes else ''}{colour} {worn}")


def _counts(scene: Scene, person: dict[str, str]) -> None:
    things = scene.fresh(scene.wording("collected"), "counts", person["X"])
    scene.state("counts", person, things, n=str(whole(scene.r, 2, 60)))


@cache
def _places() -> tuple[tuple[str, ...], dict[str, Place]]:
    by_name = {place.bare: place for place in places()}
    return tuple(by_name), by_name


def _goes(scene: Scene, person: dict[str, str]) -> None:
    """A move, or two; where someone is, is asked at the end."""
    names, by_name = _places()
    place = by_name[scene.fresh(names, "goes", person["X"])]
    slots = {**person, "to": place.to, "at": place.at, "bare": place.bare}
    scene.tell("goes", slots)
    scene.moves[person["X"]] = ("goes", slots)
    if scene.r() < 0.35:
        then = by_name[scene.fresh(names, "goes", person["X"])]
        slots = {**person, "to": then.to, "at": then.at, "bare": then.bare, "from": place.at}
        scene.tell("goes on", slots)
        scene.moves[person["X"]] = ("goes on", slots)


def _gets(scene: Scene, person: dict[str, str]) -> None:
    slots = {**person, "v": _object(scene, "gets", person["X"])}
    scene.tell("gets", slots)
    scene.things[slots["v"]] = ("gets", slots)


def _gives(scene: Scene, person: dict[str, str]) -> None:
    """A thing changes hands; who has it, is asked at the end."""
    owned = [v for v, (_, slots) in scene.things.items() if person["X"] in slots.values()]
    other = pick(scene.r, [p for p in scene.people if p is not person])
    if not owned or scene.things[owned[0]][0] == "gives":
        _gets(scene, person)
        owned = [*scene.things][-1:]
    thing = owned[0]
    slots = {**person, "Y": other["X"], "v": thing}
    scene.tell("gives", slots)
    scene.things[thing] = ("gives", slots)


def _hides(scene: Scene, person: dict[str, str]) -> None:
    other = pick(scene.r, [p for p in scene.people if p is not person])
    spot = pick(scene.r, sections("cast.txt")["spots in"])
    thing = _object(scene, "hides", person["X"])
    scene.state("hides", person, thing, w=spot, Y=other["X"])


_EVENTS: dict[str, Callable[[Scene, dict[str, str]], None]] = {
    **{kind: _plain(kind) for kind in _LISTS},
    "wants": _wants,
    "feels": _feels,
    "finds": _finds,
    "makes": _makes,
    "wears": _wears,
    "counts": _counts,
    "goes": _goes,
    "gets": _gets,
    "gives": _gives,
    "hides": _hides,
}
KINDS = tuple(_EVENTS)


def _people(r: Rand) -> list[dict[str, str]]:
    lists = sections("cast.txt")
    she = {"he": "she", "him": "her", "his": "her"}
    he = {"he": "he", "him": "him", "his": "his"}
    girls = [{"X": name, **she} for name in some(r, lists["girls"], 2)]
    boys = [{"X": name, **he} for name in some(r, lists["boys"], 2)]
    return some(r, girls + boys, whole(r, 2, 3))


def scene(r: Rand, questions: int = 3, kept: bool = False) -> tuple[str, tuple[Asked, ...]]:
    """A scene and some of the questions that it answers. With `kept`, one of its situations is one
    of the exam's, and the questions are about that."""
    while True:
        try:
            told, asked = _scene(r, kept)
        except NothingLeft:
            continue
        if asked:
            return " ".join(told), tuple(some(r, asked, questions))


def _scene(r: Rand, kept: bool) -> tuple[list[str], list[Asked]]:
    now = Scene(r, _people(r))
    kinds = some(r, KINDS, whole(r, 1, 3))
    events = [(kind, person) for kind in kinds for person in now.people]
    if r() < 0.5:
        events = some(r, events, len(events))
    # Who has gone somewhere does nothing more: the place told last is where they are.
    events = sorted(events[: whole(r, 2, 6)], key=lambda event: event[0] == "goes")
    exams = whole(r, 0, len(events) - 1) if kept else -1
    about = ""
    filler = whole(r, 0, 2 * len(events))
    for number, (kind, person) in enumerate(events):
        now.kept = number == exams
        if number == filler:
            now.told.append(say(r, now.wording("filler")))
        _EVENTS[kind](now, person)
        if now.kept:
            about = person["X"]
    for kind, slots in now.moves.values():
        now.ask(kind, slots)
    for kind, slots in now.things.values():
        now.ask(kind, slots)
    busy = [person["X"] for _, person in events]
    busy += [slots["Y"] for _, slots in now.things.values() if "Y" in slots]
    return now.told, [
        one
        for one in _clear(now.asked, {name for name in busy if busy.count(name) > 1})
        if about in one.question + one.answer
    ]


# What has more than one answer if the person is told about twice.
_VAGUE = ("What does {} have?", "What does {} want?", "What did {} do?", "What does {} like?")


def _clear(asked: list[Asked], busy: set[str]) -> list[Asked]:
    """The questions that have one answer."""
    vague = {question.format(name) for name in busy for question in _VAGUE}
    questions = [one.question for one in asked]
    once = {question for question in questions if questions.count(question) == 1}
    return [one for one in asked if one.question in once - vague]


def page(r: Rand) -> str:
    """A few scenes, each with what can be asked about it."""
    told = []
    for _ in range(whole(r, 1, 3)):
        text, asked = scene(r, whole(r, 3, 8))
        told.append("\n".join([text, *(f"{one.question}\n{one.answer}" for one in asked)]))
    return "\n\n".join(told)
