"""Small tasks as people ask for them: say, write, count, list, the days and months, and follow-ups.

The wording is in `tasks.txt`.
"""

from collections.abc import Callable, Sequence
from functools import cache

from firstwords.data.starter.everyday.dialogue import ask_again
from firstwords.data.starter.everyday.typed import (
    TypingStyle,
    draw_style,
    is_exam_only,
    is_never_said,
    retype,
    sayable,
    type_out,
)
from firstwords.data.starter.fact_questions import followup
from firstwords.data.starter.facts import WEEK
from firstwords.data.starter.holdout import is_held_out
from firstwords.data.starter.instructions import say_times
from firstwords.data.starter.letters import letter_turn, maybe_quoted
from firstwords.data.starter.rng import Rng, choose, favouring_first, randint, sample
from firstwords.data.starter.tables import table_rows, table_sections
from firstwords.data.starter.templates import (
    article,
    capitalize,
    fill_template,
    join_list,
    make_answer,
    make_sentence,
)
from firstwords.data.starter.turn import Turn
from firstwords.data.starter.words import number_in_words, plural, spelled_words


def _ask(rng: Rng, style: TypingStyle, heading: str, **slots: str) -> str:
    """Return a request in the wording of a section of `tasks.txt`, as this user types it."""
    wording = table_sections("tasks.txt")[heading]
    while True:
        line = choose(favouring_first(rng), wording)
        if texts := sayable(line):
            text = choose(rng, texts)
            break
        text = capitalize(fill_template(rng, line, slots))
        if not is_never_said(text):
            break
    keep = [word for value in slots.values() for word in value.replace('"', "").split()]
    return type_out(rng, style, text, [*keep, *(f'"{word}"' for word in keep)])


def _word(rng: Rng) -> str:
    """Return a word, or a short phrase, to say or to write."""
    if rng() < 0.3:
        return choose(rng, table_sections("tasks.txt")["phrases"])
    return choose(rng, spelled_words(False))


def _say(rng: Rng, style: TypingStyle) -> list[Turn]:
    """Say or write a word; then again, in capitals, or several times."""
    word, count = maybe_quoted(rng, _word(rng)), 1
    if rng() < 0.5:
        count = randint(rng, 2, 5)
        request = _ask(rng, style, "say times", w=word, times=_times(rng, count))
    else:
        request = _ask(rng, style, "say", w=word)
    turns = [Turn(request, say_times(word, count))]
    chance = rng()
    if chance < 0.15:
        turns.append(Turn(_ask(rng, style, "again"), say_times(word, count)))
    elif chance < 0.3:
        turns.append(Turn(_ask(rng, style, "in capitals"), say_times(word.upper(), count)))
    elif chance < 0.45:
        count = randint(rng, 2, 4)
        request = _ask(rng, style, "it times", times=_times(rng, count))
        turns.append(Turn(request, say_times(word, count)))
    elif chance < 0.6:
        other = _word(rng)
        turns.append(Turn(_ask(rng, style, "and now", w=other), say_times(other)))
    return turns


def _number(rng: Rng, number: int) -> str:
    return number_in_words(number) if rng() < 0.6 else str(number)


def _times(rng: Rng, count: int) -> str:
    return "twice" if count == 2 and rng() < 0.6 else f"{_number(rng, count)} times"


def _count(rng: Rng, style: TypingStyle) -> list[Turn]:
    """Count up or down; then continue."""
    low = choose(rng, (1, 1, 1, 2, 3, 5, 10, 20))
    high = low + randint(rng, 2, 9)
    numbers = list(range(low, high + 1))
    heading = "count to" if low == 1 and rng() < 0.6 else "count from"
    down = rng() < 0.25
    if down:
        heading, numbers = "count down", numbers[::-1]
    in_words = rng() < 0.5

    def write(values: Sequence[int]) -> str:
        words = [number_in_words(value) if in_words else str(value) for value in values]
        return capitalize(", ".join(words)) + "."

    first, last = (number_in_words(n) if in_words else str(n) for n in (numbers[0], numbers[-1]))
    asked = _ask(rng, style, heading, a=first, b=last)
    turns = [Turn(asked, write(numbers))]
    if not down and rng() < 0.35:
        turns.append(Turn(_ask(rng, style, "continue"), write(range(high + 1, high + 6))))
    elif rng() < 0.2:
        turns.append(Turn(_ask(rng, style, "backwards"), write(numbers[::-1])))
    return turns


