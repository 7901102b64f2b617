"""Tool use: sums too large for the head, and letters of more than a word, left to the calculator.

The assistant writes the expression between `<tool_call>` marks; what the calculator prints
follows between `<tool_response>` marks, and then comes the answer in words.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from firstwords.calculator import show

from .numbers import NOUNS
from .phrase import Rand, pick, say, sections, some, whole
from .words import plural, spelled_words


class Task(NamedTuple):
    """A question, the answer with its tool call, and the result in it."""

    question: str
    answer: str
    result: str


def call(expression: str, value: float | int) -> str:
    """The marks of a tool call and its response."""
    result = show(value)
    return f"<tool_call>{expression}</tool_call><tool_response>{result}</tool_response>"


def _answered(question: str, expression: str, value: float | int) -> Task:
    result = show(value)
    return Task(question, f"{call(expression, value)}The answer is {result}.", result)


def _operand(r: Rand, digits: int) -> int:
    """Of so many digits; up to 20, a head can do it."""
    return whole(r, 21 if digits == 2 else 10 ** (digits - 1), 10**digits - 1)


def _division(r: Rand) -> tuple[int, int]:
    """Small or large; nearly always without a remainder."""
    b = whole(r, 2, 10) if r() < 0.5 else _operand(r, 2)
    a = b * whole(r, 2, 400)
    return (a, b) if r() < 0.9 else (a // 4 + 1, 4)


_SPOKEN = {"+": ("plus",), "-": ("minus",), "*": ("times", "multiplied by"), "/": ("divided by",)}
_ASKS = (
    "What is {e}?",
    "How much is {e}?",
    "[Work out|Calculate|Compute] {e}[.|, please.]",
    "Can you [calculate|work out] {e}?",
    "What do you get for {e}?",
    "Please tell me what {e} is.",
)


def two_numbers(r: Rand) -> Task:
    """Two larger numbers and one sign."""
    sign = pick(r, "+-**/")
    a = _operand(r, whole(r, 2, 4))
    b = _operand(r, whole(r, 2, 3 if sign in "*/" else 4))
    if sign == "/":
        a, b = _division(r)
        value: float | int = a / b
    else:
        value = {"+": a + b, "-": a - b, "*": a * b}[sign]
    if r() < 0.4:
        mark = pick(r, ("×", "x", "*")) if sign == "*" else sign
        spoken = f"{a} {mark} {b}" if r() < 0.6 else f"{a}{mark}{b}"
    else:
        spoken = f"{a} {pick(r, _SPOKEN[sign])} {b}"
    question = say(r, _ASKS, {"e": spoken})
    return _answered(question, f"{a}{sign}{b}", value)


def longer(r: Rand) -> Task:
    """Three numbers, with parentheses or a decimal point or a power."""
    a, b, c = _operand(r, whole(r, 1, 3)), _operand(r, 2), whole(r, 2, 60)
    value: float | int
    kind = whole(r, 0, 4)
    if kind == 0:
        expression, value = f"({a}+{b})*{c}", (a + b) * c
    elif kind == 1:
        expression, value = f"{a}*{b}+{c}", a * b + c
    elif kind == 2:
        expression, value = f"({a}-{b})*{c}", (a - b) * c
    elif kind == 3:
        tenths = whole(r, 1, 9)
        expression, value = f"{a}.{tenths}*{c}", float(f"{a}.{tenths}") * c
    else:
        power = whole(r, 2, 3)
        expression, value = f"{b}**{power}", b**power
        question = f"What is {b} to the power of {power}?"
        return _answered(question, expression, value)
    question = say(r, _ASKS, {"e": expression})
    return _answered(question, expression, value)


def large_problem(r: Rand) -> Task:
    """A word problem with numbers too large for the head."""
    lists = sections("cast.txt")
    noun = plural(pick(r, NOUNS))
    name = pick(r, lists["girls"] + lists["boys"])
    a, b = _operand(r, whole(r, 2, 3)), _operand(r, 2)
    kind = pick(r, ("*", "+", "-", "/"))
    given: tuple[str, ...]
    if kind == "/":
        b = whole(r, 2, 9)
        a = b * whole(r, 2, 60)
        given = (
            f"{name} shares {a} {noun} fairly among {b} friends.",
            f"There are {a} {noun} for {b} boxes, and every box gets the same number.",
            f"{name} has {a} {noun} for {b} children, and all get the same number.",
        )
        question = f"{pick(r, given)} How many {noun} are there for each?"
        return Task(
            question,
            call(f"{a}/{b}", a // b) + f"There are {a // b} {noun} for each.",
            str(a // b),
        )
    if kind == "*":
        given = (
            f"A shop has {a} boxes with {b} {noun} in each.",
            f"{name} packs {b} {noun} into each of {a} bags.",
            f"There are {a} rows with {b} {noun} in every row.",
        )
        value = a * b
    elif kind == "+":
        given = (
            f"{name} has {a} {noun} and gets {b} more.",
            f"There are {a} {noun} in one box and {b} {noun} in another.",
        )
        value = a + b
    else:
        a += b
        given = (
            f"{name} has {a} {noun} and sells {b} of them.",
            f"Of {a} {noun}, {b} are lost. {name} keeps the others.",
        )
        value = a - b
    left = kind == "-"
    ask = f"How many {noun} are left?" if left else f"How many {noun} are there in all?"
    answer = f"There are {value} {noun} {'left' if left else 'in all'}."
    return Task(f"{pick(r, given)} {ask}", call(f"{a}{kind}{b}", value) + answer, str(value))


_COUNTS = (
    'How many times does the letter {l} stand in "{s}"?',
    'How often is there [a letter|the letter] {l} in "{s}"?',
    'Count the letter {l} in "{s}"[.|, please.]',
)


def letters(r: Rand) -> Task:
    """How often a letter stands in several words: one word is spelled, more are too many."""
    text = " ".join(some(r, spelled_words(False), whole(r, 3, 6)))
    letter = pick(r, text.replace(" ", "") if r() < 0.8 else "abcdefghilmnoprstuw")
    question = say(r, _COUNTS, {"l": letter, "s": text})
    return _answered(question, f'count("{text}", "{letter}")', text.count(letter))


_TASKS: tuple[Callable[[Rand], Task], ...] = (
    two_numbers,
    two_numbers,
    two_numbers,
    longer,
    large_problem,
    letters,
)


def task(r: Rand) -> Task:
    """A question and the answer with its tool call."""
    return pick(r, _TASKS)(r)
