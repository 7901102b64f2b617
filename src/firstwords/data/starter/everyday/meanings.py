"""Questions about words: what they mean, an example, the plural, the opposite.

The words and what is true of them are in `dictionary.py`, the wording is in `meanings.txt`.
"""

import re
from collections.abc import Sequence
from functools import cache

from firstwords.data.starter.everyday.dictionary import (
    PARTS,
    Word,
    comparative_of,
    draw_word,
    nouns_that_count,
    opposite_of,
    past_of,
    plural_of,
)
from firstwords.data.starter.everyday.typed import draw_style
from firstwords.data.starter.everyday.wording import Wording
from firstwords.data.starter.facts import subjects
from firstwords.data.starter.letters import maybe_quoted
from firstwords.data.starter.lexicon import Entry
from firstwords.data.starter.rng import Rng, choose
from firstwords.data.starter.templates import article, capitalize
from firstwords.data.starter.turn import Turn

TABLE = "meanings.txt"


def meanings(rng: Rng) -> list[Turn]:
    """Ask about one or two words: the meaning, and then an example, a form, or the next word."""
    wording = Wording(rng, TABLE, draw_style(rng))
    if rng() < 0.12:
        return [reverse_turn(wording)]
    word = draw_word(rng)
    asks_form = rng() < 0.2
    turns = [form_turn(wording, word) if asks_form else meaning_turn(wording, word)]
    chance = rng()
    if chance < 0.45:
        # Of a word with several parts of speech, it is not clear which form is asked for.
        may_form = not asks_form and len(word.parts) == 1
        has_example = word.entries[0].example in turns[0].answer
        turns.append(about_it(wording, word, not has_example, may_form))
    elif chance < 0.6:
        other = draw_word(rng)
        if other.word != word.word:
            question = wording.ask("and of", _slots(wording, other.entries[0]))
            turns.append(Turn(question, other.answers[0]))
            if rng() < 0.3:
                turns.append(about_it(wording, other))
    if rng() < 0.12:
        turns.append(wording.turn("thanks", {}))
    return turns


def meaning_turn(wording: Wording, word: Word, brief: bool = False) -> Turn:
    """Ask what a word means; the rule asks for a word of the definition.

    With `brief` the answer is the meaning alone.
    """
    rng = wording.rng
    at = int(rng() * len(word.entries)) if rng() < 0.3 else 0
    entry, answer = word.entries[at], word.answers[at]
    slots = _slots(wording, entry)
    part = PARTS[entry.part_of_speech]
    section = "meaning"
    # Only "what is a play?" says which of several meanings is wanted.
    if rng() < 0.6 or at:
        section = _sections(entry)
        if at and section == "meaning":
            entry, answer, part = word.entries[0], word.answers[0], word.parts[0]
    if brief:
        return Turn(wording.ask(section, slots), answer, "answers", key_words(entry))
    lead = wording.answer("lead", {})
    full = f"{lead} {answer}".strip()
    if section == "meaning" and len(word.parts) > 1 and rng() < 0.6:
        other = next(i for i, e in enumerate(word.entries) if PARTS[e.part_of_speech] != part)
        name = PARTS[word.entries[other].part_of_speech]
        full += f" It can also be {article(name)} {name}: {_lower(word.answers[other])}"
    elif rng() < 0.2:
        full += f" {entry.example}"
    return Turn(wording.ask(section, slots), full, "answers", key_words(entry))


def _lower(answer: str) -> str:
    return answer[0].lower() + answer[1:]


def _sections(entry: Entry) -> str:
    """Return the section with questions that fit the part of speech."""
    if entry.part_of_speech == "verbs":
        return "meaning of verb"
    if entry.part_of_speech == "nouns" and entry.word[0].islower():
        if entry.inflection == "-":
            return "meaning of stuff"
        return "meaning of thing" if entry.inflection != "pl" else "meaning"
    return "meaning"


# Words of a definition that say too little to show that a word is known.
_EMPTY = (
    "a an the of or and to in on at is are that which who what with for from by as it its you your "
    "something somebody someone thing things used use very more much many not be do one make makes "
    "made people person they them be have has can into out up so no any when where than way "
    "like such your his her all this these other others their about"
)


@cache
def key_words(entry: Entry) -> tuple[str, ...]:
    """Return the words of the definition of which a right answer has one."""
    empty = set(_EMPTY.split())
    found = [word for word in re.findall(r"[a-z]+", entry.definition) if word not in empty]
    return tuple(word for word in found if word != entry.word) or (entry.definition,)


def _slots(wording: Wording, entry: Entry) -> dict[str, str]:
    word = entry.word
    many = plural_of(entry) if entry.part_of_speech == "nouns" else ""
    return {
        "w": word,
        "m": maybe_quoted(wording.rng, word),
        "a": f"{article(word)} {word}",
        "f": many or word,
    }


