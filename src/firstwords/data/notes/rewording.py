"""Say a question in other words: of a holiday as of a trip, of Aunt Ruth as of Ruth."""

import re
from collections.abc import Sequence
from functools import cache

from firstwords.data.notes.tables import words_of
from firstwords.data.starter.templates import capitalize

_FAMILY = (
    (re.compile(r"\b(does|do|did|can) the family\b"), r"\1 we"),
    (re.compile(r"\b(?:is|are) the family\b"), "are we"),
    (re.compile(r"\b(?:was|were) the family\b"), "were we"),
    (re.compile(r"\b(?:has|have) the family\b"), "have we"),
    (re.compile(r"\bthe family's\b"), "our"),
    (re.compile(r"\bour (?=\w+\b)"), "the "),
)


def reworded(question: str) -> list[str]:
    """Return the question with each noun that has others in their stead, and about "us"."""
    found = [
        f"{question[: match.start()]}{other}{question[match.end() :]}"
        for match in _nouns().finditer(question)
        for other in words_of("nouns")[match[0]]
    ]
    for pattern, instead in _FAMILY:
        changed = pattern.sub(instead, question)
        if changed != question:
            found.append(changed.replace("does we", "do we"))
    return found


_ALONE = ("Grandma", "Grandpa", "Granny", "Grandad")
_TITLES = (*_ALONE, "Aunt", "Auntie", "Great-aunt", "Uncle", "Cousin", "Baby")


def short_names(subject: str, others: Sequence[str]) -> list[tuple[str, str]]:
    """Return what people call a subject for short, as pairs of the long and the short name.

    They are "the key" for "the spare key", and "Ruth" for "Aunt Ruth", unless one of the other
    notes is about another key or Ruth.
    """
    name = subject.split("'s ")[0]
    words = name.split()
    if len(words) == 3 and words[0] in ("The", "the"):
        short = {words[2]: f"the {words[2]}"}
    elif len(words) == 2 and words[0] in _TITLES:
        short = {word: word for word in words if word not in _TITLES or word in _ALONE}
    else:
        return []
    told = " ".join(others).replace(name, "")
    return [
        (name, instead)
        for word, instead in short.items()
        if not re.search(rf"\b{re.escape(word)}\b", told)
    ]


def renamed(question: str, name: str, instead: str) -> str:
    """Return the question with another name for its subject."""
    return capitalize(re.sub(rf"\b{re.escape(name)}\b", instead, question, flags=re.IGNORECASE))


@cache
def _nouns() -> re.Pattern[str]:
    longest_first = sorted(words_of("nouns"), key=len, reverse=True)
    # "On holiday" and "on foot" have no article, and no other noun fits there.
    return re.compile(rf"(?<!on )\b(?:{'|'.join(map(re.escape, longest_first))})\b")
