"""The calculator that the model may call.

It works out sums, and counts letters: `count("some words", "o")`. Its input was written by a
model, so it is not trusted: `simpleeval` walks the syntax tree and knows numbers, six operators and
this one function; sizes are bounded before anything is computed.
"""

import ast
import math
import operator
from collections.abc import Callable
from typing import Any

from simpleeval import InvalidExpression, SimpleEval

LONGEST_EXPRESSION = 200
MOST_DIGITS = 100
ERROR = "error"


def calculate(expression: str) -> str:
    """The value as a calculator prints it, or "error"; never raises, never takes long."""
    if len(expression) > LONGEST_EXPRESSION:
        return ERROR
    try:
        tree = ast.parse(expression.strip(), mode="eval").body  # one expression, no statements
        evaluator = SimpleEval(operators=OPERATORS, functions={"count": _count}, names={})
        return show(evaluator.eval(expression, previously_parsed=tree))
    except (InvalidExpression, ArithmeticError, LookupError, RecursionError, MemoryError):
        return ERROR
    except (ValueError, TypeError, SyntaxError):
        return ERROR


def show(value: Any) -> str:
    """Whole numbers plainly, others with up to ten digits. Raises ValueError for other things."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("not a number")
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError("not a finite number")
        if not value.is_integer() or abs(value) >= 1e15:
            return f"{value:.10g}"
        value = int(value)
    return str(value)


def _bounded(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def compute(a: Any, b: Any) -> Any:
        if max(abs(a), abs(b)) > 10**MOST_DIGITS:
            raise ValueError("too large")
        return function(a, b)

    return compute


def _power(a: Any, b: Any) -> Any:
    if abs(a) > 1 and b * math.log10(abs(a)) > MOST_DIGITS:
        raise ValueError("too large")
    return a**b


def _count(text: Any, letter: Any) -> int:
    if not (isinstance(text, str) and isinstance(letter, str) and len(letter) == 1):
        raise ValueError("count takes a text and a letter")
    return text.count(letter)


OPERATORS = {
    ast.Add: _bounded(operator.add),
    ast.Sub: _bounded(operator.sub),
    ast.Mult: _bounded(operator.mul),
    ast.Div: _bounded(operator.truediv),
    ast.Pow: _power,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}
