"""Follow-ups: short messages that only what was said before makes clear.

"And Spain?", "Are you sure?", "No, I meant Peru", "Another one", "Which of them is red?", and
several questions in one message. The wording is in `followups.txt`.
"""

from collections.abc import Callable
from functools import cache

from firstwords.data.starter.everyday import meanings
from firstwords.data.starter.everyday.dialogue import ask_again, continued
from firstwords.data.starter.everyday.dictionary import draw_word
from firstwords.data.starter.everyday.recall import detail_kinds, draw_detail, statement
from firstwords.data.starter.everyday.typed import CAREFUL, draw_style, is_exam_only
from firstwords.data.starter.everyday.wording import Wording
from firstwords.data.starter.fact_questions import fact_turn
from firstwords.data.starter.facts import Fact, facts_by_subject, subjects, with_one_full_stop
from firstwords.data.starter.holdout import is_held_out
from firstwords.data.starter.numbers import math_turn
from firstwords.data.starter.rng import Rng, choose, choose_weighted, sample
from firstwords.data.starter.tables import table_sections
from firstwords.data.starter.templates import article, capitalize, join_list
from firstwords.data.starter.turn import Turn

TABLE = "followups.txt"
# What one may ask of one subject after another, and claim of it: "The capital of Peru is Lima."
_RELATIONS = {
    "countries": ("capital", "capital", "continent"),
    "elements": ("symbol", "number"),
    "animals": ("young", "class"),
}


@cache
def _facts(relation: str, held_out: bool) -> tuple[Fact, ...]:
    """Return the facts of a relation that may be asked for; `held_out` refers to follow-ups."""
    (topic,) = (name for name, relations in _RELATIONS.items() if relation in relations)
    return tuple(
        fact
        for subject in subjects(topic)
        for fact in facts_by_subject(topic)[subject]
        if fact.relation == relation
        and not fact.held_out
        and is_held_out("followup", subject) == held_out
    )


def _name(fact: Fact) -> str:
    return fact.slots.get("p", fact.slots["s"])


