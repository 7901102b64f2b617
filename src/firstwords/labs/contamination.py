"""Lab 9: train on the exam, and see why the score is worthless."""

import random
import re
import statistics
from collections.abc import Iterator

from firstwords.data.starter import document
from firstwords.data.starter.exam import ExamItem, is_right, items_of
from firstwords.labs.finetuning import (
    FinetunedModel,
    finetune_on,
    load_finetuned,
    run_conversations,
)
from firstwords.labs.folder import LabFolder
from firstwords.labs.lab import ExperimentResult, LabFinding, LabSettings, failed, info, passed
from firstwords.labs.small_model_run import open_trained_run
from firstwords.tokenizer.chat_format import Messages

FILE = "overlap.py"
CATEGORY, N_ITEMS = "facts", 80  # half of them leak
STEPS, REPLAY_FRACTION, LR_SCALE = 100, 0.2, 0.6
N_WORDS = 5
N_TRIALS, N_TEXTS = 40, 60


def exercise(folder: LabFolder) -> Iterator[LabFinding]:
    """Check `contaminated` on random training texts with hidden exam questions."""
    contaminated = folder.function(FILE, "contaminated")
    rng = random.Random(0)
    questions = [item.messages[-1]["content"] for item in items_of(CATEGORY, N_ITEMS)]
    for trial in range(N_TRIALS):
        training = [document(trial, index).text for index in range(N_TEXTS)]
        n = rng.choice([3, 5, 8])
        for question in rng.sample(questions, 10):
            training[rng.randrange(N_TEXTS)] += " " + _disguise(question, n, rng)
        expected = find_contaminated(questions, training, n)
        actual = contaminated(list(questions), list(training), n)
        if not isinstance(actual, list) or len(actual) != len(questions):
            yield failed(
                "contaminated does not return a list as long as the questions",
                "return one bool for each question",
            )
            return
        for question, marked, is_contaminated in zip(questions, actual, expected, strict=True):
            if bool(marked) != is_contaminated:
                verb = "is" if is_contaminated else "is not"
                yield failed(
                    f"with n = {n}, {question!r} {verb} contaminated",
                    "a word is a run of letters and digits in lower case; n consecutive words may "
                    "start anywhere in the question, but all must be in one text",
                )
                return
    yield passed(f"contaminated is right for {N_TRIALS} sets of {len(questions)} questions")


def _disguise(question: str, n: int, rng: random.Random) -> str:
    """Return the question with other capitals or punctuation, or a part of it."""
    words = question.split()
    first = rng.randrange(max(1, len(words) - n + 1))
    part = words[first : first + rng.choice([n - 1, n, n + 1])]
    return rng.choice([question, question.upper(), " - ".join(part), " ".join(part).lower()])


def split_words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text.lower())


def find_contaminated(questions: list[str], training: list[str], n: int) -> list[bool]:
    """Return for each question whether `n` of its consecutive words are in a training text; for a
    shorter question, all of its words."""
    texts = [split_words(text) for text in training]
    contaminated = []
    ngrams: dict[int, set[tuple[str, ...]]] = {}  # of the training texts, by their size
    for words in map(split_words, questions):
        size = min(n, len(words))
        if size not in ngrams:
            ngrams[size] = {ngram for text in texts for ngram in word_ngrams(text, size)}
        contaminated.append(any(ngram in ngrams[size] for ngram in word_ngrams(words, size)))
    return contaminated


def word_ngrams(words: list[str], size: int) -> Iterator[tuple[str, ...]]:
    return (tuple(words[i : i + size]) for i in range(len(words) - size + 1))


def experiment(folder: LabFolder, settings: LabSettings) -> Iterator[LabFinding | ExperimentResult]:
    """Finetune on half of an exam, and compare the scores on both halves."""
    contaminated = folder.function(FILE, "contaminated")
    run = open_trained_run(settings)
    items = items_of(CATEGORY, N_ITEMS)
    leaked, fresh = items[::2], items[1::2]
    conversations = [_with_answer(item) for item in leaked]
    before = load_finetuned(run)
    after = finetune_on(
        run,
        conversations,
        run_conversations(run, "train"),
        REPLAY_FRACTION,
        steps=settings.scaled(STEPS),
        lr_scale=LR_SCALE,
    )
    scores = []
    for name, half in (("leaked", leaked), ("fresh", fresh)):
        scores.append((exam_score(before, half), exam_score(after, half)))
        yield ExperimentResult(name, "{:.0%} before, {:.0%} after".format(*scores[-1]))
    total = [statistics.fmean(score) for score in zip(*scores, strict=True)]
    yield info(f"the whole exam: {total[0]:.0%} before, {total[1]:.0%} after")
    texts = [message["content"] for messages in conversations for message in messages]
    for name, half in (("leaked", leaked), ("fresh", fresh)):
        marks = contaminated([item.messages[-1]["content"] for item in half], texts, N_WORDS)
        yield info(
            f"by {N_WORDS} consecutive words you find {sum(marks)} of {len(marks)} {name} questions"
        )


def _with_answer(item: ExamItem) -> Messages:
    return [*map(dict, item.messages), {"role": "assistant", "content": item.answer}]


def exam_score(model: FinetunedModel, items: tuple[ExamItem, ...]) -> float:
    """Return the share of right answers."""
    answers = model.answers([[*map(dict, item.messages)] for item in items])
    return sum(map(is_right, items, answers)) / len(items)
