"""What users tell of their lives, and answers that take up their words.

"I painted my room yesterday" has no right answer, but a fitting one: "You painted your room! How
did it go?" The deeds, things, people and tastes come from tables and from the grammar, in more
combinations than a model can memorize, so it learns to copy the words and to turn "my" into "your".
"""

import re
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

from firstwords.data.starter.everyday.slots import Slots
from firstwords.data.starter.everyday.typed import (
    TypingStyle,
    draw_style,
    is_exam_only,
    may_be_exam_question,
    type_out,
)
from firstwords.data.starter.grading import is_right
from firstwords.data.starter.grammar.clauses import act
from firstwords.data.starter.grammar.lexicon import Noun, Verb, nouns_of, verb
from firstwords.data.starter.grammar.phrases import HE, SHE, I, Phrase
from firstwords.data.starter.rng import Rng, choose, choose_weighted
from firstwords.data.starter.tables import table_sections
from firstwords.data.starter.templates import fill_template, make_answer, make_sentence
from firstwords.data.starter.turn import Turn

MAX_TURNS = 4
FOLLOW_UP_CHANCE = 0.4

# How often users say each kind of thing; the kinds are sections of `reflect.txt`.
_WEIGHTS = {
    **{"did": 4.0, "bad did": 1.0, "plan": 4.0, "hard": 3.0, "can": 4.0, "should": 2.5},
    **{"howdo": 3.0, "why": 2.0, "like": 3.0, "dislike": 2.0, "opinion": 3.0, "talk": 2.0},
    **{"have": 2.0, "want": 2.0, "lost": 2.0, "someone": 4.0},
    **{"glad": 2.0, "sorry": 3.0, "good day": 1.0, "bad day": 1.0},
}
_REPLY_WEIGHTS = {"good reply": 4.0, "bad reply": 2.0, "open reply": 1.5}
# Kinds whose answers ask back in a way that "it was fun" answers.
_REPLIED = ("did", "glad")


class Deed(NamedTuple):
    """Something people do: a verb, and what follows it, with a space."""

    verb: Verb
    rest: str

    @property
    def is_impersonal(self) -> bool:
        """Whether "I" and "you" can say it in the same words."""
        return not _MINE.search(self.rest)


_MINE = re.compile(r"\b(my|me|myself|our)\b")
_YOURS = {"my": "your", "me": "you", "myself": "yourself", "our": "your"}
_HIS = {"my": "his", "me": "him", "myself": "himself", "our": "their"}
_HERS = {"my": "her", "me": "her", "myself": "herself", "our": "their"}


def _turned(text: str, words: dict[str, str]) -> str:
    return _MINE.sub(lambda match: words[match[0]], text)


@cache
def _listed_deeds(bad: bool) -> tuple[Deed, ...]:
    deeds = []
    for line in table_sections("reflect.txt")["deeds"]:
        base, rest, *marks = (cell.strip() for cell in line.split("|"))
        if bool(marks) == bad:
            deeds.append(Deed(verb(base), f" {rest}"))
    return tuple(deeds)


_SPEAKER = Phrase("I", I)


def _draw_deed(rng: Rng, kind: str) -> Deed:
    """Return a deed of the tables, or one that the grammar makes."""
    if kind == "bad did":
        return choose(rng, _listed_deeds(True))
    while True:
        if rng() < 0.6:
            deed = choose(rng, _listed_deeds(False))
        else:
            action = act(rng, "thing plans", _SPEAKER, adjective=0.15, place=0.0)
            deed = Deed(action.verb, action.rest)
        if kind not in ("can", "why") or deed.is_impersonal:
            return deed


@cache
def _things() -> tuple[Noun, ...]:
    """Return what users own, lose and wish for."""
    named = nouns_of("object", "toy", "clothing", "gift", "tool", "instrument", "worn")
    return tuple(noun for noun in named if noun.a and not noun.only_plural)


