"""Notes: what is found in a sentence, which questions ask for it, and the conversations."""

import json
from functools import cache
from pathlib import Path

import pytest

from firstwords.cli.main import run_command
from firstwords.common.errors import UserError
from firstwords.data.notes.clause import parse_clause
from firstwords.data.notes.convert import MAX_NOTES, Note, ask, conversations, read_notes
from firstwords.data.notes.questions import questions_for, wordings
from firstwords.data.notes.rewording import short_names
from firstwords.data.notes.things import kinds_of
from firstwords.data.starter.holdout import question_key
from firstwords.tokenizer.chat_format import validate_messages

FAMILY = Path(__file__).parents[2] / "docs" / "examples" / "family"


@pytest.mark.parametrize(
    ("sentence", "found"),
    [
        (
            "Grandma Ada bakes plum cake on Sundays",
            {"subject": "Grandma Ada", "base": "bake", "object": "plum cake", "when": "on Sundays"},
        ),
        (
            "Otto snores on the sofa after lunch",
            {"auxiliary": "does", "object": "", "where": "on the sofa", "when": "after lunch"},
        ),
        ("Max broke his arm on the slide", {"auxiliary": "did", "base": "break"}),
        ("The hens live behind the garage", {"auxiliary": "do", "where": "behind the garage"}),
        ("Nora wants to see the sea", {"object": "to see the sea", "where": ""}),
        ("Lily does not like mushrooms", {"base": "not like", "object": "mushrooms"}),
        ("Ruth never wears a hat", {"subject": "Ruth", "base": "never wear"}),
        ("The spare key is under the pot", {"auxiliary": "is", "where": "under the pot"}),
        ("Ben plays chess with Theo", {"preposition": "with", "other": "Theo"}),
        ("Otto met Ada in 1961", {"when": "in 1961"}),
    ],
)
def test_the_parts_of_a_sentence_are_found(sentence: str, found: dict[str, str]) -> None:
    clause = parse_clause(sentence)
    assert clause is not None
    assert {name: getattr(clause, name) for name in found} == found


def test_a_sentence_without_a_known_verb_has_no_parts() -> None:
    assert parse_clause("Grandma Ada zzorps loudly") is None


@pytest.mark.parametrize(
    ("sentence", "question"),
    [
        ("Lily's birthday is on the third of May", "When is Lily's birthday?"),
        ("Ada is seventy years old", "How old is Ada?"),
        ("Max's favourite food is fish pie", "Which food does Max like best?"),
        ("Nora is a vet", "What is Nora's job?"),
        ("The house is called Fern Cottage", "What is the name of the house?"),
        ("Ben is afraid of spiders", "Who is afraid of spiders?"),
        ("Nora is allergic to nuts", "What is Nora allergic to?"),
        ("Ada bakes plum cake on Sundays", "When does Ada bake plum cake?"),
        ("Ada bakes plum cake on Sundays", "What does Ada bake?"),
        ("Ada bakes plum cake on Sundays", "Who bakes plum cake?"),
        ("Olive sleeps on the piano", "Where does Olive sleep?"),
        ("Ben plays chess with Theo", "Who does Ben play chess with?"),
        ("The spare key is under the pot", "Where is the spare key?"),
        ("Max wants to become a train driver", "What does Max want to become?"),
        ("Max feeds the hens before school", "Whose job is it to look after the hens?"),
        ("Nora keeps her ring in a box", "I am looking for Nora's ring."),
        ("Emma is the cousin of Lily", "Who is Lily's cousin?"),
        ("Otto broke his leg in 1988", "How many years ago did Otto break his leg?"),
        ("The hens live behind the garage", "Where is the hens' home?"),
        ("The hens live behind the garage", "Who lives behind the garage?"),
        ("The torches are in the drawer", "Where are the torches?"),
        ("Ada is afraid of thunder", "Do you know what Ada is afraid of?"),
        ("Ada is afraid of thunder", "Remind me what frightens Ada."),
        ("Ada is afraid of thunder", "Which weather frightens Ada?"),
        ("Otto drives a green van", "What kind of vehicle does Otto drive?"),
        ("Ada was born in a lighthouse", "In what kind of building was Ada born?"),
        ("The family went to Denmark in 2022", "To which country did we travel?"),
        ("The cellar floods in spring", "In which season does the cellar flood?"),
        ("Emma lives in Glasgow", "In which town does Emma live?"),
        ("The next holiday is in Iceland", "Where is the next trip?"),
        ("Biscuit is our dog", "What is the name of the dog?"),
    ],
)
def test_a_note_is_asked_for_in_both_directions(sentence: str, question: str) -> None:
    assert question in [q for many in questions_for(sentence).values() for q in many]


@cache
def family() -> list[Note]:
    return read_notes(FAMILY / "notes.txt")


def test_the_familys_notes_all_become_questions() -> None:
    notes = family()
    assert len(notes) == 300
    unknown = [n.answer for n in notes if parse_clause(n.answer.rstrip(".")) is None]
    assert not unknown
    by_note = [questions_for(note.answer.rstrip(".")) for note in notes]
    assert min(sum(map(len, by_kind.values())) for by_kind in by_note) >= 5
    asked = [q for by_kind in by_note for many in by_kind.values() for q in many]
    assert not [q for q in asked if "{" in q or "  " in q or q[0].islower()]


