"""Conversations about words, follow-ups, games, unknown things, and ones that wander."""

import re
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firstwords.data.starter import conversation, exam, lexicon
from firstwords.data.starter.everyday.dictionary import (
    comparative_of,
    opposite_of,
    past_of,
    plural_of,
    words,
)
from firstwords.data.starter.everyday.episodes import episode, episodes, parse_beats
from firstwords.data.starter.everyday.followups import followups
from firstwords.data.starter.everyday.games import asked_paths, games
from firstwords.data.starter.everyday.intents import intents
from firstwords.data.starter.everyday.library_subjects import library_how_tos, library_things
from firstwords.data.starter.everyday.meanings import meanings
from firstwords.data.starter.everyday.typed import is_exam_only, is_never_said
from firstwords.data.starter.everyday.unknown_things import unknown_things
from firstwords.data.starter.everyday.wander import asked_back, wander
from firstwords.data.starter.facts import facts_by_subject, subjects
from firstwords.data.starter.grading import is_right
from firstwords.data.starter.grammar.lexicon import ing_form, s_form, verb
from firstwords.data.starter.library import pieces
from firstwords.data.starter.rng import seeded_rng
from firstwords.data.starter.tables import table_rows, table_sections
from firstwords.data.starter.templates import fill_template
from firstwords.data.starter.turn import Turn
from firstwords.data.starter.words import rhymes

MAKERS = {
    "episodes": episode,
    "meanings": meanings,
    "followups": followups,
    "games": games,
    "unknown_things": unknown_things,
    "wander": wander,
}
seeds = st.integers(0, 10**9)
quick = settings(max_examples=40, deadline=None)


def conversations_of(kind: str, count: int, seed: int = 31) -> list[list[Turn]]:
    return [MAKERS[kind](seeded_rng(seed, kind, index)) for index in range(count)]


# -- invariants ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", MAKERS)
@given(seed=seeds)
@quick
def test_conversations_are_short_clean_and_right(kind: str, seed: int) -> None:
    turns = MAKERS[kind](seeded_rng(seed, kind, 0))
    assert turns == MAKERS[kind](seeded_rng(seed, kind, 0))
    assert sum(len(turn.question) + len(turn.answer) for turn in turns) < 1000
    for turn in turns:
        assert turn.question.strip() == turn.question != ""
        assert turn.answer.strip() == turn.answer != ""
        assert not re.search(r"[{}\[\]|]|  | [.,?!]( |$)", turn.answer), turn
        assert turn.answer[0].isupper() or not turn.answer[0].isalpha(), turn
        if turn.expected:
            assert is_right(turn.rule, turn.expected, turn.answer), turn


def test_episodes_ask_only_for_what_they_told() -> None:
    assert len(episodes()) > 40
    for name, beats in episodes().items():
        assert len(beats) >= 4, name
        told = {""}
        for beat in beats:
            assert beat.says, name
            assert beat.answers, name
            assert beat.asks in told, name
            told.add(beat.tells)
    for turns in conversations_of("episodes", 300):
        assert 2 <= len(turns) <= 5
        for turn in turns:
            if recalled := re.fullmatch(r"She is called (\w+)\.", turn.answer):
                assert recalled[1] in turns[0].question + turns[1].question + turns[2].question


def test_a_line_of_an_episode_has_a_mark() -> None:
    with pytest.raises(ValueError, match="not a line"):
        parse_beats(("? I am ill.", "Get well soon!"))


def followup_lines(name: str) -> list[str]:
    """Return the messages of a section with one to three words, in their first wording."""
    lines = table_sections("followups.txt")[name]
    texts = [fill_template(lambda: 0.0, line) for line in lines]
    return [text for text in texts if len(text.split()) < 4 and "what" not in text.lower()]


