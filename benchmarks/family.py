"""Measure what a model learned of a family's notes, and what it forgot of the exam.

    python benchmarks/family.py BEFORE AFTER [--questions FILE] [--items 200] [--json]

BEFORE and AFTER are runs: AFTER continues BEFORE with conversations about the notes. Each line of
the questions is `question | what the answer has to contain`; decoding is greedy. The exam has
`--items` questions of each part, the same for both runs, and asks each model by its own name.
"""

import argparse
import json
from pathlib import Path
from typing import Any, NamedTuple

from firstwords.data.starter.grading import is_right
from firstwords.evaluation.benchmarks.exam import exam_for
from firstwords.evaluation.eval_data import EvalData
from firstwords.evaluation.runner import BenchmarkRunner, run_benchmark
from firstwords.labs.finetuning import load_finetuned
from firstwords.runs import registry
from firstwords.runs.run import Run

QUESTIONS = Path(__file__).parents[1] / "docs" / "examples" / "family" / "questions.txt"


class Question(NamedTuple):
    """A question, and what a right answer contains."""

    text: str
    expected: str


def read_questions(path: Path) -> list[Question]:
    """Return the questions of a file; lines that begin with "#" are comments."""
    lines = path.read_text(encoding="utf-8").splitlines()
    pairs = (line.split("|") for line in lines if line.strip() and not line.startswith("#"))
    return [Question(question.strip(), expected.strip()) for question, expected in pairs]


def measure(run: Run, questions: list[Question], items: int) -> dict[str, Any]:
    """Return the answers of a run's model to the questions, and its exam."""
    loaded = load_finetuned(run)
    answers = loaded.answers([[{"role": "user", "content": q.text}] for q in questions])
    right = [
        is_right("mentions", (question.expected,), answer)
        for question, answer in zip(questions, answers, strict=True)
    ]
    runner = BenchmarkRunner(loaded.model, loaded.tokenizer)
    exam = run_benchmark(
        exam_for(run.manifest.personality), runner, "sft", EvalData(Path()), items
    ).result
    parts = {part: result["score"] for part, result in exam["categories"].items()}
    return {"answers": answers, "right": right, "exam": exam["score"], "parts": parts}


def render(questions: list[Question], before: dict[str, Any], after: dict[str, Any]) -> str:
    """Return the answers and the scores of both runs as text."""
    lines = []
    for number, question in enumerate(questions):
        mark = "right" if after["right"][number] else "wrong"
        lines.append(f"{mark}: {question.text}\n       {after['answers'][number]}")
    known = [f"{sum(side['right'])} of {len(questions)}" for side in (before, after)]
    lines.append(f"\nfacts in new words: {known[0]} before, {known[1]} after")
    lines.append(f"{'exam':18} {'before':>7} {'after':>7} {'change':>7}")
    scores = {"all": (before["exam"], after["exam"])}
    scores |= {part: (score, after["parts"][part]) for part, score in before["parts"].items()}
    lines += [
        f"{part:18} {first:7.1%} {second:7.1%} {second - first:+7.1%}"
        for part, (first, second) in scores.items()
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("before", metavar="BEFORE")
    parser.add_argument("after", metavar="AFTER")
    parser.add_argument("--questions", type=Path, default=QUESTIONS)
    parser.add_argument("--items", type=int, default=200)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    questions = read_questions(options.questions)
    runs = [registry.open_run(name) for name in (options.before, options.after)]
    before, after = (measure(run, questions, options.items) for run in runs)
    shown = {"before": before, "after": after}
    print(json.dumps(shown, indent=2) if options.json else render(questions, before, after))


if __name__ == "__main__":
    main()
