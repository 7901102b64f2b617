"""Messages as people type them: lower case, no punctuation, contractions, abbreviations, typos.

`canonical` is the inverse as far as it goes: what it returns is the same for all renderings of a
text that have no typos. The hash of this form decides what is held out (`is_exam_only`).
"""

import re
from collections.abc import Collection, Sequence
from functools import cache, lru_cache
from typing import NamedTuple

from firstwords.data.starter.everyday.intents import intents
from firstwords.data.starter.facts import TOPICS, facts_by_subject
from firstwords.data.starter.holdout import is_held_out, question_key
from firstwords.data.starter.rng import Rng, choose
from firstwords.data.starter.tables import table_sections
from firstwords.data.starter.templates import capitalize, fill_template
from firstwords.data.starter.turn import Turn


class TypingStyle(NamedTuple):
    """How one user types; the numbers are probabilities per message."""

    lower: bool = False
    drops_final: float = 0.0  # the punctuation at the end
    drops_commas: bool = False
    contracts: float = 0.0
    drops_apostrophes: bool = False
    abbreviates: float = 0.0
    mistypes: float = 0.0
    american: float = 0.4  # the spelling of words such as "colour"


CAREFUL = TypingStyle(contracts=0.5)
_STYLES = (
    CAREFUL,
    CAREFUL,
    CAREFUL,
    TypingStyle(drops_final=0.7, contracts=0.7, mistypes=0.04),
    TypingStyle(lower=True, drops_final=0.1, contracts=0.6, mistypes=0.06),
    TypingStyle(True, 0.8, False, 0.7, False, 0.03, 0.08),
    TypingStyle(True, 0.9, True, 0.8, True, 0.08, 0.12),
    TypingStyle(True, 1.0, True, 0.9, True, 0.3, 0.2),
)
# The exam has no typos, so that no two of its questions differ in a typo alone.
_EXAM_STYLES = tuple(style._replace(mistypes=0.0, american=0.0) for style in _STYLES[3:])


def draw_style(rng: Rng, for_exam: bool = False) -> TypingStyle:
    """Return the style of a random user."""
    return choose(rng, _EXAM_STYLES if for_exam else _STYLES)


_CONTRACTIONS = {
    "i am": "I'm",
    "i will": "I'll",
    "i would": "I'd",
    "i have got": "I've got",
    "i have been": "I've been",
    "i have never": "I've never",
    "i have just": "I've just",
    "do not": "don't",
    "does not": "doesn't",
    "did not": "didn't",
    "is not": "isn't",
    "are not": "aren't",
    "was not": "wasn't",
    "cannot": "can't",
    "could not": "couldn't",
    "would not": "wouldn't",
    "will not": "won't",
    "have not": "haven't",
    "should not": "shouldn't",
    "what is": "what's",
    "who is": "who's",
    "where is": "where's",
    "how is": "how's",
    "when is": "when's",
    "that is": "that's",
    "it is": "it's",
    "there is": "there's",
    "you are": "you're",
    "we are": "we're",
    "they are": "they're",
    "let us": "let's",
}


def _either_case(word: str) -> str:
    return f"[{word[0]}{word[0].upper()}]{word[1:]}"


def _contractible() -> re.Pattern[str]:
    """Return the pattern of what contracts, grouped by first words, which makes it fast.

    It matches only before a further word: "Do you know what it is?" has no contraction.
    """
    groups: dict[str, list[str]] = {}
    for full in _CONTRACTIONS:
        first, _, rest = full.partition(" ")
        groups.setdefault(first, []).append(rest)
    branches = []
    for first, rests in groups.items():
        tail = "|".join(sorted(filter(None, rests), key=len, reverse=True))
        branches.append(_either_case(first) + (f" (?:{tail})" if tail else ""))
    return re.compile(rf"\b(?:{'|'.join(branches)})\b(?= [a-zA-Z0-9])")


