"""The library of texts, and the lexicon."""

import re
from collections import Counter

import lemminflect
import pytest

from firstwords.data.starter import lexicon, library
from firstwords.data.starter.rng import seeded_rng
from firstwords.data.starter.tables import table_rows, table_sections

SHARED_WORDS = 8


def test_the_library_is_large_and_its_titles_are_unique() -> None:
    pieces = library.pieces()
    assert len(pieces) > 1400
    assert sum(len(piece.text) for piece in pieces) > 1_500_000
    assert len({piece.title for piece in pieces}) == len(pieces)


def test_every_piece_renders_to_plain_text() -> None:
    rng = seeded_rng(0, "test", 0)
    for piece in library.pieces():
        text = library.fill_template(rng, piece.text, library.draw_people(rng))
        assert text.isascii(), piece.title
        assert not re.search(r"[\[\]{}|<>]", text), piece.title
        assert not re.search(r"  |\s[,;?!]|\s\.(?!\.)|,,", text), piece.title
        assert text[-1] in ".?!\"')" or text.splitlines()[-1][:1].isalnum(), piece.title


def test_no_two_pieces_are_nearly_the_same() -> None:
    owner: dict[tuple[str, ...], int] = {}
    shared: Counter[tuple[int, int]] = Counter()
    for number, piece in enumerate(library.pieces()):
        words = re.findall(r"[a-z']+", re.sub(r"\{.*?\}", "x", piece.text.lower()))
        grams = {tuple(words[i : i + SHARED_WORDS]) for i in range(len(words) - SHARED_WORDS + 1)}
        for gram in grams:
            if owner.setdefault(gram, number) != number:
                shared[owner[gram], number] += 1
    assert max(shared.values(), default=0) < 3


def test_people_of_a_piece_have_different_names() -> None:
    for index in range(50):
        people = library.draw_people(seeded_rng(0, "people", index))
        assert len(set(people.values())) == len(people)


def test_the_lexicon_defines_thousands_of_words() -> None:
    entries = lexicon.entries()
    assert len(entries) > 8000
    assert len({entry.word for entry in entries}) > 6000
    for entry in entries:
        assert entry.definition[0].islower() or entry.definition[0].isupper()
        assert entry.definition[-1] not in ".?!", entry
        assert entry.example[-1] in ".?!", entry
        assert 2 <= len(entry.definition.split()) <= 15, entry


def test_definitions_read_as_sentences() -> None:
    for index in range(300):
        for line in lexicon.page(seeded_rng(1, "lexicon", index)).splitlines():
            assert line[0].isupper() or line[0] == '"' or re.match(r"[a-z' -]+:", line), line
            assert line[-1] in ".?!", line


@pytest.mark.slow
def test_irregular_inflections_are_right() -> None:
    """Against lemminflect, but for British and double forms, of which it knows one."""
    wrong = []
    for row in table_rows("lexicon_verbs.txt"):
        known = {form for tag in ("VBD", "VBN") for form in lemminflect.getInflection(row[0], tag)}
        if " " not in row[0] and known and not {row[1], row[2]} & {"+"}:
            wrong += [row[:3]] if row[1] not in known and row[2] not in known else []
    for row in table_rows("lexicon_nouns.txt"):
        known = set(lemminflect.getInflection(row[0], "NNS"))
        if " " not in row[0] and known and row[1] not in ("+", "-", "=", "pl"):
            wrong += [row[:2]] if row[1] not in known else []
    assert len(wrong) < 40, wrong


def test_names_of_slots_exist() -> None:
    slots = set(library.draw_people(seeded_rng(0, "slots", 0)))
    for piece in library.pieces():
        used = {mark.lstrip("^") for mark in re.findall(r"\{([^}]*)\}", piece.text)}
        assert used <= slots, piece.title
    assert table_sections("cast.txt")["girls"]
