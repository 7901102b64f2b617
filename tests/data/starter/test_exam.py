"""The exam: its own answers are right, other answers are wrong, and training never shows it."""

import os
import random
import re
from collections import Counter
from collections.abc import Iterator

import pytest

from firstwords.data.starter import conversation, document, exam
from firstwords.data.starter.facts import TOPICS, facts_by_subject, subjects
from firstwords.data.starter.grading import Rule, is_right
from firstwords.data.starter.holdout import HELD_OUT_ONE_IN, is_held_out, question_key
from firstwords.data.starter.numbers import is_sum_held_out
from firstwords.data.starter.tables import table_sections
from firstwords.data.starter.words import number_in_words, spelled_words, vocabulary

CALL = re.compile(r"<tool_call>.*?</tool_response>")
NGRAM = 5


# -- the items --------------------------------------------------------------------------------


def test_every_category_has_200_different_items() -> None:
    items = exam.items()
    assert Counter(item.category for item in items) == dict.fromkeys(exam.CATEGORIES, 200)
    prompts = {(item.category, str(item.messages)) for item in items}
    assert len(prompts) == len(items)
    assert all(item.messages[-1]["role"] == "user" for item in items)


def test_a_smaller_exam_is_a_prefix_of_the_full_one() -> None:
    whole = [item for item in exam.items() if item.category == "stories"]
    assert [item for item in exam.items(20) if item.category == "stories"] == whole[:20]


def test_the_curriculums_own_answers_are_right() -> None:
    for item in exam.items():
        assert exam.is_right(item, CALL.sub("", item.answer)), item


def test_answers_to_other_questions_are_mostly_wrong() -> None:
    """A grader that accepts everything would pass the test above."""
    for name in exam.CATEGORIES:
        items = [item for item in exam.items() if item.category == name]
        answers = [CALL.sub("", item.answer) for item in items[1:] + items[:1]]
        expected = sum(exam.is_right(item, a) for item, a in zip(items, answers, strict=True))
        assert expected < 130, (name, expected)  # most words have a letter once


def test_half_of_the_unknown_category_are_real_questions() -> None:
    rules = Counter(item.rule for item in exam.items() if item.category == "unknown")
    assert 80 <= rules["refuses"] <= 120


@pytest.mark.parametrize("category", exam.CATEGORIES)
def test_few_shot_examples_are_not_exam_items(category: str) -> None:
    examples = exam.examples(category)
    assert len(examples) == 3
    prompts = {item.messages[0]["content"] for item in exam.items() if item.category == category}
    assert not prompts & {question for question, _ in examples}


@pytest.mark.parametrize(
    ("rule", "expected", "answer", "verdict"),
    [
        ("answers", ("Paris",), "The capital of France is Paris.", True),
        ("answers", ("Paris",), "It is paris", True),
        ("answers", ("Paris",), "It is Parish.", False),
        ("answers", ("Paris",), "", False),
        ("answers", ("Paris",), "I do not know Paris.", False),
        ("answers", ("in rivers", "rivers"), "They live by rivers.", True),
        ("starts_with", ("Tom",), "Tom gave Mira the kite.", True),
        ("starts_with", ("Tom",), "Mira gave Tom the kite.", False),
        ("last_number", ("12",), "7 plus 5 is 12.", True),
        ("last_number", ("12",), "seven plus five is twelve", True),
        ("last_number", ("12",), "12 minus 5 is 7.", False),
        ("last_number", ("21",), "That is twenty-one.", True),
        ("last_number", ("1234.5",), "The answer is 1234.5.", True),
        ("last_number", ("0",), "There are no apples left.", True),
        ("last_number", ("3",), "no idea", False),
        ("spells", ("c-a-t",), "The word cat is spelled c-a-t.", True),
        ("spells", ("c-a-t",), "It is spelled c-a-t-s.", False),
        ("spells", ("c-a-t",), "cat", False),
        ("exact", ("PEAR",), "PEAR.", True),
        ("exact", ("PEAR",), "Pear", False),
        ("option", ("B",), "It is Paris. The answer is B) Paris.", True),
        ("option", ("B",), "B", True),
        ("option", ("B",), "A) Rome", False),
        ("list", ("2", "owl", "hen"), "Hen and owl.", True),
        ("list", ("2", "owl", "hen"), "1. Owl\n2. Hen", True),
        ("list", ("2", "owl", "hen"), "Owl and owl.", False),
        ("list", ("2", "owl", "hen"), "Owl, hen, and owl.", False),
        ("list", ("2", "owl", "hen"), "Owl and trout.", False),
        ("repeats", ("3", "bell"), "Bell bell bell", True),
        ("repeats", ("3", "bell"), "All right: bell, bell, bell.", True),
        ("repeats", ("3", "bell"), "bell bell", False),
        ("story", ("Mira",), "Mira ran. She fell. She laughed.", True),
        ("story", ("Mira",), "Tom ran. He fell. He laughed.", False),
        ("story", ("Mira",), "Mira ran.", False),
        ("refuses", (), "I do not know. I have never heard of Blorland.", True),
        ("refuses", (), "The capital of Blorland is Rome.", False),
    ],
)
def test_rules_grade_answers(
    rule: Rule, expected: tuple[str, ...], answer: str, verdict: bool
) -> None:
    assert is_right(rule, expected, answer) is verdict


