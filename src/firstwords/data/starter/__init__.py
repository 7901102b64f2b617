"""The starter curriculum: text and conversations made by the package itself, with no network.

Every sample is a pure function of a seed and an index, so any amount can be made, in any order,
on any number of machines, and made again. The kinds of samples and their shares stand in
`mixture.py`; facts and wording in `tables/`; how a template is written in `phrase.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from . import encyclopedia, letters, numbers, quiz, recall, scenes, talk
from .mixture import CONVERSATIONS, DOCUMENTS
from .phrase import Rand, source, weighted
from .stories import story

__all__ = [
    "CONVERSATION_KINDS",
    "DOCUMENT_KINDS",
    "Conversation",
    "Document",
    "conversation",
    "document",
]


class Document(NamedTuple):
    """A text for pretraining."""

    kind: str
    text: str


class Conversation(NamedTuple):
    """Messages for midtraining and finetuning: user and assistant in turn, assistant last."""

    kind: str
    messages: tuple[dict[str, str], ...]


DOCUMENT_KINDS = tuple(DOCUMENTS)
CONVERSATION_KINDS = tuple(CONVERSATIONS)


def _story(r: Rand) -> str:
    """A story, perhaps with a title, perhaps with questions about it."""
    told = story(r, brief=r() < 0.5, questions=4 if r() < 0.6 else 0)
    text = f"{told.title}\n\n{told.text}" if r() < 0.35 else told.text
    return "\n".join([text, *(f"{one.question}\n{one.answer}" for one in told.asked)])


_PAGES: dict[str, Callable[[Rand], str]] = {
    "story": _story,
    "scene": scenes.page,
    "countries": encyclopedia.countries,
    "elements": encyclopedia.elements,
    "animals": encyclopedia.animals,
    "words": encyclopedia.words,
    "calendar": encyclopedia.calendar,
    "planets": encyclopedia.planets,
    "things": encyclopedia.things,
    "science": encyclopedia.science,
    "almanac": encyclopedia.almanac,
    "numbers": numbers.page,
    "letters": letters.page,
    "recall": recall.page,
    "quiz": quiz.page,
}


def _chosen(r: Rand, table: Mapping[str, float], kind: str | None) -> str:
    drawn = weighted(r, table)
    if kind is None:
        return drawn
    if kind not in table:
        raise ValueError(f"unknown kind {kind!r}; known are: {', '.join(table)}")
    return kind


def document(seed: int, index: int, kind: str | None = None) -> Document:
    """Document number `index` of the endless text that `seed` stands for."""
    r = source(seed, "text", index)
    chosen = _chosen(r, DOCUMENTS, kind)
    return Document(chosen, _PAGES[chosen](r))


def conversation(seed: int, index: int, kind: str | None = None) -> Conversation:
    """Conversation number `index` of those that `seed` stands for."""
    r = source(seed, "talk", index)
    chosen = _chosen(r, CONVERSATIONS, kind)
    return Conversation(chosen, talk.messages(r, chosen))
