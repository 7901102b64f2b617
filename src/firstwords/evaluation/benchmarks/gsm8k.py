"""GSM8K: grade-school word problems (arXiv 2110.14168).

The number after "####" counts, by the authors' own rule. The pretrained model first sees eight
solved problems of the training set; the chat stages see the problem alone.
"""

import re

from firstwords.evaluation.benchmark import Benchmark, BenchmarkCategory, GenerativeItem
from firstwords.evaluation.eval_data import EvalData, Row

ANSWER = re.compile(r"#### (\-?[0-9\.\,]+)")
SHOTS = 8
MAX_TOKENS = 192


def extract_answer(text: str) -> str | None:
    """Return the number that a solution ends with, without commas; None without one."""
    match = ANSWER.search(text)
    return match[1].strip().replace(",", "") if match else None


def is_correct(completion: str, solution: str) -> bool:
    """Return whether a completion ends with the number of the solution."""
    answer = extract_answer(completion)
    return answer is not None and answer == extract_answer(solution)


def gsm8k_item(row: Row, chat: bool, shots: list[str]) -> GenerativeItem:
    """Return a problem as plain text after examples, or for `chat` as a conversation."""

    def check(completion: str) -> bool:
        return is_correct(completion, row["answer"])

    if chat:
        messages = [{"role": "user", "content": row["question"]}]
        return GenerativeItem(messages, check, row["answer"], max_tokens=MAX_TOKENS)
    prompt = f"Question: {row['question']}\nAnswer:"
    stop = ("Question:",)
    return GenerativeItem(prompt, check, row["answer"], shots, stop, MAX_TOKENS)


def load_categories(data: EvalData, chat: bool, limit: int) -> dict[str, BenchmarkCategory]:
    """Return the one category, from the test set."""
    solved = [] if chat else data.rows("gsm8k_train")[:SHOTS]
    shots = [f"Question: {row['question']}\nAnswer: {row['answer']}\n\n" for row in solved]
    items = [gsm8k_item(row, chat, shots) for row in data.rows("gsm8k_test", limit)]
    return {"gsm8k": BenchmarkCategory("GSM8K", 0.0, items)}


GSM8K = Benchmark("gsm8k", "GSM8K", load_categories)
