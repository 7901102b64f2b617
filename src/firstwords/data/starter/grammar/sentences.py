"""A sentence of any construction, in proportions that follow how much there is to learn."""

from collections.abc import Callable

from firstwords.data.starter.grammar.comparison import COMPARISONS
from firstwords.data.starter.grammar.complements import COMPLEMENTS
from firstwords.data.starter.grammar.compounds import COMPOUNDS
from firstwords.data.starter.grammar.ellipsis import ELLIPSES
from firstwords.data.starter.grammar.links import LINKS
from firstwords.data.starter.grammar.negation import NEGATIONS
from firstwords.data.starter.grammar.pronouns import PRONOUNS
from firstwords.data.starter.grammar.quantifiers import QUANTIFIED
from firstwords.data.starter.grammar.questions import QUESTIONS
from firstwords.data.starter.grammar.relatives import RELATIVES
from firstwords.data.starter.grammar.reports import REPORTS
from firstwords.data.starter.grammar.statements import STATEMENTS
from firstwords.data.starter.grammar.voice import VOICES
from firstwords.data.starter.rng import Rng, choose

_Makers = tuple[tuple[Callable[[Rng], str], float], ...]
_TOPICS: tuple[tuple[float, _Makers], ...] = (
    (34.0, STATEMENTS),
    (16.0, RELATIVES),
    (22.0, QUESTIONS),
    (15.0, VOICES),
    (13.0, NEGATIONS),
    (9.0, QUANTIFIED),
    (10.0, PRONOUNS),
    (9.0, ELLIPSES),
    (17.0, COMPLEMENTS),
    (7.0, REPORTS),
    (7.0, COMPARISONS),
    (9.0, LINKS),
    (16.0, COMPOUNDS),
)


def _table() -> tuple[Callable[[Rng], str], ...]:
    """Return every maker of sentences as often as its weight says, so that a choice is one step."""
    rows: list[Callable[[Rng], str]] = []
    for weight, makers in _TOPICS:
        total = sum(share for _, share in makers)
        for maker, share in makers:
            rows += [maker] * max(1, round(10 * weight * share / total))
    return tuple(rows)


MAKERS = _table()


def any_sentence(rng: Rng) -> str:
    """Return a sentence; a question may come with its answer, and a quotation with its report."""
    return choose(rng, MAKERS)(rng)