def about_it(wording: Wording, word: Word, may_show: bool = True, may_form: bool = True) -> Turn:
    """Ask for more about the word of the turn before, without naming it.

    An example only if `may_show`, and a form such as the plural only if `may_form`.
    """
    rng, entry = wording.rng, word.entries[0]
    slots = {**_slots(wording, entry), "x": entry.example}
    chance = rng()
    if chance < 0.3 and may_show:
        return Turn(wording.ask("example of it", slots), wording.answer("example answer", slots))
    if chance < 0.42 and may_show:
        return wording.turn("simpler", slots)
    if chance < 0.6 or not may_form:
        return _part_turn(wording, word, "part of it")
    return form_turn(wording, word, " of it", may_show)


def form_turn(wording: Wording, word: Word, suffix: str = "", may_show: bool = True) -> Turn:
    """Ask for a form of the word, such as the plural, for an example or the part of speech."""
    rng, entry = wording.rng, word.entries[0]
    slots = {**_slots(wording, entry), "x": entry.example}
    part = entry.part_of_speech
    chance = rng()
    if part == "nouns" and plural_of(entry) and chance < 0.6:
        return _form(wording, f"plural{suffix}", slots, plural_of(entry))
    if part == "verbs" and chance < 0.6 and " " not in entry.word:
        return _form(wording, f"past{suffix}", slots, past_of(entry))
    if part == "adjectives" and opposite_of(entry) and chance < 0.6:
        return _form(wording, f"opposite{suffix}", slots, opposite_of(entry))
    if part == "adjectives" and not suffix and entry.inflection != "-" and chance < 0.75:
        return _comparative_turn(wording, entry, slots)
    if chance < 0.8 and may_show:
        heading = "example of it" if suffix else "example"
        return Turn(wording.ask(heading, slots), wording.answer("example answer", slots))
    return _part_turn(wording, word, f"part{suffix}")


def _form(wording: Wording, section: str, slots: dict[str, str], form: str) -> Turn:
    name = section.removesuffix(" of it")
    asked = wording.ask(section, slots)
    answer = wording.answer(f"{name} answer", {**slots, "f": form})
    return Turn(asked, answer, "mentions", (form,))


def _comparative_turn(wording: Wording, entry: Entry, slots: dict[str, str]) -> Turn:
    """Ask which of two comparatives is right: 'bigger or more big?'"""
    right = comparative_of(entry)
    slots = {**slots, "f": right, "e": f"more {entry.word}"}
    return wording.turn("comparative", slots)


_ARTICLES = {"noun": "a noun", "verb": "a verb", "adjective": "an adjective", "adverb": "an adverb"}


def _part_turn(wording: Wording, word: Word, section: str) -> Turn:
    """Ask whether the word is a noun, a verb, an adjective or an adverb."""
    part = word.parts[0]
    other = choose(wording.rng, [name for name in _ARTICLES if name not in word.parts])
    slots = {**_slots(wording, word.entries[0]), "p": part, "o": other}
    asked = wording.plain(section, slots)
    asked = re.sub(r"\ba (?=ad(?:verb|jective))", "an ", asked)
    names = " or ".join(_ARTICLES[name] for name in word.parts)
    sure = "can be" if len(word.parts) > 1 else "is"
    said = f"the word {word.word} {sure} {names}."
    if re.search(r" or |what|which", asked.lower()):
        answer = capitalize(said)
    elif f" {part}" in asked:
        answer = f"Yes, {said}"
    else:
        answer = f"No, {said}"
    return Turn(wording.typed(asked, slots), answer, "mentions", (part,))


@cache
def _definable() -> Sequence[Entry]:
    """Return common nouns with definitions that name them: "a large church where monks lived"."""
    return [
        entry
        for entry in nouns_that_count()[:1800]
        if entry.definition.startswith(("a ", "an ")) and " or " not in entry.definition
    ]


def reverse_turn(wording: Wording) -> Turn:
    """Ask for the word for a definition."""
    entry = choose(wording.rng, _definable())
    slots = {**_slots(wording, entry), "d": entry.definition}
    return wording.turn("reverse", slots, "mentions", (entry.word,))


def exam_meaning(rng: Rng, held_out: bool = True) -> Turn:
    """Ask what one of the commoner words means, in words that training never shows."""
    wording = Wording(rng, TABLE, draw_style(rng, for_exam=True), held_out)
    while True:
        word = draw_word(rng)
        # Conversations about facts ask what these are, too.
        if held_out and any(word.word in subjects(topic) for topic in ("things", "animals")):
            continue
        try:
            return meaning_turn(wording, word, brief=True)
        except ValueError:  # all wordings of this question have the same hold-out
            continue
