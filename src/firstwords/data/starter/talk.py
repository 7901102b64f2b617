"""Conversations: what is asked, what is answered, and what has to be remembered."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from . import calculator, letters, numbers, tasks
from .encyclopedia import science_topics
from .facts import Fact, any_fact, subjects, topic
from .phrase import Rand, capital, fill, pick, say, sections, some, whole
from .words import vocabulary

Turn = tuple[str, str]


def _said(r: Rand, name: str, slots: dict[str, str] | None = None) -> Turn:
    told = sections("talk.txt")
    return say(r, told[f"{name} ask"], slots or {}), say(r, told[f"{name} answer"], slots or {})


def _manner(r: Rand, question: str) -> str:
    """The question as people type it: mostly with care, now and then without."""
    chance = r()
    if chance < 0.06:
        return question[:1].lower() + question[1:]
    if chance < 0.1:
        return question.lower().rstrip("?.! ")
    if chance < 0.13:
        return question.rstrip("?. ")
    return question


def fact_turn(r: Rand) -> Turn:
    fact = any_fact(r)
    return _manner(r, fact.question(r)), fact.answer(r)


def facts(r: Rand) -> list[Turn]:
    """One to three unconnected facts."""
    return [fact_turn(r) for _ in range(whole(r, 1, 3))]


def science(r: Rand) -> list[Turn]:
    one = pick(r, science_topics())
    return [(_manner(r, one.question(r)), one.answer(r))]


_THEN = {
    "capital": ("And its capital?", "What is its capital?", "And what is the capital?"),
    "continent": ("Which continent is it in?", "Where is it?", "And its continent?"),
    "symbol": ("What is its symbol?", "And its symbol?"),
    "number": ("What is its atomic number?", "And its number?"),
    "state": ("Is it a solid, a liquid, or a gas?", "Solid, liquid, or gas?"),
    "class": ("What kind of animal is that?", "Is it a mammal, a bird, or something else?"),
    "legs": ("How many legs do they have?", "And how many legs?"),
    "eats": ("What do they eat?", "And what do they eat?"),
    "lives": ("Where do they live?", "And where do they live?"),
    "sound": ("What sound do they make?", "And what sound do they make?"),
    "young": ("What are their young called?", "And what is a baby one called?"),
}


def followup(r: Rand) -> list[Turn]:
    """A question, then others that only make sense after it."""
    name = pick(r, ("countries", "elements", "animals", "animals"))
    if r() < 0.3:
        return same_question(r, name)
    own = [f for f in topic(name)[pick(r, subjects(name))] if f.relation in _THEN]
    first, *rest = some(r, own, whole(r, 2, 3))
    turns = [(first.question(r), first.answer(r))]
    return turns + [(pick(r, _THEN[one.relation]), one.answer(r)) for one in rest]


def same_question(r: Rand, name: str) -> list[Turn]:
    """'What is the capital of Peru?' 'And of Chad?'"""
    relation = pick(
        r,
        {"countries": ("capital", "continent"), "elements": ("symbol", "number")}.get(
            name, ("eats", "lives")
        ),
    )
    found: list[Fact] = []
    for subject in some(r, subjects(name), whole(r, 2, 3)):
        found += [fact for fact in topic(name)[subject] if fact.relation == relation]
    turns = [(found[0].question(r), found[0].answer(r))]
    for fact in found[1:]:
        what = fact.slots.get("p", fact.slots["s"])
        turns.append(
            (fill(r, "[And {x}?|What about {x}?|And what about {x}?]", {"x": what}), fact.answer(r))
        )
    return turns


def _to_remember(r: Rand) -> tuple[str, dict[str, str]]:
    """Something about the user, or about where a thing is."""
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
        return kind, {"v": pick(r, ("red", "blue", "green", "yellow", "purple", "orange", "pink"))}
    if kind == "home":
        return kind, {"v": pick(r, subjects("countries"))}
    if kind == "likes":
        foods = "pancakes soup cherries bread cheese honey rice apples noodles plums carrots"
        return kind, {"v": pick(r, foods.split())}
    return kind, {"v": pick(r, lists["objects"]), "w": pick(r, lists["spots in"])}


def memory(r: Rand) -> list[Turn]:
    """Something is told, other talk follows, and then it is asked for."""
    told = sections("talk.txt")
    kind, slots = _to_remember(r)
    tell, ask = ("ask", "asked") if kind == "hidden" else ("tell", "ask")
    turns = [(say(r, told[f"{kind} {tell}"], slots), say(r, told[f"{kind} told"], slots))]
    second = None
    if r() < 0.25:
        second = _to_remember(r)
        if second[0] in (kind, "hidden"):
            second = None
    if second:
        other, more = second
        turns.append((say(r, told[f"{other} tell"], more), say(r, told[f"{other} told"], more)))
    for _ in range(whole(r, 0, 2)):
        turns.append(pick(r, (fact_turn, sum_turn, fact_turn, letter_turn))(r))
    turns.append((say(r, told[f"{kind} {ask}"], slots), say(r, told[f"{kind} recall"], slots)))
    if second and r() < 0.6:
        other, more = second
        turns.append((say(r, told[f"{other} ask"], more), say(r, told[f"{other} recall"], more)))
    return turns


def sum_turn(r: Rand) -> Turn:
    one = numbers.problem(r)
    return one.asked, one.answer


def letter_turn(r: Rand) -> Turn:
    one = letters.riddle(r)
    return _manner(r, one.question), one.answer


_START = (
    "b bl br c cr d dr f fl fr g gl gr h j k kl kr l m n p pl pr qu r s sk sl sn spl st t tr v w z"
)
_MIDDLE = "a e i o u oo a e o u ai ee au"
_END = "b ck d f g k l lm m mp n ng nk p r rk rt s sk t v x z"


@cache
def _real_words() -> frozenset[str]:
    return frozenset(vocabulary())


def invented(r: Rand, parts: int = 2) -> str:
    """A made-up word that is no real one: 'blorvim'."""
    while True:
        syllables = [pick(r, _START.split()) + pick(r, _MIDDLE.split()) for _ in range(parts)]
        word = "".join(syllables) + pick(r, _END.split())
        if word not in _real_words():
            return word


def unknown(r: Rand) -> list[Turn]:
    """Questions about what does not exist or cannot be known, and real ones among them."""
    kind = pick(r, ("country", "country", "animal", "element", "person", "cannot", "forgotten"))
    if kind == "cannot":
        turns = [_said(r, "cannot")]
    elif kind == "forgotten":
        name = pick(r, ("name", "age", "colour", "home", "likes"))
        ask = say(r, sections("talk.txt")[f"{name} ask"], {"v": "", "k": "pet"})
        lines = (
            "I do not know. You have not told me[| yet].",
            "You have not told me[ that|] yet, so I do not know.",
        )
        turns = [(ask, say(r, lines))]
    else:
        word = invented(r)
        if kind == "country":
            word = capital(word) + pick(r, ("ia", "land", "stan", "a", ""))
        elif kind == "element":
            word += "ium"
        elif kind == "person":
            word = f"{capital(word)} {capital(invented(r))}"
        slots = {"s": word}
        told = sections("talk.txt")
        ask = say(r, told[f"{kind} unknown ask"], slots)
        if kind == "animal":
            slots = {"s": f"{'an' if word[0] in 'aeiou' else 'a'} {word}"}
        turns = [
            (_manner(r, ask) if kind == "element" else ask, say(r, told["unknown answer"], slots))
        ]
    if r() < 0.4:
        turns.insert(whole(r, 0, 1), fact_turn(r))
    return turns


_WHO = ("who", "who", "made", "robot", "can", "small", "mistakes", "always", "program", "online")


def identity(r: Rand) -> list[Turn]:
    """Who are you, who made you, what can you do."""
    return [_said(r, name) for name in dict.fromkeys(some(r, _WHO, whole(r, 1, 3)))]


def smalltalk(r: Rand) -> list[Turn]:
    """How are you, what do you like, a joke."""
    kind = pick(r, ("how", "sad", "like", "joke", "joke", "rude", "harm"))
    turns = [_manner_of(r, _said(r, kind))]
    if kind == "how" and r() < 0.5:
        turns.append(_said(r, "fine"))
    return turns


def _manner_of(r: Rand, turn: Turn) -> Turn:
    return _manner(r, turn[0]), turn[1]


def greeting(r: Rand) -> list[Turn]:
    """A hello and a short exchange."""
    turns = [_manner_of(r, _said(r, "hello"))]
    return turns + (pick(r, (smalltalk, identity, facts))(r) if r() < 0.7 else [])


def calculating(r: Rand) -> list[Turn]:
    return [calculator.task(r) for _ in range(whole(r, 1, 3))]


def sums(r: Rand) -> list[Turn]:
    return [sum_turn(r) for _ in range(whole(r, 1, 3))]


def spelling(r: Rand) -> list[Turn]:
    return [letter_turn(r) for _ in range(whole(r, 1, 3))]


def instructions(r: Rand) -> list[Turn]:
    return [tasks.instruction(r) for _ in range(whole(r, 1, 2))]


def storytelling(r: Rand) -> list[Turn]:
    return [tasks.tell_story(r)]


def choices(r: Rand) -> list[Turn]:
    one = [tasks.choice(r) if r() < 0.75 else tasks.yes_or_no(r) for _ in range(whole(r, 1, 2))]
    return one


def chat(r: Rand) -> list[Turn]:
    """A mixed talk: several short blocks one after the other."""
    kinds = (facts, followup, sums, spelling, identity, smalltalk, calculating, unknown, science)
    turns: list[Turn] = []
    for block in some(r, kinds, 2):
        turns += block(r)[:2]
    return turns


BLOCKS: dict[str, Callable[[Rand], list[Turn]]] = {
    "greeting": greeting,
    "identity": identity,
    "smalltalk": smalltalk,
    "facts": facts,
    "science": science,
    "followup": followup,
    "memory": memory,
    "calculator": calculating,
    "sums": sums,
    "letters": spelling,
    "instructions": instructions,
    "storytelling": storytelling,
    "reading": tasks.reading,
    "choice": choices,
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
    found = []
    if r() < 0.12:
        found.append({"role": "system", "content": say(r, sections("talk.txt")["system"])})
    for question, answer in turns[:5]:
        found.append({"role": "user", "content": question})
        found.append({"role": "assistant", "content": answer})
    return tuple(found)
