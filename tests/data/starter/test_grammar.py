"""Generated sentences are reproducible, well formed and grammatical, by rules written anew here."""

import re
from functools import cache

import pytest

from firstwords.data.starter.grammar import page, sentence
from firstwords.data.starter.rng import seeded_rng
from firstwords.data.starter.tables import table_rows, table_sections

N_SENTENCES = 8_000
N_PAGES = 600


@cache
def sentences() -> tuple[str, ...]:
    return tuple(sentence(seeded_rng(7, "sentence", index)) for index in range(N_SENTENCES))


@cache
def pages() -> tuple[str, ...]:
    return tuple(page(seeded_rng(7, "page", index)) for index in range(N_PAGES))


@cache
def clauses() -> tuple[str, ...]:
    """Return all texts, cut at the marks that end a sentence."""
    texts = "\n".join([*sentences(), *pages()])
    return tuple(part.strip() for part in re.split(r'(?<=[.?!])"?\s', texts) if part.strip())


# -- form ---------------------------------------------------------------------------------


def test_text_depends_on_its_random_numbers_alone() -> None:
    for index in range(300):
        assert sentence(seeded_rng(7, "sentence", index)) == sentences()[index]
        assert page(seeded_rng(7, "page", index)) == pages()[index]


def test_text_is_well_formed() -> None:
    for text in (*sentences(), *pages()):
        assert text == text.strip()
        assert not re.search(r"[{}\[\]<>|*_]|  | [,.?!]|\.\.|,,", text), text
        assert text[0].isupper() or text[0] == '"', text
        assert text[-1] in '.?!"', text
        assert text.count('"') % 2 == 0, text
        assert text.isascii(), text


def test_sentences_begin_with_a_capital() -> None:
    for text in (*sentences(), *pages()):
        assert not re.search(r"[.?!] [a-z]", re.sub(r'"[^"]*"', "X", text)), text
        assert not re.search(r"[a-z,] (?:The|A|An|He|She|They|My|Our|This) ", text), text


def test_no_word_stands_twice_in_a_row() -> None:
    allowed = {"had had", "that that"}
    for text in clauses():
        for match in re.finditer(r"\b(\w+) \1\b", text.lower()):
            assert match[0] in allowed, text


def test_sentences_are_varied() -> None:
    texts = sentences()
    assert len(set(texts)) > 0.97 * len(texts)
    openings = [" ".join(text.split()[:2]) for text in texts]
    most = max(openings.count(opening) for opening in set(openings))
    assert most < 0.04 * len(texts)
    lengths = [len(text.split()) for text in texts]
    assert min(lengths) >= 2
    assert max(lengths) <= 40
    assert len([n for n in lengths if n > 12]) > 0.06 * len(lengths)


def test_pages_are_short_texts() -> None:
    lengths = [len(text) for text in pages()]
    assert 200 < sum(lengths) / len(lengths) < 1000
    assert max(lengths) < 4000
    assert len(set(pages())) > 0.99 * len(pages())


# -- the tables ---------------------------------------------------------------------------


def test_verbs_agree_with_a_lexicon() -> None:
    lemminflect = pytest.importorskip("lemminflect", reason="forms of verbs")
    for lemma, past, participle, *_ in table_rows("grammar_verbs.txt"):
        verb, _, particle = lemma.partition(" ")
        for form, tag in ((past, "VBD"), (participle, "VBN")):
            if form != "+":
                word = form.removesuffix(f" {particle}")
                lemmas = lemminflect.getAllLemmas(word).get("VERB", ())
                assert verb in lemmas or word in lemminflect.getInflection(verb, tag), form


def test_plurals_agree_with_a_lexicon() -> None:
    lemminflect = pytest.importorskip("lemminflect", reason="plurals")
    for noun, plural, _ in table_rows("grammar_nouns.txt"):
        if plural[0].isalpha() and plural != "pl":
            head, tail = noun.split()[-1], plural.split()[-1]
            assert tail in lemminflect.getInflection(head, "NNS"), noun


def test_comparatives_agree_with_a_lexicon() -> None:
    lemminflect = pytest.importorskip("lemminflect", reason="comparatives")
    for word, more, _, _ in table_rows("grammar_adjectives.txt"):
        if more not in ("+", "-"):
            assert more in lemminflect.getInflection(word, "JJR"), word


