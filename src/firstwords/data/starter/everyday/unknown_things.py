"""Questions that a tiny model cannot answer, about things of any name.

The thing asked about is composed: an invented name, a title, a field of study, a language, a town.
The answer names it, so that the model learns to copy it from the question, and offers something
else. The wording is in `unknown_things.txt`. Questions about a known thing that ask for what the
model does not know, such as a price, are answered with what it does know.
"""

from collections.abc import Callable, Mapping

from firstwords.data.starter.everyday.dictionary import (
    draw_word,
    meaning,
    nouns_that_count,
    plural_of,
    things,
)
from firstwords.data.starter.everyday.slots import Slots, first_names
from firstwords.data.starter.everyday.typed import draw_style
from firstwords.data.starter.everyday.wording import Wording
from firstwords.data.starter.grading import REFUSALS
from firstwords.data.starter.lexicon import Entry
from firstwords.data.starter.rng import Rng, choose, choose_weighted
from firstwords.data.starter.tables import table_sections
from firstwords.data.starter.templates import article, capitalize, fill_template
from firstwords.data.starter.turn import Turn
from firstwords.data.starter.unknown import invented_word
from firstwords.data.starter.words import plural

TABLE = "unknown_things.txt"
_REFUSALS = "|".join(REFUSALS)
_ADJECTIVES = (
    *("red", "green", "old", "new", "lost", "silent", "golden", "hidden", "seven", "broken"),
    *("blue", "secret", "wild", "tiny", "great", "strange", "dark", "silver", "quiet", "double"),
)
_NATIONS = (
    *("French", "German", "Chinese", "Indian", "Roman", "Greek", "Russian", "Polish", "Turkish"),
    *("Japanese", "Dutch", "Irish", "Spanish", "Italian", "Mexican", "Persian", "Danish"),
)


def _common_noun(rng: Rng) -> Entry:
    """Return a noun of everyday life."""
    nouns = nouns_that_count()
    return nouns[int(min(len(nouns), 1500) * rng())]


def invented_thing(rng: Rng, held_out: bool) -> str:
    """Return the name of a thing that does not exist: "the town of Gumigia"."""
    sections = table_sections(TABLE)
    noun, word = _common_noun(rng).word, invented_word(rng, held_out)
    adjective = choose(rng, _ADJECTIVES)
    slots = {
        "j": adjective,
        "J": capitalize(adjective),
        "n": noun,
        "N": capitalize(noun),
        "p": plural(noun),
        "P": capitalize(plural(noun)),
        "w": word,
        "X": capitalize(word) + choose(rng, ("", "", "", "ia", "ton", "er", "o")),
        "num": str(2 + int(rng() * 20)),
    }
    names = sections["made up of"]
    if held_out:  # only an invented word makes sure that training never shows the name
        names = tuple(name for name in names if "{w}" in name or "{X}" in name)
    return fill_template(rng, choose(rng, names), slots)


def _doubt(rng: Rng) -> str:
    """Return the section with what users say who hear that something is not known."""
    return choose(rng, ("guess", "why not"))


def _told(rng: Rng) -> str:
    """Return what a user may say that an unknown thing is: 'a small island'."""
    sections = table_sections(TABLE)
    look = f"{choose(rng, sections['told looks'])} " if rng() < 0.5 else ""
    thing = f"{look}{choose(rng, sections['told things'])}"
    return f"{article(thing)} {thing}"


def _field(rng: Rng) -> str:
    """Return a subject of study that is too hard for a small model: 'the history of logic'."""
    sections = table_sections(TABLE)
    return fill_template(
        rng,
        choose(rng, sections["fields"]),
        {
            "f": choose(rng, sections["field words"]),
            "c": choose(rng, _NATIONS),
            "c2": choose(rng, table_sections("slots.txt")["country"]),
            "n2": choose(rng, sections["hot goods"]),
        },
    )


def _invented_person(rng: Rng, held_out: bool) -> str:
    name = capitalize(invented_word(rng, held_out))
    return f"{choose(rng, first_names(False))} {name}{choose(rng, ('', '', 'son', 'man', 'i'))}"


