"""Lab 8: a finetuning that adds your name and a new fact, and keeps what was there."""

from collections.abc import Iterator
from itertools import islice
from typing import Annotated

from pydantic import Field, StringConstraints

from firstwords.conversation import InvalidConversation, Messages, validate
from firstwords.data.starter.holdout import asked
from firstwords.data.starter.phrase import fill, sections, source
from firstwords.data.starter.turn import is_right
from firstwords.errors import UserError
from firstwords.labs import school
from firstwords.labs.folder import Folder
from firstwords.labs.lab import Finding, Outcome, Setting, right, wrong
from firstwords.labs.lessons import Pupil, old_talks, pupil, taught
from firstwords.recipe import Fixed, parse

LESSON, TALKS = "lesson.toml", "lesson.jsonl"
FEWEST = 6  # conversations about each
MOST_STEPS = 200
LEFT = 5  # questions that must be left to ask
KNOWN, KEPT = 0.75, 0.8  # shares of right answers to pass: to new questions; of those before
WHO = (
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
OLD_QUESTIONS = 160
COUNTRY = {"s": "Zembria", "o": "Zembria's"}


Word = Annotated[str, StringConstraints(strip_whitespace=True)]


class Lesson(Fixed):
    name: Word
    capital: Word
    steps: int = Field(ge=1, le=MOST_STEPS)
    lr_scale: float = Field(gt=0, le=3)
    replay: float = Field(ge=0, lt=1)


def exercise(folder: Folder) -> Iterator[Finding]:
    lesson, talks = lesson_of(folder), talks_of(folder)
    if any("TODO" in message["content"] for talk in talks for message in talk):
        yield wrong(f"there is a TODO left in {TALKS}", "write what the model is to say")
        return
    for what, value in (("name", lesson.name), ("capital", lesson.capital)):
        about = [talk for talk in talks if _says(talk, value)]
        if not value:
            yield wrong(f"{what} is empty in {LESSON}", "write it between the quotation marks")
        elif len(about) < FEWEST:
            yield wrong(
                f"{len(about)} conversations of {TALKS} say {value}",
                f"write {FEWEST} or more, each asking in other words, or one wording is learned",
            )
        elif len(_questions(talks)[what]) < LEFT:
            yield wrong(
                f"{TALKS} has nearly all questions about the {what} that are asked afterwards",
                f"leave out {LEFT} at least: who has seen the exam shows nothing by passing it",
            )
        else:
            yield right(f"{len(about)} conversations say {value}")


def lesson_of(folder: Folder) -> Lesson:
    lesson: Lesson = parse(Lesson, folder.document(LESSON), folder.path / LESSON)
    return lesson


def talks_of(folder: Folder) -> list[Messages]:
    talks = []
    for number, line in enumerate(folder.json_lines(TALKS), 1):
        messages = line.get("messages") if isinstance(line, dict) else None
        try:
            talks.append(validate(messages))
        except InvalidConversation as error:
            raise UserError(
                f"{folder.path / TALKS}, conversation {number}", f"{error}; mend it"
            ) from None
    return talks


def _says(talk: Messages, value: str) -> bool:
    return any(m["role"] == "assistant" and value in m["content"] for m in talk)


def _questions(talks: list[Messages]) -> dict[str, list[str]]:
    """What is asked afterwards about the name and the capital: nothing that the learner wrote."""
    r = source(0, "lab", 8)
    facts = sections("facts.txt")
    wordings = [*facts["capital ask"], *facts["capital ask anew"]]
    found = {"name": list(WHO), "capital": [fill(r, one, COUNTRY) for one in wordings]}
    written = {asked(m["content"]) for talk in talks for m in talk if m["role"] == "user"}
    return {
        what: [question for question in questions if asked(question) not in written]
        for what, questions in found.items()
    }


def experiment(folder: Folder, setting: Setting) -> Iterator[Finding | Outcome]:
    lesson, talks = lesson_of(folder), talks_of(folder)
    run = school.asked(setting)
    known = _known(pupil(run), old_talks(run, "val"))
    changes = {"steps": setting.scaled(lesson.steps), "lr_scale": lesson.lr_scale}
    after = taught(run, talks, old_talks(run, "train"), lesson.replay, **changes)
    for what, value in (("name", lesson.name), ("capital", lesson.capital)):
        questions = _questions(talks)[what]
        answers = after.answers([_asking(question) for question in questions])
        marks = [is_right("mentions", (value,), answer) for answer in answers]
        share = sum(marks) / len(marks)
        yield Outcome(what, f"{share:.0%} of {len(marks)} questions that are not in {TALKS}")
        place = marks.index(share >= KNOWN)
        said = f"{questions[place]} {answers[place]}"
        if share >= KNOWN:
            yield right(f"it knows the {what}: {said}")
        else:
            yield wrong(
                f"it does not know the {what} yet: {said}",
                "ask in more words of your own, take more steps, or a higher lr_scale",
            )
    yield from _forgotten(after, known)


def _forgotten(after: Pupil, known: list[Messages]) -> Iterator[Finding | Outcome]:
    if not known:
        yield Outcome("kept", "it knew nothing: no held-out answer was right, word for word")
        return
    answers = after.answers([[question] for question, _ in known])
    expected = [answer["content"] for _, answer in known]
    lost = [place for place, answer in enumerate(answers) if answer != expected[place]]
    kept = 1 - len(lost) / len(known)
    yield Outcome("kept", f"{kept:.0%} of {len(known)}")
    if kept >= KEPT:
        yield right("what it knew before is still there")
    else:
        yield wrong(
            f"it has forgotten: {known[lost[0]][0]['content']} {answers[lost[0]]}",
            "give it old conversations beside the new ones (replay), or fewer steps",
        )


def _asking(question: str) -> Messages:
    return [{"role": "user", "content": question}]


def _known(pupil: Pupil, talks: Iterator[Messages]) -> list[Messages]:
    """The beginnings of held-out conversations, question and answer, where the pupil's answer is
    word for word what stands there."""
    firsts = [talk[:2] for talk in islice(talks, OLD_QUESTIONS) if talk[0]["role"] == "user"]
    answers = pupil.answers([[question] for question, _ in firsts])
    return [t for t, answer in zip(firsts, answers, strict=True) if t[1]["content"] == answer]
