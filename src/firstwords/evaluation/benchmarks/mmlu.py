"""MMLU: exam questions of 57 subjects with four options each (arXiv 2009.03300).

The pretrained model is asked as by the authors: five solved questions of the subject, then the
question, and the most likely letter. The chat stages see the question alone.
"""

from collections import defaultdict

from firstwords.evaluation.benchmark import (
    Benchmark,
    BenchmarkCategory,
    LoglikelihoodItem,
    chance_of,
)
from firstwords.evaluation.benchmarks.letters import letter_item
from firstwords.evaluation.eval_data import EvalData, Row

SHOTS = 5


def question_text(row: Row) -> str:
    """Return a question with its options, up to the answer."""
    lines = [row["question"].strip()]
    lines += [f"{letter}. {choice}" for letter, choice in zip("ABCD", row["choices"], strict=True)]
    return "\n".join([*lines, "Answer:"])


def text_item(row: Row, examples: list[Row]) -> LoglikelihoodItem:
    """Return a question as plain text, after solved questions of its subject."""
    subject = row["subject"].replace("_", " ")
    heading = f"The following are multiple choice questions (with answers) about {subject}.\n\n"
    shots = [f"{question_text(one)} {'ABCD'[one['answer']]}\n\n" for one in examples[:SHOTS]]
    return LoglikelihoodItem(
        [question_text(row)] * 4,
        [f" {letter}" for letter in "ABCD"],
        row["answer"],
        "sum",
        [heading, *shots],
    )


def load_categories(data: EvalData, chat: bool, limit: int) -> dict[str, BenchmarkCategory]:
    """Return the one category, of questions from all subjects."""
    rows = data.rows("mmlu_test", limit)
    if chat:
        items = [
            letter_item(row["question"].strip(), row["choices"], row["answer"]) for row in rows
        ]
    else:
        examples: dict[str, list[Row]] = defaultdict(list)
        for row in data.rows("mmlu_dev"):
            examples[row["subject"]].append(row)
        items = [text_item(row, examples[row["subject"]]) for row in rows]
    return {"mmlu": BenchmarkCategory("MMLU", chance_of(items), items)}


MMLU = Benchmark("mmlu", "MMLU", load_categories)
