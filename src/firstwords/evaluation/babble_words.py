"""The words of English that babble.py knows: from the texts of the package, and formed from them.

`babble_words.txt` lists classes of words; the tables, intents, tales and library of the starter
curriculum give all others.
"""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from firstwords.data import starter
from firstwords.data.starter.tables import (
    parse_sections,
    table_rows,
    table_sections,
    without_comments,
)
from firstwords.data.starter.words import plural, vocabulary

WORDS_PATH = Path(__file__).with_name("babble_words.txt")
CONTRACTIONS = ("won't", "can't", "shan't", "ain't", "let's")
CONTRACTED = re.compile(r"(?:n't|'(?:s|re|ll|ve|d|m|em))$")
PREFIXES = ("un", "re", "over", "non", "mis", "dis", "out", "under", "mid", "half", "super")
# Suffixes, and what to put in their place to find the word they were added to.
SUFFIXES = (
    *(("s", ""), ("es", ""), ("ies", "y"), ("ves", "f"), ("ves", "fe")),
    *(("ed", ""), ("ed", "e"), ("ied", "y"), ("ing", ""), ("ing", "e"), ("ying", "ie")),
    *(("er", ""), ("er", "e"), ("ier", "y"), ("est", ""), ("est", "e"), ("iest", "y")),
    *(("ers", ""), ("ers", "e"), ("or", ""), ("or", "e"), ("ors", "e")),
    *(("ly", ""), ("ly", "le"), ("ily", "y"), ("ally", "al"), ("ally", ""), ("lly", "ll")),
    *(("ness", ""), ("iness", "y"), ("ful", ""), ("less", ""), ("y", ""), ("y", "e")),
    *(("able", ""), ("able", "e"), ("ish", ""), ("ment", ""), ("ments", ""), ("like", "")),
)
# American spelling, and the British one of the tables.
SPELLINGS = (
    *(("or", "our"), ("iz", "is"), ("yz", "ys")),
    *(("er", "re"), ("og", "ogue"), ("gray", "grey")),
)


@cache
def word_class(name: str) -> frozenset[str]:
    """Return the words below a heading of babble_words.txt."""
    return frozenset(" ".join(_word_sections()[name]).split())


@cache
def _word_sections() -> dict[str, tuple[str, ...]]:
    return parse_sections(without_comments(WORDS_PATH.read_text(encoding="utf-8")))


@cache
def known_words() -> frozenset[str]:
    """Return the words of all texts of the starter curriculum, in lower case."""
    words = {*word_class("function words"), *word_class("words"), *word_class("sounds")}
    words |= {*word_class("verbs"), *word_class("names"), *vocabulary()}
    for file in Path(starter.__file__).parent.rglob("*.txt"):
        lines = file.read_text(encoding="utf-8").splitlines()
        text = " ".join(line for line in lines if not line.startswith("#"))
        text = re.sub(r"\{[^}]*\}|<\w+>", " ", text)  # slots and macros of templates
        words |= {word for word in re.findall(r"[^\W\d_]+", text.lower()) if len(word) > 1}
    return frozenset(words)


def is_word(word: str) -> bool:
    """Return whether a word, in lower case, is in the tables or regularly formed from one."""
    return _is_word(word.replace("’", "'"))


@cache
def _is_word(word: str) -> bool:
    words = known_words()
    if word in words or len(word) == 1 or word in CONTRACTIONS:
        return True
    stem = CONTRACTED.sub("", word)
    if stem != word:
        return _is_word(stem) or f"{stem}n" in words
    if any(form in words for form in stems(word)):
        return True
    for prefix in PREFIXES:
        rest = word.removeprefix(prefix)
        if rest != word and len(rest) > 3 and (rest in words or set(stems(rest)) & words):
            return True
    for british in _british(word):
        if british in words or set(stems(british)) & words:
            return True
    compounds = ((word[:cut], word[cut:]) for cut in range(4, len(word) - 3))
    return any(a in words and (b in words or set(stems(b)) & words) for a, b in compounds)


def stems(word: str) -> Iterator[str]:
    """Yield the words that a word may be formed from with a suffix."""
    for suffix, replacement in SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) > 1:
            stem = word.removesuffix(suffix) + replacement
            yield stem
            if len(stem) > 3 and stem[-1] == stem[-2]:  # stopped, bigger
                yield stem[:-1]


def _british(word: str) -> Iterator[str]:
    for american, british in SPELLINGS:
        if american in word:
            yield word.replace(american, british)


@cache
def _things() -> frozenset[str]:
    return frozenset(" ".join(table_sections("words.txt")["things"]).split())


@cache
def plurals() -> frozenset[str]:
    """Return plural nouns that are nothing else."""
    irregular = {many for one, many in table_rows("plurals.txt") if one != many}
    singular = {row[0] for row in table_rows("animals.txt")} | _things()
    return frozenset(irregular | {plural(one) for one in singular}) - word_class("singular in s")


@cache
def singulars() -> frozenset[str]:
    """Return singular nouns that are nothing else."""
    same = {one for one, many in table_rows("plurals.txt") if one == many}
    animals = {row[0] for row in table_rows("animals.txt") if row[0] != row[1]}
    return (_things() | animals) - same - word_class("collective") - plurals()


@cache
def is_verb(word: str) -> bool:
    """Return whether a word may be a verb: generously, since many words are several things."""
    verbs = {cell for row in table_rows("verbs.txt") for cell in row} | word_class("verbs")
    verbs |= set(" ".join(table_sections("words.txt")["doing"]).split())
    is_form = word.endswith(("ed", "ing")) and len(word) > 4
    return is_form or word in verbs or "'" in word or any(stem in verbs for stem in stems(word))
