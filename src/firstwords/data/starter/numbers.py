"""Numbers: counting, comparing, small sums and word problems, in words and in digits."""

from collections.abc import Callable
from typing import NamedTuple

from firstwords.data.starter.holdout import is_held_out
from firstwords.data.starter.rng import Rng, choose, randint, sample
from firstwords.data.starter.tables import table_sections
from firstwords.data.starter.templates import capitalize, make_answer, make_sentence
from firstwords.data.starter.turn import Turn
from firstwords.data.starter.words import ORDINALS, count_of, number_in_words, plural


class MathProblem(NamedTuple):
    """A math question with its answer, and a statement of the same in plain text."""

    statement: str
    question: str
    answer: str
    value: int
    needs_statement: bool = False

    @property
    def prompt(self) -> str:
        """The question with everything needed to answer it."""
        return f"{self.statement} {self.question}" if self.needs_statement else self.question


_NOUNS = (
    "apple pear plum nut egg cup book pencil marble button shell stone biscuit flower "
    "stamp coin candle balloon sticker cherry berry peach carrot pebble feather card "
    "ribbon ball key acorn mushroom muffin pancake lemon melon crayon bead star sock brick "
    "bell kite toy spoon plate ticket box brush basket penny puppet"
)
NOUNS = tuple(_NOUNS.split())


def _in_canonical_order(a: int, sign: str, b: int) -> tuple[int, int]:
    """Return the operands so that 7 + 5 and 5 + 7 are one sum, and 7 x 5 and 5 x 7 as well."""
    return (a, b) if sign == "-" else (max(a, b), min(a, b))


def is_sum_held_out(a: int, sign: str, b: int) -> bool:
    """Return whether this sum is held out for the exam."""
    a, b = _in_canonical_order(a, sign, b)
    return b > 1 and is_held_out("sum", f"{a}{sign}{b}")


def compute(a: int, sign: str, b: int) -> int:
    """Return the result of a sum, a difference or a product."""
    return a + b if sign == "+" else a - b if sign == "-" else a * b


def counted_out(a: int, sign: str, b: int) -> str:
    """Return a sum solved by counting: '7 plus 3: one 8, two 9, three 10. So 7 plus 3 is 10'.

    A model cannot memorize hundreds of sums in half an hour. Counting is one method that solves all
    of them, also those of the exam. A difference is counted upwards where that is shorter.
    """
    a, b = _in_canonical_order(a, sign, b)
    result = compute(a, sign, b)
    problem = f"{a} {_SIGN_WORDS[sign]} {b}"
    direction = ""
    if sign == "-" and result < b:
        direction, values = f" up from {b},", [b + k for k in range(1, result + 1)]
    else:
        values = [compute(a, sign, k) for k in range(1, b + 1)]
    if b < 2 or not values:
        return f"{problem} is {result}"
    counted = ", ".join(f"{number_in_words(k)} {value}" for k, value in enumerate(values, start=1))
    return f"{problem}:{direction} {counted}. So {problem} is {result}"


def random_sum(rng: Rng, held_out: bool = False) -> tuple[int, str, int, int]:
    """Return operand, sign, operand and result of a sum small enough for mental arithmetic."""
    while True:
        a, sign, b, result = _any_sum(rng)
        if is_sum_held_out(a, sign, b) == held_out:
            return a, sign, b, result


def _any_sum(rng: Rng) -> tuple[int, str, int, int]:
    sign = choose(rng, "+++--**")
    if sign == "*":
        a, b = randint(rng, 1, 10), randint(rng, 1, 10)
    elif sign == "+":
        a = randint(rng, 0, 20)
        b = randint(rng, 0, 20 - a)
    else:
        a = randint(rng, 0, 20)
        b = randint(rng, 0, a)
    return a, sign, b, compute(a, sign, b)


_SIGN_WORDS = {"+": "plus", "-": "minus", "*": "times"}


