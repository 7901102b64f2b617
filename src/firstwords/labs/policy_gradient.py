"""Lab 11: reinforcement learning with and without a baseline, and a reward with a hole."""

import random
import statistics
from collections import Counter
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from firstwords.common import console, devices
from firstwords.data.dataloader import BatchSampler, PaddingRows
from firstwords.data.starter.rng import choose, seeded_rng
from firstwords.labs.folder import LabFolder
from firstwords.labs.lab import ExperimentResult, LabFinding, LabSettings, failed, info, passed
from firstwords.labs.small_model_run import country_facts, open_trained_run
from firstwords.model import hf_format
from firstwords.recipe import RLConfig
from firstwords.rl.advantage import advantages as expected_advantages
from firstwords.rl.questions import Draw, Question, grade
from firstwords.rl.rollouts import RolloutBatches
from firstwords.runs.datasets import load_tokenizer
from firstwords.runs.run import Run
from firstwords.training.loop import train
from firstwords.training.setup import build

FILE = "policy.py"
STEPS, QUESTIONS, GROUP_SIZE = 40, 4, 16
N_ANSWERS = QUESTIONS * GROUP_SIZE  # of a step
LR_SCALE = 0.1
MAX_ANSWER_TOKENS = 24
TEST_STEPS = 4  # whose questions are asked before and after training
N_TRIALS, N_SHOWN = 100, 6
WORDINGS = {  # none of them is in the training data, so the model is unsure
    "capital": (
        "Capital of {s}?",
        "Quick question: {s}, which capital?",
        "{s} has a capital. Its name?",
        "Where does the government of {s} sit?",
    ),
    "continent": (
        "Continent of {s}?",
        "Quick question: {s}, which continent?",
        "{s} is on a continent. Its name?",
        "On which part of the globe do I look for {s}?",
    ),
}
Advantages = Callable[[np.ndarray], np.ndarray]
AnswerReward = Callable[[bool, str], float]


def exercise(folder: LabFolder) -> Iterator[LabFinding]:
    """Check `advantages` on random rewards, and `short_and_right` on answers of each sort."""
    finding = _check_advantages(folder.function(FILE, "advantages"))
    yield finding
    if finding.passed:
        yield from _check_reward(folder.function(FILE, "short_and_right"))


def _check_advantages(advantages: Advantages) -> LabFinding:
    rng = np.random.default_rng(0)
    for trial in range(N_TRIALS):
        shape = (2, 3) if trial == 0 else tuple(rng.integers(2, 6, 2))
        rewards_QG = rng.choice([0.0, 1.0], shape) if trial % 2 else rng.normal(size=shape)
        actual, expected = advantages(rewards_QG.copy()), expected_advantages(rewards_QG)
        if not isinstance(actual, np.ndarray) or actual.shape != expected.shape:
            return failed(
                "advantages does not return an array of the shape of its argument",
                "it has one number for each reward, not one for each question",
            )
        if not np.allclose(actual, expected, atol=1e-9):
            call = f"advantages({_listed(rewards_QG)})"
            return failed(f"{call} is {_listed(actual)}", _advantage_hint(actual))
    return passed(f"advantages is right for {N_TRIALS} arrays of rewards")


def _listed(array_QG: np.ndarray) -> str:
    return str(np.round(array_QG, 2).tolist())


def _advantage_hint(actual_QG: np.ndarray) -> str:
    if not np.allclose(actual_QG.sum(axis=1), 0, atol=1e-6):
        return "each row is one question's group, and its advantages add up to 0"
    return "it is the distance from the mean alone: do not divide by anything"


def _check_reward(reward: AnswerReward) -> Iterator[LabFinding]:
    long, short = "The capital of France is the city of Paris.", "Paris."
    if reward(True, short) <= reward(True, long):
        hint = "among right answers, fewer words are worth more"
        yield failed("a short right answer is not worth more than a long one", hint)
        return
    for answer in ("", "Asia.", "Paris."):
        if reward(False, answer) >= reward(True, long):
            hint = "a wrong answer must be worth less than any right one, however short it is"
            yield failed(f"the wrong answer {answer!r} is worth as much as a long right one", hint)
            return
    rng = random.Random(0)
    values = {reward(False, "no " * rng.randint(0, 30)) for _ in range(N_TRIALS)}
    if len(values) > 1:
        hint = "if all answers of a group are wrong, their length must not teach anything"
        yield failed("some wrong answers are worth more than others", hint)
        return
    yield passed("short_and_right has no hole for short wrong answers")


class SeenAnswer(NamedTuple):
    """An answer that a reward was asked about."""

    question: str
    text: str
    is_right: bool

    @property
    def n_words(self) -> int:
        return len(self.text.split())


class RecordingReward:
    """Rewards answers by a function, and records them in order."""

    def __init__(self, function: AnswerReward) -> None:
        self._function = function
        self.seen: list[SeenAnswer] = []

    def score(self, question: Question, answer: str) -> float:
        is_right = grade(question, answer) == 1
        self.seen.append(SeenAnswer(question.messages[-1]["content"], answer, is_right))
        return float(self._function(is_right, answer))


