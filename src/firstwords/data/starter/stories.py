"""Stories: a plot from `plots.txt`, played by a cast, with questions that the story answers.

A plot lists what happens, step by step. The writer tracks who is where, so that every question has
one right answer, and the story contains it.
"""

import re
from functools import cache
from typing import NamedTuple

from firstwords.data.starter.cast import draw_cast, story_slots
from firstwords.data.starter.holdout import is_held_out
from firstwords.data.starter.rng import Rng, choose, sample
from firstwords.data.starter.tables import table_sections, table_text
from firstwords.data.starter.templates import fill_template, make_sentence


class StoryQuestion(NamedTuple):
    """A question about a story or scene, with its answer as a sentence."""

    question: str
    answer: str
    keywords: str  # the part of the answer that makes it right


class Story(NamedTuple):
    """A story with questions about it."""

    plot: str
    situation: str  # plot, object and first place; a fifth of these are held out for the exam
    title: str
    text: str
    questions: tuple[StoryQuestion, ...]
    slots: dict[str, str]


class _Step(NamedTuple):
    """One step of a plot: alternative lines or an action, and the questions that it answers."""

    name: str
    lines: tuple[str, ...]
    action: tuple[str, ...]
    questions: tuple[tuple[str, str, str], ...]  # question, answer, keywords


class _Plot(NamedTuple):
    name: str
    setting: str
    things: str
    slot_choices: tuple[tuple[tuple[str, ...], tuple[tuple[str, ...], ...]], ...]  # keys, options
    steps: tuple[_Step, ...]


def _parse_plot(block: str) -> _Plot:
    name, *lines = [line.strip() for line in block.splitlines() if line.strip()]
    slot_choices, steps, setting, things = [], [], "", ""
    for line in lines:
        if line.startswith("@ "):
            setting = line[2:]
        elif line.startswith("* "):
            things = line[2:]
        elif line.startswith("= "):
            keys, options = line[2:].split(":", 1)
            rows = [tuple(cell.strip() for cell in o.split("~")) for o in options.split(" / ")]
            slot_choices.append((tuple(keys.split(",")), tuple(rows)))
        elif line.startswith("! "):
            steps.append(_Step(line, (), tuple(line[2:].split()), ()))
        elif line.startswith("-- "):
            steps.append(_Step(line[3:], (), (), ()))
        elif line.startswith("? "):
            question, answer, keywords = line[2:].split(" => ")
            steps[-1] = steps[-1]._replace(
                questions=(*steps[-1].questions, (question, answer, keywords))
            )
        else:
            steps[-1] = steps[-1]._replace(lines=(*steps[-1].lines, line))
    # Titles come last: they may use the other slots.
    slot_choices.sort(key=lambda choice: choice[0] == ("title",))
    return _Plot(name, setting, things, tuple(slot_choices), tuple(steps))


@cache
def plots() -> tuple[_Plot, ...]:
    """Return all plots of `plots.txt`."""
    blocks = re.split(r"^== ", table_text("plots.txt"), flags=re.MULTILINE)[1:]
    return tuple(_parse_plot(block) for block in blocks)


_SENTENCE_START = re.compile(r"(?<=[.!?] )[a-z]")


