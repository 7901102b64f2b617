"""The questions that ask for a note, in many wordings."""

import re
from collections.abc import Sequence
from functools import cache
from itertools import chain, pairwise
from typing import NamedTuple

from firstwords.data.notes.clause import BE, Clause, parse_clause
from firstwords.data.notes.rewording import reworded
from firstwords.data.notes.tables import notes_text, words_of
from firstwords.data.notes.things import SLOT, asked_by_kind
from firstwords.data.starter.everyday.typed import all_ways
from firstwords.data.starter.grammar.lexicon import verb
from firstwords.data.starter.templates import article, capitalize

_SMALL_WORDS = (
    "a an the of in on at to for from with by and or is are was were be has have had does do did "
    "not his her its their our my your this that as than it he she they every all who"
)
_NO_KEYWORDS = frozenset(_SMALL_WORDS.split())


# With one of these after it, a verb means something else: to get up is not to receive up.
_PARTICLES = re.compile(r"(?:up|down|out|off|away|back|place|\w+ing)\b")
# The kind of questions that name a kind of thing, "Which fruit does Theo like?".
THING = "thing"


class Wording(NamedTuple):
    """A kind of question: the patterns of the notes that it asks for, and its templates."""

    patterns: tuple[re.Pattern[str], ...]
    templates: tuple[str, ...]


@cache
def wordings() -> dict[str, Wording]:
    """Return the kinds of questions of `wording.txt` by name."""
    found: dict[str, Wording] = {}
    for block in notes_text("wording.txt").split("== ")[1:]:
        name, *lines = block.strip().splitlines()
        patterns = tuple(re.compile(line[2:]) for line in lines if line.startswith("~ "))
        ways = (all_ways(line.removeprefix("? ")) for line in lines if not line.startswith("~ "))
        templates = tuple(chain.from_iterable(ways))
        found[name] = Wording(patterns, templates)
    return found


def _with_synonyms(clause: Clause) -> list[Clause]:
    """Return the clause, and it with each verb that may stand for its own."""
    if _PARTICLES.match(clause.rest):
        return [clause]
    others = [verb(base) for base in words_of("verbs").get(clause.base, ())]
    form = {"does": "third", "did": "past"}.get(clause.auxiliary, "base")
    return [
        clause,
        *(clause._replace(base=one.base, verb=getattr(one, form)) for one in others),
    ]


def questions_for(sentence: str) -> dict[str, list[str]]:
    """Return the questions that ask for a note, by kind; `sentence` has no full stop."""
    clause = parse_clause(sentence)
    by_kind: dict[str, list[str]] = {}
    for kind, slots in _matches(sentence, clause):
        templates = wordings()[kind].templates
        by_kind.setdefault(kind, []).extend(_filled(templates, slots))
        by_kind.setdefault(THING, []).extend(_filled(asked_by_kind(templates, slots), slots))
    return {
        kind: list(dict.fromkeys([*asked, *chain.from_iterable(map(reworded, asked))]))
        for kind, asked in by_kind.items()
        if asked
    }


def _matches(sentence: str, clause: Clause | None) -> list[tuple[str, dict[str, str]]]:
    """Return the kinds of questions that suit a note, each with its slots."""
    common = _clause_slots(clause) if clause else {}
    found = [
        (kind, common | {name: value for name, value in match.groupdict().items() if value})
        for kind, wording in wordings().items()
        for pattern in wording.patterns
        if (match := pattern.fullmatch(sentence)) and _is_about_subject(match, clause)
    ]
    for variant in _with_synonyms(clause) if clause else ():
        found += _clause_kinds(variant)
    return found


def _is_about_subject(match: re.Match[str], clause: Clause | None) -> bool:
    """Return whether a pattern did not take another word for the verb: "Ada waters the plants"."""
    subject = match.groupdict().get("x", "")
    return clause is None or clause.subject.startswith(subject)


