"""Lab 8: a finetuning that adds your name and a new fact, and keeps what was there."""

from collections.abc import Iterator
from itertools import islice

from pydantic import Field

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
ASKED = 5  # questions that must be left to ask
KNOWN, KEPT = 0.75, 0.85  # shares of right answers to pass: to new questions; of those before
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


class Lesson(Fixed):
    name: str
    capital: str
    steps: int = Field(ge=1, le=MOST_STEPS)
    lr_scale: float = Field(gt=0, le=3)
    replay: float = Field(ge=0, lt=1)
    leave_out: str


def exercise(folder: Folder) -> Iterator[Finding]:
    lesson, talks = lesson_of(folder), talks_of(folder)
    for what, value in (("name", lesson.name), ("capital", lesson.capital)):
        if not value.strip():
            yield wrong(f"{what} is empty in {LESSON}", "write it between the quotation marks")
            continue
        if any("TODO" in message["content"] for talk in talks for message in talk):
            yield wrong(f"there is a TODO left in {TALKS}", "write what the model is to say")
            return
        about = [talk for talk in talks if _says(talk, value)]
        if len(about) < FEWEST:
            yield wrong(
                f"{len(about)} conversations of {TALKS} say {value}",
                f"write {FEWEST} or more, each asking in other words, so that it is not one "
                "question that is learned",
            )
        else:
            yield right(f"{len(about)} conversations say {value}")
    for what, questions in _questions(talks).items():
        if len(questions) < ASKED:
            yield wrong(
                f"only {len(questions)} of the questions about the {what} are not in {TALKS}",
                f"leave {ASKED} of them for the exam: who has seen all has learned nothing new",
            )


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
    known = _known(pupil(run), _kept(old_talks(run, "val"), lesson))
    old = _kept(old_talks(run, "train"), lesson)
    steps = setting.steps(lesson.steps)
    after = taught(run, talks, old, lesson.replay, steps=steps, lr_scale=lesson.lr_scale)
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
                "ask in more words of your own; more steps; and do its old conversations say "
                "something else (leave_out)?",
            )
    yield from _forgotten(after, known)


def _forgotten(after: Pupil, known: list[Messages]) -> Iterator[Finding | Outcome]:
    answers = after.answers([[question] for question, _ in known])
    lost = [
        (t[0]["content"], a) for t, a in zip(known, answers, strict=True) if a != t[1]["content"]
    ]
    kept = 1 - len(lost) / len(known)
    yield Outcome("kept", f"{kept:.0%} of {len(known)}")
    if kept >= KEPT:
        yield right("what it knew before is still there")
    else:
        yield wrong(
            f"it has forgotten: {' '.join(lost[0])}",
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


def _kept(talks: Iterator[Messages], lesson: Lesson) -> Iterator[Messages]:
    """All but the conversations that the lesson leaves out."""
    return (t for t in talks if not (lesson.leave_out and _says(t, lesson.leave_out)))
