"""ARC: grade-school science questions with three to five options (arXiv 1803.05457).

The pretrained model is asked as in lm-evaluation-harness: the option whose text is most likely
after the question. For the chat stages the options are listed, and the most likely letter counts.
"""

from functools import partial

from firstwords.evaluation.benchmark import (
    Benchmark,
    BenchmarkCategory,
    LoglikelihoodItem,
    chance_of,
)
from firstwords.evaluation.benchmarks.letters import letter_item
from firstwords.evaluation.eval_data import EvalData, Row


def arc_item(row: Row, chat: bool) -> LoglikelihoodItem:
    """Return a question as plain text, or for `chat` as a conversation."""
    options, correct = row["choices"]["text"], row["choices"]["label"].index(row["answerKey"])
    if chat:
        return letter_item(row["question"], options, correct)
    prompt = f"Question: {row['question']}\nAnswer:"
    return LoglikelihoodItem([prompt] * len(options), [f" {option}" for option in options], correct)


def load_categories(
    file: str, data: EvalData, chat: bool, limit: int
) -> dict[str, BenchmarkCategory]:
    """Return the one category of a benchmark, from the rows of `file`."""
    items = [arc_item(row, chat) for row in data.rows(file, limit)]
    return {file: BenchmarkCategory(file, chance_of(items), items)}


ARC_EASY = Benchmark("arc_easy", "ARC-Easy", partial(load_categories, "arc_easy_test"))
ARC_CHALLENGE = Benchmark(
    "arc_challenge", "ARC-Challenge", partial(load_categories, "arc_challenge_test")
)
