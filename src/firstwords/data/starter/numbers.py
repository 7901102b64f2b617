"""Numbers: counting, comparing, small sums and word problems, in words and in digits."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from .holdout import held_out
from .phrase import Rand, capital, pick, say, sections, some, whole
from .words import ORDINALS, count_of, in_words, plural


class Problem(NamedTuple):
    """Something to work out: the statement, the question, the answer, and its number."""

    given: str
    question: str
    answer: str
    value: int
    context: bool = False

    @property
    def asked(self) -> str:
        """The question with all that is needed to answer it."""
        return f"{self.given} {self.question}" if self.context else self.question


_NOUNS = (
    "apple pear plum nut egg cup book pencil marble button shell stone biscuit flower "
    "stamp coin candle balloon sticker cherry berry peach carrot pebble feather card "
    "ribbon ball key acorn mushroom muffin pancake lemon melon crayon bead star sock brick "
    "bell kite toy spoon plate ticket box brush basket penny puppet"
)
NOUNS = tuple(_NOUNS.split())


def _ordered(a: int, sign: str, b: int) -> tuple[int, int]:
    """7 + 5 and 5 + 7 are one sum; so are 7 x 5 and 5 x 7."""
    return (a, b) if sign == "-" else (max(a, b), min(a, b))


def is_kept(a: int, sign: str, b: int) -> bool:
    """Whether this sum is kept for the exam."""
    a, b = _ordered(a, sign, b)
    return b > 1 and held_out("sum", f"{a}{sign}{b}")


def result_of(a: int, sign: str, b: int) -> int:
    return a + b if sign == "+" else a - b if sign == "-" else a * b


def worked_out(a: int, sign: str, b: int) -> str:
    """A sum as it is done on the fingers: '7 plus 3: one 8, two 9, three 10. So 7 plus 3 is 10'.

    Hundreds of sums are too many to learn by heart in half an hour; counting on is one habit that
    serves all, those of the exam too. Where it is shorter, a difference is counted from below.
    """
    a, b = _ordered(a, sign, b)
    result = result_of(a, sign, b)
    said = f"{a} {_SIGN_WORDS[sign]} {b}"
    way = ""
    if sign == "-" and result < b:
        way, row = f" up from {b},", [b + k for k in range(1, result + 1)]
    else:
        row = [result_of(a, sign, k) for k in range(1, b + 1)]
    if b < 2 or not row:
        return f"{said} is {result}"
    counted = ", ".join(f"{in_words(k)} {value}" for k, value in enumerate(row, start=1))
    return f"{said}:{way} {counted}. So {said} is {result}"


def sum_of(r: Rand, kept: bool = False) -> tuple[int, str, int, int]:
    """Two numbers that a head can handle: first, sign, second, result."""
    while True:
        a, sign, b, result = _any_sum(r)
        if is_kept(a, sign, b) == kept:
            return a, sign, b, result


def _any_sum(r: Rand) -> tuple[int, str, int, int]:
    sign = pick(r, "+++--**")
    if sign == "*":
        a, b = whole(r, 1, 10), whole(r, 1, 10)
    elif sign == "+":
        a = whole(r, 0, 20)
        b = whole(r, 0, 20 - a)
    else:
        a = whole(r, 0, 20)
        b = whole(r, 0, a)
    return a, sign, b, result_of(a, sign, b)


_SIGN_WORDS = {"+": "plus", "-": "minus", "*": "times"}


def small_sum(r: Rand, kept: bool = False) -> Problem:
    """A sum, difference or product."""
    a, sign, b, result = sum_of(r, kept)
    written = in_words if r() < 0.25 else str
    slots = {
        "a": written(a),
        "w": _SIGN_WORDS[sign],
        "b": written(b),
        "c": written(result),
    }
    told = sections("talk.txt")
    answer = worked_out(a, sign, b) + "."
    given = answer if r() < 0.5 else say(r, told["sum say"], slots)
    ask = say(r, told["sum ask"], slots)
    # Written with signs only in digits: "7 - 3".
    if written is str and r() < 0.35:
        mark = "×" if sign == "*" and r() < 0.3 else sign
        ask = pick(r, (f"{a} {mark} {b} = ?", f"What is {a} {mark} {b}?", f"{a} {mark} {b}"))
        given = f"{a} {mark} {b} = {result}." if r() < 0.5 else answer
    return Problem(given, ask, answer, result)


_OPERATION = {"more": "+", "both": "+", "less": "-", "each": "*"}


def _operands(r: Rand, kind: str) -> tuple[int, int]:
    if kind == "each":
        return whole(r, 2, 10), whole(r, 2, 10)
    a, b = whole(r, 1, 12), whole(r, 1, 8)
    return (a + b, b) if kind == "less" else (a, b)


def word_problem(r: Rand, kept: bool = False) -> Problem:
    """A tiny story with numbers in it."""
    lists = sections("cast.txt")
    noun = pick(r, NOUNS)
    girl = r() < 0.5
    name = pick(r, lists["girls" if girl else "boys"])
    other = pick(r, lists["boys" if girl else "girls"])
    kind = pick(r, ("more", "more", "less", "less", "each", "both"))
    a, b = _operands(r, kind)
    while is_kept(a, _OPERATION[kind], b) != kept:
        a, b = _operands(r, kind)
    result = result_of(a, _OPERATION[kind], b)
    slots = {
        "n": name,
        "m": other,
        "he": "she" if girl else "he",
        "his": "her" if girl else "his",
        "him": "her" if girl else "him",
        "a": str(a),
        "b": str(b),
        "ta": count_of(a, noun),
        "tb": count_of(b, noun),
        "tc": count_of(result, noun) if result else f"no {plural(noun)}",
        "mb": f"{b} more {noun if b == 1 else plural(noun)}",
        "isa": f"{'is' if a == 1 else 'are'} {count_of(a, noun)}",
        "isb": f"{'is' if b == 1 else 'are'} {count_of(b, noun)}",
        "many": plural(noun),
        "noun": noun,
        "sum": worked_out(a, _OPERATION[kind], b),
    }
    told = sections("talk.txt")
    given = say(r, told[f"problem {kind}"], slots)
    ask = say(r, told[f"problem {kind} ask"], slots)
    answer = say(r, told[f"problem {kind} answer"], slots)
    return Problem(given, ask, answer, result, context=True)


def comparison(r: Rand) -> Problem:
    """Which of two numbers is larger, and by how much."""
    a, b = some(r, range(1, 1000 if r() < 0.2 else 100), 2)
    while is_kept(max(a, b), "-", min(a, b)):
        a, b = some(r, range(1, 100), 2)
    low, high = min(a, b), max(a, b)
    slots = {"a": str(a), "b": str(b), "low": str(low), "high": str(high), "d": str(high - low)}
    told = sections("talk.txt")
    large = r() < 0.6
    name = "larger" if large else "smaller"
    return Problem(
        say(r, told["compare say"], slots),
        say(r, told[f"compare {name} ask"], slots),
        say(r, told[f"compare {name} answer"], slots),
        high if large else low,
    )


def neighbour(r: Rand) -> Problem:
    """The number before or after another one."""
    a = whole(r, 1, 200)
    if r() < 0.5:
        ask = pick(r, (f"Which number comes after {a}?", f"What is the number after {a}?"))
        return Problem(f"After {a} comes {a + 1}.", ask, f"After {a} comes {a + 1}.", a + 1)
    ask = pick(r, (f"Which number comes before {a}?", f"What number is just before {a}?"))
    return Problem(f"Before {a} comes {a - 1}.", ask, f"Before {a} comes {a - 1}.", a - 1)


_PROBLEMS: tuple[Callable[[Rand], Problem], ...] = (
    small_sum,
    small_sum,
    word_problem,
    word_problem,
    comparison,
    neighbour,
)


def problem(r: Rand) -> Problem:
    """Any small problem."""
    return pick(r, _PROBLEMS)(r)


def counting(r: Rand) -> str:
    """A row of numbers: 'Counting in twos: ...'."""
    step = pick(r, (1, 1, 1, 2, 2, 3, 4, 5, 10))
    start, length = whole(r, 0, 60), whole(r, 5, 9)
    row = [start + step * i for i in range(length)]
    if r() < 0.2:
        row.reverse()
    spoken = r() < 0.5
    items = ", ".join(in_words(n) if spoken else str(n) for n in row)
    by = ["ones", "twos", "threes", "fours", "fives", "-", "-", "-", "-", "tens"][step - 1]
    way = "down" if row[0] > row[-1] else "up"
    return say(
        r,
        (
            "[let us|we can|now we] count {way} in {by}: {items}.",
            "counting {way} in {by} from {first}: {items}.",
            "{items}: that is counting in {by}.",
            "count with me: {items}.",
        ),
        {"way": way, "by": by, "items": items, "first": str(row[0])},
    )


def table(r: Rand) -> str:
    """A piece of a times table, but for what the exam asks, and counting in the same steps."""
    n, start = whole(r, 2, 10), whole(r, 1, 6)
    spoken = r() < 0.4
    lines = []
    for i in range(start, start + whole(r, 3, 5)):
        if i > 10 or is_kept(i, "*", n):
            continue
        if spoken:
            lines.append(f"{capital(in_words(i))} times {in_words(n)} is {in_words(i * n)}.")
        else:
            lines.append(f"{i} times {n} is {i * n}.")
    steps = ", ".join(in_words(n * i) if spoken else str(n * i) for i in range(1, 11))
    return " ".join([f"The table of {in_words(n)}.", *lines, f"{capital(steps)}."])


def ranking(r: Rand) -> str:
    """Children in a row: first, second, third."""
    lists = sections("cast.txt")
    names = some(r, lists["girls"] + lists["boys"], whole(r, 3, 5))
    row = [f"{name} was {place}" for name, place in zip(names, ORDINALS, strict=False)]
    place = pick(r, sections("cast.txt")["places"]).split("|")[0]
    return f"In the race to {place}, " + ", ".join(row[:-1]) + f", and {row[-1]}."


def drill(r: Rand) -> str:
    """Many small sums, one after the other."""
    return " ".join(small_sum(r).given for _ in range(whole(r, 8, 14)))


def page(r: Rand) -> str:
    """A page of sums, stories with numbers, counting and comparing."""
    if r() < 0.5:
        return drill(r)
    told: list[str] = []
    for _ in range(whole(r, 4, 7)):
        choice = r()
        if choice < 0.12:
            told.append(counting(r))
        elif choice < 0.2:
            told.append(table(r))
        elif choice < 0.26:
            told.append(ranking(r))
        else:
            one = word_problem(r) if choice < 0.6 else problem(r)
            if not one.context:
                told.append(one.given)
            elif r() < 0.4:
                told.append(f"{one.given} {one.question} {one.answer}")
            else:
                told.append(f"{one.given} {one.answer}")
    return " ".join(told)
