"""Conversations of up to six turns that wander as people's do.

A greeting, something about the user, a feeling, a question with its follow-up, something to recall,
a goodbye: each part is a function that adds a turn and may use or change what is known of the user
(`_State`). So nothing contradicts what was said before, and answers use the user's name now and
then. The wording is in `wander.txt`; what the assistant asks is in `asked_back.txt`.
"""

import re
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

from firstwords.data.starter.everyday import meanings
from firstwords.data.starter.everyday.about import draw_subject, turns_about
from firstwords.data.starter.everyday.dialogue import another_subject, intent_turn
from firstwords.data.starter.everyday.dictionary import draw_word
from firstwords.data.starter.everyday.intents import Intent, openings
from firstwords.data.starter.everyday.recall import Detail, detail_kinds, draw_detail, statement
from firstwords.data.starter.everyday.slots import Slots, first_names
from firstwords.data.starter.everyday.typed import draw_style
from firstwords.data.starter.everyday.wording import Wording
from firstwords.data.starter.rng import Rng, choose, choose_weighted, randint
from firstwords.data.starter.tables import table_rows, table_sections
from firstwords.data.starter.templates import capitalize
from firstwords.data.starter.turn import Turn

TABLE = "wander.txt"
MAX_TURNS = 6
MAX_CHARACTERS = 620


class AskedBack(NamedTuple):
    """A question of the assistant, and groups of short answers with what it says to each."""

    question: str
    replies: tuple[tuple[tuple[str, ...], str], ...]


@cache
def asked_back() -> tuple[AskedBack, ...]:
    """Return the questions that the assistant asks."""
    found = []
    for question, *cells in table_rows("asked_back.txt"):
        pairs = (cell.split(" : ") for cell in cells)
        replies = tuple((tuple(answers.split("/")), reaction) for answers, reaction in pairs)
        found.append(AskedBack(question, replies))
    return tuple(found)


class _State:
    """What is known of the user, and the turns so far."""

    def __init__(self, rng: Rng) -> None:
        self.rng = rng
        self.style = draw_style(rng)
        self.wording = Wording(rng, TABLE, self.style)
        self.name = ""
        self.told: list[Detail] = []
        self.feeling = ""
        self.recalled: set[str] = set()
        self.turns: list[Turn] = []

    @property
    def slots(self) -> dict[str, str]:
        """The slots for the wording; ", n" is the name after a comma, or nothing."""
        name = self.name if self.rng() < 0.5 else ""
        return {"n": self.name, ", n": f", {name}" if name else "", "f": self.feeling}

    def add(self, name: str, answer: str, **slots: str) -> None:
        """Add a message with an answer, each in the wording of a section."""
        values = {**self.slots, **slots}
        asked = self.wording.ask(name, values, (self.name,))
        self.turns.append(Turn(asked, self.wording.answer(answer, values)))

    # -- the parts of a conversation -------------------------------------------------------------

    def greet(self) -> None:
        if self.rng() < 0.6:
            self.name = choose(self.rng, first_names(False))
            clause = self.wording.answer("name clause", self.slots)
            plain = clause if clause.startswith(("I ", self.name)) else _lowered(clause)
            self.add("hello name", "hello name answer", me=plain, Me=clause)
            return
        asked = self.wording.plain("hello", {})
        name = "how are you answer" if "how are you" in asked.lower() else "hello answer"
        answer = self.wording.answer(name, {})
        self.turns.append(Turn(self.wording.typed(asked, {}), answer))

    def reply_to_greeting(self) -> None:
        """The user answers what the assistant asked in its greeting, if it asked something."""
        asked = self.turns[-1].answer
        if asked.endswith(("name?", "you are?")):
            self.tell("name")
        elif asked.endswith(("are you?", "are you today?", "your day?", "with you?", "And you?")):
            self.feel()
        elif asked.endswith("new?"):
            self.add("nothing new", "nothing new answer")
        elif asked.endswith("about you."):
            self.tell()
        elif asked.endswith(("about?", "help you?")):
            self.question()

    def tell(self, first: str = "") -> None:
        """The user tells one or two things about themselves, of kind `first` if given."""
        taken = {detail.kind for detail in self.told} | ({"name"} if self.name else set())
        kinds = [kind for kind in detail_kinds() if kind not in taken | _ALIKE]
        details = [draw_detail(self.rng, first or choose(self.rng, kinds), False)]
        if self.rng() < 0.25:
            more = [k for k in kinds if k != details[0].kind and k != "name"]
            details.append(draw_detail(self.rng, choose(self.rng, more), False))
        text = statement(self.rng, details)
        answer = capitalize(details[-1].answer(self.rng, "ack"))
        for detail in details:
            if detail.kind == "name":
                self.name = detail.slots["v"]
                answer = capitalize(detail.answer(self.rng, "ack"))
            else:
                self.told.append(detail)
        self.turns.append(Turn(self.wording.typed(text, {}, _kept(details)), answer))

    def feel(self) -> None:
        if self.feeling:
            return self.chat()
        is_good = self.rng() < 0.5
        group = "good" if is_good else "bad"
        self.feeling = choose(self.rng, table_sections(TABLE)[f"{group} feelings"])
        self.add("feel good", f"feel {group} answer")
        if self.turns[-1].answer.endswith("?") and self.rng() < 0.75:
            self.add(f"because {group}", f"because {group} answer")
        return None

    def question(self) -> None:
        """The user asks for something, perhaps with a follow-up."""
        chance = self.rng()
        if chance < 0.3:
            self.turns.append(another_subject(self.rng, self.style))
        elif chance < 0.6:
            wording = Wording(self.rng, meanings.TABLE, self.style)
            word = draw_word(self.rng)
            self.turns.append(meanings.meaning_turn(wording, word, brief=True))
            if self.rng() < 0.4:
                self.turns.append(meanings.about_it(wording, word))
        else:
            subject = draw_subject(self.rng)
            self.turns += turns_about(self.rng, subject, self.style, most=2)

    def chat(self) -> None:
        """The user says something else of everyday life that says nothing about themselves."""
        intent = choose(self.rng, _impersonal())
        turn = intent_turn(self.rng, intent, Slots(self.rng), self.style)
        if len(turn.answer) < 180:
            self.turns.append(turn)

    def asked_back(self) -> None:
        """The assistant asks, the user answers in a word or two, and it reacts to the answer."""
        asked = choose(self.rng, asked_back())
        section = "ask me" if self.rng() < 0.6 else "talk"
        self.add(section, "ask me answer", q=asked.question)
        answers, reaction = choose(self.rng, asked.replies)
        said = capitalize(choose(self.rng, answers))
        said += choose(self.rng, (".", ".", "!", ""))
        self.turns.append(Turn(self.wording.typed(said, {}), reaction))
        if not reaction.endswith("?") and self.rng() < 0.2:
            self.add("and you", "and you answer")

    def recall(self) -> None:
        """The user asks for what they said before."""
        wanted = [detail for detail in self.told if detail.kind not in self.recalled]
        if self.feeling and "feeling" not in self.recalled and self.rng() < 0.3:
            self.recalled.add("feeling")
            self.add("mood", "mood answer")
        elif wanted and self.rng() < 0.75:
            detail = choose(self.rng, wanted)
            self.recalled.add(detail.kind)
            asked = capitalize(detail.word(self.rng, "ask"))
            answer = capitalize(detail.answer(self.rng, "recall"))
            if self.name and self.rng() < 0.25:
                answer = f"{answer.rstrip('.')}, {self.name}."
            typed = self.wording.typed(asked, dict(detail.slots))
            self.turns.append(Turn(typed, answer, "answers", (detail.slots["v"],)))
        elif "name" not in self.recalled:
            self.recalled.add("name")
            known = "who am I answer" if self.name else "no name answer"
            self.add("who am I", known)

    def leave(self) -> None:
        asked = self.wording.plain("bye", {})
        pet = next((detail.slots["v"] for detail in self.told if detail.kind == "pet"), "")
        if "night" in asked.lower():
            name = "night answer"
        elif pet and self.rng() < 0.5:
            name = "bye pet answer"
        else:
            name = "bye name answer" if self.name and self.rng() < 0.7 else "bye answer"
        answer = self.wording.answer(name, {**self.slots, "p": pet})
        self.turns.append(Turn(self.wording.typed(asked, {}), answer))


