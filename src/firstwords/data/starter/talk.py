"""Conversations: what is asked, what is answered, and what has to be remembered.

Every function draws a conversation of one kind as a list of turns. With `kept` it draws one that
training never shows (`holdout.py`); its last turn is then the exam's question.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from . import calculator, letters, numbers, tasks
from .facts import subjects
from .holdout import held_out
from .phrase import Rand, capital, fill, pick, say, sections, some, whole
from .questions import fact_turn, facts, followup, in_manner, science
from .turn import Turn, drawn
from .words import vocabulary


def _said(r: Rand, name: str, slots: dict[str, str] | None = None) -> Turn:
    told = sections("talk.txt")
    return Turn(
        say(r, told[f"{name} ask"], slots or {}), say(r, told[f"{name} answer"], slots or {})
    )


# -- what the user says about himself ---------------------------------------------------------


def _to_remember(r: Rand, kept: bool) -> tuple[str, dict[str, str]]:
    """Something about the user, or about where a thing is."""
    while True:
        kind, slots = _any_to_remember(r)
        if held_out("memory", f"{kind} {slots['v']}") == kept:
            return kind, slots


def _any_to_remember(r: Rand) -> tuple[str, dict[str, str]]:
    lists = sections("cast.txt")
    kind = pick(r, ("name", "name", "name", "age", "pet", "colour", "home", "likes", "hidden"))
    if kind == "name":
        return kind, {"v": pick(r, lists["girls"] + lists["boys"])}
    if kind == "age":
        return kind, {"v": str(whole(r, 6, 80))}
    if kind == "pet":
        animal = pick(r, ("dog", "cat", "rabbit", "hamster", "pony", "parrot", "tortoise"))
        return kind, {"v": pick(r, lists["pets"]), "k": animal}
    if kind == "colour":
        colours = "red blue green yellow purple orange pink brown black white grey gold silver"
        return kind, {"v": pick(r, colours.split())}
    if kind == "home":
        return kind, {"v": pick(r, subjects("countries"))}
    if kind == "likes":
        return kind, {"v": pick(r, _FOODS.split())}
    return kind, {"v": pick(r, lists["objects"]), "w": pick(r, lists["spots in"])}


_FOODS = (
    "pancakes soup cherries bread cheese honey rice apples noodles plums carrots pizza pears "
    "grapes biscuits porridge potatoes beans salad eggs muffins oranges melons nuts cake"
)


def _asking(kind: str) -> tuple[str, str]:
    """The headings of telling and asking: a hidden thing is told where others are asked."""
    return ("ask", "asked") if kind == "hidden" else ("tell", "ask")


def memory(r: Rand, kept: bool = False) -> list[Turn]:
    """Something is told, other talk follows, and then it is asked for."""
    told = sections("talk.txt")

    def tell(kind: str, slots: dict[str, str]) -> Turn:
        heading = f"{kind} {_asking(kind)[0]}"
        return Turn(say(r, told[heading], slots), say(r, told[f"{kind} told"], slots))

    def ask(kind: str, slots: dict[str, str]) -> Turn:
        heading = f"{kind} {_asking(kind)[1]}"
        right = (slots["w"] if kind == "hidden" else slots["v"],)
        return Turn(
            say(r, told[heading], slots), say(r, told[f"{kind} recall"], slots), "says", right
        )

    things = dict(_to_remember(r, kept) for _ in range(whole(r, 1, 3)))
    turns = [tell(kind, slots) for kind, slots in things.items()]
    turns += [
        pick(r, (fact_turn, sum_turn, fact_turn, letter_turn))(r) for _ in range(whole(r, 0, 2))
    ]
    turns += [ask(kind, slots) for kind, slots in some(r, list(things.items()), len(things))]
    return turns


# -- numbers and letters ------------------------------------------------------------------------


def _problem(one: numbers.Problem) -> Turn:
    return Turn(one.asked, one.answer, "number", (str(one.value),))


def sum_turn(r: Rand) -> Turn:
    return _problem(numbers.problem(r))


def kept_sum(r: Rand) -> Turn:
    """A sum, or a small story with one, of two numbers that training never put together."""
    return _problem(pick(r, (numbers.small_sum, numbers.small_sum, numbers.word_problem))(r, True))


def tool_turn(r: Rand, kept: bool = False) -> Turn:
    def make(r: Rand) -> Turn:
        one = calculator.task(r)
        return Turn(one.question, one.answer, "number", (one.result,))

    return drawn(r, make, kept)


def letter_turn(r: Rand) -> Turn:
    one = letters.riddle(r)
    return Turn(in_manner(r, one.question), one.answer, "says", (one.value,))


def spelling_turn(r: Rand, kept: bool = False) -> Turn:
    one = letters.spelling(r, kept)
    return Turn(one.question, one.answer, "spells", (one.value,))


def count_turn(r: Rand, kept: bool = False) -> Turn:
    one = letters.how_many(r, kept)
    return Turn(one.question, one.answer, "number", (one.number,))


# -- what is not known ----------------------------------------------------------------------------

_START = (
    "b bl br c cr d dr f fl fr g gl gr h j k kl kr l m n p pl pr qu r s sk sl sn spl st t tr v w z"
)
_MIDDLE = "a e i o u oo a e o u ai ee au"
_END = "b ck d f g k l lm m mp n ng nk p r rk rt s sk t v x z"


@cache
def _real_words() -> frozenset[str]:
    return frozenset(vocabulary())


def invented(r: Rand, kept: bool = False) -> str:
    """A made-up word that is no real one: 'blorvim'."""
    while True:
        syllables = [pick(r, _START.split()) + pick(r, _MIDDLE.split()) for _ in range(2)]
        word = "".join(syllables) + pick(r, _END.split())
        if word not in _real_words() and held_out("unknown", word) == kept:
            return word


def unheard(r: Rand, kept: bool = False) -> Turn:
    """A question about a country, animal, element or person that does not exist."""
    kind = pick(r, ("country", "country", "animal", "element", "person"))
    word = invented(r, kept)
    if kind == "country":
        word = capital(word) + pick(r, ("ia", "land", "stan", "a", ""))
    elif kind == "element":
        word += "ium"
    elif kind == "person":
        word = f"{capital(word)} {capital(invented(r, kept))}"
    told = sections("talk.txt")
    ask = say(r, told[f"{kind} unknown ask"], {"s": word})
    named = fill(r, "{a:s}", {"s": word}) if kind == "animal" else word
    return Turn(ask, say(r, told["unknown answer"], {"s": named}), "refuses")


_NOT_TOLD = (
    "I do not know. You have not told me[| yet].",
    "You have not told me[ that|] yet, so I do not know.",
)


def unknown(r: Rand) -> list[Turn]:
    """Questions about what does not exist or cannot be known, and real ones among them."""
    chance = r()
    if chance < 0.15:
        turns = [_said(r, "cannot")]
    elif chance < 0.3:
        name = pick(r, ("name", "age", "colour", "home", "likes"))
        ask = say(r, sections("talk.txt")[f"{name} ask"], {"v": "", "k": "pet"})
        turns = [Turn(ask, say(r, _NOT_TOLD), "refuses")]
    else:
        turns = [unheard(r)]
    if r() < 0.4:
        turns.insert(whole(r, 0, 1), fact_turn(r))
    return turns


# -- who is speaking, and small talk ---------------------------------------------------------------

IDENTITY = (
    *("who", "called", "made", "robot", "can", "small", "mistakes", "always"),
    *("program", "online"),
)
_BEFORE = ("", "", "", "Hello! ", "Hi. ", "Excuse me, ", "One question: ", "Tell me, ", "So, ")


def _opened(r: Rand, question: str) -> str:
    """The question, with a word or two before it now and then."""
    before = pick(r, _BEFORE)
    if before[-2:] in (", ", ": "):
        question = question[:1].lower() + question[1:] if question[:2] != "I " else question
    return before + question


def about_me(r: Rand, kept: bool = False) -> Turn:
    """Who are you, who made you, what can you do: `kept` half in words of the exam's own."""
    told = sections("talk.txt")
    name = pick(r, IDENTITY)
    anew = kept and r() < 0.5

    def make(r: Rand) -> Turn:
        ask = _opened(r, say(r, told[f"{name} {'ask anew' if anew else 'ask'}"]))
        return Turn(ask, say(r, told[f"{name} answer"]), "mentions", told[f"{name} key"])

    return make(r) if anew else drawn(r, make, kept)


