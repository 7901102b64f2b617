"""Questions that the assistant answers with the calculator: large sums, letters in several words.

The assistant writes the expression between `<tool_call>` marks. The calculator's result follows
between `<tool_response>` marks, and then the answer in words.
"""

from collections.abc import Callable
from typing import NamedTuple

from firstwords.data.starter.numbers import NOUNS, is_sum_held_out
from firstwords.data.starter.rng import Rng, choose, randint, sample
from firstwords.data.starter.tables import table_sections
from firstwords.data.starter.templates import make_sentence
from firstwords.data.starter.turn import Turn, draw_turn
from firstwords.data.starter.words import plural, spelled_words
from firstwords.tokenizer.calculator import format_number


class ToolQuestion(NamedTuple):
    """A question for the calculator."""

    question: str
    answer: str  # with its tool call
    result: str  # what the calculator prints


def _tool_call(expression: str, value: float | int) -> str:
    """Return a tool call and its response, with their marks."""
    result = format_number(value)
    return f"<tool_call>{expression}</tool_call><tool_response>{result}</tool_response>"


def _make_question(question: str, expression: str, value: float | int) -> ToolQuestion:
    result = format_number(value)
    return ToolQuestion(question, f"{_tool_call(expression, value)}The answer is {result}.", result)


def _operand(rng: Rng, digits: int) -> int:
    """Return a number with so many digits, above 20: smaller ones need no calculator."""
    return randint(rng, 21 if digits == 2 else 10 ** (digits - 1), 10**digits - 1)


