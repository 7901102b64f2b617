"""Conversations in which users tell several things about themselves and ask for them later.

The wording is in `told.txt`. What a user tells is held out as it is in `user_details.py`.
"""

from collections.abc import Collection, Mapping, Sequence
from functools import cache
from typing import NamedTuple

from firstwords.data.starter.everyday.dialogue import (
    MAX_CHARACTERS,
    MAX_TURNS,
    another_subject,
    intent_turn,
    tidy,
)
from firstwords.data.starter.everyday.intents import openings
from firstwords.data.starter.everyday.slots import Slots, first_names
from firstwords.data.starter.everyday.typed import TypingStyle, draw_style, type_out
from firstwords.data.starter.holdout import is_held_out
from firstwords.data.starter.rng import Rng, choose, favouring_first, randint, sample
from firstwords.data.starter.tables import table_rows, table_sections
from firstwords.data.starter.templates import (
    capitalize,
    fill_template,
    join_list,
    make_answer,
    make_sentence,
)
from firstwords.data.starter.turn import Turn


class Detail(NamedTuple):
    """Something that a user tells: its kind, a section of `told.txt`, and the slots."""

    kind: str
    slots: Mapping[str, str]  # "v" is what a later question asks for

    def word(self, rng: Rng, use: str) -> str:
        """Return the wording of this detail for a use: tell, ack, ask or recall."""
        text = fill_template(rng, choose(rng, _wording()[f"{self.kind} {use}"]), self.slots)
        return tidy(text)

    def answer(self, rng: Rng, use: str) -> str:
        """Return what the assistant says about this detail: ack or recall."""
        return self.word(favouring_first(rng), use)


def _wording() -> dict[str, tuple[str, ...]]:
    return table_sections("told.txt")


# The values of each kind of detail: sections of `slots.txt`, or of `cast.txt`.
_VALUES = {
    "home": "town",
    "from": "country",
    "pet": "petname",
    "colour": "colour",
    "food": "food",
    "hobby": "hobby",
    "job": "job",
    "sibling": "name",
    "friend": "name",
    "animal": "animal",
    "lost": "thing",
    "bought": "thing",
    "plan": "place",
    "free": "day",
    "meeting": "day",
    "name": "name",
    "age": "age",
    "luck": "digit",
    "game": "game",
    "month": "month",
    "drink": "drink",
}
_DRINKS = ("tea", "coffee", "milk", "water", "apple juice", "hot chocolate", "lemonade", "cocoa")
_RELATIVES = ("sister", "brother", "cousin", "son", "daughter", "aunt", "uncle")
_WHOM_TO_SEE = ("dentist", "doctor", "teacher", "hairdresser", "coach", "vet")


def _all_values(source: str) -> tuple[str, ...]:
    if source == "age":
        return tuple(str(age) for age in range(6, 81))
    if source == "month":
        return tuple(row[0] for row in table_rows("calendar.txt"))
    if source == "drink":
        return _DRINKS
    if source == "petname":
        return table_sections("cast.txt")["pets"]
    return table_sections("slots.txt")[source]


@cache
def _values(kind: str, held_out: bool) -> tuple[str, ...]:
    """Return the values of a kind of detail in training, or only in the exam."""
    source = _VALUES[kind]
    if source == "name":
        return first_names(held_out)
    values = _all_values(source)
    return tuple(v for v in values if is_held_out("memory", f"{kind} {v}") == held_out)


@cache
def _kinds(held_out: bool) -> tuple[str, ...]:
    """Return the kinds of details that have several values."""
    return tuple(kind for kind in _VALUES if len(_values(kind, held_out)) > 1)


