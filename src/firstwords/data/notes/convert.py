"""Conversations made of notes: every note is asked for in many wordings."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from firstwords.common import files
from firstwords.common.errors import UserError
from firstwords.data.notes.clause import parse_clause
from firstwords.data.notes.questions import keywords, questions_for, questions_with, wordings
from firstwords.data.notes.rewording import renamed, short_names
from firstwords.data.starter.conversations import as_messages
from firstwords.data.starter.everyday.typed import draw_style, type_out
from firstwords.data.starter.holdout import question_key
from firstwords.data.starter.rng import (
    Rng,
    choose,
    choose_weighted,
    randint,
    sample,
    seeded_rng,
)
from firstwords.data.starter.turn import Turn

MAX_NOTE_CHARACTERS = 200
MAX_ANSWER_CHARACTERS = 160  # of several notes together
MAX_TURNS = 3
MAX_NOTES = 2  # that one question asks for
MAX_LISTED = 10
LEAD_FRACTION = 0.2
# Kinds of questions that any note has, beside those of its own.
WORDS, WORD, ABOUT = "words", "word", "about"


# How often each kind is asked; the kinds of a note's own pattern, not listed, count most.
_KIND_WEIGHTS = {WORDS: 1.0, WORD: 0.4, ABOUT: 0.4, "state": 0.4, "doer": 0.8, "where": 1.0}


class Note(NamedTuple):
    """A sentence, or questions with their answer; `line` counts from 1."""

    line: int
    answer: str
    questions: tuple[str, ...] = ()


class AskedNotes(NamedTuple):
    """The questions for each note by kind, and the answers to each question by its key."""

    questions: list[dict[str, list[str]]]
    answers: dict[str, list[str]]


class Converted(NamedTuple):
    """How many notes became how many conversations, and the notes of which no verb is known."""

    n_notes: int
    n_conversations: int
    unparsed: list[Note]


def read_notes(path: Path) -> list[Note]:
    """Read a file of notes: a sentence a line, or `question | another | answer`.

    Empty lines and those that start with "#" are skipped. Raises UserError that lists the lines
    that are not valid.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read {path} ({error})", "give a text file in UTF-8") from None
    notes, problems = [], []
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        *questions, answer = (part.strip() for part in line.split("|"))
        if problem := _problem(questions, answer):
            problems.append(f"line {number} {problem}")
        notes.append(Note(number, answer, tuple(questions)))
    if problems:
        shown = "; ".join(problems[:MAX_LISTED])
        more = f" and {len(problems) - MAX_LISTED} more" if len(problems) > MAX_LISTED else ""
        raise UserError(f"{path}: {shown}{more}", "write one short sentence a line")
    if not notes:
        raise UserError(f"{path} has no notes", "write one short sentence a line")
    return notes


def _problem(questions: list[str], answer: str) -> str:
    if not answer or not all(questions):
        return "has nothing on one side of |"
    longest = max(map(len, [*questions, answer]))
    if longest > MAX_NOTE_CHARACTERS:
        return f"has {longest} characters, more than {MAX_NOTE_CHARACTERS}"
    return "" if len(answer.split()) > 1 or questions else "is a single word"


def ask(notes: list[Note]) -> AskedNotes:
    """Return the questions that ask for each note, and their answers.

    A question that asks for several notes gets several as its answer: "What does Ben play?"
    """
    by_note = [_questions_of(note, notes) for note in notes]
    answers: dict[str, list[str]] = {}
    for note, by_kind in zip(notes, by_note, strict=True):
        for question in (one for many in by_kind.values() for one in many):
            found = answers.setdefault(question_key(question), [])
            if note.answer not in found:
                found.append(note.answer)
    clear = {key for key, found in answers.items() if len(found) <= MAX_NOTES}
    return AskedNotes([_without_vague(by_kind, clear) for by_kind in by_note], answers)


