"""The lexicon: eight thousand words with definitions in simple words and example sentences."""

import re
from functools import cache
from typing import NamedTuple

from firstwords.data.starter.holdout import is_held_out
from firstwords.data.starter.rng import Rng, choose, randint
from firstwords.data.starter.tables import table_rows
from firstwords.data.starter.templates import capitalize, fill_template

# By part of speech, the cells of definition and example, and ways to define a word {w} by {d}.
_TABLES = {
    "nouns": (3, ("{^w}: {d}.", "[The word {q}|{q}] means {d}.", "{q} is the word for {d}.")),
    "verbs": (4, ("To {w} [is|means] to {d}.", "[If you|When people] {w}, [you|they] {d}.")),
    "adjectives": (4, ("{q} means {d}.", "Something that is {w} is {d}.")),
    "adverbs": (2, ("{q} means {d}.", "To do something {w} is to do it {d}.")),
}


class Entry(NamedTuple):
    """A word of the lexicon."""

    word: str
    part_of_speech: str  # a key of _TABLES
    definition: str
    example: str
    inflection: str  # of nouns the plural, "-" or "pl" if there is only one number


@cache
def entries() -> tuple[Entry, ...]:
    """Return all words that have a definition and an example."""
    found = []
    for part, (first, _) in _TABLES.items():
        for row in table_rows(f"lexicon_{part}.txt"):
            if len(row) > first + 1 and row[first] and row[first + 1]:
                found.append(Entry(row[0], part, row[first], row[first + 1], row[1]))
    return tuple(found)


def page(rng: Rng) -> str:
    """Return a few entries, as a dictionary for children has them."""
    return "\n".join(_explain(rng, choose(rng, entries())) for _ in range(randint(rng, 3, 8)))


def _explain(rng: Rng, entry: Entry) -> str:
    """Return what a word means, mostly with its example."""
    word, definition = entry.word, entry.definition
    if rng() < 0.25:
        question = choose(rng, ("What does {q} mean?", "What is the meaning of {q}?"))
        question = fill_template(rng, question, _slots(entry))
        to_do = entry.part_of_speech == "verbs"
        answer = fill_template(
            rng, "To {w} means to {d}." if to_do else "{q} means {d}.", _slots(entry)
        )
        lines = capitalize(answer)
        # The exam asks this in everyday typing, whose hash leaves out the quotation marks.
        if not is_held_out("question", " ".join(re.findall("[a-z0-9]+", question.lower()))):
            lines = f"{question} {lines}"
    elif rng() < 0.3:
        return f"{capitalize(word)}: {definition}. {entry.example}"
    else:
        wording = choose(rng, _wordings(entry))
        lines = capitalize(fill_template(rng, wording, _slots(entry)))
    return f"{lines} {entry.example}" if rng() < 0.8 else lines


def _wordings(entry: Entry) -> tuple[str, ...]:
    wordings = _TABLES[entry.part_of_speech][1]
    # What has a singular and a plural takes an article: "an owl is a bird", but not "a rice is".
    counted = entry.part_of_speech == "nouns" and entry.inflection not in ("-", "pl", "=")
    if counted and entry.definition.startswith(("a ", "an ")):
        return (*wordings, "{^a:w} is {d}.")
    if entry.part_of_speech in ("adjectives", "adverbs"):
        return wordings[:1]
    return wordings


def _slots(entry: Entry) -> dict[str, str]:
    return {"w": entry.word, "q": f'"{entry.word}"', "d": entry.definition}
