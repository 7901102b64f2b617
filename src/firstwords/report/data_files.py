"""The report's figures as report.csv and report.json."""

import csv
import io
import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from firstwords.model.size import n_parameters
from firstwords.recipe import Stage
from firstwords.report.sections.evaluation import Evaluations
from firstwords.report.sections.training import plan_vs_actual
from firstwords.runs.run import Run


class Figure(NamedTuple):
    """A figure of the report: a row of report.csv. Fields that do not apply are None."""

    table: str  # exam, bits_per_byte, babble, a benchmark, plan or actual
    stage: str | None
    name: str  # "all", or a part
    value: float
    unit: str
    low: float | None = None  # 95 % interval
    high: float | None = None
    chance: float | None = None
    n: int | None = None


def list_figures(run: Run, evaluations: Evaluations) -> list[Figure]:
    """Return the scores of all tasks by part, then the plan and the actual values."""
    figures = [
        figure
        for stage in evaluations
        for task, result in evaluations[stage]["tasks"].items()
        if "score" in result
        for figure in _task_figures(stage, task, result)
    ]
    for row in plan_vs_actual(run, evaluations):
        stage = row.stage
        figures.append(Figure("plan", stage, row.name, row.plan, row.unit, row.low, row.high))
        figures.append(Figure("actual", stage, row.name, row.actual, row.unit))
    return figures


def _task_figures(stage: Stage, task: str, result: dict[str, Any]) -> Iterator[Figure]:
    unit = "bits per byte" if task == "bits_per_byte" else "share"
    if result.get("centred"):
        unit = "centered score"
    for name, score in {"all": result, **result.get("categories", {})}.items():
        low, high = score["ci95"]
        yield Figure(
            task, stage, name, score["score"], unit, low, high, score["chance"], score["n"]
        )


def render_csv(figures: list[Figure]) -> str:
    """Return report.csv."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(Figure._fields)
    writer.writerows(figures)
    return file.getvalue()


def render_json(run: Run, figures: list[Figure]) -> str:
    """Return report.json."""
    document = {
        "run": run.name,
        "firstwords": run.manifest.firstwords,
        "created": run.manifest.created,
        "parameters": n_parameters(run.recipe.model),
        "seconds": run.total_seconds(),
        "figures": [figure._asdict() for figure in figures],
    }
    return json.dumps(document, indent=2, allow_nan=False) + "\n"