def test_the_fifteen_questions_are_in_new_words() -> None:
    """No template may ask what the example's test asks, or it would measure nothing."""
    trained = {
        question_key(q) for many in ask(family()).questions for qs in many.values() for q in qs
    }
    lines = (FAMILY / "questions.txt").read_text(encoding="utf-8").splitlines()
    questions = [line.split("|") for line in lines if "|" in line and not line.startswith("#")]
    assert len(questions) == 15
    said = " ".join(note.answer for note in family()).lower()
    for question, expected in questions:
        assert question_key(question) not in trained, question
        assert expected.strip().lower() in said


@pytest.mark.parametrize(
    ("phrase", "kind"),
    [
        ("a green van", "vehicle"),
        ("train driver", "job"),
        ("the vacuum cleaner", "machine"),
        ("a box of straw", "container"),
        ("Iceland", "country"),
        ("three parrots", "bird"),
    ],
)
def test_a_phrase_is_a_kind_of_its_head(phrase: str, kind: str) -> None:
    assert kind in kinds_of(phrase)


@pytest.mark.parametrize("phrase", ["Ashby Green", '"Marigold"', "Captain Button", "the zzorp", ""])
def test_names_and_unknown_words_are_no_kind(phrase: str) -> None:
    assert not kinds_of(phrase)


@pytest.mark.parametrize(
    ("subject", "others", "short"),
    [
        ("The spare key", ["Ben has a bicycle"], ["the key"]),
        ("The spare key", ["The cellar key hangs in the hall"], []),
        ("Aunt Ruth's birthday", ["Aunt Ruth is a pilot"], ["Ruth"]),
        ("Grandma Ada", ["Ben is tall"], ["Grandma", "Ada"]),
        ("Grandma Ada", ["Grandma Lotte knits"], ["Ada"]),
        ("Max", [], []),
    ],
)
def test_a_subject_has_a_short_name_that_is_its_own(
    subject: str, others: list[str], short: list[str]
) -> None:
    assert [name for _, name in short_names(subject, others)] == short


def test_a_note_is_asked_for_by_its_short_name() -> None:
    asked = ask([Note(1, "The spare key is under the pot."), Note(2, "Ben is tall.")]).questions[0]
    assert "Where is the key?" in [q for many in asked.values() for q in many]


FEW = [
    Note(1, "Ben plays the harp."),
    Note(2, "Ben plays chess on Fridays."),
    Note(3, "The wifi is fast."),
    Note(4, "It rains in Wales.", ("What is the weather like?",)),
    Note(5, "Zzorp blah."),
]


def test_a_question_for_two_notes_gets_both() -> None:
    asked = ask(FEW)
    answers = asked.answers[question_key("What does Ben play?")]
    assert answers == ["Ben plays the harp.", "Ben plays chess on Fridays."]


def test_conversations_ask_for_every_note_as_often_as_wanted() -> None:
    made = list(conversations(FEW, 30, 0))
    assert made == list(conversations(FEW, 30, 0))
    assert made != list(conversations(FEW, 30, 1))
    answers = [m["content"] for messages in made for m in messages if m["role"] == "assistant"]
    assert len(answers) == 30 * len(FEW)
    for note in FEW:
        assert sum(note.answer in answer for answer in answers) >= 30 / MAX_NOTES
    questions = {m["content"] for messages in made for m in messages if m["role"] == "user"}
    assert len(questions) > 60
    for messages in made:
        validate_messages([dict(message) for message in messages])


def test_a_verb_with_a_particle_has_no_synonyms() -> None:
    asked = [q for many in questions_for("Ben gets up at six o'clock").values() for q in many]
    assert "Who gets up at six o'clock?" in asked
    assert not [q for q in asked if "receive" in q]


def test_a_noun_that_looks_like_a_verb_begins_no_kind() -> None:
    assert "care" in questions_for("Mrs Pell waters the plants in May")
    assert "grows" not in questions_for("Mrs Pell waters the plants in May")


def test_no_question_of_a_kind_repeats_before_all_were_asked() -> None:
    questions = tuple(f"What is number {number}?" for number in range(20))
    made = conversations([Note(1, "It is a number.", questions)], 20, 0)
    asked = [m["content"] for messages in made for m in messages if m["role"] == "user"]
    assert len({"".join(filter(str.isdigit, question)) for question in asked}) == 20


def test_every_kind_of_question_has_templates() -> None:
    assert all(wording.templates for wording in wordings().values())


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "has no notes"),
        ("# only a comment\n", "has no notes"),
        ("Ben plays the harp.\nBen |\n", "line 2 has nothing on one side"),
        ("\n" + "a " * 101 + "b", "line 2 has 203 characters, more than 200"),
        ("Ben", "line 1 is a single word"),
    ],
)
def test_a_mistake_in_notes_names_the_line(text: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        read_notes(path)
    assert told in caught.value.problem


def test_the_command_writes_conversations_and_names_unknown_verbs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    notes, out = tmp_path / "notes.txt", tmp_path / "out.jsonl"
    notes.write_text("Ben plays the harp.\n\nZzorp blah.\n")
    assert run_command(["data", "notes", str(notes), "--out", str(out)]) == 0
    assert "line 3: no known verb" in " ".join(capsys.readouterr().err.split())
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert sum(len(line["messages"]) for line in lines) == 2 * 2 * 120
