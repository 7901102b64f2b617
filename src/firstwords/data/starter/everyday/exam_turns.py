"""The questions of the exam's categories about everyday conversation."""

from collections.abc import Callable

from firstwords.data.starter.everyday.typed import canonical, draw_style, is_exam_only, retype
from firstwords.data.starter.fact_questions import fact_turn
from firstwords.data.starter.holdout import is_held_out
from firstwords.data.starter.letters import count_turn, spelling_turn
from firstwords.data.starter.numbers import held_out_sum_turn, math_turn
from firstwords.data.starter.rng import Rng, choose
from firstwords.data.starter.small_talk import identity_turn
from firstwords.data.starter.turn import Turn

# Each maker with whether its words, or else its content, decide what is held out.
_MAKERS: tuple[tuple[Callable[[Rng, bool], Turn], bool], ...] = (
    (fact_turn, True),
    (fact_turn, True),
    (identity_turn, True),
    (spelling_turn, False),
    (count_turn, False),
    (lambda rng, held_out: held_out_sum_turn(rng) if held_out else math_turn(rng), False),
)


def typed_turn(rng: Rng, held_out: bool = True) -> Turn:
    """Return a question of an older category as people type it."""
    make, by_words = choose(rng, _MAKERS)
    style = draw_style(rng, for_exam=True)._replace(lower=True, drops_final=1.0, contracts=0.9)
    while True:
        turn = make(rng, held_out)
        if not by_words or _is_held_out(turn.question) == held_out:
            return retype(rng, style, turn)


def _is_held_out(question: str) -> bool:
    return is_exam_only(question) and is_held_out("question", canonical(question))
