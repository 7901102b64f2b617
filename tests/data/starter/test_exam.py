"""The exam: its own answers are right, others are not, and training never shows it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

import pytest

from firstwords.data.starter import conversation, document, exam
from firstwords.data.starter.facts import TOPICS, subjects, topic
from firstwords.data.starter.holdout import SHARE, asked, held_out
from firstwords.data.starter.numbers import is_kept
from firstwords.data.starter.phrase import rows, sections
from firstwords.data.starter.turn import is_right
from firstwords.data.starter.words import in_words, spelled_words, vocabulary

CALL = re.compile(r"<tool_call>.*?</tool_response>")
NGRAM = 5


# -- the items --------------------------------------------------------------------------------


def test_every_category_has_200_different_items() -> None:
    items = exam.items()
    assert Counter(item.category for item in items) == dict.fromkeys(exam.CATEGORIES, 200)
    prompts = {(item.category, str(item.messages)) for item in items}
    assert len(prompts) == len(items)
    assert all(item.messages[-1]["role"] == "user" for item in items)


def test_a_smaller_exam_is_the_beginning_of_the_whole() -> None:
    whole = [item for item in exam.items() if item.category == "stories"]
    assert [item for item in exam.items(20) if item.category == "stories"] == whole[:20]


def test_the_curriculums_own_answers_are_right() -> None:
    for item in exam.items():
        assert exam.is_right(item, CALL.sub("", item.answer)), item


def test_answers_to_other_questions_are_mostly_wrong() -> None:
    """A judge that says yes to everything would pass the test above."""
    for name in exam.CATEGORIES:
        items = [item for item in exam.items() if item.category == name]
        answers = [CALL.sub("", item.answer) for item in items[1:] + items[:1]]
        right = sum(exam.is_right(item, a) for item, a in zip(items, answers, strict=True))
        assert right < 130, (name, right)  # most words have a letter once


def test_half_of_the_unknown_are_real_questions() -> None:
    rules = Counter(item.rule for item in exam.items() if item.category == "unknown")
    assert 80 <= rules["refuses"] <= 120


@pytest.mark.parametrize("category", exam.CATEGORIES)
def test_examples_are_what_training_may_show(category: str) -> None:
    found = exam.examples(category)
    assert len(found) == 3
    prompts = {item.messages[0]["content"] for item in exam.items() if item.category == category}
    assert not prompts & {question for question, _ in found}


@pytest.mark.parametrize(
    ("rule", "right", "answer", "verdict"),
    [
        ("says", ("Paris",), "The capital of France is Paris.", True),
        ("says", ("Paris",), "It is paris", True),
        ("says", ("Paris",), "It is Parish.", False),
        ("says", ("Paris",), "", False),
        ("says", ("Paris",), "I do not know Paris.", False),
        ("says", ("in rivers", "rivers"), "They live by rivers.", True),
        ("begins", ("Tom",), "Tom gave Mira the kite.", True),
        ("begins", ("Tom",), "Mira gave Tom the kite.", False),
        ("number", ("12",), "7 plus 5 is 12.", True),
        ("number", ("12",), "seven plus five is twelve", True),
        ("number", ("12",), "12 minus 5 is 7.", False),
        ("number", ("21",), "That is twenty-one.", True),
        ("number", ("1234.5",), "The answer is 1234.5.", True),
        ("number", ("0",), "There are no apples left.", True),
        ("number", ("3",), "no idea", False),
        ("spells", ("c-a-t",), "The word cat is spelled c-a-t.", True),
        ("spells", ("c-a-t",), "It is spelled c-a-t-s.", False),
        ("spells", ("c-a-t",), "cat", False),
        ("exactly", ("PEAR",), "PEAR.", True),
        ("exactly", ("PEAR",), "Pear", False),
        ("option", ("B",), "It is Paris. The answer is B) Paris.", True),
        ("option", ("B",), "B", True),
        ("option", ("B",), "A) Rome", False),
        ("list", ("2", "owl", "hen"), "Hen and owl.", True),
        ("list", ("2", "owl", "hen"), "1. Owl\n2. Hen", True),
        ("list", ("2", "owl", "hen"), "Owl and owl.", False),
        ("list", ("2", "owl", "hen"), "Owl, hen, and owl.", False),
        ("list", ("2", "owl", "hen"), "Owl and trout.", False),
        ("repeats", ("3", "bell"), "Bell bell bell", True),
        ("repeats", ("3", "bell"), "bell bell", False),
        ("tells", ("Mira",), "Mira ran. She fell. She laughed.", True),
        ("tells", ("Mira",), "Tom ran. He fell. He laughed.", False),
        ("tells", ("Mira",), "Mira ran.", False),
        ("refuses", (), "I do not know. I have never heard of Blorland.", True),
        ("refuses", (), "The capital of Blorland is Rome.", False),
    ],
)
def test_judges(rule: str, right: tuple[str, ...], answer: str, verdict: bool) -> None:
    assert is_right(rule, right, answer) is verdict  # type: ignore[arg-type]


# -- what is held out ---------------------------------------------------------------------------


def test_a_fifth_is_held_out() -> None:
    facts = {f.key: f for name in TOPICS for s in subjects(name) for f in topic(name)[s]}
    share = sum(not fact.taught for fact in facts.values()) / len(facts)
    assert abs(share - 1 / SHARE) < 0.05
    assert abs(len(spelled_words(True)) / len(vocabulary()) - 1 / SHARE) < 0.05
    assert [held_out("word", word) for word in ("garden", "kite", "moon", "pencil")] == [
        held_out("word", word) for word in ("garden", "kite", "moon", "pencil")
    ]


def test_sums_are_held_out_in_either_order() -> None:
    for a in range(13):
        for b in range(13):
            assert is_kept(a, "+", b) == is_kept(b, "+", a)
            assert is_kept(a, "*", b) == is_kept(b, "*", a)


def test_phrasings_of_the_exam_are_no_phrasings_of_training() -> None:
    for name in ("facts.txt", "talk.txt"):
        told = sections(name)
        for heading in told:
            if heading.endswith(" ask anew"):
                taught = set(told[heading.removesuffix(" anew")])
                assert not taught & set(told[heading]), heading


# -- that training never shows it -----------------------------------------------------------------


class Shown:
    """What the exam asks, to be looked for in training text."""

    def __init__(self) -> None:
        self.single: set[str] = set()
        self.talks: set[tuple[str, ...]] = set()
        self.by_words: dict[tuple[str, ...], list[str]] = {}
        for item in exam.items():
            users = tuple(asked(m["content"]) for m in item.messages if m["role"] == "user")
            if len(users) > 1:
                self.talks.add(users)
                continue
            self.single.add(users[0])
            words = tuple(users[0].split())
            self.by_words.setdefault(words[:NGRAM], []).append(users[0])
        self.lengths = sorted({len(words) for words in self.by_words})
        self.kept = {"-".join(word) for word in spelled_words(True)}
        backwards = {word[::-1] for word in spelled_words(True)} - set(vocabulary())
        self.kept |= {"-".join(word) for word in backwards}

    def in_talk(self, messages: tuple[dict[str, str], ...]) -> str | None:
        users = [asked(m["content"]) for m in messages if m["role"] == "user"]
        for one in users:
            if one in self.single:
                return one
        windows = {tuple(users[i:j]) for j in range(len(users) + 1) for i in range(j)}
        return next((" / ".join(window) for window in windows & self.talks), None)

    def in_text(self, text: str) -> str | None:
        words = text.lower().split()
        for length in self.lengths:
            grams = set(zip(*(words[i:] for i in range(length)), strict=False))
            for gram in grams & self.by_words.keys():
                plain = " ".join(words)
                for question in self.by_words[gram]:
                    if f"{question}?" in plain or f"{question}." in plain:
                        return question
        return None

    def spelled(self, text: str) -> set[str]:
        uncounted = re.sub(r"(?<=\b[a-z])\d+", "", text.lower())  # "b-a1-n-a2" spells too
        return self.kept & set(re.findall(r"\b[a-z](?:-[a-z])+\b", uncounted))


SUM = re.compile(r"(\d+) (plus|minus|times|[-+×*]) (\d+)(?![.\d]* [-+×*÷/])")
SIGNS = {"plus": "+", "minus": "-", "times": "*", "×": "*"}
DIGITS = {in_words(number): str(number) for number in range(101)}
NUMBER_WORDS = re.compile(rf"\b({'|'.join(sorted(DIGITS, key=len, reverse=True))})\b")


def kept_sums(text: str) -> list[str]:
    """The sums in a text that only the exam may have."""
    found = []
    text = NUMBER_WORDS.sub(lambda m: DIGITS[m[0]], text.lower())
    for a, sign, b in SUM.findall(text):
        plain = SIGNS.get(sign, sign)
        in_head = int(a) <= 20 and int(b) <= 20 if plain in "+-" else int(b) <= 10
        if in_head and int(a) <= 100 and is_kept(int(a), plain, int(b)):
            found.append(f"{a} {sign} {b}")
    return found


def training_text(seed: int, size: int) -> Iterator[tuple[str, tuple[dict[str, str], ...]]]:
    """About `size` bytes, half of them documents and half conversations."""
    done, index = 0, 0
    while done < size:
        text = document(seed, index).text
        messages = conversation(seed, index).messages + conversation(seed + 1, index).messages
        yield text, messages
        done += len(text) + sum(len(m["content"]) for m in messages)
        index += 1


def assert_never_shown(size: int) -> None:
    shown = Shown()
    for text, messages in training_text(11, size):
        assert shown.in_text(text) is None, text
        assert shown.in_talk(messages) is None, messages
        said = "\n".join(m["content"] for m in messages)
        for part in (text, said):
            assert not shown.spelled(part), part
            assert not kept_sums(part), part


def test_training_never_shows_the_exam() -> None:
    assert_never_shown(3_000_000)


@pytest.mark.slow
def test_200_megabytes_of_training_never_show_the_exam() -> None:
    assert_never_shown(200_000_000)


def test_the_search_finds_what_is_shown() -> None:
    shown = Shown()
    item = next(i for i in exam.items() if i.category == "facts")
    question = item.messages[0]["content"]
    assert shown.in_text(f"Here is a page. {question} And so on.")
    assert shown.in_talk(({"role": "user", "content": question.upper()},))
    word = spelled_words(True)[0]
    assert shown.spelled(f"The word is spelled {'-'.join(word)}.")
    assert shown.spelled("Counted: " + "-".join(f"{c}{i}" for i, c in enumerate(word, start=1)))
    a, b = next((a, b) for a in range(2, 9) for b in range(2, 9) if is_kept(a, "+", b))
    assert kept_sums(f"We say {a} plus {b} is {a + b}.")


def test_held_out_stories_people_and_names_stay_out() -> None:
    names = sections("cast.txt")["girls"] + sections("cast.txt")["boys"]
    kept = [name for name in names if held_out("memory", f"name {name}")]
    assert kept
    told = re.compile(rf"(?:[Mm]y name is|They call me|You can call me) (?:{'|'.join(kept)})\b")
    for index in range(3000):
        said = " ".join(m["content"] for m in conversation(5, index).messages)
        assert not told.search(said), said
    assert rows("rhymes.txt")
