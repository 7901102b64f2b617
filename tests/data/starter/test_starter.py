"""The starter curriculum: samples are reproducible, well formed, correct and varied."""

import json
import re
import subprocess
import sys
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from simpleeval import simple_eval

from firstwords.data.starter import (
    CONVERSATION_KINDS,
    DOCUMENT_KINDS,
    conversation,
    document,
    letters,
    numbers,
)
from firstwords.data.starter.encyclopedia import science_topics
from firstwords.data.starter.everyday.dialogue import answer_to
from firstwords.data.starter.everyday.intents import intents
from firstwords.data.starter.everyday.slots import Slots
from firstwords.data.starter.facts import TOPICS, facts_by_subject, random_fact, subjects
from firstwords.data.starter.multiple_choice import multiple_choice
from firstwords.data.starter.numbers import is_sum_held_out
from firstwords.data.starter.rng import Rng, seeded_rng
from firstwords.data.starter.stories import make_story, plots
from firstwords.data.starter.tables import table_rows, table_sections
from firstwords.data.starter.templates import (
    article,
    fill_template,
    join_list,
    make_answer,
    make_sentence,
)
from firstwords.data.starter.tool_use import (
    ToolQuestion,
    half_or_double,
    small_and_large,
    tool_question,
)
from firstwords.data.starter.words import number_in_words, plural, vocabulary
from firstwords.tokenizer.calculator import calculate

CALL = re.compile(r"<tool_call>([^<]*)</tool_call><tool_response>([^<]*)</tool_response>")


# -- the API ------------------------------------------------------------------------------


def test_samples_depend_on_seed_and_index_only() -> None:
    for index in range(60):
        assert document(3, index) == document(3, index)
        assert conversation(3, index) == conversation(3, index)
    first = [document(0, index).text for index in range(50)]
    assert first != [document(1, index).text for index in range(50)]
    # The order of calls does not matter: there is no hidden state.
    assert [document(0, index).text for index in reversed(range(50))] == first[::-1]


def test_random_numbers_are_the_same_on_every_platform() -> None:
    rng = seeded_rng(1, "text", 2)
    assert [int(rng() * 1000) for _ in range(5)] == [308, 257, 891, 757, 513]


@pytest.mark.parametrize("kind", DOCUMENT_KINDS)
def test_documents_of_every_kind_are_well_formed(kind: str) -> None:
    for index in range(150):
        sample = document(5, index, kind)
        assert sample.kind == kind
        assert_clean(sample.text)
        assert sample.text[0].isupper() or sample.text[0] in '"(0123456789'