# -- what is held out ---------------------------------------------------------------------------


def test_a_fifth_is_held_out() -> None:
    facts = {f.key: f for name in TOPICS for s in subjects(name) for f in facts_by_subject(name)[s]}
    share = sum(fact.held_out for fact in facts.values()) / len(facts)
    assert abs(share - 1 / HELD_OUT_ONE_IN) < 0.05
    assert abs(len(spelled_words(True)) / len(vocabulary()) - 1 / HELD_OUT_ONE_IN) < 0.05
    words = ("garden", "kite", "moon", "pencil")
    assert [is_held_out("word", word) for word in words] == [
        True,
        True,
        False,
        False,
    ]  # the same on every machine


def test_sums_are_held_out_in_either_order() -> None:
    for a in range(13):
        for b in range(13):
            assert is_sum_held_out(a, "+", b) == is_sum_held_out(b, "+", a)
            assert is_sum_held_out(a, "*", b) == is_sum_held_out(b, "*", a)


def test_training_does_not_share_wording_that_only_the_exam_uses() -> None:
    for name in ("facts.txt", "talk.txt"):
        wording = table_sections(name)
        for heading in wording:
            if heading.endswith(" ask anew"):
                in_training = set(wording[heading.removesuffix(" anew")])
                assert not in_training & set(wording[heading]), heading


# -- training never shows the exam -----------------------------------------------------------------


class ExamIndex:
    """An index of the exam's questions that finds them in training text."""

    def __init__(self) -> None:
        self.questions: set[str] = set()
        self.conversations: set[tuple[str, ...]] = set()
        self.by_words: dict[tuple[str, ...], list[str]] = {}
        for item in exam.items():
            users = tuple(question_key(m["content"]) for m in item.messages if m["role"] == "user")
            if len(users) > 1:
                self.conversations.add(users)
                continue
            self.questions.add(users[0])
            words = tuple(users[0].split())
            self.by_words.setdefault(words[:NGRAM], []).append(users[0])
        self.lengths = sorted({len(words) for words in self.by_words})
        self.held_out_words = {"-".join(word) for word in spelled_words(True)}
        backwards = {word[::-1] for word in spelled_words(True)} - set(vocabulary())
        self.held_out_words |= {"-".join(word) for word in backwards}

    def find_in_messages(self, messages: tuple[dict[str, str], ...]) -> str | None:
        users = [question_key(m["content"]) for m in messages if m["role"] == "user"]
        for one in users:
            if one in self.questions:
                return one
        windows = {tuple(users[i:j]) for j in range(len(users) + 1) for i in range(j)}
        return next((" / ".join(window) for window in windows & self.conversations), None)

    def find_in_text(self, text: str) -> str | None:
        words = text.lower().split()
        for length in self.lengths:
            grams = set(zip(*(words[i:] for i in range(length)), strict=False))
            for gram in grams & self.by_words.keys():
                plain = " ".join(words)
                for question in self.by_words[gram]:
                    if f"{question}?" in plain or f"{question}." in plain:
                        return question
        return None

    def spelled_words_in(self, text: str) -> set[str]:
        # A spelling that counts, "b-a1-n-a2", is a spelling as well.
        uncounted = re.sub(r"(?<=\b[a-z])\d+", "", text.lower())
        return self.held_out_words & set(re.findall(r"\b[a-z](?:-[a-z])+\b", uncounted))