def small_sum(rng: Rng, held_out: bool = False) -> MathProblem:
    """Return a sum, difference or product."""
    a, sign, b, result = random_sum(rng, held_out)
    write = number_in_words if rng() < 0.25 else str
    slots = {
        "a": write(a),
        "w": _SIGN_WORDS[sign],
        "b": write(b),
        "c": write(result),
    }
    wording = table_sections("talk.txt")
    answer = counted_out(a, sign, b) + "."
    statement = answer if rng() < 0.5 else make_sentence(rng, wording["sum say"], slots)
    question = make_sentence(rng, wording["sum ask"], slots)
    # Operators are written as signs only between digits: "7 - 3".
    if write is str and rng() < 0.35:
        mark = "×" if sign == "*" and rng() < 0.3 else sign
        question = choose(
            rng, (f"{a} {mark} {b} = ?", f"What is {a} {mark} {b}?", f"{a} {mark} {b}")
        )
        statement = f"{a} {mark} {b} = {result}." if rng() < 0.5 else answer
    return MathProblem(statement, question, answer, result)


_OPERATION = {"more": "+", "both": "+", "less": "-", "each": "*"}


def _operands(rng: Rng, kind: str) -> tuple[int, int]:
    if kind == "each":
        return randint(rng, 2, 10), randint(rng, 2, 10)
    a, b = randint(rng, 1, 12), randint(rng, 1, 8)
    return (a + b, b) if kind == "less" else (a, b)


def word_problem(rng: Rng, held_out: bool = False) -> MathProblem:
    """Return a word problem of one sentence or two."""
    lists = table_sections("cast.txt")
    noun = choose(rng, NOUNS)
    girl = rng() < 0.5
    name = choose(rng, lists["girls" if girl else "boys"])
    other = choose(rng, lists["boys" if girl else "girls"])
    kind = choose(rng, ("more", "more", "less", "less", "each", "both"))
    a, b = _operands(rng, kind)
    while is_sum_held_out(a, _OPERATION[kind], b) != held_out:
        a, b = _operands(rng, kind)
    result = compute(a, _OPERATION[kind], b)
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
        "sum": counted_out(a, _OPERATION[kind], b),
    }
    wording = table_sections("talk.txt")
    statement = make_sentence(rng, wording[f"problem {kind}"], slots)
    question = make_sentence(rng, wording[f"problem {kind} ask"], slots)
    answer = make_answer(rng, wording[f"problem {kind} answer"], slots)
    return MathProblem(statement, question, answer, result, needs_statement=True)


def comparison(rng: Rng) -> MathProblem:
    """Return the question which of two numbers is larger, or smaller."""
    a, b = sample(rng, range(1, 1000 if rng() < 0.2 else 100), 2)
    while is_sum_held_out(max(a, b), "-", min(a, b)):
        a, b = sample(rng, range(1, 100), 2)
    low, high = min(a, b), max(a, b)
    slots = {"a": str(a), "b": str(b), "low": str(low), "high": str(high), "d": str(high - low)}
    wording = table_sections("talk.txt")
    large = rng() < 0.6
    name = "larger" if large else "smaller"
    return MathProblem(
        make_sentence(rng, wording["compare say"], slots),
        make_sentence(rng, wording[f"compare {name} ask"], slots),
        make_answer(rng, wording[f"compare {name} answer"], slots),
        high if large else low,
    )


def neighbour(rng: Rng) -> MathProblem:
    """Return the question which number comes before or after another."""
    a = randint(rng, 1, 200)
    if rng() < 0.5:
        question = choose(rng, (f"Which number comes after {a}?", f"What is the number after {a}?"))
        statement = f"After {a} comes {a + 1}."
        return MathProblem(statement, question, statement, a + 1)
    question = choose(rng, (f"Which number comes before {a}?", f"What number is just before {a}?"))
    statement = f"Before {a} comes {a - 1}."
    return MathProblem(statement, question, statement, a - 1)


_PROBLEM_MAKERS: tuple[Callable[[Rng], MathProblem], ...] = (
    small_sum,
    small_sum,
    word_problem,
    word_problem,
    comparison,
    neighbour,
)


