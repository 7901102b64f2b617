"""Lab 8: a finetuning that adds your name and a new fact, and keeps what the model knew."""

from collections.abc import Iterator
from itertools import islice
from typing import Annotated

from pydantic import Field, StringConstraints

from firstwords.common.errors import UserError
from firstwords.common.schema import FrozenModel, parse
from firstwords.data.starter.grading import is_right
from firstwords.data.starter.holdout import question_key
from firstwords.data.starter.rng import seeded_rng
from firstwords.data.starter.tables import table_sections
from firstwords.data.starter.templates import fill_template
from firstwords.labs.finetuning import (
    FinetunedModel,
    finetune_on,
    load_finetuned,
    run_conversations,
)
from firstwords.labs.folder import LabFolder
from firstwords.labs.lab import ExperimentResult, LabFinding, LabSettings, failed, passed
from firstwords.labs.small_model_run import open_trained_run
from firstwords.tokenizer.chat_format import InvalidConversation, Messages, validate_messages

LESSON, CONVERSATIONS = "lesson.toml", "lesson.jsonl"
MIN_CONVERSATIONS = 6  # about the name, and about the capital
MIN_QUESTIONS = 5  # of the checker that the learner did not write
MAX_STEPS = 200
MIN_KNOWN, MIN_KEPT = 0.75, 0.8  # shares of right answers to new and to old questions
NAME_QUESTIONS = (
    "Who made you?",
    "Who trained you?",
    "Who built you?",
    "Who created you?",
    "Who is your maker?",
    "Who was it that made you?",
    "Who was it that trained you?",
    "By whom were you made?",
    "Tell me who created you.",
    "Excuse me, who built you?",
    "Please tell me who trained you.",
    "I would like to know who made you.",
    "Who is the one who created you?",
    "Who is the person who trained you?",
)
N_OLD_QUESTIONS = 160
COUNTRY = {"s": "Zembria", "o": "Zembria's"}

Word = Annotated[str, StringConstraints(strip_whitespace=True)]


class Lesson(FrozenModel):
    """The content of lesson.toml: what the model shall say, and how it is finetuned."""

    name: Word
    capital: Word
    steps: int = Field(ge=1, le=MAX_STEPS)
    lr_scale: float = Field(gt=0, le=3)
    replay_fraction: float = Field(ge=0, lt=1)


def exercise(folder: LabFolder) -> Iterator[LabFinding]:
    """Check that the conversations teach both facts and leave questions for the experiment."""
    lesson, conversations = load_lesson(folder), load_conversations(folder)
    if any("TODO" in message["content"] for messages in conversations for message in messages):
        yield failed(f"{CONVERSATIONS} still has a TODO", "write what the model shall say")
        return
    for topic, value in (("name", lesson.name), ("capital", lesson.capital)):
        n_teaching = sum(_mentions(messages, value) for messages in conversations)
        if not value:
            yield failed(f"{topic} is empty in {LESSON}", "write it between the quotation marks")
        elif n_teaching < MIN_CONVERSATIONS:
            yield failed(
                f"{n_teaching} conversations of {CONVERSATIONS} mention {value}",
                f"write at least {MIN_CONVERSATIONS}, each with another wording of the question",
            )
        elif len(_new_questions(conversations)[topic]) < MIN_QUESTIONS:
            yield failed(
                f"{CONVERSATIONS} has nearly all questions about the {topic} that are asked "
                "afterwards",
                f"remove some so that at least {MIN_QUESTIONS} are new; a test on training "
                "questions shows nothing",
            )
        else:
            yield passed(f"{n_teaching} conversations mention {value}")


def load_lesson(folder: LabFolder) -> Lesson:
    """Read lesson.toml. Raises UserError."""
    lesson: Lesson = parse(Lesson, folder.document(LESSON), folder.path / LESSON)
    return lesson