@cache
def _lists() -> dict[str, tuple[str, ...]]:
    """Return what may be listed, by what it is called in the plural."""
    lists = {
        heading.removeprefix("list "): tuple(" ".join(lines).split(", "))
        for heading, lines in table_sections("tasks.txt").items()
        if heading.startswith("list ")
    }
    groups: dict[str, list[str]] = {}
    for _, many, group, *_rest in table_rows("animals.txt"):
        groups.setdefault(group, []).append(many)
    lists["birds"], lists["mammals"] = tuple(groups["bird"]), tuple(groups["mammal"])
    lists["insects"] = tuple(groups["insect"])
    lists["days"] = WEEK
    lists["months"] = tuple(row[0] for row in table_rows("calendar.txt"))
    lists["planets"] = tuple(row[0] for row in table_rows("planets.txt"))
    lists["countries"] = tuple(row[0] for row in table_rows("countries.txt"))
    return lists


def _list(rng: Rng, style: TypingStyle) -> list[Turn]:
    """List some things; then another one or more of them."""
    kind = choose(rng, tuple(_lists()))
    count = randint(rng, 1, 5)
    extra = randint(rng, 1, 2)
    items = sample(rng, _lists()[kind], count + extra)
    if count == 1:
        asked = _ask(rng, style, "one of", k=_singular(kind))
        if kind in _IN_PLURAL:
            items = [f"{article(one)} {one}" for one in map(_singular, items)]
    else:
        asked = _ask(rng, style, "list", n=_number(rng, count), k=kind)
    turns = [Turn(asked, _enumeration(items[:count]))]
    rest = items[count:]
    chance = rng()
    if chance < 0.3:
        turns.append(Turn(_ask(rng, style, "another"), _enumeration(rest[:1])))
    elif chance < 0.45:
        asked = _ask(rng, style, "more", n=_number(rng, len(rest)))
        turns.append(Turn(asked, _enumeration(rest)))
    elif chance < 0.6 and count > 1:
        at = choose(rng, (0, count - 1))
        place = "first" if at == 0 else "last"
        said = f"The {place} one was {items[at]}."
        turns.append(Turn(_ask(rng, style, "which was", p=place), said))
    return turns


def _enumeration(items: Sequence[str]) -> str:
    return capitalize(join_list(items)) + "."


# The lists of things in the plural.
_IN_PLURAL = (
    *("fruits", "vegetables", "animals", "pets", "flowers", "trees", "tools"),
    *("birds", "mammals", "insects"),
)
_SINGULARS = {
    "girls' names": "girl's name",
    "boys' names": "boy's name",
    "parts of the body": "part of the body",
    "clothes": "piece of clothing",
    "things in a kitchen": "thing in a kitchen",
    "mice": "mouse",
    "geese": "goose",
    "pliers": "pair of pliers",
    "spinach": "leaf of spinach",
    "celery": "stick of celery",
}


@cache
def _singular(many: str) -> str:
    """Return the singular of what may be listed, or of a thing on a list."""
    for one, plural_form, *_ in table_rows("animals.txt"):
        if many == plural_form:
            return one
    if many in _SINGULARS:
        return _SINGULARS[many]
    if many.endswith("ies"):
        return many[:-3] + "y"
    if many.endswith(("ches", "shes", "toes", "goes")):
        return many[:-2]
    return many.removesuffix("s")