def math_problem(rng: Rng) -> MathProblem:
    """Return a random small problem."""
    return choose(rng, _PROBLEM_MAKERS)(rng)


def counting(rng: Rng) -> str:
    """Return a sequence of numbers: 'Counting in twos: ...'."""
    step = choose(rng, (1, 1, 1, 2, 2, 3, 4, 5, 10))
    start, length = randint(rng, 0, 60), randint(rng, 5, 9)
    row = [start + step * i for i in range(length)]
    if rng() < 0.2:
        row.reverse()
    spoken = rng() < 0.5
    items = ", ".join(number_in_words(n) if spoken else str(n) for n in row)
    by = ["ones", "twos", "threes", "fours", "fives", "-", "-", "-", "-", "tens"][step - 1]
    way = "down" if row[0] > row[-1] else "up"
    return make_sentence(
        rng,
        (
            "[let us|we can|now we] count {way} in {by}: {items}.",
            "counting {way} in {by} from {first}: {items}.",
            "{items}: that is counting in {by}.",
            "count with me: {items}.",
        ),
        {"way": way, "by": by, "items": items, "first": str(row[0])},
    )


def times_table(rng: Rng) -> str:
    """Return a part of a times table without the held-out products, and counting in its steps."""
    n, start = randint(rng, 2, 10), randint(rng, 1, 6)
    spoken = rng() < 0.4
    lines = []
    for i in range(start, start + randint(rng, 3, 5)):
        if i > 10 or is_sum_held_out(i, "*", n):
            continue
        product = compute(i, "*", n)
        if spoken:
            words = [number_in_words(number) for number in (i, n, product)]
            lines.append("{} times {} is {}.".format(capitalize(words[0]), *words[1:]))
        else:
            lines.append(f"{i} times {n} is {product}.")
    steps = ", ".join(number_in_words(n * i) if spoken else str(n * i) for i in range(1, 11))
    return " ".join([f"The table of {number_in_words(n)}.", *lines, f"{capitalize(steps)}."])


def ranking(rng: Rng) -> str:
    """Return the result of a race: who was first, second, third."""
    lists = table_sections("cast.txt")
    names = sample(rng, lists["girls"] + lists["boys"], randint(rng, 3, 5))
    row = [f"{name} was {place}" for name, place in zip(names, ORDINALS, strict=False)]
    place = choose(rng, table_sections("cast.txt")["places"]).split("|")[0]
    return f"In the race to {place}, " + ", ".join(row[:-1]) + f", and {row[-1]}."


def drill(rng: Rng) -> str:
    """Return many small sums."""
    return " ".join(small_sum(rng).statement for _ in range(randint(rng, 8, 14)))


def page(rng: Rng) -> str:
    """Return a page of sums, word problems, counting and comparisons."""
    if rng() < 0.5:
        return drill(rng)
    parts: list[str] = []
    for _ in range(randint(rng, 4, 7)):
        chance = rng()
        if chance < 0.12:
            parts.append(counting(rng))
        elif chance < 0.2:
            parts.append(times_table(rng))
        elif chance < 0.26:
            parts.append(ranking(rng))
        else:
            problem = word_problem(rng) if chance < 0.6 else math_problem(rng)
            if not problem.needs_statement:
                parts.append(problem.statement)
            elif rng() < 0.4:
                parts.append(f"{problem.statement} {problem.question} {problem.answer}")
            else:
                parts.append(f"{problem.statement} {problem.answer}")
    return " ".join(parts)


def math_turn(rng: Rng) -> Turn:
    """Ask a random small problem."""
    return _to_turn(math_problem(rng))


def held_out_sum_turn(rng: Rng) -> Turn:
    """Ask a sum, or a word problem with one, that training never shows."""
    make = choose(rng, (small_sum, small_sum, word_problem))
    return _to_turn(make(rng, True))


def _to_turn(problem: MathProblem) -> Turn:
    return Turn(problem.prompt, problem.answer, "last_number", (str(problem.value),))
