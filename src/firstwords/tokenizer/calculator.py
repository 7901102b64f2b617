"""The calculator tool that the model can call.

It evaluates arithmetic, and counts letters: `count("some words", "o")`. A model wrote its input, so
the input is not trusted: `simpleeval` walks the syntax tree and allows only numbers, strings, the
operators below and `count`; sizes are bounded before anything is computed.
"""

import ast
import math
import operator
from collections.abc import Callable
from typing import Any

from simpleeval import InvalidExpression, SimpleEval

MAX_EXPRESSION_CHARS = 200
MAX_DIGITS = 100
ERROR = "error"


def calculate(expression: str) -> str:
    """Return the value of an expression as a calculator prints it, or "error".

    Never raises, and ends within milliseconds.
    """
    if len(expression) > MAX_EXPRESSION_CHARS:
        return ERROR
    try:
        tree = ast.parse(expression.strip(), mode="eval").body  # one expression, no statements
        evaluator = SimpleEval(operators=OPERATORS, functions={"count": _count}, names={})
        evaluator.nodes = {kind: evaluator.nodes[kind] for kind in NODES}
        return format_number(evaluator.eval(expression, previously_parsed=tree))
    except (InvalidExpression, ArithmeticError, LookupError, RecursionError, MemoryError):
        return ERROR
    except (ValueError, TypeError, SyntaxError):
        return ERROR


def format_number(value: Any) -> str:
    """Format a whole number with all digits, any other number with up to ten.

    Raises ValueError if the value is not a finite number.
    """
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
        if max(abs(a), abs(b)) > 10**MAX_DIGITS:
            raise ValueError("too large")
        return function(a, b)

    return compute


def _power(a: Any, b: Any) -> Any:
    if abs(a) > 1 and b * math.log10(abs(a)) > MAX_DIGITS:
        raise ValueError("too large")
    return a**b


def _count(text: Any, letter: Any) -> int:
    if not (isinstance(text, str) and isinstance(letter, str) and len(letter) == 1):
        raise ValueError("count takes a text and one letter")
    return text.count(letter)


# Nothing else that simpleeval knows, such as slices and conditions: the calculator of an exported
# page (export/html/tool.js) has this grammar.
NODES = (ast.Constant, ast.UnaryOp, ast.BinOp, ast.Call)
OPERATORS = {
    ast.Add: _bounded(operator.add),
    ast.Sub: _bounded(operator.sub),
    ast.Mult: _bounded(operator.mul),
    ast.Div: _bounded(operator.truediv),
    ast.Pow: _power,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}