def _lowered(text: str) -> str:
    return text[0].lower() + text[1:]


def _kept(details: list[Detail]) -> list[str]:
    """Return the values that are free of typos."""
    return [value for detail in details for value in detail.slots.values()]


# Details that sound alike, so that "what do I like?" would have two answers.
_ALIKE = {"food", "hobby", "game", "bought", "sibling", "friend"}


@cache
def _impersonal() -> tuple[Intent, ...]:
    """Return the intents that only ask, and say nothing about the user."""
    return tuple(
        intent
        for intent in openings()
        if intent.topic.startswith(_ASKING)
        and not any(_PERSONAL.search(line) for line in intent.questions)
        and max(map(len, intent.answers)) < 220
    )


_ASKING = ("every-what", "every-why", "every-lists", "every-talk", "fun", "chat")
_PERSONAL = re.compile(r"\{|\b(?:my|mine)\b|\bI (?:am|have|was|had|feel)\b", re.IGNORECASE)


_PARTS: dict[str, Callable[[_State], None]] = {
    "tell": _State.tell,
    "feel": _State.feel,
    "question": _State.question,
    "chat": _State.chat,
    "asked back": _State.asked_back,
    "recall": _State.recall,
}
_WEIGHTS = {
    "tell": 3.0,
    "feel": 2.0,
    "question": 3.0,
    "chat": 1.5,
    "asked back": 2.0,
    "recall": 0.0,
}
_WEIGHTS_AFTER_TELLING = {**_WEIGHTS, "tell": 1.5, "recall": 4.0}


def wander(rng: Rng) -> list[Turn]:
    """Return a conversation of two to six turns that wanders."""
    state = _State(rng)
    if rng() < 0.75:
        state.greet()
        if rng() < 0.85:
            state.reply_to_greeting()
    count = randint(rng, 3, MAX_TURNS)
    last_part = ""
    while len(state.turns) < count:
        may_recall = len(state.turns) > 1 and (state.told or state.name)
        weights = _WEIGHTS_AFTER_TELLING if may_recall else _WEIGHTS
        part = choose_weighted(rng, weights)
        if part == last_part and part != "tell":
            continue
        last_part = part
        _PARTS[part](state)
        if _size(state.turns) > 0.8 * MAX_CHARACTERS:
            break
    turns = state.turns
    while len(turns) > MAX_TURNS or (len(turns) > 1 and _size(turns) > MAX_CHARACTERS):
        turns.pop()
    if len(turns) < MAX_TURNS and rng() < 0.55:
        state.leave()
    return turns


def _size(turns: list[Turn]) -> int:
    return sum(len(turn.question) + len(turn.answer) for turn in turns)