_CONTRACTIBLE = _contractible()
_ABBREVIATIONS = {
    "please": "pls",
    "you": "u",
    "thanks": "thx",
    "because": "cos",
    "are": "r",
    "your": "ur",
    "okay": "ok",
    "tomorrow": "tmrw",
}
_ABBREVIABLE = re.compile(rf"\b(?:{'|'.join(map(_either_case, _ABBREVIATIONS))})\b")
_AMERICAN = {
    "colour": "color",
    "colours": "colors",
    "favourite": "favorite",
    "neighbour": "neighbor",
    "neighbours": "neighbors",
    "grey": "gray",
    "mum": "mom",
    "centre": "center",
    "theatre": "theater",
    "metre": "meter",
    "metres": "meters",
    "litre": "liter",
    "litres": "liters",
    "kilometre": "kilometer",
    "kilometres": "kilometers",
    "aeroplane": "airplane",
    "jumper": "sweater",
    "maths": "math",
}
_BRITISH = re.compile(rf"\b(?:{'|'.join(map(_either_case, _AMERICAN))})\b")
_EXPANSIONS = {
    **{american: british for british, american in _AMERICAN.items()},
    **{short.lower().replace("'", ""): full for full, short in _CONTRACTIONS.items()},
    **{short: full for full, short in _ABBREVIATIONS.items()},
    "ive": "i have",
}


def _contraction(match: re.Match[str]) -> str:
    short = _CONTRACTIONS[match[0].lower()]
    return short[0].upper() + short[1:] if match[0][0].isupper() else short


def _american(word: str, keep: Collection[str]) -> str:
    spelled = word if word in keep else _AMERICAN[word.lower()]
    return capitalize(spelled) if word[0].isupper() else spelled


def type_out(rng: Rng, style: TypingStyle, text: str, keep: Collection[str] = ()) -> str:
    """Return the text as a user of this style types it, without typos in the words `keep`."""
    if style is CAREFUL and rng() < 0.5:
        return text
    if rng() < style.contracts:
        text = _CONTRACTIBLE.sub(_contraction, text)
    if style.drops_apostrophes and "'" in text:
        text = text.replace("n't", "nt").replace("'", "")
    if rng() < style.abbreviates:
        text = _ABBREVIABLE.sub(lambda match: _ABBREVIATIONS[match[0].lower()], text)
    if _BRITISH.search(text) and rng() < style.american:
        text = _BRITISH.sub(lambda match: _american(match[0], keep), text)
    if style.lower:
        text = text.lower()
    if rng() < style.drops_final:
        text = text.rstrip(".?! ") or text
    if style.drops_commas:
        text = text.replace(",", "")
    if rng() < style.mistypes:
        text = mistype(rng, text, keep)
    return text


_NEIGHBOURS = {
    letter: row[max(0, i - 1) : i] + row[i + 1 : i + 2]
    for row in ("qwertyuiop", "asdfghjkl", "zxcvbnm")
    for i, letter in enumerate(row)
}


def mistype(rng: Rng, text: str, keep: Collection[str] = ()) -> str:
    """Return the text with a typo in one of its longer words, never in the first letter."""
    words = text.split(" ")
    at = int(rng() * len(words))
    word = words[at]
    if len(word) < 4 or not word.isalpha() or word.lower() in " ".join(keep).lower().split():
        return text
    i = 1 + int(rng() * (len(word) - 2))
    chance = rng()
    if chance < 0.3:  # swap two letters
        word = word[:i] + word[i + 1] + word[i] + word[i + 2 :]
    elif chance < 0.6:  # drop a letter
        word = word[:i] + word[i + 1 :]
    elif chance < 0.8:  # double a letter
        word = word[:i] + word[i] + word[i:]
    else:
        near = _NEIGHBOURS.get(word[i].lower(), word[i])
        word = word[:i] + choose(rng, near) + word[i + 1 :]
    words[at] = word
    return " ".join(words)


_WORD = re.compile(r"[a-z0-9]+")


def canonical(text: str) -> str:
    """Return the words of a text in lower case, without contractions and abbreviations."""
    words = _WORD.findall(text.lower().replace("'", ""))
    return " ".join([_EXPANSIONS.get(word, word) for word in words])


@lru_cache(maxsize=200_000)
def is_exam_only(text: str) -> bool:
    """Return whether training never shows a user who says this, in any rendering."""
    key, plain = question_key(text), canonical(text)
    if plain in _plain_requests():
        return False
    held_out = is_held_out("question", plain) or is_held_out("question", key)
    return held_out or plain in _exam_wording()


_MOST_WAYS = 24