def _without_vague(by_kind: dict[str, list[str]], clear: set[str]) -> dict[str, list[str]]:
    """Return the questions that ask for few notes, and those that ask for anything about a
    subject."""
    kept = {
        kind: [q for q in questions if kind == ABOUT or question_key(q) in clear]
        for kind, questions in by_kind.items()
    }
    return {kind: questions for kind, questions in kept.items() if questions} or by_kind


def _sentence(note: Note) -> str:
    return note.answer.rstrip(".!")


def _questions_of(note: Note, notes: list[Note]) -> dict[str, list[str]]:
    if note.questions:
        return {"own": list(note.questions)}
    sentence = _sentence(note)
    clause = parse_clause(sentence)
    subject = clause.subject if clause else ""
    others = [_sentence(other) for other in notes if other is not note]
    same = [other for other in others if other.startswith(subject)]
    words = keywords(sentence, subject)
    asked = questions_for(sentence)
    if clause:
        unique = [word for word in words if not any(word in other for other in same)]
        asked[WORDS] = [q for word in unique for q in questions_with(WORDS, x=subject, w=word)]
        asked[ABOUT] = questions_with(ABOUT, x=subject)
    rare = [word for word in words if not any(word in other for other in others)]
    asked[WORD] = [q for word in rare for q in questions_with(WORD, w=word)]
    for name, instead in short_names(subject, others):
        for kind, questions in asked.items():
            short = (renamed(question, name, instead) for question in questions)
            asked[kind] = list(dict.fromkeys([*questions, *short]))
    asked = {kind: questions for kind, questions in asked.items() if questions}
    return asked or {WORD: questions_with(WORD, w=sentence)}


def convert(path: Path, out: Path, per_note: int, seed: int) -> Converted:
    """Write the conversations about the notes of a file as JSON lines. Raises UserError."""
    notes = read_notes(path)
    made = [{"messages": list(messages)} for messages in conversations(notes, per_note, seed)]
    with files.output_for("--out", out):
        files.write_json_lines(out, made)
    unparsed = [n for n in notes if not n.questions and parse_clause(_sentence(n)) is None]
    return Converted(len(notes), len(made), unparsed)


def conversations(
    notes: list[Note], per_note: int, seed: int
) -> Iterator[tuple[dict[str, str], ...]]:
    """Yield conversations in which each note is asked for `per_note` times, in random order."""
    asked = ask(notes)
    rng = seeded_rng(seed, "notes", 0)
    order = sample(rng, [*range(len(notes))] * per_note, len(notes) * per_note)
    decks: list[dict[str, list[str]]] = [{} for _ in notes]
    first = 0
    while first < len(order):
        count = randint(rng, 1, MAX_TURNS)
        style = draw_style(rng)
        turns = []
        for index in order[first : first + count]:
            by_kind = asked.questions[index]
            weights = {kind: _KIND_WEIGHTS.get(kind, 2.0) for kind in by_kind}
            question = _draw(rng, decks[index], by_kind, choose_weighted(rng, weights))
            answer = _answer(rng, asked.answers[question_key(question)])
            names = [word for word in notes[index].answer.split() if word[:1].isupper()]
            shown = type_out(rng, style, _with_lead(rng, question), names)
            turns.append(Turn(shown, answer))
        yield as_messages(turns)
        first += count


def _draw(rng: Rng, decks: dict[str, list[str]], by_kind: dict[str, list[str]], kind: str) -> str:
    """Return a question of a kind; none comes a second time before all have come once."""
    if not decks.get(kind):
        decks[kind] = sample(rng, by_kind[kind], len(by_kind[kind]))
    return decks[kind].pop()


def _answer(rng: Rng, notes: list[str]) -> str:
    """Return the notes that a question asks for, as many as fit."""
    answer = ""
    for note in sample(rng, notes, 3) if len(notes) > 3 else notes:
        if answer and len(answer) + len(note) > MAX_ANSWER_CHARACTERS:
            break
        answer = f"{answer} {note}".strip()
    return answer


def _with_lead(rng: Rng, question: str) -> str:
    if rng() >= LEAD_FRACTION:
        return question
    return f"{choose(rng, wordings()['lead'].templates)} {question}"