class _Asker:
    """Asks about one kind of unknown thing after another, in one style of typing."""

    def __init__(self, rng: Rng, held_out: bool) -> None:
        self.rng = rng
        self.held_out = held_out
        style = draw_style(rng, for_exam=held_out)
        self.wording = Wording(rng, TABLE, style)
        self.slots = Slots(rng)

    def turn(self, name: str, copied: str = "", **slots: str) -> Turn:
        """Return a turn whose answer says that the thing is not known, and names `copied`."""
        offer = self.wording.answer("offer", {}) if self.rng() < 0.75 else ""
        answer = self.wording.answer(f"{name} answer", {**slots, "offer": offer}).strip()
        expected = (copied, _REFUSALS) if copied else ()
        return Turn(self.wording.ask(name, slots), answer, "mentions_each", expected)

    def things(self) -> list[Turn]:
        is_field = not self.held_out and self.rng() < 0.25
        thing = _field(self.rng) if is_field else invented_thing(self.rng, self.held_out)
        turns = [self.turn("thing", thing, x=thing)]
        chance = self.rng()
        if chance < 0.2:
            turns.append(self.wording.turn(_doubt(self.rng), {"x": thing}))
        elif chance < 0.4 and not is_field:
            slots = {"x": thing, "d": _told(self.rng)}
            turns.append(self.wording.turn("told", slots))
            if self.rng() < 0.6:
                turns.append(self.wording.turn("and what is it", slots))
        return turns

    def people(self) -> list[Turn]:
        name = _invented_person(self.rng, self.held_out)
        turns = [self.turn("person", name, x=name)]
        if self.rng() < 0.15:
            turns.append(self.wording.turn(_doubt(self.rng), {"x": name}))
        return turns

    def languages(self) -> list[Turn]:
        language = self.slots["language"]
        if self.rng() < 0.3:
            turns = [self.turn("speak", language, l=language)]
        else:
            word = draw_word(self.rng).word
            turns = [self.turn("translate", language, l=language, w=word)]
        if self.rng() < 0.35:
            other = Slots(self.rng)["language"]
            if other != language:
                turns.append(self.wording.turn("and translate", {"l": other}))
        return turns

    def relations(self) -> list[Turn]:
        entry = choose(self.rng, things()[:700])
        said = meaning(entry)
        slots = {
            "n": entry.word,
            "a": f"{article(entry.word)} {entry.word}",
            "p": plural_of(entry),
            "t": self.slots["town"],
            "is": said[0].lower() + said[1:],
        }
        return [self.turn("relation", **slots)]

    def code(self) -> list[Turn]:
        do = choose(self.rng, table_sections(TABLE)["do"])
        coding = self.slots["coding"]
        return [self.turn("code", coding, coding=coding, program=self.slots["program"], do=do)]

    def texts(self) -> list[Turn]:
        sentence = choose(self.rng, draw_word(self.rng).entries).example
        return [self.turn("text", x=sentence, l=self.slots["language"])]

    def places(self) -> list[Turn]:
        town = self.slots["town"]
        section = choose(self.rng, ("weather", "clock", "news", "news"))
        return [self.turn(section, t=town, d=self.slots["day"])]

    def keys(self) -> list[Turn]:
        slots: Mapping[str, str] = Slots(self.rng)
        letter = choose(self.rng, "abcdefghijklmnopqrstuvwxyz")
        section = choose(self.rng, ("mash", "mash", "blank", "blank", "happy face", "sad face"))
        if section == "mash":
            asked = self._untyped(section, slots)
        else:
            asked = self._untyped(section, {"letter": letter})
        turns = [Turn(asked, self.wording.answer(f"{section} answer", {}))]
        if section in ("mash", "blank") and self.rng() < 0.4:
            turns.append(self.wording.turn("said sense", {}))
        return turns

    def _untyped(self, section: str, slots: Mapping[str, str]) -> str:
        # Nobody types a face or pressed keys with care, so no style applies.
        return fill_template(self.rng, choose(self.rng, table_sections(TABLE)[section]), slots)


_KINDS = {
    "things": 40.0,
    "people": 14.0,
    "languages": 12.0,
    "relations": 14.0,
    "code": 5.0,
    "texts": 8.0,
    "places": 9.0,
    "keys": 9.0,
}


def unknown_things(rng: Rng) -> list[Turn]:
    """Ask one or two questions that cannot be answered."""
    asker = _Asker(rng, held_out=False)
    turns: list[Turn] = []
    for _ in range(2 if rng() < 0.3 else 1):
        turns += _MAKERS[choose_weighted(rng, _KINDS)](asker)
    return turns


_MAKERS: dict[str, Callable[[_Asker], list[Turn]]] = {
    "things": _Asker.things,
    "people": _Asker.people,
    "languages": _Asker.languages,
    "relations": _Asker.relations,
    "code": _Asker.code,
    "texts": _Asker.texts,
    "places": _Asker.places,
    "keys": _Asker.keys,
}


def exam_unknown(rng: Rng, held_out: bool = True) -> Turn:
    """Ask about a thing or a person whose name training never shows."""
    asker = _Asker(rng, held_out)
    return (asker.people() if rng() < 0.3 else asker.things())[0]