def identity(r: Rand) -> list[Turn]:
    return [about_me(r) for _ in range(whole(r, 1, 3))]


def smalltalk(r: Rand) -> list[Turn]:
    """How are you, what do you like, a joke."""
    kind = pick(r, ("how", "sad", "like", "joke", "joke", "rude", "harm"))
    turns = [_mannered(r, _said(r, kind))]
    if kind == "how" and r() < 0.5:
        turns.append(_said(r, "fine"))
    return turns


def _mannered(r: Rand, turn: Turn) -> Turn:
    return turn._replace(ask=in_manner(r, turn.ask, leads=False))


def greeting(r: Rand) -> list[Turn]:
    """A hello and a short exchange."""
    turns = [_mannered(r, _said(r, "hello"))]
    return turns + (pick(r, (smalltalk, identity, facts))(r) if r() < 0.7 else [])


# -- conversations ---------------------------------------------------------------------------------


def _several(make: Callable[[Rand], Turn], most: int) -> Callable[[Rand], list[Turn]]:
    return lambda r: [make(r) for _ in range(whole(r, 1, most))]


def _choice(r: Rand) -> Turn:
    return tasks.choice(r) if r() < 0.75 else drawn(r, tasks.yes_or_no)


def chat(r: Rand) -> list[Turn]:
    """A mixed talk: several short blocks one after the other."""
    kinds = (
        "facts",
        "followup",
        "sums",
        "letters",
        "identity",
        "smalltalk",
        "calculator",
        "unknown",
    )
    turns: list[Turn] = []
    for block in some(r, kinds, 2):
        turns += BLOCKS[block](r)[:2]
    return turns


