"""CORE: the 22 tasks of DCLM (arXiv 2406.11794), each centred by its random baseline.

Tasks, data and baselines are read from the published bundle (`core.yaml`, `eval_data/`,
`eval_meta_data.csv`). The prompts are those of llm-foundry, which defines them: few-shot examples
end in a line break, their answers follow a space or the task's own delimiter, and one random
generator per task draws the examples of its questions. Everything is plain text, for the chat
stages too. Where the context is too small, the first examples are left out, then the beginning of
the question.
"""

import csv
import random
from collections.abc import Iterator
from pathlib import Path

import yaml
from pydantic import BaseModel, ValidationError

from firstwords.common.errors import UserError
from firstwords.evaluation.benchmark import Benchmark, BenchmarkCategory, LoglikelihoodItem
from firstwords.evaluation.eval_data import (
    FETCH_HINT,
    EvalData,
    MissingData,
    Row,
    sample_indices,
)

FEWSHOT_SEED = 1234  # llm-foundry's


class CoreTask(BaseModel):
    """A task of core.yaml."""

    label: str
    dataset_uri: str
    num_fewshot: list[int]
    icl_task_type: str
    continuation_delimiter: str = " "


def read_tasks(data: EvalData) -> list[CoreTask]:
    """Return the tasks of core.yaml. Raises MissingData without it, UserError if it is invalid."""
    path = data.folder / "core" / "core.yaml"
    if not path.is_file():
        raise MissingData("core/core.yaml and its data")
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        return [CoreTask.model_validate(entry) for entry in document["icl_tasks"]]
    except (yaml.YAMLError, ValidationError, KeyError, TypeError, UnicodeDecodeError) as error:
        raise _invalid_file(path, error) from None


def read_baselines(path: Path) -> dict[str, float]:
    """Return the score of guessing of each task. Raises UserError."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return {
                row["Eval Task"]: float(row["Random baseline"]) / 100
                for row in csv.DictReader(file)
            }
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise _invalid_file(path, error) from None


def _invalid_file(path: Path, error: Exception) -> UserError:
    return UserError(f"cannot read {path} ({' '.join(str(error).split())})", FETCH_HINT)


def has_data(data: EvalData, task: CoreTask) -> bool:
    """Return whether the task's questions are there."""
    return data.has(_file_name(task))


def _file_name(task: CoreTask) -> str:
    return f"core/eval_data/{task.dataset_uri.removesuffix('.jsonl')}"


def missing_tasks(data: EvalData) -> list[str]:
    """Return the tasks without data."""
    return [task.label for task in read_tasks(data) if not has_data(data, task)]


def load_categories(data: EvalData, chat: bool, limit: int) -> dict[str, BenchmarkCategory]:
    """Return a category for each task with data."""
    with_data = [task for task in read_tasks(data) if has_data(data, task)]
    if not with_data:
        raise MissingData("core/eval_data")
    chance = read_baselines(data.folder / "core" / "eval_meta_data.csv")
    return {
        task.label: BenchmarkCategory(
            task.label, chance[task.label], list(items(task, data.rows(_file_name(task)), limit))
        )
        for task in with_data
    }


def items(task: CoreTask, rows: list[Row], limit: int) -> Iterator[LoglikelihoodItem]:
    """Yield a sample of the questions, each with the examples that llm-foundry gives it."""
    sample = set(sample_indices(len(rows), limit))
    for number, examples in enumerate(fewshot_examples(len(rows), task.num_fewshot[0])):
        if number in sample:
            shots = [_shot(task, rows[example]) for example in examples]
            yield _item(task, rows[number], shots)


def fewshot_examples(n: int, shots: int) -> Iterator[list[int]]:
    """Yield for each of `n` questions the indices of its examples, never its own."""
    generator = random.Random(FEWSHOT_SEED)
    shots = min(shots, n - 1)
    for number in range(n):
        # Ordered by iterating over a set, as in the reference; integers hash alike everywhere.
        examples = set(generator.sample(range(n), shots))
        if number in examples:
            examples.remove(number)
            replacement = generator.choice(range(n))
            while replacement in examples or replacement == number:
                replacement = generator.choice(range(n))
            examples.add(replacement)
        yield list(examples)


def _item(task: CoreTask, row: Row, shots: list[str]) -> LoglikelihoodItem:
    kind, delimiter = task.icl_task_type, task.continuation_delimiter
    if kind == "multiple_choice":
        prompts = [row["query"] + delimiter] * len(row["choices"])
        return LoglikelihoodItem(prompts, row["choices"], row["gold"], "mean", shots)
    if kind == "schema":
        prompts = [option + delimiter for option in row["context_options"]]
        return LoglikelihoodItem(
            prompts, [row["continuation"]] * len(prompts), row["gold"], "mean", shots
        )
    return LoglikelihoodItem([row["context"] + delimiter], [row["continuation"]], 0, "exact", shots)


def _shot(task: CoreTask, row: Row) -> str:
    """Return a question with its answer, as an example."""
    kind = task.icl_task_type
    if kind == "multiple_choice":
        question, answer = row["query"], row["choices"][row["gold"]]
    elif kind == "schema":
        question, answer = row["context_options"][row["gold"]], row["continuation"]
    else:
        question, answer = row["context"], row["continuation"]
    return f"{question}{task.continuation_delimiter}{answer}\n"


CORE = Benchmark("core", "CORE", load_categories, centred=True, missing=missing_tasks)
