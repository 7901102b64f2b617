"""Personalities: the file and its mistakes, and the conversations and exam questions with one."""

import hashlib
import json
from functools import cache
from pathlib import Path

import pytest

from firstwords.common.errors import UserError
from firstwords.data import corpora, starter
from firstwords.data.starter import exam, personality
from firstwords.data.starter.everyday.intents import intents
from firstwords.data.starter.holdout import question_key
from firstwords.data.starter.personality import (
    MAX_NAME,
    MAX_SENTENCES,
    Personality,
    personalize,
    read_personality,
)
from firstwords.data.starter.rng import seeded_rng
from firstwords.data.starter.tables import table_sections

PIP = Personality(
    name="Pip",
    owner="Ada Hollis",
    about=("I live in a kitchen.", "I am small."),
    about_owner=("She keeps bees.",),
    likes=("rain", "plum cake"),
)
ZEBRAS = Personality(name="Pip", likes=("zebras",))
N = 250  # conversations that a test looks at


@cache
def made_with(own: Personality | None) -> tuple[starter.StarterConversation, ...]:
    return tuple(starter.conversation(3, i, personality=own) for i in range(N))


def digest(own: Personality | None) -> str:
    return hashlib.sha256(json.dumps(made_with(own)).encode()).hexdigest()


def test_without_a_personality_the_conversations_stay_as_they_are() -> None:
    # With today's mixture. A change here changes what every new run is trained on.
    assert digest(None) == "f7ee061c3f3327d11fdd5589212d9cf1bcbedd2d46e854456c49e36a9e2cba14"


def test_conversations_are_a_function_of_seed_index_and_personality() -> None:
    again = [starter.conversation(3, i, personality=PIP.replace()) for i in range(50)]
    assert tuple(again) == made_with(PIP)[:50]
    assert made_with(PIP) != made_with(None)
    kinds = [conversation.kind for conversation in made_with(PIP)]
    assert 0.02 < kinds.count(starter.PERSONALITY) / N < 0.12


def test_nobody_says_the_default_name_any_more() -> None:
    # Conversations about a personality take the place of some others.
    kept = [i for i, made in enumerate(made_with(PIP)) if made.kind != starter.PERSONALITY]

    def said(own: Personality | None, name: str) -> int:
        messages = (m for i in kept for m in made_with(own)[i].messages)
        return sum(name in message["content"].lower() for message in messages)

    assert said(None, "firstwords") > 5
    assert said(PIP, "firstwords") == 0
    assert said(PIP, "pip") >= said(None, "firstwords")


@pytest.mark.parametrize(
    ("content", "own"),
    [
        ("I am Firstwords, a small language model trained on your own machine.", "kitchen|small"),
        ("Hello! My name is Firstwords. What is your name?", "Pip"),
        ("I was trained on your own machine, from simple stories and facts.", "Ada Hollis"),
        ("I like words, because I am made of them. And you?", "rain|plum cake"),
        ("YOU ARE FIRSTWORDS", "PIP"),
        ("hi firstwords", "pip"),
    ],
)
def test_answers_about_itself_become_its_own(content: str, own: str) -> None:
    messages = personalize(
        seeded_rng(0, "test", 0), ({"role": "assistant", "content": content},), PIP
    )
    said = messages[0]["content"]
    assert any(part in said for part in own.split("|")), said
    assert "own machine" not in said


def test_every_replaced_answer_is_one_that_the_curriculum_gives() -> None:
    """An edited answer would go on speaking of Firstwords's machine."""
    table = table_sections("personality.txt")
    talk = {line for lines in table_sections("talk.txt").values() for line in lines}
    talk |= {answer for intent in intents().values() for answer in intent.answers}
    for heading, lines in table.items():
        if heading.startswith("said "):
            assert set(lines) <= talk, heading


def test_questions_about_it_are_none_of_the_exam() -> None:
    in_exam = {
        question_key(item.messages[-1]["content"])
        for category in ("identity", "everyday")
        for item in exam.personal_items(category, 100, PIP)
    }
    for index in range(100):
        messages = starter.conversation(5, index, starter.PERSONALITY, PIP).messages
        asked = {question_key(m["content"]) for m in messages if m["role"] == "user"}
        assert asked.isdisjoint(in_exam)


def test_a_thing_that_only_the_exam_asks_about_is_not_asked_about(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(personality, "is_exam_only", lambda text: "zebra" in text)
    for index in range(60):
        messages = starter.conversation(5, index, starter.PERSONALITY, ZEBRAS).messages
        assert not any("zebra" in m["content"] for m in messages if m["role"] == "user")


def test_a_personality_may_have_a_name_alone() -> None:
    only = Personality(name="Pip")
    for index in range(60):
        messages = starter.conversation(5, index, personality=only).messages
        assert all(m["content"].strip() for m in messages)
        assert all("{" not in m["content"] and "  " not in m["content"] for m in messages)


def test_the_exam_expects_the_name_and_the_owner() -> None:
    usual, own = exam.items_of("identity", 40), exam.personal_items("identity", 40, PIP)
    for before, after in zip(usual, own, strict=True):
        assert exam.is_right(after, after.answer), after
        if "Firstwords" in before.expected:
            assert not exam.is_right(after, "I am Firstwords.")
            assert exam.is_right(after, "My name is Pip.")
    assert any("Ada Hollis" in item.expected for item in own)
    assert exam.personal_items("identity", 40, None) == usual
    assert exam.personal_items("facts", 20, PIP) == exam.items_of("facts", 20)


def test_a_corpus_speaks_with_the_personality_of_the_run() -> None:
    corpus = corpora.with_personality(corpora.open_corpus(("starter:1",), "--chat-data"), PIP)
    said = " ".join(
        message["content"]
        for _, messages in zip(range(N), corpora.conversations(corpus, "train", 3), strict=False)
        for message in messages
    )
    assert "Pip" in said
    assert "Firstwords" not in said


GOOD = 'name = "Pip"\n'


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", ["name is not valid", 'name = "Pip"']),
        ("name = Pip", ["line 1"]),
        ('name = ""', ["line 1: name", "empty"]),
        (f'name = "{"P" * (MAX_NAME + 1)}"', ["line 1: name", f"at most {MAX_NAME}"]),
        ('name = "<Pip>"', ["name", "leave that out"]),
        ('name = "Pip!"', ["name", "letters"]),
        ("name = 7", ["line 1: name", "quotation marks"]),
        (GOOD + 'about = "I am."', ["line 2: about", "list"]),
        (GOOD + 'about = ["I am.", "I am"]', ["line 2: about, number 2", "full stop"]),
        (GOOD + "\nabout = [" + '"I am.",' * (MAX_SENTENCES + 1) + "]", ["line 3: about", "7"]),
        (GOOD + f'about = ["{"a" * 130}."]', ["at most 120"]),
        (GOOD + 'about = ["One {slot}."]', ["'{'"]),
        (GOOD + 'colour = "red"', ["line 2: colour", "leave it out; the fields are name, owner"]),
    ],
)
def test_a_mistake_names_the_line_and_the_fix(text: str, told: list[str], tmp_path: Path) -> None:
    path = tmp_path / "pip.toml"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        read_personality(path)
    message = f"{caught.value.problem}; {caught.value.hint}"
    assert "pip.toml" in message
    assert all(part in message for part in told), message
    assert "\n" not in message


def test_a_missing_file_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot read"):
        read_personality(tmp_path / "pip.toml")
