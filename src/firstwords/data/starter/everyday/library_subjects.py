"""What the library says about things and how-tos, as short answers for `about.py`.

About a thing there is its meaning and then sentences of the library that begin with its name, so
that each makes sense alone. A text whose title asks how to do something is answered with its first
steps.
"""

import re
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from firstwords.data.starter.everyday.dictionary import meaning, plural_of, words
from firstwords.data.starter.grammar.lexicon import s_form
from firstwords.data.starter.lexicon import Entry, entries
from firstwords.data.starter.library import pieces
from firstwords.data.starter.templates import fill_template

MAX_CHARACTERS = 150
MIN_STEPS = 40
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z\"])")
# What refers to something that was said before, or is spoken by somebody.
_NEEDS_CONTEXT = re.compile(
    r"\b(he|she|him|his|her|hers|this|that is|these|those|such|also|however|then|therefore|"
    r"I|me|my|we|us|our|here|there|so|once|too|yesterday|today|did|was|were|would|had)\b|"
    r"[\":;(?!]|\d\."
)
_REFERS_BACK = re.compile(r"\b(it|its|they|them|their|they'd|as well|both)\b")
_HOW_TO = re.compile(r"How (?:do|can|should|would) (?:I|you|we|one) (.+)\?$")
_TOPICS = ("explain-", "howto-")


class _Sentence(NamedTuple):
    text: str
    title: str  # of its piece, in lower case


@cache
def _sentences() -> tuple[_Sentence, ...]:
    """Return the sentences of explanations that make sense alone."""
    found = []
    for piece in pieces():
        if piece.topic.startswith(_TOPICS) and "{" not in piece.text:
            for sentence in _SENTENCE_END.split(_filled(piece.text)):
                plain = " ".join(sentence.split())
                fits = 28 < len(plain) <= MAX_CHARACTERS and plain.endswith(".")
                if fits and not _NEEDS_CONTEXT.search(plain):
                    found.append(_Sentence(plain, piece.title.lower()))
    return tuple(found)


def _filled(text: str) -> str:
    """Return the text with the first of its alternatives."""
    return fill_template(lambda: 0.0, text)


_OPENING = re.compile(r"(?:(An?|The|Most|Many|Some|All|Every|Each) )?([A-Za-z][a-z-]+) ([a-z']+)\b")
_HELPERS = frozenset(
    ("is", "are", "has", "have", "can", "cannot", "can't", "may", "must", "will", "does", "do")
)


@cache
def _finite_verbs() -> frozenset[str]:
    verbs = {e.word for e in entries() if e.part_of_speech == "verbs" and " " not in e.word}
    return frozenset(verbs) | {s_form(word) for word in verbs} | _HELPERS


@cache
def _imperatives() -> frozenset[str]:
    return frozenset(e.word for e in entries() if e.part_of_speech == "verbs")


@cache
def _sentences_by_noun() -> dict[str, tuple[str, ...]]:
    """Return the sentences by the noun that is their subject, in lower case."""
    found: dict[str, list[str]] = {}
    for text, title in _sentences():
        match = _OPENING.match(text)
        if not match or match[3] not in _finite_verbs():
            continue
        noun = match[2].lower()
        # "The saw goes beside the line" is about a saw only in the text "The Saw".
        if match[1] == "The" and noun not in title:
            continue
        if match[1] is None and noun in _imperatives():
            continue
        if noun.rstrip("s") not in title and _REFERS_BACK.search(text):
            continue
        found.setdefault(noun, []).append(text)
    return {noun: tuple(dict.fromkeys(lines)) for noun, lines in found.items()}


def library_things() -> Iterator[tuple[Entry, tuple[str, ...]]]:
    """Yield the nouns about which the library says something, with the sentences of an answer."""
    said = _sentences_by_noun()
    for word in words():
        entry = word.entries[0]
        if entry.part_of_speech == "nouns" and entry.word.islower():
            many = plural_of(entry)
            lines = (*said.get(entry.word, ()), *said.get(many, ()))
            if lines:
                yield entry, (meaning(entry), *lines[:3])


def library_how_tos() -> Iterator[tuple[str, str]]:
    """Yield what users want to do, such as "boil an egg", with the first steps."""
    for piece in pieces():
        match = _HOW_TO.fullmatch(piece.title)
        if piece.topic.startswith("howto-qa") and match and not re.search(r"[.?!]| me$", match[1]):
            steps = "" if "{" in piece.text else _steps(_filled(piece.text))
            if len(steps) > MIN_STEPS:
                yield match[1], steps


def _steps(text: str) -> str:
    """Return the first sentences from one on that tells what to do; "" if there is none."""
    found: list[str] = []
    for sentence in _SENTENCE_END.split(" ".join(text.split())):
        first = sentence.split(" ")[0].strip(",").lower()
        if not found and first not in _imperatives():
            continue
        if sentence.endswith("?") or '"' in sentence or "I'm" in sentence:
            break
        if sum(map(len, found)) + len(sentence) > 220:
            break
        found.append(sentence)
    return " ".join(found)