class _StoryWriter:
    """A story while it is written: its sentences and questions so far, and who is where."""

    def __init__(self, rng: Rng, brief: bool, plot: _Plot) -> None:
        self.rng = rng
        self.brief = brief
        self.slots = story_slots(rng, draw_cast(rng, plot.setting, plot.things))
        self.actions = table_sections("actions.txt")
        self.sentences: list[str] = []
        self.questions: list[tuple[str, str, str]] = []
        self.where: dict[str, tuple[str, str, str]] = {}  # by "A" or "B": at, bare, surroundings

    def add_sentence(self, lines: tuple[str, ...]) -> None:
        self.sentences.append(make_sentence(self.rng, lines, self.slots))

    def open(self, trait: str) -> None:
        """Introduce the hero, and perhaps the scenery."""
        self.add_sentence(self.actions["open"])
        kind = self.slots["Aplain"].split(" ", 1)[1]
        if kind not in ("girl", "boy"):
            a = "an" if kind[0] in "aeiou" else "a"
            self.questions.append(("What kind of animal was {A}?", f"{{A}} was {a} {kind}.", kind))
        self.questions.append(("What was {A} like?", "{A} was {trait}.", trait))
        self.slots["trait"] = trait
        if not self.brief:
            if self.rng() < 0.6:
                self.add_sentence(self.actions[f"trait {trait}"])
            if self.rng() < 0.6:
                self.add_sentence(("<scenery>.", "<scenery>.", f"<{self.slots['season']}>."))

    def act(self, action: tuple[str, ...]) -> None:
        """Write an action of `actions.txt` and track what it changes: who is where or has what."""
        verb, who, *rest = action
        slots = self.slots
        for role, character in (("X", who), ("Y", rest[0] if rest else "")):
            if character not in ("A", "B"):
                continue
            slots[role] = slots[character]
            prefix = "b" if character == "B" else ""
            for form in ("he", "him", "his"):
                slots[role.lower() + form] = slots[prefix + form]
        lines = self.actions[verb]
        if verb in ("go", "run"):
            place = rest[0]
            slots["to"] = slots[f"to{place}"]
            self.where[who] = slots[f"place{place}"], slots[f"bare{place}"], slots[f"side{place}"]
        elif verb == "meet":
            slots["ynew"] = slots["Bnew"]
            if who in self.where:
                place, bare, surroundings = self.where[who]
                lines += self.actions["meet in" if surroundings == "in" else "meet out"]
                self.questions.append(
                    ("Where did {A} meet {B}?", f"{{A}} met {{B}} {place}.", bare)
                )
        elif verb == "give":
            receiver = rest[0]
            answer = f"{{{who}}} gave {{{receiver}}} the {{O}}."
            self.questions.append((f"Who gave {{{receiver}}} the {{O}}?", answer, f"{{{who}}}"))
        self.add_sentence(lines)

    def play(self, plot: _Plot) -> None:
        """Fill the plot's own slots, then write its steps in order."""
        for keys, options in plot.slot_choices:
            for key, value in zip(keys, choose(self.rng, options), strict=True):
                self.slots[key] = fill_template(self.rng, value, self.slots)
        for step in plot.steps:
            if step.action:
                optional = step.action[0] in ("happy", "sad", "thank")
                if not optional or self.rng() < (0.3 if self.brief else 0.75):
                    self.act(step.action)
            else:
                self.add_sentence(step.lines)
            self.questions.extend(step.questions)

    def close(self) -> None:
        """Perhaps add a moral and a closing sentence."""
        if not self.brief and self.rng() < 0.35:
            self.add_sentence(self.actions["moral"])
        if self.rng() < (0.3 if self.brief else 0.75):
            self.add_sentence(self.actions["end"])


def make_story(
    rng: Rng, brief: bool = False, n_questions: int = 3, held_out: bool = False
) -> Story:
    """Return a story, shorter if `brief`, with up to `n_questions` questions that it answers.

    Its situation is held out for the exam or one for training, as `held_out` says.
    """
    while True:
        plot = choose(rng, plots())
        writer = _StoryWriter(rng, brief, plot)
        situation = f"{plot.name}:{writer.slots['O']}:{writer.slots['bare1']}"
        if is_held_out("story", situation) == held_out:
            return _write(writer, plot, situation, n_questions)


@cache
def _titles_without(missing: tuple[str, ...]) -> tuple[str, ...]:
    """Return the titles without these slots, so that no title names what its story lacks."""
    lines = table_sections("actions.txt")["title"]
    return tuple(line for line in lines if not any(f"{{{key}}}" in line for key in missing))


def _write(writer: _StoryWriter, plot: _Plot, situation: str, n_questions: int) -> Story:
    rng = writer.rng
    trait = writer.slots["Aplain"].split(" ", 1)[0]
    writer.open(trait)
    writer.play(plot)
    writer.close()
    text = _SENTENCE_START.sub(lambda m: m[0].upper(), " ".join(writer.sentences))
    missing = tuple(key for key in ("B", "RO", "bare1", "place1") if writer.slots[key] not in text)
    title = make_sentence(rng, _titles_without(missing), writer.slots)
    questions = []
    for question, answer, keywords in sample(rng, writer.questions, n_questions):
        answer = make_sentence(rng, (answer,), writer.slots)
        questions.append(
            StoryQuestion(
                make_sentence(rng, (question,), writer.slots),
                answer,
                fill_template(rng, keywords, writer.slots),
            )
        )
    return Story(plot.name, situation, title, text, tuple(questions), writer.slots)