@cache
def _tastes() -> tuple[tuple[str, bool], ...]:
    """Return what people like or not, and whether it is plural."""
    listed = table_sections("reflect.txt")["topics"]
    topics = [(topic, _is_plural(topic)) for topic in listed]
    eaten = nouns_of("food", "fruit", "vegetable", "baked", "drink")
    loved = nouns_of("flower", "animal", "bird", "insect", "toy", "instrument", "exotic")
    nouns = [(noun.plural, True) for noun in (*eaten, *loved) if noun.plural]
    masses = [(noun.word, False) for noun in eaten if not noun.plural]
    # The listed topics are broader, so they come up as often as all nouns.
    return tuple(topics * max(1, len(nouns) // len(topics)) + nouns + masses)


_SINGULAR_TOPICS = ("maths", "physics", "the news", "politics", "Christmas")


def _is_plural(topic: str) -> bool:
    return topic.endswith("s") and not topic.endswith("ss") and topic not in _SINGULAR_TOPICS


class _Slots(Slots):
    """The slots of one message, beside those of all everyday conversations."""

    def __init__(self, rng: Rng, kind: str) -> None:
        super().__init__(rng)
        self._kind = kind

    def _draw(self, key: str) -> str:
        if key not in _GROUPS:
            return super()._draw(key)
        self.update(_GROUPS[key](self._rng, self._kind))
        return self[key]


def _deed_slots(rng: Rng, kind: str) -> dict[str, str]:
    deed = _draw_deed(rng, kind)
    verb, your_rest = deed.verb, _turned(deed.rest, _YOURS)
    forms = dict(zip(_FORMS, (verb.base, verb.past, verb.participle, verb.ing), strict=True))
    slots = {form: word + deed.rest for form, word in forms.items()}
    return slots | {f"you {form}": word + your_rest for form, word in forms.items()}


def _someone_slots(rng: Rng, kind: str) -> dict[str, str]:
    names = Slots(rng)
    line, pronoun = choose(rng, table_sections("reflect.txt")["someones"]).split(" | ")
    someone = fill_template(rng, line, names)
    is_he = pronoun == "he" or (pronoun == "-" and names["m"] in _boys())
    he, his = (HE, _HIS) if is_he else (SHE, _HERS)
    deed = _draw_deed(rng, kind)
    slots = {"someone": someone, "your someone": _turned(someone, _YOURS)}
    slots |= {"he": he.he, "him": he.him, "his": he.his}
    rest = _turned(deed.rest, his)
    return slots | {"do his": deed.verb.base + rest, "did his": deed.verb.past + rest}


def _taste_slots(rng: Rng, kind: str) -> dict[str, str]:
    topic, plural = choose(rng, _tastes())
    if plural:
        return {"topic": topic, "is": "are", "makes": "make", "it": "them"}
    return {"topic": topic, "is": "is", "makes": "makes", "it": "it"}


def _thing_slots(rng: Rng, kind: str) -> dict[str, str]:
    thing = choose(rng, _things())
    adjective = choose(rng, thing.lasting) if thing.lasting else "new"
    slots = {"thing": thing.word, "things": thing.plural, "adj": adjective}
    return slots | {"adj thing": f"{adjective} {thing.word}"}


def _feeling_slots(rng: Rng, kind: str) -> dict[str, str]:
    lists = table_sections("reflect.txt")
    return {"good": choose(rng, lists["good feelings"]), "bad": choose(rng, lists["bad feelings"])}


_FORMS = ("do", "did", "done", "doing")
# Slots that are drawn together, by each of their names.
_GROUPS: dict[str, Callable[[Rng, str], dict[str, str]]] = {
    **dict.fromkeys((*_FORMS, *(f"you {form}" for form in _FORMS)), _deed_slots),
    **dict.fromkeys(
        ("someone", "your someone", "he", "him", "his", "do his", "did his"), _someone_slots
    ),
    **dict.fromkeys(("topic", "is", "makes", "it"), _taste_slots),
    **dict.fromkeys(("thing", "things", "adj", "adj thing"), _thing_slots),
    **dict.fromkeys(("good", "bad"), _feeling_slots),
}


@cache
def _boys() -> frozenset[str]:
    return frozenset(table_sections("cast.txt")["boys"])


def reflect(rng: Rng) -> list[Turn]:
    """Return a conversation in which a user tells of his or her life."""
    style = draw_style(rng)
    turns: list[Turn] = []
    while True:
        kind = choose_weighted(rng, _WEIGHTS)
        turns.append(_turn(rng, kind, style, is_exam_only))
        if kind in _REPLIED and turns[-1].answer.endswith("?") and rng() < 0.5:
            turns.append(_turn(rng, choose_weighted(rng, _REPLY_WEIGHTS), style, _never))
        if len(turns) >= MAX_TURNS or rng() > FOLLOW_UP_CHANCE:
            return turns[:MAX_TURNS]


def _never(text: str) -> bool:
    return False


def _turn(rng: Rng, kind: str, style: TypingStyle, is_excluded: Callable[[str], bool]) -> Turn:
    """Return a message of the kind that is not excluded, with an answer and its keywords."""
    wording = table_sections("reflect.txt")
    while True:
        slots = _Slots(rng, kind)
        text = make_sentence(rng, wording[f"{kind} ask"], slots).rstrip()
        if not is_excluded(text):
            break
    expected = _keywords(text, slots)
    answer = make_answer(rng, wording[f"{kind} answer"], slots).rstrip()
    return Turn(type_out(rng, style, text, text.split()), answer, "mentions", expected)


_KEYWORD_SLOTS = ("thing", "topic", "good", "bad")
_OWNER = re.compile(r"^(?:my|our) (?:friend )?")
_UP_TO_NOUN = re.compile(r"^.*\b(?:a|an|the|your|some|to|for|in|by)\b ")


def _keywords(text: str, slots: Slots) -> tuple[str, ...]:
    """Return what a fitting answer mentions: the thing, person, feeling or deed of the message."""
    message = text.lower()
    words = [slots[key] for key in _KEYWORD_SLOTS if key in slots and slots[key] in message]
    if "someone" in slots:
        words.append(_OWNER.sub("", slots["someone"]))
    if "do" in slots:
        words += [slots[f"you {form}"] for form in _FORMS]
        words.append(_UP_TO_NOUN.sub("", slots["you do"]))
    return tuple(words)


def reflection_exam_turn(rng: Rng, held_out: bool = True) -> Turn:
    """Return a message that training never shows, for the exam."""

    def is_excluded(text: str) -> bool:
        return not may_be_exam_question(text) if held_out else is_exam_only(text)

    style = draw_style(rng, for_exam=True)
    while True:
        turn = _turn(rng, choose_weighted(rng, _WEIGHTS), style, is_excluded)
        if is_right(turn.rule, turn.expected, turn.answer):
            return turn