@pytest.mark.parametrize("kind", CONVERSATION_KINDS)
def test_conversations_of_every_kind_are_well_formed(kind: str) -> None:
    for index in range(150):
        sample = conversation(5, index, kind)
        assert sample.kind == kind
        messages = list(sample.messages)
        if messages[0]["role"] == "system":
            assert messages.pop(0)["content"]
        roles = [message["role"] for message in messages]
        assert roles == ["user", "assistant"] * (len(roles) // 2)
        assert 1 <= len(roles) // 2 <= 6
        for message in messages:
            assert set(message) == {"role", "content"}
            assert_clean(message["content"])
            if message["role"] == "user":
                assert "<tool" not in message["content"]


def test_unknown_kinds_raise_an_error() -> None:
    with pytest.raises(ValueError, match="unknown kind"):
        document(0, 0, "poem")


def assert_clean(text: str) -> None:
    assert text.strip() == text
    assert text
    assert "  " not in text, text
    assert not re.search(r"[{}\[\]|^]", text), text
    plain = CALL.sub("", text)
    assert "<" not in plain, text
    assert ">" not in plain, text
    wrong = re.search(r"(?<!letter)(?<!letters) a (?!one|eu)[aeio][a-z]{2,}", plain.lower())
    assert wrong is None, (wrong, text)
    assert not re.search(r"\b1 [a-z]+s are\b", plain), text


# -- tools and sums -----------------------------------------------------------------------


def test_tool_responses_are_what_the_calculator_prints() -> None:
    seen = 0
    for index in range(600):
        for message in conversation(9, index, "calculator").messages:
            for expression, response in CALL.findall(message["content"]):
                assert re.fullmatch(r"[-+*/().0-9]+|count\(\"[a-z ]+\", \"[a-z]\"\)", expression)
                assert response == calculate(expression)
                assert response in CALL.sub("", message["content"])
                seen += 1
    assert seen > 600


@pytest.mark.parametrize(("maker", "small"), [(small_and_large, 30), (half_or_double, 60)])
def test_numbers_that_people_type_go_to_the_calculator(
    maker: Callable[[Rng], ToolQuestion], small: int
) -> None:
    for index in range(300):
        question = maker(seeded_rng(4, "sum", index))
        expression, response = CALL.findall(question.answer)[0]
        assert response == question.result == calculate(expression)
        numbers = [int(number) for number in re.findall(r"\d+", expression)]
        assert min(numbers) <= small
        assert str(numbers[0]) in question.question
        sign = expression.strip("0123456789")
        assert sign == "/" or not is_sum_held_out(numbers[0], sign, numbers[1])
        # What can be counted out in the head is left to the sums.
        assert maker is half_or_double or max(*numbers, int(response)) > 20


def test_the_exam_asks_for_the_old_kinds_of_sums_alone() -> None:
    parts = re.compile(r"(?:half of|double|twice) \d")
    asked = [tool_question(seeded_rng(5, "sum", index), held_out=True) for index in range(400)]
    assert not [a for a in asked if parts.search(a.question)]
    trained = [tool_question(seeded_rng(5, "sum", index)) for index in range(400)]
    assert [a for a in trained if parts.search(a.question)]


def test_small_sums_are_right() -> None:
    signs = {"plus": "+", "minus": "-", "times": "*", "divided by": "/"}
    pattern = re.compile(r"(\d+) (plus|minus|times|divided by) (\d+) (?:is|makes|equals) (\d+)")
    seen = 0
    for index in range(1500):
        for a, word, b, c in pattern.findall(document(2, index, "numbers").text):
            assert simple_eval(f"{a}{signs[word]}{b}") == int(c)
            seen += 1
    assert seen > 1500


def test_answers_of_math_problems_contain_the_result() -> None:
    for index in range(500):
        problem = numbers.math_problem(seeded_rng(1, "problem", index))
        in_words = number_in_words(problem.value)
        answer = problem.answer.lower()
        assert str(problem.value) in answer or in_words in answer or "no " in answer, problem


# -- letters ------------------------------------------------------------------------------


def test_answers_about_letters_are_right() -> None:
    for index in range(500):
        _, answer, value, _ = sample = letters.letter_question(seeded_rng(1, "letters", index))
        assert value.lower() in answer.lower()
        for spelled in re.findall(r"\b[a-z](?:-[a-z])+\b", answer):
            word, question = spelled.replace("-", ""), sample.question.lower()
            assert word in question or word[::-1] in question


# -- facts --------------------------------------------------------------------------------


def test_country_table() -> None:
    table = table_rows("countries.txt")
    assert len(table) == 193
    assert len({name for name, _, _ in table}) == 193
    assert len({city for _, city, _ in table}) == 193
    count = Counter(continent for _, _, continent in table)
    assert set(count) == {"Africa", "Asia", "Europe", "North America", "South America", "Oceania"}
    assert count["Africa"] == 54
    assert count["South America"] == 12
    assert count["Oceania"] == 14
    assert count["North America"] == 23


def test_element_table() -> None:
    table = table_rows("elements.txt")
    assert len(table) == 118
    assert len({name for name, *_ in table}) == 118
    assert len({symbol for _, symbol, *_ in table}) == 118
    for number, symbol in ((1, "H"), (26, "Fe"), (50, "Sn"), (79, "Au"), (92, "U"), (118, "Og")):
        assert table[number - 1][1] == symbol
    assert all(re.fullmatch(r"[A-Z][a-z]?", symbol) for _, symbol, *_ in table)
    assert {state for _, _, state, _ in table} == {"solid", "liquid", "gas", ""}


def test_animal_table() -> None:
    table = table_rows("animals.txt")
    assert len(table) >= 100
    assert len({name for name, *_ in table}) == len(table)
    legs = {"bird": {"2"}, "insect": {"6"}, "arachnid": {"8"}, "fish": {"0"}}
    for name, many, group, count, food, home, *_ in table:
        assert many
        assert food
        assert home
        assert count in legs.get(group, {"", "0", "2", "4", "10"}), name


def test_word_tables() -> None:
    for name, width in (("opposites.txt", 2), ("plurals.txt", 2), ("verbs.txt", 3)):
        table = table_rows(name)
        assert all(len(row) == width and all(row) for row in table)
        assert len({row[0] for row in table}) == len(table)
    pairs = [word for pair in table_rows("opposites.txt") for word in pair]
    assert len(set(pairs)) == len(pairs), "a word with two opposites has no one right answer"
    assert len(vocabulary()) > 1200
    assert [int(days) for _, _, days, _ in table_rows("calendar.txt")] == [
        31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31,
    ]  # fmt: skip


def test_every_fact_has_a_statement_a_question_and_an_answer() -> None:
    rng = seeded_rng(0, "facts", 0)
    for name in TOPICS:
        for subject in subjects(name):
            for fact in facts_by_subject(name)[subject]:
                assert_clean(fact.statement(rng))
                assert fact.question(rng)[-1] in "?."
                answer = fact.answer(rng)
                plural_value = fact.slots.get("vp", "\0")
                assert fact.value.lower() in answer.lower() or plural_value in answer
    for science_topic in science_topics():
        assert len(science_topic.questions) >= 2
        assert len(science_topic.answer(rng)) > 80


# -- stories ------------------------------------------------------------------------------


def test_story_questions_are_answered_by_the_story() -> None:
    seen: Counter[str] = Counter()
    for index in range(1200):
        story = make_story(seeded_rng(4, "story", index), brief=index % 2 == 0, n_questions=20)
        seen[story.plot] += 1
        assert len({q.question for q in story.questions}) == len(story.questions)
        for question in story.questions:
            if question.keywords != "No":
                assert question.keywords.lower() in story.text.lower(), (question, story)
            keywords = re.sub(r"^(a|an|the) ", "", question.keywords.lower())
            assert keywords in question.answer.lower(), (question, story)
    assert len(seen) == len(plots()) >= 12


def test_hero_and_friend_never_share_a_pronoun() -> None:
    for index in range(200):
        slots = make_story(seeded_rng(4, "story", index)).slots
        assert slots["he"] != slots["bhe"]
        assert slots["A"] != slots["B"]


def test_multiple_choice_options_contain_the_right_answer_once() -> None:
    for index in range(300):
        question, answer, _, (right,) = multiple_choice(seeded_rng(4, "choice", index))
        options = re.findall(r"^- (.+)=([A-D])$", question, flags=re.MULTILINE)
        letters = [letter for _, letter in options]
        assert letters == list("ABCD")[: len(options)]
        assert 3 <= len(options) <= 4
        assert len({text for text, _ in options}) == len(options)
        assert answer.endswith(f"{options[letters.index(right)][0]}={right}.")


# -- variety ------------------------------------------------------------------------------


def test_documents_are_varied() -> None:
    documents = [document(7, index) for index in range(2000)]
    texts = [one.text for one in documents if one.kind != "library"]  # which is read again
    assert len(set(texts)) == len(texts)
    text = "\n\n".join(texts)
    assert len(text) / len(zlib.compress(text.encode(), 9)) <= 4.0
    sentences = Counter(one for page in texts for one in re.split(r"(?<=[.!?])\s+", page))
    top = sum(len(one) * count for one, count in sentences.most_common(100))
    assert top <= 0.05 * len(text)
    assert len(set(re.findall(r"[a-z]+", text.lower()))) >= 3800


@pytest.mark.slow
def test_twenty_megabytes_are_varied() -> None:
    script = Path(__file__).parents[3] / "benchmarks" / "variety.py"
    printed = subprocess.run(
        [sys.executable, str(script), "--json"], capture_output=True, text=True, check=True
    )
    measures = json.loads(printed.stdout)
    print(measures)
    assert measures["compression"] <= 4.0
    assert measures["repeated_documents"] == 0
    assert measures["frequent_sentences"] <= 0.03
    assert measures["words"] >= 6000
    assert 0 < measures["repeated_13_grams"] < 0.2


def test_conversations_are_mostly_short() -> None:
    lengths = []
    for index in range(1000):
        content = " ".join(m["content"] for m in conversation(7, index).messages)
        lengths.append(len(content.split()))
    assert sum(length <= 200 for length in lengths) >= 0.98 * len(lengths)


# -- templates and words ----------------------------------------------------


@pytest.mark.parametrize(
    ("phrase", "expected"),
    [
        ("apple", "an"),
        ("unicorn", "a"),
        ("uncle", "an"),
        ("umbrella", "an"),
        ("honest boy", "an"),
        ("house", "a"),
        ("8", "an"),
        ("useful tool", "a"),
        ("old hat", "an"),
        ("one-eyed cat", "a"),
        ("ugly duckling", "an"),
        ("eel", "an"),
    ],
)
def test_article(phrase: str, expected: str) -> None:
    assert article(phrase) == expected


def test_templates() -> None:
    rng = seeded_rng(0, "t", 0)
    assert {fill_template(rng, "a[b|c|]d") for _ in range(50)} == {"abd", "acd", "ad"}
    assert {fill_template(rng, "[x|[y|z]]") for _ in range(50)} == {"x", "y", "z"}
    assert make_sentence(rng, ("{a:x} is {v}.",), {"x": "owl", "v": "wise"}) == "An owl is wise."
    assert join_list(["a", "b", "c"]) == "a, b, and c"
    with pytest.raises(ValueError, match="unbalanced"):
        fill_template(rng, "[a|b")


def test_the_first_answers_are_the_commonest() -> None:
    rng = seeded_rng(0, "answers", 0)
    said = Counter(make_answer(rng, ("one", "two [a|b]", "three")) for _ in range(6000))
    assert said["One"] / 6000 == pytest.approx(3**-0.25, abs=0.02)
    assert said["Three"] / 6000 == pytest.approx(1 - (2 / 3) ** 0.25, abs=0.02)
    assert said["Two a"] > 2 * said["Two b"] > 0


def test_the_assistant_says_every_answer_but_the_first_ones_most_often() -> None:
    intent = intents()["how old"]
    rng = seeded_rng(0, "how old", 0)
    beginnings = [answer[:14] for answer in intent.answers]
    said = Counter(answer_to(rng, intent, Slots(rng))[:14] for _ in range(900))
    assert [name for name, _ in said.most_common()] == beginnings


def test_numbers_in_words() -> None:
    assert number_in_words(0) == "zero"
    assert number_in_words(21) == "twenty-one"
    assert number_in_words(305) == "three hundred and five"
    assert number_in_words(12_034) == "twelve thousand and thirty-four"
    assert [plural(noun) for noun in ("box", "cherry", "toy", "brush", "mouse")] == [
        "boxes", "cherries", "toys", "brushes", "mice",
    ]  # fmt: skip


def test_any_fact_covers_every_topic() -> None:
    drawn = {random_fact(seeded_rng(0, "any", index)).relation for index in range(3000)}
    relations = {h.split(" ", 1)[0] for h in table_sections("facts.txt")} - {"title"}
    assert relations == drawn