def _division(rng: Rng) -> tuple[int, int]:
    """Return dividend and divisor; nine times out of ten without a remainder."""
    b = randint(rng, 2, 10) if rng() < 0.5 else _operand(rng, 2)
    a = b * randint(rng, 2, 400)
    return (a, b) if rng() < 0.9 else (a // 4 + 1, 4)


_OPERATOR_WORDS = {
    "+": ("plus",),
    "-": ("minus",),
    "*": ("times", "multiplied by"),
    "/": ("divided by",),
}
_QUESTIONS = (
    "What is {e}?",
    "How much is {e}?",
    "[Work out|Calculate|Compute] {e}[.|, please.]",
    "Can you [calculate|work out] {e}?",
    "What do you get for {e}?",
    "Please tell me what {e} is.",
)


def two_numbers(rng: Rng) -> ToolQuestion:
    """Ask for the result of one operation on two larger numbers."""
    sign = choose(rng, "+-**/")
    a = _operand(rng, randint(rng, 2, 4))
    b = _operand(rng, randint(rng, 2, 3 if sign in "*/" else 4))
    if sign == "/":
        a, b = _division(rng)
        value: float | int = a / b
    else:
        value = {"+": a + b, "-": a - b, "*": a * b}[sign]
    return _question_of(rng, a, sign, b, value)


def _question_of(rng: Rng, a: int, sign: str, b: int, value: float | int) -> ToolQuestion:
    """Ask for the result of one operation, in figures or with its name in words."""
    if rng() < 0.4:
        mark = choose(rng, ("×", "x", "*")) if sign == "*" else sign
        written = f"{a} {mark} {b}" if rng() < 0.6 else f"{a}{mark}{b}"
    else:
        written = f"{a} {choose(rng, _OPERATOR_WORDS[sign])} {b}"
    question = make_sentence(rng, _QUESTIONS, {"e": written})
    return _make_question(question, f"{a}{sign}{b}", value)


# What `numbers.py` counts out has no number above these.
_LARGEST_SUM, _LARGEST_FACTOR = 20, 10


def small_and_large(rng: Rng) -> ToolQuestion:
    """Ask for a sum, a difference or a product that has a small number in it, as most that people
    type have, but is too large to count out: 12 plus 30, 15 plus 8, 12 times 12."""
    while True:
        sign = choose(rng, "+-*")
        a, b = randint(rng, 2, 30), _operand(rng, 2) if rng() < 0.7 else randint(rng, 2, 20)
        if sign == "-" or rng() < 0.5:
            a, b = max(a, b), min(a, b)
        value = {"+": a + b, "-": a - b, "*": a * b}[sign]
        largest = value if sign == "+" else max(a, b)
        is_large = largest > (_LARGEST_FACTOR if sign == "*" else _LARGEST_SUM)
        if is_large and not is_sum_held_out(a, sign, b):
            return _question_of(rng, a, sign, b, value)


def half_or_double(rng: Rng) -> ToolQuestion:
    """Ask for half of a number, a third or a quarter of it, or twice as much."""
    n, (wording, sign, factor) = randint(rng, 1, 60), choose(rng, _PARTS)
    while is_sum_held_out(n, "*", factor):
        n = randint(rng, 1, 60)
    number, value = (n * factor, n) if sign == "/" else (n, n * factor)
    question = make_sentence(rng, _QUESTIONS, {"e": wording.format(n=number)})
    return _make_question(question, f"{number}{sign}{factor}", value)


_PARTS = (
    *(("half of {n}", "/", 2), ("half of {n}", "/", 2)),
    *(("a third of {n}", "/", 3), ("a quarter of {n}", "/", 4)),
    *(("double {n}", "*", 2), ("twice {n}", "*", 2)),
)


def longer_expression(rng: Rng) -> ToolQuestion:
    """Ask for the result of an expression with parentheses, a decimal point or a power."""
    a, b, c = _operand(rng, randint(rng, 1, 3)), _operand(rng, 2), randint(rng, 2, 60)
    value: float | int
    kind = randint(rng, 0, 4)
    if kind == 0:
        expression, value = f"({a}+{b})*{c}", (a + b) * c
    elif kind == 1:
        expression, value = f"{a}*{b}+{c}", a * b + c
    elif kind == 2:
        expression, value = f"({a}-{b})*{c}", (a - b) * c
    elif kind == 3:
        tenths = randint(rng, 1, 9)
        expression, value = f"{a}.{tenths}*{c}", float(f"{a}.{tenths}") * c
    else:
        power = randint(rng, 2, 3)
        expression, value = f"{b}**{power}", b**power
        question = f"What is {b} to the power of {power}?"
        return _make_question(question, expression, value)
    question = make_sentence(rng, _QUESTIONS, {"e": expression})
    return _make_question(question, expression, value)


def large_word_problem(rng: Rng) -> ToolQuestion:
    """Ask a word problem with large numbers."""
    lists = table_sections("cast.txt")
    noun = plural(choose(rng, NOUNS))
    name = choose(rng, lists["girls"] + lists["boys"])
    a, b = _operand(rng, randint(rng, 2, 3)), _operand(rng, 2)
    kind = choose(rng, ("*", "+", "-", "/"))
    given: tuple[str, ...]
    if kind == "/":
        b = randint(rng, 2, 9)
        a = b * randint(rng, 2, 60)
        given = (
            f"{name} shares {a} {noun} fairly among {b} friends.",
            f"There are {a} {noun} for {b} boxes, and every box gets the same number.",
            f"{name} has {a} {noun} for {b} children, and all get the same number.",
        )
        question = f"{choose(rng, given)} How many {noun} are there for each?"
        return ToolQuestion(
            question,
            _tool_call(f"{a}/{b}", a // b) + f"There are {a // b} {noun} for each.",
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
    if kind == "-":
        ask, answer = f"How many {noun} are left?", f"There are {value} {noun} left."
    else:
        ask = f"How many {noun} are there in all?"
        answer = f"There are {value} {noun} in all."
    return ToolQuestion(
        f"{choose(rng, given)} {ask}", _tool_call(f"{a}{kind}{b}", value) + answer, str(value)
    )


_COUNT_QUESTIONS = (
    'How many times does the letter {l} stand in "{s}"?',
    'How often is there [a letter|the letter] {l} in "{s}"?',
    'Count the letter {l} in "{s}"[.|, please.]',
)


def count_in_words(rng: Rng) -> ToolQuestion:
    """Ask how often a letter is in several words, which are too long to spell in the answer."""
    text = " ".join(sample(rng, spelled_words(False), randint(rng, 3, 6)))
    letter = choose(rng, text.replace(" ", "") if rng() < 0.8 else "abcdefghilmnoprstuw")
    question = make_sentence(rng, _COUNT_QUESTIONS, {"l": letter, "s": text})
    return _make_question(question, f'count("{text}", "{letter}")', text.count(letter))


_QUESTION_MAKERS: tuple[Callable[[Rng], ToolQuestion], ...] = (
    two_numbers,
    two_numbers,
    two_numbers,
    longer_expression,
    large_word_problem,
    count_in_words,
)


# The exam asks for the others alone, so that its scores stay comparable.
_TRAINING_ALONE = (small_and_large, small_and_large, half_or_double)


def tool_question(rng: Rng, held_out: bool = False) -> ToolQuestion:
    """Return a random question for the calculator."""
    alone = () if held_out else _TRAINING_ALONE
    return choose(rng, (*_QUESTION_MAKERS, *alone))(rng)


def tool_turn(rng: Rng, held_out: bool = False) -> Turn:
    """Ask a question for the calculator."""

    def make(rng: Rng) -> Turn:
        question = tool_question(rng, held_out)
        return Turn(question.question, question.answer, "last_number", (question.result,))

    return draw_turn(rng, make, held_out)