def _calendar(rng: Rng, style: TypingStyle) -> list[Turn]:
    """Ask which day or month comes after or before another; then for the one after that."""
    if rng() < 0.5:
        names, kind = list(WEEK), "day"
    else:
        names, kind = [row[0] for row in table_rows("calendar.txt")], "month"
    relation = "after" if kind == "month" else "weekday"
    step = 1 if rng() < 0.6 else -1
    at = randint(rng, 0, len(names) - 1)
    turns = []
    for i in range(randint(rng, 1, 4)):
        name, found = names[at], names[(at + step) % len(names)]
        known = name if step == 1 else found
        if is_held_out("fact", f"{relation}:{known}"):
            break
        way = "after" if step == 1 else "before"
        heading = f"{way} that" if i else way
        asked = _ask(rng, style, heading, k=kind, s=name)
        answer = make_answer(
            rng, table_sections("tasks.txt")[f"{way} answer"], {"s": name, "v": found}
        )
        turns.append(Turn(asked, answer, "answers", (found,)))
        at = (at + step) % len(names)
        if i and rng() < 0.25:
            step = -step
    return turns or _list(rng, style)


def _letters(rng: Rng, style: TypingStyle) -> list[Turn]:
    """Ask about letters; perhaps the same of another word."""
    while True:
        turn = letter_turn(rng)
        if not is_exam_only(turn.question):
            break
    keep = turn.question.replace('"', " ").replace("?", " ").replace(".", " ").split()
    return [retype(rng, style, turn, keep)]


def _facts(rng: Rng, style: TypingStyle) -> list[Turn]:
    """Ask for a fact and then, in few words, for more of the kind."""
    while True:
        turns = followup(rng)
        if not any(is_exam_only(turn.question) for turn in turns):
            break
    found = []
    for i, turn in enumerate(turns):
        question = turn.question
        if i and question.startswith(("And what about ", "What about ", "And ")) and rng() < 0.4:
            name = question.removeprefix("And ").removeprefix("what about ")
            name = name.removeprefix("What about ").rstrip("?")
            if name[:1].isupper():
                question = make_sentence(rng, ("[And|and] [of|for] {x}?", "{x}?"), {"x": name})
        keep = [word.strip(".?") for word in question.split() if word[1:] and word[:1].isupper()]
        found.append(turn._replace(question=type_out(rng, style, question, keep)))
    return found


_TO_CHOOSE_FROM = (
    *("fruits", "vegetables", "colours", "animals", "pets", "drinks", "flowers", "trees"),
    *("sports", "games", "girls' names", "boys' names", "languages", "days", "months", "countries"),
)


def _choose(rng: Rng, style: TypingStyle) -> list[Turn]:
    """Ask to pick one of two or three things."""
    kind = choose(rng, _TO_CHOOSE_FROM)
    items = sample(rng, _lists()[kind], randint(rng, 2, 3))
    asked = _ask(rng, style, "pick", x=join_list(items, "or"))
    picked = choose(rng, items)
    answer = make_answer(rng, table_sections("tasks.txt")["pick answer"], {"v": picked})
    turns = [Turn(asked, answer)]
    if rng() < 0.3:
        other = choose(rng, [item for item in items if item != picked])
        wording = table_sections("tasks.txt")["pick other answer"]
        turns.append(Turn(_ask(rng, style, "pick other"), make_answer(rng, wording, {"v": other})))
    return turns


def _plurals(rng: Rng, style: TypingStyle) -> list[Turn]:
    """Ask for the plural of regular nouns."""
    nouns = [noun for noun in table_sections("slots.txt")["thing"] if noun != "scissors"]
    turns = []
    for i, noun in enumerate(sample(rng, nouns, randint(rng, 1, 2))):
        asked = _ask(rng, style, "plural" if i == 0 else "and of", s=noun)
        turns.append(Turn(asked, f"The plural of {noun} is {plural(noun)}."))
    return turns


_MAKERS: tuple[Callable[[Rng, TypingStyle], list[Turn]], ...] = (
    _say,
    _say,
    _count,
    _list,
    _list,
    _calendar,
    _letters,
    _facts,
    _facts,
    _choose,
    _plurals,
)


def tasks(rng: Rng) -> list[Turn]:
    """Return one to four turns of small tasks and their follow-ups."""
    style = draw_style(rng)
    turns = choose(rng, _MAKERS)(rng, style)
    if len(turns) < 3 and rng() < 0.3:
        turns += choose(rng, _MAKERS)(rng, style)[:2]
    elif rng() < 0.08 and len(turns[-1].answer) < 120:
        turns.append(ask_again(rng, turns[-1], style))
    return turns