class _Chat:
    """A chat of one user, which grows turn by turn."""

    def __init__(self, rng: Rng, held_out: bool = False) -> None:
        self.rng = rng
        self.held_out = held_out
        style = draw_style(rng, for_exam=held_out)
        if not held_out:
            style = style._replace(mistypes=style.mistypes / 2)
        self.wording = Wording(rng, TABLE, style)
        self.turns: list[Turn] = []

    def draw_facts(self, count: int) -> list[Fact]:
        """Return facts of one relation with different values."""
        topic = choose_weighted(self.rng, {"countries": 3.0, "elements": 1.0, "animals": 1.0})
        relation = choose(self.rng, _RELATIONS[topic])
        found: list[Fact] = []
        while len(found) < count:
            fact = choose(self.rng, _facts(relation, self.held_out))
            if all(fact.value != one.value for one in found):
                found.append(fact)
        return found

    def ask_fact(self, fact: Fact) -> None:
        while True:
            question = fact.question(self.rng)
            if not is_exam_only(question):
                break
        typed = self.wording.typed(question, {"s": _name(fact), "v": fact.value})
        self.turns.append(Turn(typed, fact.answer(self.rng), "answers", fact.values))

    def add(self, name: str, expected: tuple[str, ...] = (), **slots: str) -> None:
        self.turns.append(self.wording.turn(name, slots, "answers", expected))

    # -- about a fact ----------------------------------------------------------------------------

    def same_question(self) -> None:
        facts = self.draw_facts(2 if self.rng() < 0.5 else 3)
        self.ask_fact(facts[0])
        for fact in facts[1:]:
            asked = self.wording.ask("and of", {"x": _name(fact)})
            self.turns.append(Turn(asked, fact.answer(self.rng), "answers", fact.values))

    def meant(self) -> None:
        wrong, fact = self.draw_facts(2)
        self.ask_fact(wrong)
        said = fact.answer(self.rng)
        self.add("meant", fact.values, x=_name(fact), y=_name(wrong), s=said)

    def doubt(self) -> None:
        fact, other = self.draw_facts(2)
        self.ask_fact(fact)
        said = fact.answer(self.rng)
        name = choose(self.rng, ("sure", "sure", "wrong", "wrong value", "wrong value", "how know"))
        values = () if name == "how know" else fact.values
        # "It is a mammal", but "it is Rome" and "it is 8".
        wrong = other.value
        if wrong.islower():
            wrong = f"{article(wrong)} {wrong}"
        self.add(name, values, s=said, w=wrong)
        if self.rng() < 0.35:
            self.add("ah")
        elif name != "how know" and self.rng() < 0.3:
            self.add("how know")

    def why(self) -> None:
        fact = self.draw_facts(1)[0]
        self.ask_fact(fact)
        said = fact.answer(self.rng)
        first = said.split(" ")[0]
        proper = first.strip(",.'s") in (fact.value, fact.slots["s"]) or first in _PROPER
        lowered = said if proper else said[0].lower() + said[1:]
        self.add("why", s=lowered)

    def claim(self) -> None:
        fact, other = self.draw_facts(2)
        is_true = self.rng() < 0.5
        value = fact.value if is_true else other.value
        claimed = fact._replace(slots={**fact.slots, "v": value})
        claim = with_one_full_stop(claimed.answer(self.rng))
        asked = self.wording.ask("claim", {"c": claim}, (_name(fact), value))
        name = "claim right answer" if is_true else "claim wrong answer"
        answer = self.wording.answer(name, {"s": fact.answer(self.rng)})
        self.turns.append(Turn(asked, answer, "answers", fact.values))
        if not is_true and self.rng() < 0.4:
            self.add("ah")

    # -- several questions -----------------------------------------------------------------------

    def thanks_and(self) -> None:
        self.turns.append(self.question())
        new = self.question()
        if self.turns[0].question != new.question:
            self.add("thanks and", new.expected, **_asked(new, "q", "r"), s=new.answer)

    def question(self) -> Turn:
        """Return a question of any kind in normal spelling."""
        wording = Wording(self.rng, meanings.TABLE, CAREFUL)
        while True:
            chance = self.rng()
            if chance < 0.45:
                turn = fact_turn(self.rng)
            elif chance < 0.8:
                turn = meanings.meaning_turn(wording, draw_word(self.rng), brief=True)
            else:
                turn = math_turn(self.rng)
            if _may_join(turn) and not is_exam_only(turn.question):
                return turn

    def several(self) -> None:
        turns = [self.question() for _ in range(2 if self.rng() < 0.7 else 3)]
        slots = {**_asked(turns[0], "q", "o"), **_asked(turns[1], "p", "r")}
        if len(turns) == 3:
            slots |= _asked(turns[2], "m", "n")
        asked = self.wording.ask("both" if len(turns) == 2 else "three", slots)
        self.turns.append(Turn(asked, " ".join(turn.answer for turn in turns)))

    def told_and_asked(self) -> None:
        kinds = sample(self.rng, detail_kinds(), 2)
        if self.rng() < 0.6:
            kinds[0] = "name"
        kinds = list(dict.fromkeys(kinds))
        details = [draw_detail(self.rng, kind, False) for kind in kinds]
        told = statement(self.rng, details)
        wanted = choose(self.rng, details)
        question = capitalize(wanted.word(self.rng, "ask"))
        if not question.endswith("?") or question.count(".") or is_exam_only(question):
            question = capitalize(wanted.word(self.rng, "ask"))
        slots = {
            "t": told,
            "u": told if told.startswith("I ") else told[0].lower() + told[1:],
            "q": question,
            "r": continued(question),
        }
        keep = [value for detail in details for value in detail.slots.values()]
        asked = self.wording.ask("hello told", slots, keep)
        answer = capitalize(wanted.answer(self.rng, "recall"))
        if kinds[0] == "name" and wanted.kind != "name":
            name = details[0].slots["v"]
            greeting = choose(self.rng, ("Hello, {}! ", "Nice to meet you, {}. ", "Hi {}! "))
            answer = greeting.format(name) + answer
        self.turns.append(Turn(asked, answer, "answers", (wanted.slots["v"],)))

    # -- names and things --------------------------------------------------------------------------

    def names(self) -> None:
        names = sample(self.rng, table_sections("cast.txt")["pets"], 3)
        kind = choose(self.rng, table_sections("slots.txt")["pet"])
        self.add("name for", k=kind, v=names[0])
        count = 1 if self.rng() < 0.6 else 2
        for name in names[1 : count + 1]:
            self.add("another", v=name)
        if self.rng() < 0.4:
            self.add("first was", (names[0],), v=names[0])
        if self.rng() < 0.6:
            chosen = choose(self.rng, names[: count + 1])
            self.add("take", k=kind, v=chosen)
            self.add("named", (chosen,), k=kind, v=chosen)

    def things(self) -> None:
        slots = table_sections("slots.txt")
        while True:
            things = sample(self.rng, slots["thing"], 3)
            colours = sample(self.rng, slots["colour"], 5)
            pairs = list(zip(things, colours, strict=False))
            # Only the exam has three things in which the first is held out with its colour.
            if is_held_out("followup", " ".join(pairs[0])) == self.held_out:
                break
        listed = join_list([f"{article(colour)} {colour} {thing}" for thing, colour in pairs])
        self.add("three things", l=listed)
        for thing, colour in sample(self.rng, pairs, 1 if self.rng() < 0.4 else 2):
            chance = self.rng()
            if chance < 0.45:
                self.add("which", (thing,), c=colour, x=thing)
            elif chance < 0.55:
                asked = self.wording.ask("which", {"c": colours[3]})
                answer = self.wording.answer("no which answer", {"c": colours[3]})
                self.turns.append(Turn(asked, answer))
            elif chance < 0.9:
                self.add("what colour", (colour,), x=thing, c=colour, e=colours[4])
            else:
                self.add("how many", (things[0],), l=listed)


