"""Find subject, verb, object, time and place of a note, as far as questions need them.

This is no parser of English. It knows the verbs of the starter curriculum and short sentences with
one verb; of others it finds less, and fewer kinds of questions can be asked.
"""

import re
from functools import cache
from typing import NamedTuple

from firstwords.data.starter.grammar.lexicon import ed_form, verb
from firstwords.data.starter.tables import table_rows, table_sections

BE = ("is", "are", "was", "were", "am")
_MODALS = ("can", "could", "will", "must", "may", "should")
_NEGATED = ("does", "do", "did")
_ADVERBS = ("never", "always", "often", "sometimes", "usually", "also", "only", "still", "once")
_PLACE_WORDS = (
    "in at on under behind above below beside by near along through outside inside from to around "
    "across over next between into onto"
)
_PLACE_PREPOSITIONS = frozenset(_PLACE_WORDS.split())
_PREPOSITIONS = _PLACE_PREPOSITIONS | {"of", "with", "about", "for", "like", "as", "out", "off"}
_TIMES = (
    r"(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)days?|January|February|March|April|May|June|July|"
    r"August|September|October|November|December|springs?|summers?|autumns?|winters?|mornings?|"
    r"evenings?|afternoons?|nights?|midnight|noon|weekends?|days?|weeks?|months?|years?|bed|"
    r"breakfast|lunch|dinner|supper|school|work|Christmas|Easter|Eve|holidays|birthday|wedding|"
    r"o'clock|\d{4}"
)
# No word between the preposition and the time may begin another phrase: "on the sofa after lunch".
_BETWEEN = r"(?:(?!(?:every|each|in|on|at|before|after|for) )[^ ]+ ){0,4}?"
_WHEN = re.compile(
    rf"(?:^| )((?:every|each) \S+.*|at (?:\S+ ){{1,4}}(?:past|to) \S+|"
    rf"(?:on|in|at|before|after|since|until|during|for) {_BETWEEN}(?:{_TIMES})\b.*)$"
)


class Clause(NamedTuple):
    """The parts of a note; empty where it has none. `rest` is everything after the verb."""

    subject: str
    verb: str  # as written, with "never" or "does not" before it
    auxiliary: str  # what a question begins with: does, did, do, is, was, can
    base: str  # what the question has after the subject: "bake"; empty after a form of "be"
    rest: str
    object: str = ""
    when: str = ""
    where: str = ""
    preposition: str = ""  # that of "with Theo" or "of plums", which is neither time nor place
    other: str = ""


def parse_clause(sentence: str) -> Clause | None:
    """Return the clause of a sentence without its full stop, or None if it has no known verb."""
    words = sentence.split()
    at = _verb_position(words)
    if at is None:
        return None
    return _split_rest(_clause_at(words, at))


def _verb_position(words: list[str]) -> int | None:
    forms, named = verb_forms(), [i for i, w in enumerate(words) if i and _is_auxiliary(w)]
    inflected = [i for i, w in enumerate(words) if i and forms.get(w, ("", "do"))[1] != "do"]
    plain = [i for i, w in enumerate(words) if i and w in forms]
    if found := [*named[:1], *inflected[:1]]:
        return min(found)
    return plain[0] if plain else None


def _is_auxiliary(word: str) -> bool:
    return word in BE or word in _MODALS or word in _NEGATED


def _clause_at(words: list[str], at: int) -> Clause:
    """Split at the verb; adverbs before it and "not" after an auxiliary belong to it."""
    first = at - 1 if at > 1 and words[at - 1] in _ADVERBS else at
    subject, word, rest = " ".join(words[:first]), words[at], words[at + 1 :]
    adverb = " ".join(words[first:at])
    if word in BE:
        return Clause(subject, word, word, "", " ".join(rest))
    if word in _MODALS or (word in _NEGATED and rest[:1] == ["not"]):
        n_base = 2 if rest[:1] == ["not"] or rest[:1] == ["never"] else 1
        base, rest = " ".join(rest[:n_base]), rest[n_base:]
        return Clause(subject, f"{word} {base}", word, base, " ".join(rest))
    base, auxiliary = verb_forms()[word]
    shown = " ".join(filter(None, (adverb, word)))
    return Clause(subject, shown, auxiliary, " ".join(filter(None, (adverb, base))), " ".join(rest))


def _split_rest(clause: Clause) -> Clause:
    """Find time, place and object in what follows the verb."""
    rest, when = clause.rest, ""
    if match := _WHEN.search(rest):
        when, rest = match[1], rest[: match.start()]
    words = rest.split()
    at = next((i for i in range(len(words)) if _begins_phrase(words, i)), len(words))
    phrase = " ".join(words[at:])
    found = clause._replace(object=" ".join(words[:at]), when=when)
    if not phrase:
        return found
    if words[at] in _PLACE_PREPOSITIONS:
        return found._replace(where=phrase)
    return found._replace(preposition=words[at], other=" ".join(words[at + 1 :]))


def _begins_phrase(words: list[str], at: int) -> bool:
    """Whether a preposition stands here that is not the "to" of "to see the sea"."""
    _, auxiliary = verb_forms().get(" ".join(words[at + 1 : at + 2]), ("", ""))
    is_infinitive = words[at] == "to" and auxiliary == "do"
    return words[at] in _PREPOSITIONS and not is_infinitive


@cache
def verb_forms() -> dict[str, tuple[str, str]]:
    """Return the base and the auxiliary, does, did or do, of every form of every known verb."""
    bases = dict.fromkeys(
        row[0]
        for table in ("verbs.txt", "grammar_verbs.txt", "lexicon_verbs.txt")
        for row in table_rows(table)
        if row[0].isalpha() and row[0] != "be"
    )
    for line in table_sections("words.txt")["doing"]:
        bases.update(dict.fromkeys(line.split()))
    forms: dict[str, tuple[str, str]] = {}
    for base in bases:
        forms[base] = base, "do"
    for base in bases:
        known = verb(base)
        forms[ed_form(base)] = forms[known.past] = base, "did"
        forms[known.third] = base, "does"
    return forms