def test_every_class_that_a_table_names_has_nouns() -> None:
    """Otherwise a verb or an adjective would silently be missing from all sentences."""
    rows = table_rows("grammar_nouns.txt")
    known = {row[0] for row in rows} | {name for row in rows for name in row[2].split()}
    for _, classes in table_rows("grammar_spots.txt"):
        assert set(classes.split()) <= known
    for _, _, classes, _ in table_rows("grammar_adjectives.txt"):
        assert set(classes.split()) <= known | {"trait", "mood", "flat", "state"}
    for subject, _ in table_rows("grammar_distance.txt"):
        assert subject.split("{")[1].split("}")[0].rstrip("*") in known
    complements = {"that", "to-do", "do", "doing", "raising", "himself", "to-person"}
    for _, _, _, frames, *_ in table_rows("grammar_verbs.txt"):
        for frame in frames.split(";"):
            for word in set(frame.split()) - complements:
                assert set(word.split("/")) <= known, frame


def test_every_tail_belongs_to_a_verb() -> None:
    verbs = {row[0] for row in table_rows("grammar_verbs.txt")}
    for verb, _, tails in table_rows("grammar_tails.txt"):
        assert verb.removesuffix(" alone") in verbs
        assert all(re.fullmatch(r"[a-z' -]+", tail) for tail in tails.split(" / ")), tails


# -- agreement ----------------------------------------------------------------------------

SINGULAR = r"(?:is|was|has|does|isn't|wasn't|hasn't|doesn't)"
PLURAL = r"(?:are|were|have|do|aren't|weren't|haven't|don't|am)"


@cache
def nouns() -> dict[str, str]:
    """Return the plural of every noun that has one of its own, by the lexicon where it can."""
    from firstwords.data.starter.words import plural as regular

    rows = table_rows("grammar_nouns.txt")
    return {
        noun: regular(noun) if plural == "+" else plural
        for noun, plural, _ in rows
        if plural not in ("-", "=", "pl")
    }


def test_verbs_agree_with_names_and_pronouns() -> None:
    lists = table_sections("cast.txt")
    names = "|".join((*lists["girls"], *lists["boys"]))
    wrong = re.compile(
        rf"^(?:(?:{names}|He|She|It|This|That|Nobody|Everybody) {PLURAL}"
        rf"|(?:They|We|You|These|Those) {SINGULAR}|I (?:is|are|has|does|were)) "
    )
    for text in clauses():
        assert not wrong.match(text), text
        assert not re.search(r"\b(?:they|we|you) (?:is|was|has|does)\b", text), text
        assert not re.search(r"\b(?:he|she) (?:are|were|have|do|don't)\b", text), text


def test_determiners_agree_with_nouns() -> None:
    plurals = "|".join(sorted((p for n, p in nouns().items() if p != n), key=len, reverse=True))
    singulars = "|".join(sorted(nouns(), key=len, reverse=True))
    one = re.compile(rf"\b(?:a|an|each|every|one|another) (?:{plurals})\b")
    many = re.compile(
        rf"\b(?:these|those|two|three|four|five|six|seven|several|many|few|both)"
        rf" (?:{singulars})(?! (?:{plurals}|{singulars}))(?=[ .,?!])"
    )
    for text in clauses():
        assert not one.search(text.lower()), text
        found = many.search(text.lower())
        assert not found or re.search(r"both [a-z]+ (?:and|or)\b", text.lower()), text


def test_definite_subjects_agree_with_their_verbs() -> None:
    """The subject is a bare noun at the start, so that the noun next to the verb is its head."""
    pairs = [(one, many) for one, many in nouns().items() if one != many]
    heads = {one: SINGULAR for one, _ in pairs} | {many: PLURAL for _, many in pairs}
    pattern = re.compile(rf"The ([a-z]+(?: [a-z]+)?) ({SINGULAR}|{PLURAL})\b")
    seen = 0
    for text in clauses():
        match = pattern.match(text)
        if match and match[1] in heads:
            seen += 1
            assert re.fullmatch(heads[match[1]], match[2]), text
    assert seen > 500


