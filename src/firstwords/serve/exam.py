"""The endpoint of the exam browser: every question with the answers of all stages.

The files of answers are read once and kept until one of them changes, so that a page of questions
takes milliseconds.
"""

import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from fastapi import FastAPI, Query

from firstwords.recipe import STAGES, Stage
from firstwords.runs.run import Run
from firstwords.serve.errors import ApiError

MAX_PAGE = 100  # questions in one response
MAX_RUNS_IN_MEMORY = 4  # each takes about 10 MB
Outcome = Literal["", "right", "wrong"]
Search = Annotated[str, Query(max_length=200)]
Offset = Annotated[int, Query(ge=0)]
Limit = Annotated[int, Query(ge=1, le=MAX_PAGE)]


class Question(NamedTuple):
    """A question of the exam and what each stage made of it."""

    number: int  # from 1, in the order of the exam
    part: str
    prompt: list[dict[str, str]]
    reference: str
    answers: dict[Stage, dict[str, Any]]  # `answer`, `correct`
    searchable: str  # everything a reader sees, in lower case


class Filters(NamedTuple):
    """Which questions to show. An empty value means any."""

    part: str
    outcomes: dict[Stage, Outcome]
    search: str

    def match_answers(self, question: Question) -> bool:
        """Return whether the question passes all filters but that of the part."""
        if self.search.lower() not in question.searchable:
            return False
        for stage, outcome in self.outcomes.items():
            answer = question.answers.get(stage)
            if outcome and (answer is None or answer["correct"] != (outcome == "right")):
                return False
        return True


class Exam(NamedTuple):
    """The exam of one run, in memory."""

    questions: list[Question]
    scores: dict[Stage, dict[str, Any]]  # the results in evaluation/STAGE.json


class ExamCache:
    """The exams of the runs asked for last, read again when their files change."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._exams: dict[Path, tuple[tuple[int, ...], Exam]] = {}

    def exam(self, run: Run) -> Exam:
        """Return the exam of a run."""
        with self._lock:
            times = _file_times(run)
            cached = self._exams.pop(run.directory, None)
            if cached is None or cached[0] != times:
                cached = (times, read_exam(run))
            self._exams[run.directory] = cached
            while len(self._exams) > MAX_RUNS_IN_MEMORY:
                del self._exams[next(iter(self._exams))]
            return cached[1]


def _file_times(run: Run) -> tuple[int, ...]:
    paths = [path for s in STAGES for path in (run.records(s, "exam"), run.evaluation(s))]
    return tuple(path.stat().st_mtime_ns if path.exists() else 0 for path in paths)


def read_exam(run: Run) -> Exam:
    """Read the questions of a run's exam with the answers of all stages."""
    records: dict[tuple[Any, ...], dict[Stage, dict[str, Any]]] = {}
    for stage in STAGES:
        occurrences: Counter[tuple[Any, ...]] = Counter()
        for record in run.answers(stage, "exam"):
            key = _identity(record)
            occurrences[key] += 1  # a part may ask the same twice
            records.setdefault((*key, occurrences[key]), {})[stage] = record
    evaluations = {stage: run.read_evaluation(stage) for stage in STAGES}
    scores = {s: e["tasks"]["exam"] for s, e in evaluations.items() if e and "exam" in e["tasks"]}
    last: dict[str, Any] = next(reversed(scores.values()), {})
    ordered = _in_order(list(records.values()), list(last.get("categories", ())))
    return Exam([_question(number, asked) for number, asked in enumerate(ordered, 1)], scores)


def _identity(record: dict[str, Any]) -> tuple[Any, ...]:
    """What the records of a question share. The pretrained model gets it as a line of text."""
    prompt = record["prompt"]
    turns = (prompt.strip(),) if isinstance(prompt, str) else tuple(m["content"] for m in prompt)
    return record["category"], turns


def _in_order(
    asked: list[dict[Stage, dict[str, Any]]], parts: list[str]
) -> list[dict[Stage, dict[str, Any]]]:
    """Sort by part: pretraining, which is read first, lacks some of them."""
    position = {part: index for index, part in enumerate(parts)}

    def rank(records: dict[Stage, dict[str, Any]]) -> int:
        return position.get(next(iter(records.values()))["category"], len(position))

    return sorted(asked, key=rank)


