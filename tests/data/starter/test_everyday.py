"""Everyday conversation: intents are well formed, typing keeps the meaning, answers are right."""

import re

import pytest

from firstwords.data.starter.everyday.about import SOURCES, about, from_pairs, turns_about
from firstwords.data.starter.everyday.dialogue import (
    MAX_TURNS,
    answer_to,
    everyday,
    exam_turn,
    say,
)
from firstwords.data.starter.everyday.intents import (
    Intent,
    intents,
    is_reply,
    openings,
    parse_intents,
)
from firstwords.data.starter.everyday.recall import recall_chat
from firstwords.data.starter.everyday.reflect import reflect, reflection_exam_turn
from firstwords.data.starter.everyday.riddles import riddle
from firstwords.data.starter.everyday.slots import Slots, first_names
from firstwords.data.starter.everyday.tasks import tasks
from firstwords.data.starter.everyday.typed import (
    CAREFUL,
    TypingStyle,
    all_ways,
    canonical,
    draw_style,
    is_exam_only,
    is_never_said,
    mistype,
    type_out,
)
from firstwords.data.starter.grading import is_right
from firstwords.data.starter.holdout import is_held_out
from firstwords.data.starter.letters import letter_question
from firstwords.data.starter.rng import seeded_rng
from firstwords.data.starter.templates import fill_template

HASTY = TypingStyle(True, 1.0, True, 1.0, True, 1.0, 0.0)


# -- intents ------------------------------------------------------------------------------------


def test_there_are_many_intents_with_many_wordings() -> None:
    assert len(intents()) >= 600
    for intent in intents().values():
        assert len(intent.questions) >= 8, intent.name
        assert sum(len(all_ways(line)) for line in intent.questions) >= 8, intent.name
        assert intent.answers, intent.name


@pytest.mark.parametrize("name", list(intents()))
def test_messages_and_answers_of_an_intent_are_clean(name: str) -> None:
    intent = intents()[name]
    for index in range(25):
        rng = seeded_rng(1, name, index)
        slots = Slots(rng)
        for text in (say(rng, intent, slots), answer_to(rng, intent, slots)):
            assert text == text.strip()
            assert text.isascii()
            assert len(text.split()) <= 60
            assert not re.search(r"[{}\[\]|^<>]|  | [.,?!]", text), text
            assert not re.search(r" a (?!one|eu)[aeio][a-z]{2,}", text.lower()), text


@pytest.mark.parametrize("name", [name for name, intent in intents().items() if intent.keywords])
def test_every_answer_contains_the_keywords_of_its_intent(name: str) -> None:
    intent = intents()[name]
    for index in range(60):
        rng = seeded_rng(2, name, index)
        slots = Slots(rng)
        expected = tuple(fill_template(rng, group, slots) for group in intent.keywords)
        answer = answer_to(rng, intent, slots)
        assert is_right("mentions_each", expected, answer), (expected, answer)


def test_replies_never_open_a_conversation() -> None:
    assert not any(is_reply(intent) for intent in openings())
    assert is_reply(intents()["feel sad why"])
    assert not is_reply(intents()["feel sad"])


def test_intents_are_parsed() -> None:
    text = (
        "# A comment.\n== hi\n? Hi[!|.]\n! Hello.\n= hello, hi\n> bye\n\n"
        "== bye\n~\n*\n? Bye.\n! Bye."
    )
    first, second = parse_intents("talk", text)
    assert first == Intent("hi", "talk", ("Hi[!|.]",), ("Hello.",), ("bye",), ("hello|hi",))
    assert second.reply
    assert second.never_held_out
    with pytest.raises(ValueError, match="unknown mark"):
        parse_intents("talk", "== hi\nHello.")


def test_nothing_is_held_out_of_messages_of_despair() -> None:
    hopeless = intents()["hopeless"]
    assert hopeless.never_held_out
    said = {
        say(seeded_rng(3, "despair", i), hopeless, Slots(seeded_rng(3, "", i))) for i in range(4000)
    }
    ways = {way for line in hopeless.questions for way in all_ways(line)}
    assert len(said) >= 0.95 * len(ways)
    assert any(is_exam_only(text) for text in said)
    asked = {exam_turn(seeded_rng(3, "feelings", i), feelings=True).question for i in range(2000)}
    assert not {canonical(text) for text in said} & {canonical(text) for text in asked}