class TrainedPolicy(NamedTuple):
    """Answers to the same questions before and after training, and those of each step between."""

    before: list[SeenAnswer]
    after: list[SeenAnswer]
    steps: list[list[SeenAnswer]]


def fewest_words(is_right: bool, answer: str) -> float:
    """A reward for short answers, with a hole: it does not ask whether they are right."""
    return -float(len(answer.split()))


def rewards_alone(rewards_QG: np.ndarray) -> np.ndarray:
    """Advantages without a baseline."""
    return rewards_QG


def country_questions(seed: int) -> Draw:
    """Return random questions about the countries of the labs' small model, in words new to it."""
    facts = country_facts()

    def draw(index: int) -> Question:
        rng = seeded_rng(seed, "lab 11", index)
        fact = choose(rng, facts)
        text = choose(rng, WORDINGS[fact.relation]).format(s=fact.slots["s"])
        return Question("countries", [{"role": "user", "content": text}], "answers", fact.values)

    return draw


def train_policy(
    run: Run, reward: AnswerReward, advantages: Advantages, label: str, settings: LabSettings
) -> TrainedPolicy:
    """Train a copy of a run's finetuned model on its own answers, and return them."""
    steps, test_steps = settings.scaled(STEPS), settings.scaled(TEST_STEPS)
    config = RLConfig(
        steps=steps,
        batch_size=N_ANSWERS + 1,
        group_size=GROUP_SIZE,
        sft_rows=1,
        micro_batch_size=GROUP_SIZE,
        seq_len=run.recipe.model.max_seq_len,
        max_answer_tokens=MAX_ANSWER_TOKENS,
        lr_scale=LR_SCALE,
        warmup_steps=0,
    )
    recipe = run.recipe.replace(rl=config, compile=False)
    devices.configure_torch(recipe.n_threads)
    model = hf_format.load_model(run.finished_or_fail("sft").directory)
    state = build(recipe, model, stage=config)
    recording = RecordingReward(reward)
    # Nothing but the rewards teaches the model: no rows continue finetuning.
    padding = BatchSampler(PaddingRows(config.seq_len), config.sft_rows, recipe.seed)
    draw = country_questions(recipe.seed)
    tokenizer = load_tokenizer(run)
    batches = RolloutBatches(
        model, model, tokenizer, config, recipe.seed, draw, recording, padding, advantages
    )

    def test_answers() -> list[SeenAnswer]:
        start = len(recording.seen)
        for step in range(steps, steps + test_steps):  # no questions of training
            batches.rollouts(step)
        return recording.seen[start:]

    before = test_answers()
    with console.progress(label, steps, "steps") as meter:
        for _ in train(state, batches, config):
            meter.advance(1, f"reward {batches.metrics['reward']:.2f}")
    trained = [
        recording.seen[start : start + N_ANSWERS]
        for start in range(len(before), len(recording.seen), N_ANSWERS)
    ]
    return TrainedPolicy(before, test_answers(), trained)


def experiment(folder: LabFolder, settings: LabSettings) -> Iterator[LabFinding | ExperimentResult]:
    """Train with and without the baseline on a reward with a hole, then on the learner's."""
    advantages = folder.function(FILE, "advantages")
    own_reward = folder.function(FILE, "short_and_right")
    run = open_trained_run(settings)
    found: dict[str, TrainedPolicy] = {}
    for label, method, reward in (
        ("with the mean", advantages, fewest_words),
        ("without it", rewards_alone, fewest_words),
        ("your reward", advantages, own_reward),
    ):
        found[label] = train_policy(run, reward, method, label, settings)
        yield info(f"{label}, right answers: {_curve(found[label])}")
        texts = Counter(answer.text for answer in found[label].after)
        ((text, count),) = texts.most_common(1)
        yield info(f"{label}, {count} of {texts.total()} answers at the end: {text!r}")
    holed, raw, closed = found.values()
    yield ExperimentResult(
        "baseline",
        f"{_words(holed.before):.1f} before, {_words(holed.after):.1f} with it, "
        f"{_words(raw.after):.1f} without",
    )
    fewest = min((one.n_words for one in holed.before if one.is_right), default=0)
    cheap = [
        statistics.fmean(not one.is_right and one.n_words < fewest for one in answers)
        for answers in (holed.before, holed.after)
    ]
    yield ExperimentResult("hole", f"{cheap[0]:.0%} before, {cheap[1]:.0%} after")
    yield ExperimentResult(
        "closed",
        f"{_right(holed.before):.0%} before, {_right(holed.after):.0%} with the hole, "
        f"{_right(closed.after):.0%} with your reward",
    )


def _words(answers: list[SeenAnswer]) -> float:
    return statistics.fmean(answer.n_words for answer in answers)


def _right(answers: list[SeenAnswer]) -> float:
    return statistics.fmean(answer.is_right for answer in answers)


def _curve(policy: TrainedPolicy) -> str:
    """Return the share of right answers at some steps, evenly spaced."""
    last = len(policy.steps) - 1
    places = [round(i * last / (N_SHOWN - 1)) for i in range(N_SHOWN)]
    return "  ".join(f"{_right(policy.steps[place]):.0%}" for place in places)