def load_conversations(folder: LabFolder) -> list[Messages]:
    """Read lesson.jsonl. Raises UserError."""
    conversations = []
    for number, line in enumerate(folder.json_lines(CONVERSATIONS), 1):
        messages = line.get("messages") if isinstance(line, dict) else None
        try:
            conversations.append(validate_messages(messages))
        except InvalidConversation as error:
            raise UserError(
                f"{folder.path / CONVERSATIONS}, conversation {number}: {error}", "fix it"
            ) from None
    return conversations


def _mentions(messages: Messages, value: str) -> bool:
    """Return whether the assistant says `value` in a conversation."""
    return any(m["role"] == "assistant" and value in m["content"] for m in messages)


def _new_questions(conversations: list[Messages]) -> dict[str, list[str]]:
    """Return questions about the name and the capital that the learner did not write."""
    r = seeded_rng(0, "lab", 8)
    facts = table_sections("facts.txt")
    wordings = [*facts["capital ask"], *facts["capital ask anew"]]
    questions = {
        "name": list(NAME_QUESTIONS),
        "capital": [fill_template(r, wording, COUNTRY) for wording in wordings],
    }
    written = {
        question_key(message["content"])
        for messages in conversations
        for message in messages
        if message["role"] == "user"
    }
    return {
        topic: [question for question in wordings if question_key(question) not in written]
        for topic, wordings in questions.items()
    }


def experiment(folder: LabFolder, settings: LabSettings) -> Iterator[LabFinding | ExperimentResult]:
    """Finetune, then ask new questions and those that the model answered right before."""
    lesson, conversations = load_lesson(folder), load_conversations(folder)
    run = open_trained_run(settings)
    known = _known_conversations(load_finetuned(run), run_conversations(run, "val"))
    after = finetune_on(
        run,
        conversations,
        run_conversations(run, "train"),
        lesson.replay_fraction,
        steps=settings.scaled(lesson.steps),
        lr_scale=lesson.lr_scale,
    )
    for topic, value in (("name", lesson.name), ("capital", lesson.capital)):
        questions = _new_questions(conversations)[topic]
        answers = after.answers([_as_messages(question) for question in questions])
        marks = [is_right("mentions", (value,), answer) for answer in answers]
        share = sum(marks) / len(marks)
        yield ExperimentResult(
            topic, f"{share:.0%} of {len(marks)} questions that are not in {CONVERSATIONS}"
        )
        index = marks.index(share >= MIN_KNOWN)
        example = f"{questions[index]} {answers[index]}"
        if share >= MIN_KNOWN:
            yield passed(f"it knows the {topic}: {example}")
        else:
            yield failed(
                f"it does not know the {topic} yet: {example}",
                "write more wordings of the question, take more steps, or raise lr_scale",
            )
    yield from _check_kept(after, known)


def _check_kept(
    model: FinetunedModel, known: list[Messages]
) -> Iterator[LabFinding | ExperimentResult]:
    """Ask the questions that the model answered right before the finetuning."""
    if not known:
        yield ExperimentResult("kept", "before, it answered no held-out question word for word")
        return
    answers = model.answers([[question] for question, _ in known])
    expected = [answer["content"] for _, answer in known]
    lost = [index for index, answer in enumerate(answers) if answer != expected[index]]
    kept = 1 - len(lost) / len(known)
    yield ExperimentResult("kept", f"{kept:.0%} of {len(known)}")
    if kept >= MIN_KEPT:
        yield passed("it still knows what it knew before")
    else:
        yield failed(
            f"it has forgotten: {known[lost[0]][0]['content']} {answers[lost[0]]}",
            "mix in old conversations with replay_fraction, or take fewer steps",
        )


def _as_messages(question: str) -> Messages:
    return [{"role": "user", "content": question}]


def _known_conversations(
    model: FinetunedModel, conversations: Iterator[Messages]
) -> list[Messages]:
    """Return the first question and answer of held-out conversations whose answer the model gives
    word for word."""
    firsts = [
        messages[:2]
        for messages in islice(conversations, N_OLD_QUESTIONS)
        if messages[0]["role"] == "user"
    ]
    answers = model.answers([[question] for question, _ in firsts])
    return [
        messages
        for messages, answer in zip(firsts, answers, strict=True)
        if messages[1]["content"] == answer
    ]
