"""Quiz pages: questions with their answers in plain text.

What a model is told in many ways it can repeat; that it can be asked for it, must be learned from
questions (arXiv 2309.14316). Such pages teach that in pretraining already. They ask what
conversations may ask, and nothing that the exam keeps.
"""

from __future__ import annotations

from .phrase import Rand, capital, pick, whole
from .questions import fact_turn
from .talk import count_turn, letter_turn, spelling_turn, sum_turn
from .tasks import choice, instruction

_ROUNDS = (
    *(fact_turn, fact_turn, fact_turn, fact_turn, fact_turn, fact_turn),
    *(spelling_turn, spelling_turn, sum_turn, count_turn, letter_turn, choice),
    *(instruction, instruction, instruction),
)


def page(r: Rand) -> str:
    """Some rounds, each of questions of one sort."""
    rounds = [pick(r, _ROUNDS) for _ in range(whole(r, 1, 3))]
    turns = [make(r) for make in rounds for _ in range(whole(r, 2, 5))]
    return "\n".join(f"{capital(turn.ask)}\n{turn.answer}" for turn in turns)
