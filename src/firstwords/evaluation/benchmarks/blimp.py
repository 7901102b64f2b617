"""BLiMP: pairs of sentences that differ in one point of grammar (arXiv 1912.00582).

The model is right if the grammatical sentence is the more likely one. As in lm-evaluation-harness,
whose tasks blimp_* these are, a sentence is scored whole, after the end-of-text token and a space.
The chat stages get the same plain text.
"""

from collections import defaultdict

from firstwords.evaluation.benchmark import Benchmark, BenchmarkCategory, LoglikelihoodItem
from firstwords.evaluation.blimp_paradigms import PHENOMENA
from firstwords.evaluation.eval_data import EvalData, MissingData, Row, sample_indices


def blimp_item(row: Row) -> LoglikelihoodItem:
    """Return a pair; the grammatical sentence is the first."""
    sentences = [row["sentence_good"], row["sentence_bad"]]
    labels = {"paradigm": row["UID"], "sentence_bad": row["sentence_bad"]}
    return LoglikelihoodItem(["", ""], [f" {one}" for one in sentences], labels=labels)


def load_categories(data: EvalData, chat: bool, limit: int) -> dict[str, BenchmarkCategory]:
    """Return a category for each phenomenon, of `limit` pairs from each of its paradigms."""
    of_paradigm: dict[str, list[Row]] = defaultdict(list)
    for row in data.rows("blimp"):
        of_paradigm[row["UID"]].append(row)
    categories = {}
    for name, phenomenon in PHENOMENA.items():
        rows = [
            row
            for paradigm in phenomenon.paradigms
            for row in _sample(paradigm, of_paradigm[paradigm], limit)
        ]
        items = [blimp_item(row) for row in rows]
        categories[name] = BenchmarkCategory(phenomenon.title, 0.5, items)
    return categories


def _sample(paradigm: str, rows: list[Row], limit: int) -> list[Row]:
    if not rows:
        raise MissingData(f"blimp/{paradigm}.jsonl")
    return [rows[index] for index in sample_indices(len(rows), limit)]


BLIMP = Benchmark("blimp", "BLiMP", load_categories, pooled=True)