BLOCKS: dict[str, Callable[[Rand], list[Turn]]] = {
    "greeting": greeting,
    "identity": identity,
    "smalltalk": smalltalk,
    "facts": facts,
    "science": science,
    "followup": followup,
    "memory": memory,
    "calculator": _several(tool_turn, 3),
    "sums": _several(sum_turn, 3),
    "letters": _several(letter_turn, 3),
    "instructions": _several(tasks.instruction, 2),
    "storytelling": lambda r: [tasks.tell_story(r)],
    "reading": tasks.reading,
    "choice": _several(_choice, 2),
    "unknown": unknown,
    "chat": chat,
}


def messages(r: Rand, kind: str) -> tuple[dict[str, str], ...]:
    """A whole conversation of a kind: perhaps a system line, a hello, thanks, and a goodbye."""
    turns = BLOCKS[kind](r)
    if kind not in ("greeting", "memory", "reading") and r() < 0.1:
        turns.insert(0, _said(r, "hello"))
    if kind != "greeting" and len(turns) < 5 and r() < 0.1:
        turns.append(_said(r, "thanks"))
    if len(turns) < 5 and r() < 0.05:
        turns.append(_said(r, "bye"))
    system = say(r, sections("talk.txt")["system"]) if r() < 0.12 else ""
    return as_messages(turns[:5], system)


def as_messages(turns: list[Turn], system: str = "") -> tuple[dict[str, str], ...]:
    """User and assistant in turn, after a system line if there is one."""
    found = [{"role": "system", "content": system}] if system else []
    for turn in turns:
        found.append({"role": "user", "content": turn.ask})
        found.append({"role": "assistant", "content": turn.answer})
    return tuple(found)
