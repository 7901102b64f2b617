"""Lab 9: train on the exam, and see why the score is worthless."""

import random
import re
from collections.abc import Iterator

from firstwords.conversation import Messages
from firstwords.data.starter import document
from firstwords.data.starter.exam import Item, is_right, items_of
from firstwords.labs import school
from firstwords.labs.folder import Folder
from firstwords.labs.lab import Finding, Outcome, Setting, right, told, wrong
from firstwords.labs.lessons import Pupil, old_talks, pupil, taught

FILE = "overlap.py"
CATEGORY, ITEMS = "facts", 80  # half of which leak
STEPS, REPLAY, LR_SCALE = 100, 0.2, 0.6
WORDS = 5
TRIALS, TEXTS = 40, 60


def exercise(folder: Folder) -> Iterator[Finding]:
    contaminated = folder.function(FILE, "contaminated")
    rng = random.Random(0)
    questions = [item.messages[-1]["content"] for item in items_of(CATEGORY, ITEMS)]
    for trial in range(TRIALS):
        training = [document(trial, index).text for index in range(TEXTS)]
        n = rng.choice([3, 5, 8])
        for question in rng.sample(questions, 10):
            training[rng.randrange(TEXTS)] += " " + _disguised(question, n, rng)
        expected = contaminated_ones(questions, training, n)
        found = contaminated(list(questions), list(training), n)
        if not isinstance(found, list) or len(found) != len(questions):
            yield wrong("contaminated gives no list as long as the questions", "True or False each")
            return
        for question, mine, real in zip(questions, found, expected, strict=True):
            if bool(mine) != real:
                yield wrong(
                    f"with n = {n}, {question!r} {'is' if real else 'is not'} contaminated",
                    "words are lower-case stretches of letters and digits; the stretch of n words "
                    "may begin anywhere in the question, but not reach from one text into another",
                )
                return
    yield right(f"contaminated is right for {TRIALS} sets of {len(questions)} questions")


def _disguised(question: str, n: int, rng: random.Random) -> str:
    """The question as it may stand in a text: with other capitals and signs, or a part of it."""
    words = question.split()
    first = rng.randrange(max(1, len(words) - n + 1))
    part = words[first : first + rng.choice([n - 1, n, n + 1])]
    return rng.choice([question, question.upper(), " - ".join(part), " ".join(part).lower()])


def words_of(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text.lower())


def contaminated_ones(questions: list[str], training: list[str], n: int) -> list[bool]:
    texts = [words_of(text) for text in training]
    found = []
    seen: dict[int, set[tuple[str, ...]]] = {}
    for words in map(words_of, questions):
        size = min(n, len(words))
        if size not in seen:
            seen[size] = {stretch for text in texts for stretch in stretches(text, size)}
        found.append(any(stretch in seen[size] for stretch in stretches(words, size)))
    return found


def stretches(words: list[str], size: int) -> Iterator[tuple[str, ...]]:
    return (tuple(words[i : i + size]) for i in range(len(words) - size + 1))


def experiment(folder: Folder, setting: Setting) -> Iterator[Finding | Outcome]:
    contaminated = folder.function(FILE, "contaminated")
    run = school.asked(setting)
    items = items_of(CATEGORY, ITEMS)
    leaked, fresh = items[::2], items[1::2]
    lesson = [_with_answer(item) for item in leaked]
    before = pupil(run)
    steps = setting.scaled(STEPS)
    after = taught(run, lesson, old_talks(run, "train"), REPLAY, steps=steps, lr_scale=LR_SCALE)
    for name, questions in (("leaked", leaked), ("fresh", fresh)):
        scores = (f"{score(one, questions):.0%}" for one in (before, after))
        yield Outcome(name, " before, ".join(scores) + " after")
    yield told(f"as a whole: {score(before, items):.0%} before, {score(after, items):.0%} after")
    texts = [message["content"] for talk in lesson for message in talk]
    for name, questions in (("leaked", leaked), ("fresh", fresh)):
        found = contaminated([item.messages[-1]["content"] for item in questions], texts, WORDS)
        yield told(f"with {WORDS} words in a row you find {sum(found)} of {len(found)} {name} ones")


def _with_answer(item: Item) -> Messages:
    return [*map(dict, item.messages), {"role": "assistant", "content": item.answer}]


def score(one: Pupil, items: tuple[Item, ...]) -> float:
    answers = one.answers([[*map(dict, item.messages)] for item in items])
    return sum(map(is_right, items, answers)) / len(items)
