"""Name the kind of thing that a note tells: people ask which fruit, or what kind of vehicle."""

import re
from collections.abc import Sequence
from functools import cache

from firstwords.data.notes.tables import words_of
from firstwords.data.starter.grammar.lexicon import regular_plural
from firstwords.data.starter.tables import table_rows

# The last word before one of these is what a phrase is about: "a box of straw".
_PREPOSITION = re.compile(
    r" (?:of|in|on|at|with|from|for|to|by|like|next|about|out|after|before|and|every|each) "
)
SLOT = re.compile(r"\{(a:)?(\w+)\}")  # of a template; with "a:", the value has its article
# A question that has one of these slots tells the answer, or a part of it.
_THE_THING = frozenset(("v", "object", "rest", "act", "other", "p"))
_THE_PLACE = frozenset(("v", "where", "rest", "act", "p"))
_THE_TIME = frozenset(("v", "when", "rest", "t"))
# What stands before a question's verb: "{does} {x} eat", "frightens {x}", "{be} {x} afraid of".
_ASKS_WHAT = re.compile(
    r"What (?!.*\b(?:do|be|become|happen|called|name)\b)"
    r"(?=(?:\{does\}|does|did|can|must|may|should) \{x\} |(?!is|was|has)\w+s \{x\}(?!')|"
    r"(?:\{be\}|is) \{x\} [^?]*(?:of|to|with|about|at|for|in)\?)"
)
_ASKS_WHERE = re.compile(r"Where (?!.* (?:from|to|at|in|of)\b)(?=(?:\{\w+\}|\w+) \{x\})")
_ASKS_WHEN = re.compile(r"When (?!exactly)(?=(?:\{\w+\}|\w+) \{x\})")
_WHICH = ("Which", "What kind of")
_PLACE = re.compile(r"(in|at|on|under|behind|to) (.+)")


def asked_by_kind(templates: Sequence[str], slots: dict[str, str]) -> list[str]:
    """Return templates that name the kind of the answer: "Which fruit does {x} like?"

    Made of the templates that ask for what, where or when, and do not tell any part of the answer.
    """
    what = kinds_of(slots.get("v") or slots.get("object") or slots.get("other", ""))
    where = _PLACE.fullmatch(slots.get("where") or slots.get("v", ""))
    when = _PLACE.fullmatch(slots.get("when", ""))
    found = []
    for template in templates:
        told = {match[2] for match in SLOT.finditer(template)}
        if told.isdisjoint(_THE_THING) and (asked := _ASKS_WHAT.match(template)):
            rest = template[asked.end() :]
            found += [f"{one} {kind} {rest}" for kind in what for one in _WHICH]
        elif where and told.isdisjoint(_THE_PLACE) and (asked := _ASKS_WHERE.match(template)):
            found += _in_which(where, template[asked.end() :])
        elif when and told.isdisjoint(_THE_TIME) and (asked := _ASKS_WHEN.match(template)):
            found += _in_which(when, template[asked.end() :])
    return found


def _in_which(told: re.Match[str], rest: str) -> list[str]:
    """Return questions such as "In which town does {x} live?"; `told` is the place or the time."""
    kinds, is_name = kinds_of(told[2]), told[2][0].isupper()
    # A name that no table knows is that of a town mostly: "in Glasgow", but not "at Fern Cottage".
    if not kinds and told[1] in ("in", "to") and re.fullmatch(r"[A-Z]\w+", told[2]):
        kinds = words_of("things")["town"]
    which = ("which", "what" if is_name else "what kind of")
    return [f"{told[1].capitalize()} {one} {kind} {rest}" for kind in kinds for one in which]


def kinds_of(phrase: str) -> tuple[str, ...]:
    """Return what a phrase names a kind of: "a green van" is a vehicle; empty if nothing knows."""
    words = _PREPOSITION.split(phrase)[0].split()
    by_length = (kinds_by_word().get(" ".join(words[-length:])) for length in (2, 1))
    return next(filter(None, by_length), ())


@cache
def kinds_by_word() -> dict[str, tuple[str, ...]]:
    """Return the kinds of every noun, in both numbers, and of every name that the tables know."""
    named = words_of("things")
    rows = [row[:3] for row in (*table_rows("grammar_nouns.txt"), *table_rows("lexicon_nouns.txt"))]
    found: dict[str, tuple[str, ...]] = {}
    for word, plural, classes in rows:
        kinds = [kind for name in classes.split() for kind in named.get(name, ())]
        for form in (word, regular_plural(word) if plural == "+" else plural):
            found[form] = tuple(dict.fromkeys((*found.get(form, ()), *kinds)))
    for country, capital, _ in table_rows("countries.txt"):
        found[country], found[capital] = named["country"], named["capital"]
    for month, _, _, season in table_rows("calendar.txt"):
        found[month], found[season] = named["month"], named["season"]
    return {word: kinds for word, kinds in found.items() if kinds}