def _clause_slots(clause: Clause) -> dict[str, str]:
    """Return the parts of a clause as slots; `verbs` is the verb as it follows "who"."""
    slots = {key: value for key, value in clause._asdict().items() if value}
    slots |= {"x": clause.subject, "object": clause.object}
    if _is_state(clause):
        preposition, _, other = f"{clause.where}{clause.preposition} {clause.other}".partition(" ")
        return slots | {
            "be": clause.auxiliary,
            "preposition": preposition,
            "other": other.strip(),
        }
    return slots | {
        "does": clause.auxiliary,
        "verbs": verb(clause.base).third if clause.verb == clause.base else clause.verb,
        "act": clause.rest.removesuffix(clause.when).strip(),
    }


def _is_state(clause: Clause) -> bool:
    return clause.auxiliary in BE and not clause.base


def _clause_kinds(clause: Clause) -> list[tuple[str, dict[str, str]]]:
    slots = _clause_slots(clause)
    if _is_state(clause):
        kinds = {
            "place": bool(clause.where and not clause.object),
            "state": True,
            "state of": bool(slots["preposition"] and clause.object),
            "time of state": bool(clause.when),
        }
    else:
        kinds = {
            "deed": bool(clause.object),
            "doer": bool(clause.rest),
            "time": bool(clause.when),
            "where": bool(clause.where),
            "companion": bool(clause.other),
        }
    return [(kind, slots) for kind, suits in kinds.items() if suits]


def keywords(sentence: str, subject: str) -> list[str]:
    """Return what a note is about besides its subject: its words, and neighbours of two."""
    words = sentence.removeprefix(subject).replace('"', "").replace(",", "").split()
    content = [word for word in words if word.lower() not in _NO_KEYWORDS]
    pairs = [
        f"{first} {second}"
        for first, second in pairwise(words)
        if {first.lower(), second.lower()}.isdisjoint(_NO_KEYWORDS)
    ]
    return list(dict.fromkeys([*content, *pairs]))


def questions_with(kind: str, **slots: str) -> list[str]:
    """Return the questions of a kind with these slots."""
    return _filled(wordings()[kind].templates, slots)


def _filled(templates: Sequence[str], slots: dict[str, str]) -> list[str]:
    """Return the templates whose slots all have values, filled."""
    filled = []
    for template in templates:
        if all(match[2] in slots for match in SLOT.finditer(template)):
            text = SLOT.sub(lambda match: _value(match, slots), template)
            filled.append(_tidy(text))
    return filled


def _value(match: re.Match[str], slots: dict[str, str]) -> str:
    value = slots[match[2]]
    return f"{article(value)} {value}" if match[1] else value


def _tidy(text: str) -> str:
    """Return the question with single spaces, one mark at its end, and a capital first letter."""
    text = re.sub(r" +", " ", text).replace(" ?", "?").replace(" ,", ",").replace(" .", ".")
    text = re.sub(r"\b(the [a-z ]*s)'s\b", r"\1'", text, flags=re.IGNORECASE)  # the hens' home
    text = re.sub(r"[.?]?\"\?$", '"?', text)
    return capitalize(_lower_inside(_with_mark(text)))


# The alternatives of one template may begin either way.
_REQUEST = re.compile(r"(?:I forgot|Remind|Tell|Please tell|I want|I would like|I need) [^.?:]*\?")
_QUESTION = re.compile(r"(?:Do|Does|Can|Could) [^.?]*\.")


def _with_mark(text: str) -> str:
    """Return the text with a full stop after a request, and a question mark after a question."""
    if _REQUEST.fullmatch(text):
        return f"{text[:-1]}."
    return f"{text[:-1]}?" if _QUESTION.fullmatch(text) else text


def _lower_inside(text: str) -> str:
    """Return the text with "The", "Our", "My" and "A" in lower case after its first word."""
    return re.sub(r"(?<=\S )(The|Our|My|An?)\b(?= )", lambda match: match[1].lower(), text)