def test_words_are_repeated_with_the_tokens_that_they_have_in_the_request() -> None:
    said = letters_asked = 0
    for index in range(600):
        turn = tasks(seeded_rng(7, "tasks", index))[0]
        if turn.answer.startswith("All right:"):
            word = turn.answer.removeprefix("All right:").rstrip(".").split(",")[0]
            assert word.lower() in turn.question.lower()
            said += 1
        question = letter_question(seeded_rng(7, "letters", index))
        if found := re.match(r"The (?:word|letters of)( \S+)", question.answer):
            assert found[1] in question.question
            letters_asked += 1
    assert said >= 20
    assert letters_asked >= 200


# -- typing -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("What is up, Firstwords?", "whats up firstwords"),
        ("I am bored.", "im bored"),
        ("I do not know what it is.", "i dont know what it is"),
        ("Can you tell me, please?", "can u tell me pls"),
        ("Thanks, I cannot complain!", "thx i cant complain"),
    ],
)
def test_hasty_users_type_like_this(text: str, expected: str) -> None:
    assert type_out(seeded_rng(0, "typed", 0), HASTY, text) == expected


def test_the_canonical_form_is_the_same_for_all_renderings() -> None:
    for name, intent in intents().items():
        for index in range(5):
            rng = seeded_rng(3, name, index)
            text = say(rng, intent, Slots(rng))
            style = draw_style(rng)._replace(mistypes=0.0)
            assert canonical(type_out(rng, style, text)) == canonical(text)
            assert canonical(type_out(rng, HASTY, text)) == canonical(text)


def test_typos_keep_the_first_letter_and_the_words_to_keep() -> None:
    for index in range(200):
        rng = seeded_rng(4, "typo", index)
        words = mistype(rng, "please tell Ravi something", ("ravi",)).split()
        assert [word[0] for word in words] == ["p", "t", "R", "s"]
        assert words[2] == "Ravi"


# -- conversations ------------------------------------------------------------------------------


def test_conversations_follow_links_and_end_in_time() -> None:
    lengths = set()
    for index in range(400):
        turns = everyday(seeded_rng(5, "everyday", index))
        lengths.add(len(turns))
        assert sum(len(turn.question) + len(turn.answer) for turn in turns) < 900
    assert lengths == set(range(1, MAX_TURNS + 1))


def test_recalled_details_are_what_the_user_told() -> None:
    graded = 0
    for index in range(400):
        turns = recall_chat(seeded_rng(6, "recall", index))
        for place, turn in enumerate(turns):
            assert is_right(turn.rule, turn.expected, turn.answer) or not turn.expected
            if turn.rule == "answers" and turn.expected and "You" in turn.answer[:4]:
                before = " ".join(t.question for t in turns[:place]).lower()
                assert turn.expected[0].lower() in before or place == 0, turns
                graded += 1
    assert graded > 300


def test_exam_details_are_never_in_training() -> None:
    assert not set(first_names(True)) & set(first_names(False))
    for index in range(100):
        last = recall_chat(seeded_rng(7, "recall", index), held_out=True)[-1]
        assert is_right(last.rule, last.expected, last.answer)


def test_reflections_take_up_the_words_of_the_message() -> None:
    mentioned = total = 0
    for index in range(1500):
        for turn in reflect(seeded_rng(11, "reflect", index)):
            for text in turn.question, turn.answer:
                assert not re.search(r"[{}\[\]|]|\.\.|[!?]\.|  ", text), turn
            assert turn.answer[0].isupper(), turn
            if turn.expected:
                total += 1
                mentioned += is_right(turn.rule, turn.expected, turn.answer)
    # The others answer with "Tell me more" and the like.
    assert mentioned / total > 0.6


def test_reflections_turn_my_into_your() -> None:
    for index in range(3000):
        for turn in reflect(seeded_rng(12, "reflect", index)):
            assert not re.search(r"\b(my|myself|our)\b", turn.answer.lower()), turn


def test_personal_questions_of_the_exam_are_never_in_training() -> None:
    for index in range(100):
        turn = reflection_exam_turn(seeded_rng(13, "personal", index))
        assert is_right(turn.rule, turn.expected, turn.answer)
        assert is_exam_only(turn.question)


def test_tasks_repeat_and_count_as_asked() -> None:
    seen = 0
    for index in range(600):
        for turn in tasks(seeded_rng(8, "tasks", index)):
            match = re.match(
                r"(?:[Ss]ay|[Ww]rite|[Rr]epeat) (?:the word )?(\"?[a-z]+\"?) (two|three|2|3) times",
                turn.question,
            )
            if match and match[1] != "it":
                count = {"two": 2, "2": 2, "three": 3, "3": 3}[match[2]]
                assert turn.answer == f"All right: {', '.join([match[1]] * count)}."
                seen += 1
    assert seen