def test_short_messages_are_said_although_their_hash_is_held_out() -> None:
    short = [line for name in ("sure", "another", "wrong") for line in followup_lines(name)]
    held_out = [line for line in short if is_exam_only(line)]
    assert held_out
    assert not any(map(is_never_said, held_out))
    assert not is_never_said("Thanks!")


@cache
def known_words() -> frozenset[str]:
    """Return the words of the lexicon with their forms, of the tables and of the library."""
    found = {"noun", "verb", "adjective", "adverb"}
    found |= {word for piece in pieces() for word in re.findall(r"[a-z']+", piece.text.lower())}
    for entry in lexicon.entries():
        for text in (entry.word, entry.definition, entry.example):
            found.update(re.findall(r"[a-z']+", text.lower()))
        if entry.part_of_speech == "verbs":
            forms = (*verb(entry.word), s_form(entry.word), ing_form(entry.word), past_of(entry))
            found.update(part for form in forms for part in form.split())
        if entry.part_of_speech == "nouns":
            found.update(re.findall(r"[a-z']+", plural_of(entry).lower()))
        found.add(opposite_of(entry))
        if entry.part_of_speech == "adjectives":
            found.update(comparative_of(entry).split())
    for intent in intents().values():
        for line in intent.answers:
            found.update(re.findall(r"[a-z']+", line.lower()))
    for name in (
        *("slots", "cast", "tasks", "games", "wander", "unknown_things", "followups", "meanings"),
        *("episodes", "explained", "facts", "told"),
    ):
        for lines in table_sections(f"{name}.txt").values():
            found.update(re.findall(r"[a-z']+", " ".join(lines).lower()))
    for row in (*table_rows("asked_back.txt"), *map(" ".join, rhymes())):
        found.update(re.findall(r"[a-z']+", "".join(row).lower()))
    return frozenset(found)


@cache
def fact_words() -> frozenset[str]:
    topics = ("countries", "elements", "animals", "things", "words", "calendar", "planets")
    texts = [
        f"{' '.join(fact.slots.values())}"
        for topic in topics
        for subject in subjects(topic)
        for fact in facts_by_subject(topic)[subject]
    ]
    return frozenset(re.findall(r"[a-z']+", " ".join(texts).lower()))


@pytest.mark.parametrize("kind", MAKERS)
def test_answers_use_words_that_the_curriculum_knows_or_the_user_said(kind: str) -> None:
    for turns in conversations_of(kind, 150):
        said = " ".join(turn.question for turn in turns).lower()
        for turn in turns:
            text = re.sub(r'"[^"]*"|\b[a-z]\d*(?:-[a-z]\d*)+\b', " ", turn.answer.lower())
            for word in re.findall(r"[a-z']+", text):
                plain = word.strip("'").removesuffix("'s")
                known = known_words() | fact_words()
                assert {word, plain} & known or plain in said, (word, turn)


# -- words --------------------------------------------------------------------------------------


def test_the_dictionary_explains_thousands_of_words() -> None:
    assert len(words()) > 7000
    for word in words():
        for answer in word.answers:
            assert answer.endswith("."), answer
            assert word.word.lower() in answer.lower()
            assert not re.search(
                r"\b(a|an) (a|an|the)\b| \.|\ba [aeio][a-z]{2,}", answer.lower()
            ) or (re.search(r"\ba (one|eu|uni|use)", answer.lower())), answer


def test_forms_of_words() -> None:
    by_word = {word.word: word.entries[0] for word in words()}
    assert plural_of(by_word["child"]) == "children"
    assert plural_of(by_word["fox"]) == "foxes"
    assert past_of(by_word["write"]) == "wrote"
    assert opposite_of(by_word["good"]) == "bad"
    assert comparative_of(by_word["big"]) == "bigger"


