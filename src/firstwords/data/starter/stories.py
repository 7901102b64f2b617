"""Stories: a plot from `plots.txt` played out by a cast, with questions that it answers.

The plot says what happens step by step; the world keeps who has the object and who is where, so
that every question asked afterwards has one right answer, and the answer stands in the story.
"""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

from .holdout import held_out
from .phrase import Rand, fill, pick, say, sections, some, table_text
from .world import cast, slots_of


class Asked(NamedTuple):
    """A question about a story, the answer as a sentence, and the words that matter in it."""

    question: str
    answer: str
    key: str


class Story(NamedTuple):
    """A told story and what can be asked about it. The situation is the plot with its thing and
    its first place: a fifth of them are kept for the exam."""

    plot: str
    situation: str
    title: str
    text: str
    asked: tuple[Asked, ...]
    slots: dict[str, str]


class _Step(NamedTuple):
    """One step of a plot: lines to tell (`lines`), or an action (`action`), and its questions."""

    name: str
    lines: tuple[str, ...]
    action: tuple[str, ...]
    asks: tuple[tuple[str, str, str], ...]


class _Plot(NamedTuple):
    name: str
    setting: str
    things: str
    sets: tuple[tuple[tuple[str, ...], tuple[tuple[str, ...], ...]], ...]
    steps: tuple[_Step, ...]


def _parse_plot(block: str) -> _Plot:
    name, *lines = [line.strip() for line in block.splitlines() if line.strip()]
    sets, steps, setting, things = [], [], "", ""
    for line in lines:
        if line.startswith("@ "):
            setting = line[2:]
        elif line.startswith("* "):
            things = line[2:]
        elif line.startswith("= "):
            keys, options = line[2:].split(":", 1)
            rows = [tuple(cell.strip() for cell in o.split("~")) for o in options.split(" / ")]
            sets.append((tuple(keys.split(",")), tuple(rows)))
        elif line.startswith("! "):
            steps.append(_Step(line, (), tuple(line[2:].split()), ()))
        elif line.startswith("-- "):
            steps.append(_Step(line[3:], (), (), ()))
        elif line.startswith("? "):
            question, answer, key = line[2:].split(" => ")
            steps[-1] = steps[-1]._replace(asks=(*steps[-1].asks, (question, answer, key)))
        else:
            steps[-1] = steps[-1]._replace(lines=(*steps[-1].lines, line))
    sets.sort(key=lambda one: one[0] == ("title",))  # a title may name what is chosen
    return _Plot(name, setting, things, tuple(sets), tuple(steps))


@cache
def plots() -> tuple[_Plot, ...]:
    """All plots, read once."""
    blocks = re.split(r"^== ", table_text("plots.txt"), flags=re.MULTILINE)[1:]
    return tuple(_parse_plot(block) for block in blocks)


_START = re.compile(r"(?<=[.!?] )[a-z]")