def _question(number: int, records: dict[Stage, dict[str, Any]]) -> Question:
    last = list(records.values())[-1]
    prompt = last["prompt"]
    if isinstance(prompt, str):
        prompt = [{"role": "user", "content": prompt.strip()}]
    answers = {
        stage: {"answer": record["answer"], "correct": record["correct"]}
        for stage, record in records.items()
    }
    turns = [{"role": turn["role"], "content": turn["content"]} for turn in prompt]
    texts = [turn["content"] for turn in turns] + [answer["answer"] for answer in answers.values()]
    searchable = "\n".join([*texts, last["reference"]]).lower()
    return Question(number, last["category"], turns, last["reference"], answers, searchable)


def exam_document(exam: Exam, filters: Filters, offset: int, limit: int) -> dict[str, Any]:
    """Return a page of the questions that match, and the scores and counts of each part."""
    matching = [question for question in exam.questions if filters.match_answers(question)]
    in_part = [q for q in matching if filters.part in ("", q.part)]
    return {
        "object": "exam",
        "total": len(exam.questions),
        "matching": len(in_part),
        "offset": offset,
        "scores": {stage: _score(result) for stage, result in exam.scores.items()},
        "chance": next((result["chance"] for result in reversed(exam.scores.values())), None),
        "parts": _parts(exam, matching),
        "questions": [_shown(question) for question in in_part[offset : offset + limit]],
    }


def _shown(question: Question) -> dict[str, Any]:
    return {name: value for name, value in question._asdict().items() if name != "searchable"}


def _score(result: dict[str, Any]) -> dict[str, Any]:
    return {name: result[name] for name in ("score", "ci95", "n")}


def _parts(exam: Exam, matching: list[Question]) -> list[dict[str, Any]]:
    counts = Counter(question.part for question in exam.questions)
    matches = Counter(question.part for question in matching)
    parts = []
    for name in counts:
        results = {
            stage: result["categories"][name]
            for stage, result in exam.scores.items()
            if name in result["categories"]
        }
        last = list(results.values())[-1] if results else {}
        parts.append(
            {
                "name": name,
                "title": last.get("title", name),
                "correct_means": last.get("note", ""),
                "chance": last.get("chance"),
                "questions": counts[name],
                "matching": matches[name],
                "scores": {stage: _score(result) for stage, result in results.items()},
            }
        )
    return parts


def add_exam_endpoint(app: FastAPI, find_runs: Callable[[], list[Run]]) -> None:
    """Add GET /v1/runs/{name}/exam."""
    cache = ExamCache()

    @app.get("/v1/runs/{name}/exam")
    def get_exam(
        name: str,
        part: str = "",
        pretrain: Outcome = "",
        midtrain: Outcome = "",
        sft: Outcome = "",
        rl: Outcome = "",
        search: Search = "",
        offset: Offset = 0,
        limit: Limit = 20,
    ) -> dict[str, Any]:
        """Return questions of a run's exam with the answers of all stages.

        Filter by `part`, by right and wrong answers of each stage, and by `search` in questions
        and answers. `parts` has the scores of all parts, with 95 % intervals and chance.
        """
        run = next((run for run in find_runs() if run.name == name), None)
        if run is None:
            raise ApiError(404, f"no run {name!r}", code="run_not_found", param="name")
        exam = cache.exam(run)
        if not exam.questions:
            message = (
                f"run {name!r} has no exam; evaluation, the last phase of training, writes it for "
                "runs with the starter conversations"
            )
            raise ApiError(404, message, code="exam_not_found", param="name")
        outcomes: dict[Stage, Outcome] = {
            "pretrain": pretrain,
            "midtrain": midtrain,
            "sft": sft,
            "rl": rl,
        }
        document = exam_document(exam, Filters(part, outcomes, search.strip()), offset, limit)
        return {"run": name, **document}