# Answers that begin with these words keep the capital letter within a sentence.
_PROPER = ("Baby",)
_STARTS = ("What", "Which", "Who", "Where", "When", "How", "Is", "Do", "Can", "Does", "Are")


def _may_join(turn: Turn) -> bool:
    """Whether the turn is short and asks in one sentence, so that another question may follow."""
    question = turn.question
    opens = question.split(" ")[0] in _STARTS
    return opens and question.endswith("?") and question.count("?") == 1 and len(turn.answer) < 130


def _asked(turn: Turn, full: str, after: str) -> dict[str, str]:
    """Return slots for the question, as a sentence of its own and as it follows a comma."""
    return {full: turn.question, after: continued(turn.question)}


_KINDS: dict[str, tuple[float, Callable[[_Chat], None]]] = {
    "same question": (14.0, _Chat.same_question),
    "meant": (10.0, _Chat.meant),
    "doubt": (16.0, _Chat.doubt),
    "why": (5.0, _Chat.why),
    "claim": (10.0, _Chat.claim),
    "thanks and": (9.0, _Chat.thanks_and),
    "several": (14.0, _Chat.several),
    "told": (10.0, _Chat.told_and_asked),
    "names": (9.0, _Chat.names),
    "things": (10.0, _Chat.things),
}
_WEIGHTS = {kind: weight for kind, (weight, _) in _KINDS.items()}


def followups(rng: Rng) -> list[Turn]:
    """Return an exchange with a follow-up; perhaps the last answer is asked for again."""
    chat = _Chat(rng)
    _KINDS[choose_weighted(rng, _WEIGHTS)][1](chat)
    if rng() < 0.08 and len(chat.turns[-1].answer) < 140:
        chat.turns.append(ask_again(rng, chat.turns[-1], chat.wording.style))
    return chat.turns


_EXAM_KINDS: tuple[Callable[[_Chat], None], ...] = (
    _Chat.same_question,
    _Chat.meant,
    _Chat.claim,
    _Chat.things,
)


def exam_followup(rng: Rng, held_out: bool = True) -> list[Turn]:
    """Return a conversation that ends with a follow-up to grade, about subjects of the exam."""
    while True:
        chat = _Chat(rng, held_out)
        choose(rng, _EXAM_KINDS)(chat)
        turns = chat.turns
        while turns and not turns[-1].expected:
            turns.pop()
        if turns:
            return turns
