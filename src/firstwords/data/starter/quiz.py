"""Quiz pages: questions with their answers in plain text.

A model that has only read statements of a fact does not learn to answer questions about it
(arXiv 2309.14316). These pages teach that during pretraining. They ask what conversations may ask,
and nothing that is held out for the exam.
"""

from firstwords.data.starter.fact_questions import fact_turn
from firstwords.data.starter.instructions import instruction
from firstwords.data.starter.letters import count_turn, letter_turn, spelling_turn
from firstwords.data.starter.multiple_choice import multiple_choice
from firstwords.data.starter.numbers import math_turn
from firstwords.data.starter.rng import Rng, choose, randint
from firstwords.data.starter.templates import capitalize

_TURN_MAKERS = (
    *(fact_turn, fact_turn, fact_turn, fact_turn, fact_turn, fact_turn),
    *(spelling_turn, spelling_turn, math_turn, count_turn, letter_turn, multiple_choice),
    *(instruction, instruction, instruction),
)


def page(rng: Rng) -> str:
    """Return one to three rounds, each with several questions of one kind."""
    rounds = [choose(rng, _TURN_MAKERS) for _ in range(randint(rng, 1, 3))]
    turns = [make(rng) for make in rounds for _ in range(randint(rng, 2, 5))]
    return "\n".join(f"{capitalize(turn.question)}\n{turn.answer}" for turn in turns)
