"""The results of several stages side by side, with intervals and chance lines."""

from typing import Any

from firstwords.common.terminal import align_columns
from firstwords.evaluation.benchmark import at_chance, mean_score
from firstwords.evaluation.benchmarks import CHAT_CORE
from firstwords.recipe import Stage

TaskResults = dict[str, dict[str, Any]]  # results by task


def table_header(stages: list[Stage]) -> list[str]:
    """Return the header of `table_rows`."""
    return ["", *stages, "chance"]


def table_rows(results: dict[Stage, TaskResults]) -> list[list[str]]:
    """Return a row for each category and task: title, score of each stage, chance line.

    A task's categories come before the task itself, indented.
    """
    lines = []
    for name in dict.fromkeys(name for tasks in results.values() for name in tasks):
        scores = [tasks.get(name) for tasks in results.values()]
        categories = [score.get("categories", {}) if score else {} for score in scores]
        for category in dict.fromkeys(category for one in categories for category in one):
            lines.append(_row(name, [one.get(category) for one in categories], "  "))
        lines.append(_row(name, scores, ""))
    means = [chat_core(tasks) if stage != "pretrain" else None for stage, tasks in results.items()]
    if any(means):
        lines.append(_row("chat_core", means, ""))
    return lines


def text_table(result: dict[str, Any]) -> str:
    """Return the result of `firstwords eval` as a table in aligned columns."""
    stages = result.get("stages", [result])
    tasks: dict[Stage, TaskResults] = {one["stage"]: one["tasks"] for one in stages}
    lines = [[result["run"], *table_header(list(tasks))[1:]], *table_rows(tasks)]
    return align_columns(lines)


def _row(name: str, scores: list[dict[str, Any] | None], indent: str) -> list[str]:
    scored = [score for score in scores if score and "score" in score]
    titles = [score["title"] for score in scores if score]
    chance = format_score(name, scored[-1], scored[-1]["chance"]) if scored else ""
    return [indent + titles[-1], *(_cell(name, score) for score in scores), chance]


def _cell(name: str, score: dict[str, Any] | None) -> str:
    if score is None:
        return ""
    for reason, text in {"absent": "no data", "refused": "refused", "error": "failed"}.items():
        if reason in score:
            return text
    value = format_score(name, score, score["score"])
    low, high = (format_score(name, score, bound) for bound in score["ci95"])
    return f"{value} ({low} to {high})" + (" at chance" if at_chance(score) else "")


def format_score(name: str, score: dict[str, Any], value: float) -> str:
    """Format a value in the unit of a task's score: bits and centred scores as decimals, shares of
    correct items in percent."""
    if name == "bits_per_byte" or score.get("centred"):
        return f"{value:.3f}"
    return f"{value:.0%}"


def chat_core(tasks: TaskResults) -> dict[str, Any] | None:
    """Return ChatCORE, the mean of the centred scores of the published chat benchmarks; None if the
    results have none of them."""
    scores = [tasks[name] for name in CHAT_CORE if "score" in tasks.get(name, {})]
    title = f"ChatCORE ({len(scores)} of {len(CHAT_CORE)} tasks)"
    return mean_score(title, scores, centred=True) if scores else None
