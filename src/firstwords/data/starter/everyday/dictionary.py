"""What conversations say about the words of the lexicon: meaning, part of speech, forms.

The words are in the order of how often the library uses them, so that a model that has little time
hears of the common words most (`draw_word`).
"""

import re
from collections import Counter
from functools import cache
from typing import NamedTuple

from firstwords.data.starter import lexicon
from firstwords.data.starter.grammar.lexicon import verb
from firstwords.data.starter.lexicon import Entry
from firstwords.data.starter.library import pieces
from firstwords.data.starter.rng import Rng
from firstwords.data.starter.tables import table_rows
from firstwords.data.starter.templates import article, capitalize
from firstwords.data.starter.words import plural

PARTS = {"nouns": "noun", "verbs": "verb", "adjectives": "adjective", "adverbs": "adverb"}


class Word(NamedTuple):
    """A word with its entries, one or more of each part of speech."""

    word: str
    entries: tuple[Entry, ...]
    answers: tuple[str, ...]  # what each entry means, as a sentence

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts of speech: "noun", "verb"."""
        return tuple(dict.fromkeys(PARTS[entry.part_of_speech] for entry in self.entries))


@cache
def words() -> tuple[Word, ...]:
    """Return all words of the lexicon, the most frequent ones of the library first."""
    by_word: dict[str, list[Entry]] = {}
    # What a word such as "so" or "in" means is hard to say, and not asked.
    little_words = {row[0] for row in table_rows("lexicon_others.txt")} | set(_LITTLE.split())
    for entry in lexicon.entries():
        if not set(entry.word) - _LETTERS and entry.word not in little_words:
            by_word.setdefault(entry.word, []).append(entry)
    counts = Counter(re.findall(r"[a-z-]+", " ".join(piece.text for piece in pieces()).lower()))
    found = sorted(by_word, key=lambda word: (-counts[word], word))
    return tuple(
        Word(word, tuple(by_word[word]), tuple(map(meaning, by_word[word]))) for word in found
    )


_LITTLE = (
    "be do have not get so too very here there then how out up down off again just only quite "
    "away back round more other same let"
)
_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ- ")
# Half of all questions are about a sixteenth of the words.
_SKEW = 4.0


def draw_word(rng: Rng) -> Word:
    """Return a word of the lexicon, a common one more often than not."""
    return words()[int(len(words()) * rng() ** _SKEW)]


@cache
def nouns_that_count() -> tuple[Entry, ...]:
    """Return the nouns with a singular and a plural, each in one sense only, common ones first."""
    return tuple(
        word.entries[0]
        for word in words()
        if word.entries[0].part_of_speech == "nouns"
        and word.entries[0].inflection not in ("-", "pl", "=")
        and word.word.islower()
    )


@cache
def nouns_of(*classes: str) -> tuple[Entry, ...]:
    """Return the nouns of one or more of the classes, common ones first."""
    rows = _cells("nouns")
    return tuple(e for e in nouns_that_count() if {*classes} & {*rows[e.word][2].split()})


def things() -> tuple[Entry, ...]:
    """Return the nouns for what can be made, held or used, common ones first."""
    return nouns_of(*_THINGS)


_THINGS = (
    *("tool", "object", "toy", "clothing", "furniture", "vehicle", "instrument", "container"),
    *("dish", "device", "machine", "food", "book", "boat", "drink", "building"),
)


# -- meanings -------------------------------------------------------------------------------------

_NEEDS_OBJECT = re.compile(r" (to|with|from|of|at|for|on|upon|into|against)$")
# A definition such as "that needs a lot of money" describes a thing, and needs its name before it.
_NEEDS_NOUN = re.compile(r"(that|where|with|of|from|who|which|in|without) ")
_DESCRIBABLE = (
    *("person", "animal", "object", "place", "building", "road", "vehicle", "room", "book"),
    *("country", "event", "plant", "tree", "house", "story", "child", "bird", "town", "box"),
)


def meaning(entry: Entry) -> str:
    """Return what a word means as a sentence."""
    return capitalize(_MEANINGS[entry.part_of_speech](entry))


def _means(entry: Entry) -> str:
    return f"the word {entry.word} means {entry.definition}."


def _meaning_of_noun(entry: Entry) -> str:
    word, definition = entry.word, entry.definition
    if entry.inflection == "pl":
        return f"{word} are {definition}."
    if word in _UNIQUE:
        return f"the {word} is {definition}."
    if definition.startswith(_NO_NOUN):
        return _means(entry)
    if entry.inflection == "-":
        return f"{word} {'means' if ' or ' in definition else 'is'} {definition}."
    return f"{article(word)} {word} is {definition}."


_NO_NOUN = ("what ", "how ", "when ", "where ", "several ", "many ", "two ", "pages ", "not ")
_UNIQUE = ("sun", "moon", "sky", "sea", "earth", "world", "past", "future", "universe", "equator")


def _meaning_of_verb(entry: Entry) -> str:
    word, definition = entry.word, entry.definition
    if _NEEDS_OBJECT.search(definition):
        frames = _cells("verbs")[word][3]
        is_person = re.match(r"\S+ person\b", frames) is not None
        thing, pronoun = ("somebody", "them") if is_person else ("something", "it")
        return f"to {word} {thing} is to {definition} {pronoun}."
    return f"to {word} is to {definition}."


def _meaning_of_adjective(entry: Entry) -> str:
    word, definition = entry.word, entry.definition
    described = _cells("adjectives")[word][2].split()
    thing = next((name for name in described if name in _DESCRIBABLE), "")
    if not thing and _NEEDS_NOUN.match(definition):
        return f"something that is {word} is something {definition}."
    if thing and _NEEDS_NOUN.match(definition):
        name = "thing" if thing == "object" else thing
        one = "somebody" if thing == "person" and definition.startswith(("who", "that")) else "one"
        return f"{article(word)} {word} {name} is {one} {definition}."
    return _means(entry)


def _meaning_of_adverb(entry: Entry) -> str:
    kind = _cells("adverbs")[entry.word][1]
    if kind == "manner":
        return f"to do something {entry.word} is to do it {entry.definition}."
    return _means(entry)


_MEANINGS = {
    "nouns": _meaning_of_noun,
    "verbs": _meaning_of_verb,
    "adjectives": _meaning_of_adjective,
    "adverbs": _meaning_of_adverb,
}


@cache
def _cells(part: str) -> dict[str, tuple[str, ...]]:
    """Return the rows of a table of the lexicon by word."""
    return {row[0]: row for row in reversed(table_rows(f"lexicon_{part}.txt"))}


# -- forms ----------------------------------------------------------------------------------------


def plural_of(entry: Entry) -> str:
    """Return the plural of a noun; "" if it has none."""
    if entry.inflection in ("-", "pl"):
        return ""
    if entry.inflection == "=":
        return entry.word
    return plural(entry.word) if entry.inflection == "+" else entry.inflection


def past_of(entry: Entry) -> str:
    """Return the past of a verb."""
    if entry.inflection == "+":
        return verb(entry.word).past
    return entry.inflection


def opposite_of(entry: Entry) -> str:
    """Return the opposite of an adjective; "" if it has none."""
    if entry.part_of_speech != "adjectives":
        return ""
    opposite = _cells("adjectives")[entry.word][3]
    return "" if opposite == "-" else opposite


def comparative_of(entry: Entry) -> str:
    """Return the comparative of an adjective."""
    word, form = entry.word, entry.inflection
    if form == "-":
        return f"more {word}"
    if form == "+":
        return word + ("r" if word.endswith("e") else "er")
    return form
