"""GSM8K, grade-school word problems (arXiv 2110.14168).

What counts is the number after "####", by its authors' own rule. A base model first sees eight
solved problems of the training set; the chat stages see the problem alone.
"""

import re

from firstwords.evaluation.benchmark import Benchmark, Category, Written
from firstwords.evaluation.data import EvalData, Row

ANSWER = re.compile(r"#### (\-?[0-9\.\,]+)")
SHOTS = 8


def extract(text: str) -> str | None:
    """The number that a solution ends with, without commas; None if there is none."""
    found = ANSWER.search(text)
    return found[1].strip().replace(",", "") if found else None


def is_right(completion: str, answer: str) -> bool:
    said = extract(completion)
    return said is not None and said == extract(answer)


def item(row: Row, chat: bool, shots: list[str]) -> Written:
    def check(completion: str) -> bool:
        return is_right(completion, row["answer"])

    if chat:
        asked = [{"role": "user", "content": row["question"]}]
        return Written(asked, check, row["answer"], max_tokens=192)
    prompt = f"Question: {row['question']}\nAnswer:"
    return Written(prompt, check, row["answer"], shots, stop=("Question:",), max_tokens=192)


def categories(data: EvalData, chat: bool, limit: int) -> dict[str, Category]:
    solved = [] if chat else data.rows("gsm8k_train")[:SHOTS]
    shots = [f"Question: {row['question']}\nAnswer: {row['answer']}\n\n" for row in solved]
    items = [item(row, chat, shots) for row in data.rows("gsm8k_test", limit)]
    return {"gsm8k": Category("GSM8K", 0.0, items)}


GSM8K = Benchmark("gsm8k", "GSM8K", categories)
