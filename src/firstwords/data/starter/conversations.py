"""Conversations of every kind, assembled from turns.

Each kind has a function that draws its turns. `make_messages` adds a system message, a greeting,
thanks or a goodbye now and then.
"""

from collections.abc import Callable, Sequence

from firstwords.data.starter.everyday.about import about
from firstwords.data.starter.everyday.dialogue import everyday
from firstwords.data.starter.everyday.episodes import episode
from firstwords.data.starter.everyday.followups import followups
from firstwords.data.starter.everyday.games import games
from firstwords.data.starter.everyday.meanings import meanings
from firstwords.data.starter.everyday.recall import recall_chat
from firstwords.data.starter.everyday.reflect import reflect
from firstwords.data.starter.everyday.tasks import tasks
from firstwords.data.starter.everyday.unknown_things import unknown_things
from firstwords.data.starter.everyday.wander import wander
from firstwords.data.starter.fact_questions import fact_questions, followup, science_questions
from firstwords.data.starter.instructions import instruction, tell_story
from firstwords.data.starter.letters import letter_turn
from firstwords.data.starter.multiple_choice import multiple_choice, yes_or_no
from firstwords.data.starter.numbers import math_turn
from firstwords.data.starter.reading import reading
from firstwords.data.starter.rng import Rng, choose, randint, sample
from firstwords.data.starter.small_talk import identity, scripted_turn, small_talk, typed_casually
from firstwords.data.starter.tables import table_sections
from firstwords.data.starter.tales.talk import tale_talk
from firstwords.data.starter.templates import make_sentence
from firstwords.data.starter.tool_use import tool_turn
from firstwords.data.starter.turn import Turn, draw_turn
from firstwords.data.starter.unknown import unknown
from firstwords.data.starter.user_details import memory

MAX_TURNS = 6
# These kinds have their own greetings, thanks, and goodbyes.
_WHOLE = (
    *("everyday", "recall_chat", "reflect", "tasks", "meanings", "about", "unknown_things"),
    *("followups", "games", "wander", "tales", "episodes"),
)


def make_messages(rng: Rng, kind: str) -> tuple[dict[str, str], ...]:
    """Return the messages of a conversation of this kind."""
    turns = _MAKERS[kind](rng)
    if kind not in _WHOLE:
        _add_courtesies(rng, kind, turns)
    system = make_sentence(rng, table_sections("talk.txt")["system"]) if rng() < 0.12 else ""
    return as_messages(turns[:MAX_TURNS], system)


def _add_courtesies(rng: Rng, kind: str, turns: list[Turn]) -> None:
    if kind not in ("greeting", "memory", "reading") and rng() < 0.1:
        turns.insert(0, scripted_turn(rng, "hello"))
    if kind != "greeting" and len(turns) < MAX_TURNS and rng() < 0.1:
        turns.append(scripted_turn(rng, "thanks"))
    if len(turns) < MAX_TURNS and rng() < 0.05:
        turns.append(scripted_turn(rng, "bye"))


def as_messages(turns: Sequence[Turn], system: str = "") -> tuple[dict[str, str], ...]:
    """Return the turns as messages of user and assistant, after a system message if given."""
    messages = [{"role": "system", "content": system}] if system else []
    for turn in turns:
        messages.append({"role": "user", "content": turn.question})
        messages.append({"role": "assistant", "content": turn.answer})
    return tuple(messages)


def _greeting(rng: Rng) -> list[Turn]:
    """Say hello, mostly before a short exchange."""
    turns = [typed_casually(rng, scripted_turn(rng, "hello"))]
    if rng() < 0.7:
        turns += choose(rng, (small_talk, identity, fact_questions))(rng)
    return turns


def _choice(rng: Rng) -> Turn:
    return multiple_choice(rng) if rng() < 0.75 else draw_turn(rng, yes_or_no)


def _mixed(rng: Rng) -> list[Turn]:
    """Combine the first turns of two conversations of different kinds."""
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
    for kind in sample(rng, kinds, 2):
        turns += _MAKERS[kind](rng)[:2]
    return turns


def _up_to(most: int, make: Callable[[Rng], Turn]) -> Callable[[Rng], list[Turn]]:
    return lambda rng: [make(rng) for _ in range(randint(rng, 1, most))]


_MAKERS: dict[str, Callable[[Rng], list[Turn]]] = {
    "greeting": _greeting,
    "identity": identity,
    "smalltalk": small_talk,
    "facts": fact_questions,
    "science": science_questions,
    "followup": followup,
    "memory": memory,
    "calculator": _up_to(3, tool_turn),
    "sums": _up_to(3, math_turn),
    "letters": _up_to(3, letter_turn),
    "instructions": _up_to(2, instruction),
    "storytelling": lambda rng: [tell_story(rng)],
    "reading": reading,
    "choice": _up_to(2, _choice),
    "unknown": unknown,
    "chat": _mixed,
    "everyday": everyday,
    "recall_chat": recall_chat,
    "reflect": reflect,
    "tasks": tasks,
    "about": about,
    "meanings": meanings,
    "unknown_things": unknown_things,
    "followups": followups,
    "games": games,
    "wander": wander,
    "tales": tale_talk,
    "episodes": episode,
}