def draw_detail(rng: Rng, kind: str, held_out: bool, taken: Collection[str] = ()) -> Detail:
    """Return a detail of this kind with a value that is not taken, held out or not."""
    slots = table_sections("slots.txt")
    more = {
        "k": choose(rng, slots["pet"]),
        "r": choose(rng, _RELATIVES),
        "d": choose(rng, slots["day"]),
        "c": choose(rng, slots["colour"]),
        "w": choose(rng, _WHOM_TO_SEE),
    }
    values = _values(kind, held_out)
    if kind == "sibling" and more["r"] in _SECTIONS:
        suited = table_sections("cast.txt")[_SECTIONS[more["r"]]]
        values = tuple(name for name in values if name in suited)
    return Detail(kind, {"v": _other(rng, values, taken), **more})


def _other(rng: Rng, values: Sequence[str], taken: Collection[str]) -> str:
    """Return one of the values that is not taken, if there is one."""
    value = choose(rng, values)
    if value in taken:
        value = choose(rng, [one for one in values if one not in taken] or values)
    return value


def _draw_details(rng: Rng, count: int, held_out: bool) -> list[Detail]:
    """Return details of different kinds, the name among them more often than not."""
    kinds = sample(rng, _kinds(held_out), count)
    if "name" not in kinds and rng() < 0.45:
        kinds[0] = "name"
    if "lost" in kinds and "bought" in kinds:
        kinds.remove("bought")
    details: list[Detail] = []
    for kind in kinds:
        taken = [detail.slots["v"] for detail in details]
        details.append(draw_detail(rng, kind, held_out, taken))
    return details


# The names of relatives are in these sections of `cast.txt`; cousins have any name.
_SECTIONS = {
    "sister": "girls",
    "daughter": "girls",
    "aunt": "girls",
    "brother": "boys",
    "son": "boys",
    "uncle": "boys",
}


def recall_chat(rng: Rng, held_out: bool = False) -> list[Turn]:
    """Tell one to four details, talk about other things, and ask for the details.

    With `held_out` the details are ones that training never shows, and the last turn asks for one.
    """
    style = draw_style(rng, for_exam=held_out)
    details = _draw_details(rng, randint(rng, 1, 4), held_out)
    if not held_out and len(details) == 1 and rng() < 0.25:
        return _pair_chat(rng, style)
    turns = _tell(rng, details, style)
    if not held_out and rng() < 0.22:
        details = _correct(rng, details, turns, style)
    turns += _interlude(rng, style, len(turns), held_out)
    if held_out:
        return [*turns[: MAX_TURNS - 1], _ask(rng, choose(rng, details), style)]
    for turn in _questions(rng, details, style):
        if len(turns) >= MAX_TURNS or _size(turns) > MAX_CHARACTERS:
            break
        turns.append(turn)
    return turns


def detail_kinds() -> tuple[str, ...]:
    """Return the kinds of details of training."""
    return _kinds(False)


def _size(turns: list[Turn]) -> int:
    return sum(len(turn.question) + len(turn.answer) for turn in turns)


def _tell(rng: Rng, details: list[Detail], style: TypingStyle) -> list[Turn]:
    """Tell the details, one or several at a time, in one or two turns."""
    if len(details) > 2 or (len(details) == 2 and rng() < 0.3):
        middle = (len(details) + 1) // 2
        parts = [details[:middle], details[middle:]] if rng() < 0.6 else [details]
    else:
        parts = [details]
    turns = []
    for i, part in enumerate(parts):
        text = statement(rng, part)
        if i == 0 and rng() < 0.3:
            text = choose(rng, ("Hi! ", "Hello! ", "Hi, ", "Hello, ", "Hey! ", "Hi there! ")) + text
        keep = [
            word for detail in part for value in detail.slots.values() for word in value.split()
        ]
        acknowledged = choose(rng, part) if len(part) > 1 else part[0]
        names = [detail for detail in part if detail.kind == "name"]
        answer = capitalize(acknowledged.answer(rng, "ack"))
        if names and acknowledged.kind != "name":
            answer = f"{capitalize(names[0].answer(rng, 'ack'))} {answer}"
        turns.append(Turn(type_out(rng, style, text, keep), answer))
    return turns