def test_tasks_say_a_word_twice() -> None:
    requests = [turn for i in range(900) for turn in tasks(seeded_rng(18, "tasks", i))]
    twice = [turn for turn in requests if re.match(r"[Ss]ay [a-z]+ twice\b", turn.question)]
    assert twice
    for turn in twice:
        word = turn.question.split()[1]
        if word != "it":
            assert turn.answer == f"All right: {word}, {word}."


def test_american_spelling_is_typed_and_means_the_same() -> None:
    style = TypingStyle(american=1.0)
    rng = seeded_rng(19, "american", 0)
    text = "What is your favourite colour? Grey?"
    assert type_out(rng, style, text) == "What is your favorite color? Gray?"
    assert type_out(rng, style, text, ["Grey"]) == "What is your favorite color? Grey?"
    assert canonical(type_out(rng, style, text)) == canonical(text)


def test_riddles_and_subjects_are_answered() -> None:
    for index in range(100):
        rng = seeded_rng(9, "riddle", index)
        assert riddle(rng, CAREFUL)[0].answer.endswith("?")
        assert all(turn.answer for turn in about(rng))
    assert sum(len(tuple(source())) for source in SOURCES) > 400


def test_a_library_adds_subjects_as_pairs() -> None:
    pairs = [("boil an egg", "Boil water. Wait for six minutes.")]
    (subject,) = from_pairs(pairs, "ask how")
    assert subject.sentences == ("Boil water.", "Wait for six minutes.")
    for index in range(20):
        first = turns_about(seeded_rng(11, "pairs", index), subject, CAREFUL)[0]
        assert "boil an egg" in first.question
        assert first.answer.startswith("Boil water.")


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        ("What do firefighters do?", "whose work is to put out fires"),
        ("Where is Spain?", "Spain is in Europe."),
        ("Tell me about gravity.", "pulls things towards the ground."),
        ("Who was Marie Curie?", "scientist from Poland"),
        ("How many sides does a triangle have?", "three sides."),
    ],
)
def test_every_way_of_asking_about_something_is_answered(asked: str, answered: str) -> None:
    found = [subject for source in SOURCES for subject in source() if subject.name in asked]
    turns = [
        turns_about(seeded_rng(18, subject.heading, index), subject, CAREFUL)[0]
        for subject in found
        for index in range(60)
    ]
    assert any(turn.question == asked and answered in turn.answer for turn in turns)


def test_training_never_shows_what_only_the_exam_asks() -> None:
    intent = intents()["feel sad"]
    held_out = {way for line in intent.questions for way in all_ways(line) if is_never_said(way)}
    assert held_out
    for index in range(200):
        rng = seeded_rng(10, "sad", index)
        text = say(rng, intent, Slots(rng))
        assert not is_never_said(text)
        assert text not in held_out


PLAIN = (
    "How do I make pancakes?",
    "Why is the sky blue?",
    "What is the meaning of life?",
    "Tell me something interesting.",
)


@pytest.mark.parametrize("text", PLAIN)
def test_plain_wordings_are_never_held_out(text: str) -> None:
    assert is_held_out("question", canonical(text)) == (text == PLAIN[2])
    for style in (CAREFUL, HASTY):
        assert not is_exam_only(type_out(seeded_rng(14, text, 0), style, text))


def test_the_exam_asks_nothing_in_plain_wordings() -> None:
    lines = [intent.questions[0] for intent in intents().values()]
    plain = {canonical(way) for line in lines if "{" not in line for way in all_ways(line)}
    for index in range(400):
        asked = exam_turn(seeded_rng(15, "exam", index), feelings=index % 2 == 0).question
        assert canonical(asked) not in plain


def test_the_plainest_wording_is_said_most_often() -> None:
    intent = intents()["why sky blue"]
    said = [say(seeded_rng(16, "sky", i), intent, Slots(seeded_rng(16, "", i))) for i in range(600)]
    assert said.count("Why is the sky blue?") > 0.2 * len(said)


def test_about_things_the_plainest_request_is_never_held_out() -> None:
    subject = next(from_pairs([("owls", "Owls hunt at night.")], "ask many"))
    asked = {
        turns_about(seeded_rng(17, "owls", i), subject, CAREFUL)[0].question for i in range(99)
    }
    assert asked & {"Tell me about owls.", "Tell me about owls, please."}
