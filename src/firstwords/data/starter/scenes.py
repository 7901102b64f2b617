"""Scenes: a few sentences about two or three people, with questions that have one right answer.

A scene tracks who is where and who has what, and its questions ask for the state at its end. What
it says about a person is a *situation* ("likes Ada plums"). A fifth of the situations are held out
for the exam and appear in no scene of training.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache

from firstwords.data.starter.cast import Place, places
from firstwords.data.starter.holdout import is_held_out
from firstwords.data.starter.rng import Rng, choose, randint, sample
from firstwords.data.starter.stories import StoryQuestion
from firstwords.data.starter.tables import table_sections
from firstwords.data.starter.templates import make_sentence

MAX_TRIES = 40


class NoValueLeft(Exception):
    """Raised when a scene needs a value and finds none that is unused and allowed."""


@dataclass
class Scene:
    """A scene while it is written: its sentences and questions so far, and its state."""

    rng: Rng
    people: list[dict[str, str]]
    held_out: bool = False  # whether the next situation is one of the exam's
    sentences: list[str] = field(default_factory=list)
    questions: list[StoryQuestion] = field(default_factory=list)
    used_values: set[str] = field(default_factory=set)
    # The last event that moved a person or handed over a thing: its kind and slots.
    moves: dict[str, tuple[str, dict[str, str]]] = field(default_factory=dict)
    things: dict[str, tuple[str, dict[str, str]]] = field(default_factory=dict)

    def wording(self, name: str) -> tuple[str, ...]:
        return table_sections("scenes.txt")[name]

    def unused_value(self, values: tuple[str, ...], kind: str, who: str) -> str:
        """Return a value not used in this scene, whose situation matches `self.held_out`.

        Raises NoValueLeft.
        """
        for _ in range(MAX_TRIES):
            value = choose(self.rng, values)
            if (
                value not in self.used_values
                and is_held_out("story", f"{kind} {who} {value}") == self.held_out
            ):
                self.used_values.add(value)
                return value
        raise NoValueLeft

    def add_sentence(self, kind: str, slots: dict[str, str]) -> None:
        self.sentences.append(make_sentence(self.rng, self.wording(f"{kind} say"), slots))

    def add_questions(self, kind: str, slots: dict[str, str]) -> None:
        for line in self.wording(f"{kind} ask"):
            question, answer, keywords = (
                make_sentence(self.rng, (part,), slots) for part in line.split(" => ")
            )
            self.questions.append(StoryQuestion(question, answer, keywords))

    def add_situation(self, kind: str, person: dict[str, str], value: str, **more: str) -> None:
        """Add a sentence that stays true to the end of the scene, and its questions."""
        slots = {**person, "v": value, **more}
        self.add_sentence(kind, slots)
        self.add_questions(kind, slots)


_VALUE_LISTS = {
    "likes": "foods",
    "afraid": "fears",
    "becomes": "jobs",
    "does": "deeds",
}


def _simple_event(kind: str) -> Callable[[Scene, dict[str, str]], None]:
    def event(scene: Scene, person: dict[str, str]) -> None:
        values = scene.wording(_VALUE_LISTS[kind])
        scene.add_situation(kind, person, scene.unused_value(values, kind, person["X"]))

    return event


def _unused_object(scene: Scene, kind: str, who: str) -> str:
    return scene.unused_value(table_sections("cast.txt")["objects"], kind, who)


def _wants(scene: Scene, person: dict[str, str]) -> None:
    look = choose(scene.rng, table_sections("cast.txt")["looks"])
    scene.add_situation("wants", person, f"{look} {_unused_object(scene, 'wants', person['X'])}")


def _feels(scene: Scene, person: dict[str, str]) -> None:
    feeling = scene.unused_value(scene.wording("feelings"), "feels", person["X"])
    value, why = feeling.split("|")
    if value in scene.used_values:
        raise NoValueLeft
    scene.used_values.add(value)
    scene.add_situation("feels", person, value, w=why)


def _finds(scene: Scene, person: dict[str, str]) -> None:
    spot = choose(scene.rng, table_sections("cast.txt")["spots out"])
    scene.add_situation("finds", person, _unused_object(scene, "finds", person["X"]), w=spot)


def _makes(scene: Scene, person: dict[str, str]) -> None:
    elder = choose(scene.rng, table_sections("cast.txt")["elders of children"])
    dish = scene.unused_value(scene.wording("dishes"), "makes", person["X"])
    scene.add_situation("makes", person, dish, w=elder)


def _wears(scene: Scene, person: dict[str, str]) -> None:
    colour = choose(
        scene.rng, ("red", "blue", "green", "yellow", "white", "brown", "black", "grey")
    )
    wardrobe = scene.wording("clothes")
    if person["he"] == "she":
        wardrobe += scene.wording("clothes of girls")
    clothes = scene.unused_value(wardrobe, "wears", person["X"])
    pair = "pair of "  # the colour goes before the noun: "pair of blue boots"
    worn = clothes.removeprefix(pair)
    scene.add_situation("wears", person, f"{pair if worn != clothes else ''}{colour} {worn}")


def _counts(scene: Scene, person: dict[str, str]) -> None:
    things = scene.unused_value(scene.wording("collected"), "counts", person["X"])
    scene.add_situation("counts", person, things, n=str(randint(scene.rng, 2, 60)))


@cache
def _places_by_name() -> tuple[tuple[str, ...], dict[str, Place]]:
    by_name = {place.bare: place for place in places()}
    return tuple(by_name), by_name


def _goes(scene: Scene, person: dict[str, str]) -> None:
    """Add one move or two; the question about the final place is added at the end."""
    names, by_name = _places_by_name()
    place = by_name[scene.unused_value(names, "goes", person["X"])]
    slots = {**person, "to": place.to, "at": place.at, "bare": place.bare}
    scene.add_sentence("goes", slots)
    scene.moves[person["X"]] = ("goes", slots)
    if scene.rng() < 0.35:
        second = by_name[scene.unused_value(names, "goes", person["X"])]
        slots = {**person, "to": second.to, "at": second.at, "bare": second.bare, "from": place.at}
        scene.add_sentence("second move", slots)
        scene.moves[person["X"]] = ("second move", slots)


def _gets(scene: Scene, person: dict[str, str]) -> None:
    slots = {**person, "v": _unused_object(scene, "gets", person["X"])}
    scene.add_sentence("gets", slots)
    scene.things[slots["v"]] = ("gets", slots)


def _gives(scene: Scene, person: dict[str, str]) -> None:
    """Hand over a thing; the question about its final owner is added at the end."""
    owned = [v for v, (_, slots) in scene.things.items() if person["X"] in slots.values()]
    other = choose(scene.rng, [p for p in scene.people if p is not person])
    if not owned or scene.things[owned[0]][0] == "gives":
        _gets(scene, person)
        owned = [*scene.things][-1:]
    thing = owned[0]
    slots = {**person, "Y": other["X"], "v": thing}
    scene.add_sentence("gives", slots)
    scene.things[thing] = ("gives", slots)


def _hides(scene: Scene, person: dict[str, str]) -> None:
    other = choose(scene.rng, [p for p in scene.people if p is not person])
    spot = choose(scene.rng, table_sections("cast.txt")["spots in"])
    thing = _unused_object(scene, "hides", person["X"])
    scene.add_situation("hides", person, thing, w=spot, Y=other["X"])


_EVENTS: dict[str, Callable[[Scene, dict[str, str]], None]] = {
    **{kind: _simple_event(kind) for kind in _VALUE_LISTS},
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


def _people(rng: Rng) -> list[dict[str, str]]:
    lists = table_sections("cast.txt")
    she = {"he": "she", "him": "her", "his": "her"}
    he = {"he": "he", "him": "him", "his": "his"}
    girls = [{"X": name, **she} for name in sample(rng, lists["girls"], 2)]
    boys = [{"X": name, **he} for name in sample(rng, lists["boys"], 2)]
    return sample(rng, girls + boys, randint(rng, 2, 3))


def make_scene(
    rng: Rng, n_questions: int = 3, held_out: bool = False
) -> tuple[str, tuple[StoryQuestion, ...]]:
    """Return a scene and up to `n_questions` of the questions that it answers.

    With `held_out`, exactly one of its situations is held out for the exam, and the questions are
    about the person in it.
    """
    while True:
        try:
            sentences, questions = _write_scene(rng, held_out)
        except NoValueLeft:
            continue
        if questions:
            return " ".join(sentences), tuple(sample(rng, questions, n_questions))


def _write_scene(rng: Rng, held_out: bool) -> tuple[list[str], list[StoryQuestion]]:
    scene = Scene(rng, _people(rng))
    kinds = sample(rng, KINDS, randint(rng, 1, 3))
    events = [(kind, person) for kind in kinds for person in scene.people]
    if rng() < 0.5:
        events = sample(rng, events, len(events))
    # Moves come last, so that people still are where they last went when the scene ends.
    events = sorted(events[: randint(rng, 2, 6)], key=lambda event: event[0] == "goes")
    held_out_event = randint(rng, 0, len(events) - 1) if held_out else -1
    subject = ""
    filler = randint(rng, 0, 2 * len(events))
    for number, (kind, person) in enumerate(events):
        scene.held_out = number == held_out_event
        if number == filler:
            scene.sentences.append(make_sentence(rng, scene.wording("filler")))
        _EVENTS[kind](scene, person)
        if scene.held_out:
            subject = person["X"]
    for kind, slots in scene.moves.values():
        scene.add_questions(kind, slots)
    for kind, slots in scene.things.values():
        scene.add_questions(kind, slots)
    busy = [person["X"] for _, person in events]
    busy += [slots["Y"] for _, slots in scene.things.values() if "Y" in slots]
    return scene.sentences, [
        q
        for q in _unambiguous(scene.questions, {name for name in busy if busy.count(name) > 1})
        if subject in q.question + q.answer
    ]


# Questions with more than one answer if the person takes part in two events.
_AMBIGUOUS = ("What does {} have?", "What does {} want?", "What did {} do?", "What does {} like?")


def _unambiguous(questions: list[StoryQuestion], busy: set[str]) -> list[StoryQuestion]:
    """Return the questions with one answer; `busy` people take part in several events."""
    ambiguous = {question.format(name) for name in busy for question in _AMBIGUOUS}
    texts = [q.question for q in questions]
    unique = {text for text in texts if texts.count(text) == 1}
    return [q for q in questions if q.question in unique - ambiguous]


def page(rng: Rng) -> str:
    """Return one to three scenes, each with questions and answers about it."""
    scenes = []
    for _ in range(randint(rng, 1, 3)):
        text, questions = make_scene(rng, randint(rng, 3, 8))
        scenes.append("\n".join([text, *(f"{q.question}\n{q.answer}" for q in questions)]))
    return "\n\n".join(scenes)