@cache
def sayable(line: str) -> tuple[str, ...]:
    """Return all messages of a line of wording that users in training say, in normal spelling.

    It is empty if the line has slots or too many alternatives to list: then a message has to be
    drawn and checked, which takes several times as long.
    """
    if "{" in line or "<" in line or 2 ** line.count("|") > _MOST_WAYS**2:
        return ()
    ways = all_ways(line)
    if len(ways) > _MOST_WAYS:
        return ()
    texts = (capitalize(way.rstrip().replace("  ", " ")) for way in ways)
    return tuple(text for text in texts if not is_never_said(text))


# What a short question or request of the exam may begin with: "what is hail", "list five months".
_FIRST_WORDS = (
    *("what", "who", "which", "where", "when", "how", "name", "tell"),
    *("list", "spell", "please", "calculate", "compute"),
)


def is_never_said(text: str) -> bool:
    """Return whether users in training never say this.

    That is what only the exam asks, without messages of one to three words such as "are you sure":
    the exam asks few of them (`_FIRST_WORDS`), and no user can do without the others.
    """
    if not is_exam_only(text):
        return False
    plain = canonical(text)
    words = plain.split()
    if plain in _courtesies():
        return False
    if len(words) > 3 or not words or words[0] in _FIRST_WORDS:
        return True
    return plain in _exam_wording() or plain in _small_talk()


def may_be_exam_question(text: str) -> bool:
    """Return whether the exam may ask this: old kinds of conversations never show it either."""
    plain = canonical(text)
    # Shorter ones, such as "I am sad", occur in stories.
    if not is_held_out("question", plain) or len(plain.split()) < 5:
        return False
    return plain not in _small_talk() and plain not in _plain_requests()


@cache
def _plain_requests() -> frozenset[str]:
    """Return the first wording of every intent, which is the one that most users take, as far as it
    has no slots: nothing of it is held out, and the exam does not ask it. What the older parts of
    the exam ask too is not among it."""
    first = (intent.questions[0] for intent in intents().values())
    ways = {canonical(way) for line in first if "{" not in line for way in all_ways(line)}
    return frozenset(ways) - _asked_facts(exam_only=False) - _exam_wording() - _small_talk()


@cache
def _exam_wording() -> frozenset[str]:
    """Return the questions about the assistant and for facts in words that only the exam uses.

    Those for facts that only pretraining states are among them in all words.
    """
    return _asked_facts(exam_only=True) | _all_ways("ask anew")


@cache
def _asked_facts(exam_only: bool) -> frozenset[str]:
    """Return the questions for facts that only the exam asks, or else those that training may."""
    wording = table_sections("facts.txt")
    return frozenset(
        canonical(fill_template(_first_way, way, fact.slots))
        for topic in TOPICS
        for facts in facts_by_subject(topic).values()
        for fact in facts
        for use in ("ask", "ask anew")
        if exam_only == (fact.held_out or use == "ask anew")
        for line in wording.get(f"{fact.relation} {use}", ())
        for way in all_ways(line)
    )


def _first_way() -> float:
    return 0.0


@cache
def _courtesies() -> frozenset[str]:
    """Return the greetings, thanks and goodbyes of `talk.txt`, which the exam never asks."""
    return frozenset[str]().union(*map(_all_ways, ("hello ask", "thanks ask", "bye ask")))


@cache
def _small_talk() -> frozenset[str]:
    """Return what other kinds of conversations say with the wording of `talk.txt`."""
    return _all_ways("ask") | _all_ways("tell")


def _all_ways(ending: str) -> frozenset[str]:
    ways: set[str] = set()
    for heading, lines in table_sections("talk.txt").items():
        if heading.endswith(ending):
            for line in lines:
                ways.update(map(canonical, all_ways(line)))
    return frozenset(ways)


_INNERMOST = re.compile(r"\[([^\[\]]*)\]")


def all_ways(template: str) -> list[str]:
    """Return every choice of alternatives of a template; its slots stay as they are."""
    match = _INNERMOST.search(template)
    if not match:
        return [template]
    ways: Sequence[str] = match[1].split("|")
    before, after = template[: match.start()], template[match.end() :]
    return [text for way in ways for text in all_ways(before + way + after)]


def retype(rng: Rng, style: TypingStyle, turn: Turn, keep: Collection[str] = ()) -> Turn:
    """Return the turn with its question as a user of this style types it."""
    return turn._replace(question=type_out(rng, style, turn.question, keep))
