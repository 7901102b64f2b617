"""The starter curriculum: text and conversations that the package generates, without a network.

Every sample is a pure function of a seed and an index. So any amount can be generated, in any
order, on any number of machines, and generated again. `mixture.py` lists the kinds of samples and
their weights, `tables/` holds facts and wording, and `templates.py` explains the marks in wording.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from firstwords.data.starter import (
    conversations,
    encyclopedia,
    grammar,
    letters,
    lexicon,
    library,
    numbers,
    quiz,
    recall,
    scenes,
)
from firstwords.data.starter.conversations import as_messages
from firstwords.data.starter.everyday.about import explained_page
from firstwords.data.starter.holdout import open_prompt_keys, question_key
from firstwords.data.starter.mixture import CONVERSATION_WEIGHTS, DOCUMENT_WEIGHTS
from firstwords.data.starter.personality import (
    PERSONALITY_FRACTION,
    Personality,
    about_itself,
    personalize,
)
from firstwords.data.starter.rng import Rng, choose_weighted, seeded_rng
from firstwords.data.starter.stories import make_story
from firstwords.data.starter.tales import teller

__all__ = [
    "CONVERSATION_KINDS",
    "DOCUMENT_KINDS",
    "PERSONALITY",
    "StarterConversation",
    "StarterDocument",
    "conversation",
    "document",
]


class StarterDocument(NamedTuple):
    """A text for pretraining."""

    kind: str
    text: str


class StarterConversation(NamedTuple):
    """Messages for midtraining and SFT: user and assistant alternate, the assistant is last.

    A system message may come first.
    """

    kind: str
    messages: tuple[dict[str, str], ...]


DOCUMENT_KINDS = tuple(DOCUMENT_WEIGHTS)
CONVERSATION_KINDS = tuple(CONVERSATION_WEIGHTS)
PERSONALITY = "personality"  # kind of the conversations that only a personality has


def _story_page(rng: Rng) -> str:
    """Return a story, perhaps with a title, perhaps with questions about it."""
    story = make_story(rng, brief=rng() < 0.5, n_questions=4 if rng() < 0.6 else 0)
    text = f"{story.title}\n\n{story.text}" if rng() < 0.35 else story.text
    return "\n".join([text, *(f"{q.question}\n{q.answer}" for q in story.questions)])


_DOCUMENT_MAKERS: dict[str, Callable[[Rng], str]] = {
    "story": _story_page,
    "scene": scenes.page,
    "grammar": grammar.page,
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
    "library": library.page,
    "lexicon": lexicon.page,
    "explained": explained_page,
    "tale": teller.page,
}


def document(seed: int, index: int, kind: str | None = None) -> StarterDocument:
    """Return document `index` of the endless sequence of documents of `seed`.

    Raises ValueError if `kind` is given and not one of DOCUMENT_KINDS.
    """
    rng = seeded_rng(seed, "text", index)
    kind = _choose_kind(rng, DOCUMENT_WEIGHTS, kind)
    return StarterDocument(kind, _DOCUMENT_MAKERS[kind](rng))


def conversation(
    seed: int, index: int, kind: str | None = None, personality: Personality | None = None
) -> StarterConversation:
    """Return conversation `index` of the endless sequence of conversations of `seed`.

    With a personality the assistant speaks as it, and some conversations, of the kind PERSONALITY,
    are about it alone. Raises ValueError if `kind` is given and not one of CONVERSATION_KINDS.
    """
    if personality is None:
        return _usual_conversation(seed, index, kind)
    rng = seeded_rng(seed, "personality", index)
    if kind == PERSONALITY or (kind is None and rng() < PERSONALITY_FRACTION):
        made = _conversation(PERSONALITY, lambda: as_messages(about_itself(rng, personality)))
    else:
        made = _usual_conversation(seed, index, kind)
    return made._replace(messages=personalize(rng, made.messages, personality))


def _usual_conversation(seed: int, index: int, kind: str | None) -> StarterConversation:
    rng = seeded_rng(seed, "talk", index)
    chosen = _choose_kind(rng, CONVERSATION_WEIGHTS, kind)
    return _conversation(chosen, lambda: conversations.make_messages(rng, chosen))


def _conversation(
    kind: str, make_messages: Callable[[], tuple[dict[str, str], ...]]
) -> StarterConversation:
    """Return the first conversation without an open prompt of the evaluation."""
    while True:
        messages = make_messages()
        asked = {question_key(m["content"]) for m in messages if m["role"] == "user"}
        if asked.isdisjoint(open_prompt_keys()):
            return StarterConversation(kind, messages)


def _choose_kind(rng: Rng, weights: Mapping[str, float], kind: str | None) -> str:
    """Return `kind`, or else a random one. It draws one number either way."""
    random_kind = choose_weighted(rng, weights)
    if kind is None:
        return random_kind
    if kind not in weights:
        raise ValueError(f"unknown kind {kind!r}; known kinds: {', '.join(weights)}")
    return kind
