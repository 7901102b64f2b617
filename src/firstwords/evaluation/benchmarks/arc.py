"""ARC, grade-school science with three to five answers to choose from (arXiv 1803.05457).

For a base model as in lm-evaluation-harness: the answer whose text is likeliest after the question.
For the chat stages the options are listed, and the likeliest letter counts.
"""

from functools import partial

from firstwords.evaluation.benchmark import Benchmark, Category, Scored, chance_of
from firstwords.evaluation.benchmarks.letters import by_letter
from firstwords.evaluation.data import EvalData, Row


def item(row: Row, chat: bool) -> Scored:
    options, right = row["choices"]["text"], row["choices"]["label"].index(row["answerKey"])
    if chat:
        return by_letter(row["question"], options, right)
    prompt = f"Question: {row['question']}\nAnswer:"
    return Scored([prompt] * len(options), [f" {option}" for option in options], right)


def categories(file: str, data: EvalData, chat: bool, limit: int) -> dict[str, Category]:
    items = [item(row, chat) for row in data.rows(file, limit)]
    return {file: Category(file, chance_of(items), items)}


ARC_EASY = Benchmark("arc_easy", "ARC-Easy", partial(categories, "arc_easy_test"))
ARC_CHALLENGE = Benchmark(
    "arc_challenge", "ARC-Challenge", partial(categories, "arc_challenge_test")
)