class _Tale:
    """A story while it is being told: what has been said, who has what, who is where."""

    def __init__(self, r: Rand, brief: bool, plot: _Plot) -> None:
        self.r = r
        self.brief = brief
        self.slots = slots_of(r, cast(r, plot.setting, plot.things))
        self.actions = sections("actions.txt")
        self.told: list[str] = []
        self.asked: list[tuple[str, str, str]] = []
        self.where: dict[str, tuple[str, str, str]] = {}

    def say(self, lines: tuple[str, ...]) -> None:
        self.told.append(say(self.r, lines, self.slots))

    def open(self, trait: str) -> None:
        """Who the hero is, and perhaps what the day was like."""
        self.say(self.actions["open"])
        plain = self.slots["Aplain"]
        kind = plain.split(" ", 1)[1]
        if kind not in ("girl", "boy"):
            self.asked.append(("What kind of animal was {A}?", f"{{A}} was a {kind}.", kind))
            if kind[0] in "aeiou":
                self.asked[-1] = ("What kind of animal was {A}?", f"{{A}} was an {kind}.", kind)
        self.asked.append(("What was {A} like?", "{A} was {trait}.", trait))
        self.slots["trait"] = trait
        if not self.brief:
            if self.r() < 0.6:
                self.say(self.actions[f"trait {trait}"])
            if self.r() < 0.6:
                self.say(("<scenery>.", "<scenery>.", f"<{self.slots['season']}>."))

    def act(self, action: tuple[str, ...]) -> None:
        """Something happens that changes the world: go, give, take, meet, or a feeling."""
        verb, who, *rest = action
        slots = self.slots
        for role, small in (("X", who), ("Y", rest[0] if rest else "")):
            if small not in ("A", "B"):
                continue
            slots[role] = slots[small]
            mark = "b" if small == "B" else ""
            for form in ("he", "him", "his"):
                slots[role.lower() + form] = slots[mark + form]
        lines = self.actions[verb]
        if verb in ("go", "run"):
            place = rest[0]
            slots["to"] = slots[f"to{place}"]
            self.where[who] = slots[f"place{place}"], slots[f"bare{place}"], slots[f"side{place}"]
        elif verb == "meet":
            slots["ynew"] = slots["Bnew"]
            if who in self.where:
                place, bare, side = self.where[who]
                lines += self.actions["meet in" if side == "in" else "meet out"]
                self.asked.append(("Where did {A} meet {B}?", f"{{A}} met {{B}} {place}.", bare))
        elif verb == "give":
            to = rest[0]
            answer = f"{{{who}}} gave {{{to}}} the {{O}}."
            self.asked.append((f"Who gave {{{to}}} the {{O}}?", answer, f"{{{who}}}"))
        self.say(lines)

    def play(self, plot: _Plot) -> None:
        for keys, options in plot.sets:
            for key, value in zip(keys, pick(self.r, options), strict=True):
                self.slots[key] = fill(self.r, value, self.slots)
        for step in plot.steps:
            if step.action:
                optional = step.action[0] in ("happy", "sad", "thank")
                if not optional or self.r() < (0.3 if self.brief else 0.75):
                    self.act(step.action)
            else:
                self.say(step.lines)
            self.asked.extend(step.asks)

    def close(self) -> None:
        if not self.brief and self.r() < 0.35:
            self.say(self.actions["moral"])
        if self.r() < (0.3 if self.brief else 0.75):
            self.say(self.actions["end"])


def story(r: Rand, brief: bool = False, questions: int = 3, kept: bool = False) -> Story:
    """A story, shorter if `brief`, with up to `questions` of the questions it answers. Its
    situation is one that training may tell, or one that the exam keeps."""
    while True:
        plot = pick(r, plots())
        tale = _Tale(r, brief, plot)
        situation = f"{plot.name}:{tale.slots['O']}:{tale.slots['bare1']}"
        if held_out("story", situation) == kept:
            return _told(tale, plot, situation, questions)


@cache
def _titles(missing: tuple[str, ...]) -> tuple[str, ...]:
    """The titles without these slots: a title names nothing that the story does not tell of."""
    lines = sections("actions.txt")["title"]
    return tuple(line for line in lines if not any(f"{{{key}}}" in line for key in missing))


def _told(tale: _Tale, plot: _Plot, situation: str, questions: int) -> Story:
    r = tale.r
    trait = tale.slots["Aplain"].split(" ", 1)[0]
    tale.open(trait)
    tale.play(plot)
    tale.close()
    text = _START.sub(lambda m: m[0].upper(), " ".join(tale.told))
    missing = tuple(key for key in ("B", "RO", "bare1", "place1") if tale.slots[key] not in text)
    title = say(r, _titles(missing), tale.slots)
    asked = []
    for question, answer, key in some(r, tale.asked, questions):
        said = say(r, (answer,), tale.slots)
        asked.append(Asked(say(r, (question,), tale.slots), said, fill(r, key, tale.slots)))
    return Story(plot.name, situation, title, text, tuple(asked), tale.slots)