def statement(rng: Rng, details: list[Detail]) -> str:
    """Return the details as one message: 'I am Ada and I live in Oslo.'"""
    clauses = [detail.word(rng, "tell") for detail in details]
    if len(clauses) > 1 and rng() < 0.7:
        joined = join_list(clauses) if len(clauses) < 4 else ". ".join(map(capitalize, clauses))
        return capitalize(joined) + "."
    return " ".join(capitalize(clause) + "." for clause in clauses)


_CORRECTIONS = (
    "[No, |Sorry, |Wait, |Oh, ]I [meant|mean] {new}[|, not {old}].",
    "[That was|That is] wrong[, it is|. It is] {new}[|, not {old}].",
    "[Not {old}, but {new}.|{^new}, not {old}.|I made a mistake. It is {new}.]",
    "[Actually|Sorry], it is {new}, not {old}.",
    "[Correction: {new}.|I said {old}, but I meant {new}.]",
)
# How corrections name the values that are not names.
_BEFORE_VALUE = {
    "plan": "the {v}",
    "job": "{a:v}",
    "lost": "my {v}",
    "bought": "{a:v}",
    "animal": "the {v}",
}
_CORRECTED = (
    "[I see|All right|Got it], {new}, not {old}.",
    "[Ah, {new}.|Oh, {new}.] [Thank you for telling me.|I will remember that.]",
    "[I am sorry|Sorry about that]. It is {new}[| then].",
)


def _correct(
    rng: Rng, details: list[Detail], turns: list[Turn], style: TypingStyle
) -> list[Detail]:
    """Correct the detail that was told last; return the details as they are now."""
    old = details[-1]
    values = _values(old.kind, False)
    if old.kind == "sibling" and old.slots["r"] in _SECTIONS:
        suited = table_sections("cast.txt")[_SECTIONS[old.slots["r"]]]
        values = tuple(name for name in values if name in suited)
    taken = [detail.slots["v"] for detail in details]
    new = Detail(old.kind, {**old.slots, "v": _other(rng, values, taken)})
    before = _BEFORE_VALUE.get(old.kind, "{v}")
    slots = {"new": fill_template(rng, before, new.slots)}
    slots["old"] = fill_template(rng, before, old.slots)
    keep = [word for value in slots.values() for word in value.split()]
    question = make_sentence(rng, _CORRECTIONS, slots)
    told_back = {key: value.replace("my ", "your ") for key, value in slots.items()}
    answer = make_answer(rng, _CORRECTED, told_back)
    turns.append(Turn(type_out(rng, style, question, keep), answer))
    return [*details[:-1], new]


def _interlude(rng: Rng, style: TypingStyle, n_turns: int, held_out: bool) -> list[Turn]:
    """Return up to two turns about other subjects."""
    count = choose(rng, (0, 0, 1, 1, 2))
    turns = []
    for _ in range(min(count, MAX_TURNS - 1 - n_turns)):
        if rng() < 0.5 or held_out:
            turns.append(another_subject(rng, style))
        else:
            turns.append(intent_turn(rng, choose(rng, openings()), Slots(rng), style))
    return [turn for turn in turns if len(turn.answer) < 150]


def _ask(rng: Rng, detail: Detail, style: TypingStyle) -> Turn:
    question = type_out(rng, style, capitalize(detail.word(rng, "ask")), (detail.slots["k"],))
    answer = capitalize(detail.answer(rng, "recall"))
    return Turn(question, answer, "answers", (detail.slots["v"],))


_NOT_TOLD = (
    "You have not told me[| that][| yet].",
    "I do not know. You have not told me[| yet].",
    "You have not said[| yet], so I do not know.",
)
_SUMMARY_ASK = (
    "What do you know about me?",
    "What [did I tell|have I told] you about me[| so far]?",
    "Tell me what you know about me.",
    "What do you remember[| about me]?",
    "Do you remember what I told you?",
)