def test_half_of_the_questions_are_about_common_words() -> None:
    common = {word.word for word in words()[: len(words()) // 4]}
    asked = 0
    for index in range(400):
        answer = meanings(seeded_rng(3, "meanings", index))[0].answer
        asked += any(re.search(rf"\b{re.escape(word)}\b", answer) for word in common)
    assert asked > 200


def test_the_library_answers_what_and_how() -> None:
    things, how_tos = list(library_things()), dict(library_how_tos())
    assert len(things) > 120
    assert len(how_tos) > 60
    for entry, (what, *more) in things:
        assert entry.word in what.lower()
        forms = (entry.word, plural_of(entry))
        assert all(any(form and form in line.lower() for form in forms) for line in more)
    assert "water" in how_tos["boil an egg"]
    assert all(not steps.endswith("?") and len(steps) <= 260 for steps in how_tos.values())


# -- follow-ups and games -----------------------------------------------------------------------


def test_a_right_answer_is_kept_and_a_wrong_claim_is_corrected() -> None:
    seen = 0
    for turns in conversations_of("followups", 600):
        for turn in turns[1:]:
            if re.search(r"\b(sure|wrong|true|correct)\b", turn.question.lower()):
                assert is_right("answers", turn.expected, turn.answer) or not turn.expected
                seen += 1
    assert seen > 5


def test_the_things_of_a_list_keep_their_colours() -> None:
    colours = "|".join(table_sections("slots.txt")["colour"])
    for turns in conversations_of("followups", 500):
        told = dict(
            match[::-1] for match in re.findall(rf"\b({colours}) (\w+)", turns[0].question.lower())
        )
        for turn in turns[1:]:
            match = re.fullmatch(rf"The (\w+) is ({colours})\.", turn.answer)
            if match and match[1] in told:
                assert told[match[1]] == match[2], turns


def test_every_path_of_the_guessing_game_ends_at_an_animal() -> None:
    animals = asked_paths()
    assert len(set(animals.values())) == len(animals) > 20
    assert animals["nnyy"] == "a dog"


def test_questions_of_the_assistant_have_several_replies() -> None:
    assert len(asked_back()) >= 40
    for asked in asked_back():
        assert asked.question.endswith("?")
        assert len(asked.replies) >= 2
        answers = [answer for group, _ in asked.replies for answer in group]
        assert len(answers) == len(set(answers)) >= 4, asked


# -- conversations that wander --------------------------------------------------------------------


def test_nobody_has_two_names() -> None:
    names = table_sections("cast.txt")["girls"] + table_sections("cast.txt")["boys"]
    pattern = re.compile(rf"(?:You are|Your name is|Goodbye,|Bye,|Hello,|Hi) ({'|'.join(names)})\b")
    named = 0
    for turns in conversations_of("wander", 800):
        found = set(pattern.findall(" ".join(turn.answer for turn in turns)))
        assert len(found) < 2, turns
        named += bool(found)
        if found:
            assert found.pop().lower() in " ".join(turn.question for turn in turns).lower()
    assert named > 200


def test_conversations_have_up_to_six_turns() -> None:
    lengths = {len(turns) for turns in conversations_of("wander", 400)}
    assert {3, 4, 5, 6} <= lengths
    assert max(lengths) == 6
    assert len(conversation(1, 2, "wander").messages) >= 4


# -- unknown things -----------------------------------------------------------------------------


def test_answers_about_unknown_things_name_them() -> None:
    named = 0
    for turns in conversations_of("unknown_things", 400):
        for turn in turns:
            if turn.rule == "mentions_each" and turn.expected:
                assert turn.expected[0].lower() in turn.answer.lower()
                named += 1
    assert named > 200


@pytest.mark.parametrize("category", ["meanings", "followups", "unknown_things"])
def test_constant_answers_fail_the_new_parts(category: str) -> None:
    items = exam.items_of(category, 100)
    for constant in (
        "I do not know.",
        items[0].answer,
        "It is a thing that people use.",
        "Africa.",
    ):
        right = sum(exam.is_right(item, constant) for item in items[1:])
        assert right < 30, (category, constant, right)
