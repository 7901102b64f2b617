"""Turns in the wording of one table, typed by one user."""

from collections.abc import Collection, Mapping

from firstwords.data.starter.everyday.typed import (
    TypingStyle,
    is_never_said,
    may_be_exam_question,
    sayable,
    type_out,
)
from firstwords.data.starter.grading import Rule
from firstwords.data.starter.rng import Rng, choose, favouring_first
from firstwords.data.starter.tables import table_sections
from firstwords.data.starter.templates import capitalize, fill_template, make_answer
from firstwords.data.starter.turn import Turn

_TRIES = 30
# For the rare message whose wordings are all held out.
_LEAD_INS = ("Please.", "Okay.", "Well.", "So.", "Tell me.", "Now.", "Good.", "A question.")


class Wording:
    """Asks and answers in the words of a table: section "NAME" has what users say, and "NAME
    answer" what is answered.

    With `held_out` every message of the user is one that training never shows.
    """

    def __init__(self, rng: Rng, table: str, style: TypingStyle, held_out: bool = False) -> None:
        self.rng = rng
        self.style = style
        self._sections = table_sections(table)
        self._held_out = held_out

    def ask(self, name: str, slots: Mapping[str, str], keep: Collection[str] = ()) -> str:
        """Return a message of the user, without typos in the values of the slots.

        Raises ValueError if all messages of this section have the same hold-out.
        """
        return self.typed(self.plain(name, slots), slots, keep)

    def typed(self, text: str, slots: Mapping[str, str], keep: Collection[str] = ()) -> str:
        """Return the text as this user types it, without typos in the values of the slots."""
        kept = [word for value in (*slots.values(), *keep) for word in value.split()]
        kept += [word.replace("'", "") for word in kept if "'" in word]
        return type_out(self.rng, self.style, text, kept)

    def plain(self, name: str, slots: Mapping[str, str]) -> str:
        """Return a message of the user in normal spelling."""
        lines = self._sections[name]
        for _ in range(_TRIES):
            line = choose(favouring_first(self.rng), lines)
            if not self._held_out and (texts := sayable(line)):
                return choose(self.rng, texts)
            text = capitalize(fill_template(self.rng, line, slots))
            if may_be_exam_question(text) if self._held_out else not is_never_said(text):
                return text
        for introduced in (f"{lead_in} {text}" for lead_in in _LEAD_INS if not self._held_out):
            if not is_never_said(introduced):
                return introduced
        raise ValueError(f"all messages {name!r} with {dict(slots)} have the same hold-out")

    def answer(self, name: str, slots: Mapping[str, str]) -> str:
        """Return an answer in the wording of a section."""
        return make_answer(self.rng, self._sections[name], slots).rstrip()

    def turn(
        self,
        name: str,
        slots: Mapping[str, str],
        rule: Rule = "answers",
        expected: tuple[str, ...] = (),
    ) -> Turn:
        """Return a message of section `name` with an answer of section "`name` answer"."""
        return Turn(self.ask(name, slots), self.answer(f"{name} answer", slots), rule, expected)
