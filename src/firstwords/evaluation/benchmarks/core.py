"""CORE: the 22 tasks of DCLM (arXiv 2406.11794), each centred by its random baseline.

The tasks, their examples and their baselines are read from the published bundle (`core.yaml`,
`eval_meta_data.csv`, `eval_data/`), and the prompts are those of llm-foundry, which defines them:
examples end in a line break, their answers follow a space or the task's own delimiter, and which
examples a question sees is drawn from one generator for each task. Everything is plain text, for
the chat stages too. Where the context is too small for all examples the first are left out, and
then the beginning of the question.
"""

import csv
import random
from collections.abc import Iterator
from pathlib import Path

import yaml
from pydantic import BaseModel, ValidationError

from firstwords.errors import UserError
from firstwords.evaluation.benchmark import Benchmark, Category, Scored
from firstwords.evaluation.data import Absent, EvalData, Row, chosen

SEED = 1234  # llm-foundry's, of the examples


class Task(BaseModel):
    """An entry of core.yaml."""

    label: str
    dataset_uri: str
    num_fewshot: list[int]
    icl_task_type: str
    continuation_delimiter: str = " "


def tasks(data: EvalData) -> list[Task]:
    """Raises Absent without the bundle, UserError if it makes no sense."""
    path = data.folder / "core" / "core.yaml"
    if not path.is_file():
        raise Absent("core/core.yaml and its data")
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        return [Task.model_validate(entry) for entry in document["icl_tasks"]]
    except (yaml.YAMLError, ValidationError, KeyError, TypeError, UnicodeDecodeError) as error:
        raise _broken(path, error) from None


def baselines(path: Path) -> dict[str, float]:
    """The share that guessing gets, by task. Raises UserError."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return {
                row["Eval Task"]: float(row["Random baseline"]) / 100
                for row in csv.DictReader(file)
            }
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise _broken(path, error) from None


def _broken(path: Path, error: Exception) -> UserError:
    return UserError(
        f"cannot read {path} ({' '.join(str(error).split())})",
        "fetch it again: firstwords data fetch eval",
    )


def has_data(data: EvalData, task: Task) -> bool:
    return data.has(_name(task))


def _name(task: Task) -> str:
    return f"core/eval_data/{task.dataset_uri.removesuffix('.jsonl')}"


def absent(data: EvalData) -> list[str]:
    """The tasks that there is no data for."""
    return [task.label for task in tasks(data) if not has_data(data, task)]


def categories(data: EvalData, chat: bool, limit: int) -> dict[str, Category]:
    with_data = [task for task in tasks(data) if has_data(data, task)]
    if not with_data:
        raise Absent("core/eval_data")
    chance = baselines(data.folder / "core" / "eval_meta_data.csv")
    return {
        task.label: Category(
            task.label, chance[task.label], list(items(task, data.rows(_name(task)), limit))
        )
        for task in with_data
    }


def items(task: Task, rows: list[Row], limit: int) -> Iterator[Scored]:
    """The chosen questions, each with the examples that llm-foundry gives it."""
    wanted = set(chosen(len(rows), limit))
    for number, examples in enumerate(drawn(len(rows), task.num_fewshot[0])):
        if number in wanted:
            shots = [_shot(task, rows[example]) for example in examples]
            yield _item(task, rows[number], shots)


def drawn(n: int, shots: int) -> Iterator[list[int]]:
    """For every one of `n` questions the numbers of its examples, itself never among them."""
    generator = random.Random(SEED)
    shots = min(shots, n - 1)
    for number in range(n):
        # In the order of a set, which is that of the reference; integers hash alike everywhere.
        examples = set(generator.sample(range(n), shots))
        if number in examples:
            examples.remove(number)
            replacement = generator.choice(range(n))
            while replacement in examples or replacement == number:
                replacement = generator.choice(range(n))
            examples.add(replacement)
        yield list(examples)


def _item(task: Task, row: Row, shots: list[str]) -> Scored:
    kind, delimiter = task.icl_task_type, task.continuation_delimiter
    if kind == "multiple_choice":
        prompts = [row["query"] + delimiter] * len(row["choices"])
        return Scored(prompts, row["choices"], row["gold"], "mean", shots)
    if kind == "schema":
        prompts = [option + delimiter for option in row["context_options"]]
        return Scored(prompts, [row["continuation"]] * len(prompts), row["gold"], "mean", shots)
    return Scored([row["context"] + delimiter], [row["continuation"]], 0, "exact", shots)


def _shot(task: Task, row: Row) -> str:
    """A question with its answer."""
    kind = task.icl_task_type
    if kind == "multiple_choice":
        question, answer = row["query"], row["choices"][row["gold"]]
    elif kind == "schema":
        question, answer = row["context_options"][row["gold"]], row["continuation"]
    else:
        question, answer = row["context"], row["continuation"]
    return f"{question}{task.continuation_delimiter}{answer}\n"


CORE = Benchmark("core", "CORE", categories, centred=True, absent=absent)