SUM = re.compile(r"(\d+) (plus|minus|times|[-+×*]) (\d+)(?![.\d]* [-+×*÷/])")
SIGNS = {"plus": "+", "minus": "-", "times": "*", "×": "*"}
SIGN = re.compile(r" (?:plus|minus|times|[-+×*]) ")
DIGITS = {number_in_words(number): str(number) for number in range(101)}
NUMBER_WORDS = re.compile(rf"\b({'|'.join(sorted(DIGITS, key=len, reverse=True))})\b")


def held_out_sums(text: str) -> list[str]:
    """Return the sums in a text that are held out for the exam."""
    sums: list[str] = []
    if not SIGN.search(text.lower()):
        return sums  # as in most texts, whose number words need not be replaced
    text = NUMBER_WORDS.sub(lambda m: DIGITS[m[0]], text.lower())
    for a, sign, b in SUM.findall(text):
        plain = SIGNS.get(sign, sign)
        is_small = int(a) <= 20 and int(b) <= 20 if plain in "+-" else int(b) <= 10
        if is_small and int(a) <= 100 and is_sum_held_out(int(a), plain, int(b)):
            sums.append(f"{a} {sign} {b}")
    return sums


def training_text(seed: int, size: int) -> Iterator[tuple[str, tuple[dict[str, str], ...]]]:
    """Yield about `size` bytes, half of them documents and half conversations."""
    n_bytes, index = 0, 0
    while n_bytes < size:
        text = document(seed, index).text
        messages = conversation(seed, index).messages + conversation(seed + 1, index).messages
        yield text, messages
        n_bytes += len(text) + sum(len(m["content"]) for m in messages)
        index += 1


def assert_never_shown(seed: int, size: int) -> None:
    index = ExamIndex()
    for text, messages in training_text(seed, size):
        assert index.find_in_text(text) is None, text
        assert index.find_in_messages(messages) is None, messages
        content = "\n".join(m["content"] for m in messages)
        for part in (text, content):
            assert not index.spelled_words_in(part), part
            assert not held_out_sums(part), part


def test_training_never_shows_the_exam() -> None:
    assert_never_shown(11, 3_000_000)


@pytest.mark.slow
def test_other_training_text_in_every_run_never_shows_the_exam() -> None:
    """25 MB; to check more, set FIRSTWORDS_TEST_MEGABYTES."""
    seed = int(os.environ.get("FIRSTWORDS_TEST_SEED", random.randrange(10**6)))
    megabytes = int(os.environ.get("FIRSTWORDS_TEST_MEGABYTES", "25"))
    print(f"FIRSTWORDS_TEST_SEED={seed}")
    assert_never_shown(seed, megabytes * 1_000_000)


def test_the_index_finds_exam_questions() -> None:
    index = ExamIndex()
    item = next(i for i in exam.items() if i.category == "facts")
    question = item.messages[0]["content"]
    assert index.find_in_text(f"Here is a page. {question} And so on.")
    assert index.find_in_messages(({"role": "user", "content": question.upper()},))
    word = spelled_words(True)[0]
    assert index.spelled_words_in(f"The word is spelled {'-'.join(word)}.")
    assert index.spelled_words_in(
        "Counted: " + "-".join(f"{c}{i}" for i, c in enumerate(word, start=1))
    )
    a, b = next((a, b) for a in range(2, 9) for b in range(2, 9) if is_sum_held_out(a, "+", b))
    assert held_out_sums(f"We say {a} plus {b} is {a + b}.")


def test_users_never_have_a_held_out_name() -> None:
    names = table_sections("cast.txt")["girls"] + table_sections("cast.txt")["boys"]
    held_out_names = [name for name in names if is_held_out("memory", f"name {name}")]
    assert held_out_names
    introduction = re.compile(
        rf"(?:[Mm]y name is|They call me|You can call me) (?:{'|'.join(held_out_names)})\b"
    )
    for index in range(3000):
        content = " ".join(m["content"] for m in conversation(5, index).messages)
        assert not introduction.search(content), content