def test_verbs_agree_across_a_distance() -> None:
    """The head of the subject is its first noun, whatever stands between it and the verb."""
    heads = dict.fromkeys(("keys", "windows", "wheels", "leaves", "pages", "rooms", "names"), True)
    heads |= dict.fromkeys(("key", "box", "basket", "bag", "pile", "price", "colour"), False)
    seen = 0
    for text in clauses():
        match = re.match(rf"The (\w+) (?:of|to) .*? ({SINGULAR}|{PLURAL})\b", text)
        if match and match[1] in heads:
            seen += 1
            assert bool(re.fullmatch(PLURAL, match[2])) == heads[match[1]], text
    assert seen > 20


# -- articles, negation, reflexives -----------------------------------------------------------


def test_articles_suit_the_sound_of_the_next_word() -> None:
    for text in clauses():
        low = text.lower()
        assert not re.search(r"\ba (?!one\b|uni|use|eu)[aeiou]", low), text
        assert not re.search(r"\ban (?!hour|honest)[^aeiou]", low), text


LICENSE = re.compile(
    r"\b(?:no|not|never|nobody|nothing|none|neither|nor|hardly|rarely|seldom|without|if|whether"
    r"|few|refused|before|than|as|only)\b|n't\b|\?|\b\w+est\b|\bmost\b|\bbest\b"
)
POLAR = re.compile(r"\b(?:any|ever|yet|anybody|anyone|anything|anywhere|at all|any more|either)\b")


def test_words_that_need_a_negation_have_one() -> None:
    seen = 0
    for text in clauses():
        low = text.lower()
        match = POLAR.search(low)
        if (
            match is None
            or low.startswith("anyone who")
            or (" either " in f" {low} " and " or " in low)
        ):
            continue
        seen += 1
        before = low if "?" in low else low[: match.start()]
        assert LICENSE.search(before) or low.startswith("not yet"), text
    assert seen > 200


def test_nothing_is_denied_twice() -> None:
    for text in clauses():
        low = re.sub(r'"[^"]*"', "", text.lower())
        assert not re.search(r"n't [a-z]+ (?:nobody|nothing|no one|no|never)\b", low), text
        assert not re.search(r"\b(?:nobody|no one|nothing) \w+n't\b", low), text


def test_reflexives_agree_with_the_subject() -> None:
    lists = table_sections("cast.txt")
    selves = {**dict.fromkeys(lists["girls"], "herself"), **dict.fromkeys(lists["boys"], "himself")}
    selves |= {"He": "himself", "She": "herself", "They": "themselves", "We": "ourselves"}
    selves |= {"I": "myself", "It": "itself"}
    seen = 0
    for text in clauses():
        match = re.search(r"\b(?:my|him|her|it|our|them)sel(?:f|ves)\b", text)
        words = text.split()
        if (
            match is None
            or words[0] not in selves
            or words[1] in ("and", "knows")
            or re.search(r",| that ", text)
        ):
            continue
        seen += 1
        assert match[0] == selves[words[0]], text
    assert seen > 30


def test_questions_end_in_a_question_mark() -> None:
    start = re.compile(
        r"^(?:Who|What|Where|When|Why) (?:did|does|do|was|were|is|are|has|have|had|will|don't)\b"
        r"|^How (?:many|much|often|long)\b|^(?:Did|Do|Does|Is there|Are there|Can you|Could you)\b"
    )
    for text in clauses():
        plain = text.strip('"')
        if start.match(plain):
            assert plain[-1] in "?,", text


def test_had_takes_a_participle_and_did_a_base_form() -> None:
    irregular = {
        row[0]: row for row in (*table_rows("verbs.txt"), *table_rows("grammar_verbs.txt"))
    }
    pasts = {r[1].split()[0] for r in irregular.values() if r[1] not in ("+", r[2], r[0])}
    wrong = re.compile(
        rf"\b(?:has|have|had|been) (?:never |already |just )?(?:{'|'.join(pasts)})\b"
    )
    base = re.compile(
        rf"\b(?:didn't|did not|don't|doesn't|will|can|must|should) (?:{'|'.join(pasts)})\b"
    )
    for text in clauses():
        assert not wrong.search(text), text
        assert not base.search(text), text
