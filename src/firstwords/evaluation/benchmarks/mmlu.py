"""MMLU, exams of 57 subjects with four answers each (arXiv 2009.03300).

For a base model as its authors ask: five solved questions of the subject, then the question, and
the likeliest letter. For the chat stages the question alone.
"""

from collections import defaultdict

from firstwords.evaluation.benchmark import Benchmark, Category, Scored, chance_of
from firstwords.evaluation.benchmarks.letters import by_letter
from firstwords.evaluation.data import EvalData, Row

SHOTS = 5


def question(row: Row) -> str:
    lines = [row["question"].strip()]
    lines += [f"{letter}. {choice}" for letter, choice in zip("ABCD", row["choices"], strict=True)]
    return "\n".join([*lines, "Answer:"])


def plain(row: Row, examples: list[Row]) -> Scored:
    subject = row["subject"].replace("_", " ")
    heading = f"The following are multiple choice questions (with answers) about {subject}.\n\n"
    shots = [f"{question(example)} {'ABCD'[example['answer']]}\n\n" for example in examples[:SHOTS]]
    prompt = question(row)
    return Scored(
        [prompt] * 4, [f" {letter}" for letter in "ABCD"], row["answer"], "sum", [heading, *shots]
    )


def categories(data: EvalData, chat: bool, limit: int) -> dict[str, Category]:
    rows = data.rows("mmlu_test", limit)
    if chat:
        items = [by_letter(row["question"].strip(), row["choices"], row["answer"]) for row in rows]
    else:
        examples: dict[str, list[Row]] = defaultdict(list)
        for row in data.rows("mmlu_dev"):
            examples[row["subject"]].append(row)
        items = [plain(row, examples[row["subject"]]) for row in rows]
    return {"mmlu": Category("MMLU", chance_of(items), items)}


MMLU = Benchmark("mmlu", "MMLU", categories)
