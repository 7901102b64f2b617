"""One exchange of a conversation: a question with its answer, and how other answers are graded."""

from collections.abc import Callable
from typing import NamedTuple

from firstwords.data.starter.grading import Rule
from firstwords.data.starter.holdout import is_held_out, question_key
from firstwords.data.starter.rng import Rng


class Turn(NamedTuple):
    """What the user asks and what the assistant answers.

    `rule` grades another answer against `expected` (see `grading.is_right`). Small talk has nothing
    to expect and cannot be graded.
    """

    question: str
    answer: str
    rule: Rule = "answers"
    expected: tuple[str, ...] = ()


def draw_turn(rng: Rng, make: Callable[[Rng], Turn], held_out: bool = False) -> Turn:
    """Call `make` until the question of its turn is held out for the exam, or is not."""
    while True:
        turn = make(rng)
        if is_held_out("question", question_key(turn.question)) == held_out:
            return turn