def _questions(rng: Rng, details: list[Detail], style: TypingStyle) -> list[Turn]:
    """Ask for the details in another order, for all of them, or for one that was not told."""
    chance = rng()
    if chance < 0.12:
        facts = [detail.answer(rng, "recall").rstrip(".") for detail in details]
        answer = capitalize(join_list([f"{fact[0].lower()}{fact[1:]}" for fact in facts])) + "."
        question = make_sentence(rng, _SUMMARY_ASK)
        return [Turn(type_out(rng, style, question), answer)]
    turns = [_ask(rng, detail, style) for detail in sample(rng, details, len(details))]
    told = {detail.kind for detail in details}
    if chance < 0.3:
        kind = choose(rng, [kind for kind in _ALONE if kind not in told])
        detail = draw_detail(rng, kind, False)
        question = type_out(rng, style, capitalize(detail.word(rng, "ask")), (detail.slots["k"],))
        unknown = Turn(question, make_answer(rng, _NOT_TOLD), "refuses")
        turns.insert(randint(rng, 0, len(turns)), unknown)
    elif chance < 0.45:
        turns.insert(1, _check(rng, choose(rng, details), style))
    return turns


# Details that may be asked for although the user has not told them.
_ALONE = ("name", "home", "age", "colour", "food", "hobby", "job", "animal", "drink", "luck")


def _check(rng: Rng, detail: Detail, style: TypingStyle) -> Turn:
    """Ask whether a value is the one that was told."""
    value = detail.slots["v"]
    other = draw_detail(rng, detail.kind, False, (value,)).slots["v"]
    is_true = rng() < 0.5
    asked = Detail(detail.kind, {**detail.slots, "v": value if is_true else other})
    statement = asked.answer(rng, "recall").rstrip(".")
    statement = f"{statement[0].lower()}{statement[1:]}"
    question = f"{capitalize(statement)}, {choose(rng, ('right', 'is that right', 'correct'))}?"
    question = _from_user(question)
    truth = detail.answer(rng, "recall")
    truth = f"{truth[0].lower()}{truth[1:]}"
    answer = f"{'Yes' if is_true else 'No'}, {truth}"
    keep = f"{value} {other}".split()
    return Turn(type_out(rng, style, question, keep), answer)


def _from_user(text: str) -> str:
    """Return a sentence about "you" as the user says it about "me"."""
    swaps = {"you": "I", "your": "my", "are": "am", "You": "I", "Your": "My", "yours": "mine"}
    words = text.split(" ")
    about_user = words[0] == "You"
    swapped = [
        word if word in ("are",) and not about_user else swaps.get(word, word) for word in words
    ]
    return " ".join(swapped)


def _pair_chat(rng: Rng, style: TypingStyle) -> list[Turn]:
    """Tell of two things that differ, and ask which is which: 'Which one is red?'"""
    colours = sample(rng, table_sections("slots.txt")["colour"], 2)
    one, other = sample(rng, table_sections("slots.txt")["thing"], 2)
    slots = {"a": one, "b": other, "ca": colours[0], "cb": colours[1]}
    told = make_sentence(rng, _wording()["pair tell"], slots)
    turns = [Turn(type_out(rng, style, told, slots.values()), _pair_ack(rng, slots))]
    for side in sample(rng, ("a", "b"), randint(rng, 1, 2)):
        asked = {"x": slots[side], "c": slots[f"c{side}"]}
        use = choose(rng, ("which", "colour"))
        question = make_sentence(rng, _wording()[f"pair {use} ask"], asked)
        answer = make_answer(rng, _wording()[f"pair {use} recall"], asked)
        expected = asked["x"] if use == "which" else asked["c"]
        keep = [*slots.values()]
        turns.append(Turn(type_out(rng, style, question, keep), answer, "answers", (expected,)))
    return turns


def _pair_ack(rng: Rng, slots: Mapping[str, str]) -> str:
    return make_answer(rng, _wording()["pair ack"], slots)
