"""The results of several stages side by side, with chance lines and intervals."""

from typing import Any

from firstwords.evaluation.benchmark import at_chance, mean_of
from firstwords.evaluation.benchmarks import CHAT
from firstwords.recipe import Stage

Tasks = dict[str, dict[str, Any]]  # results by task
TITLES: dict[Stage, str] = {"base": "BASE", "mid": "MID", "sft": "SFT"}


def header(stages: list[Stage]) -> list[str]:
    return ["", *(TITLES[stage] for stage in stages), "chance"]


def rows(results: dict[Stage, Tasks]) -> list[list[str]]:
    """A row for each task after those of its categories: the title, each stage's score, the chance
    line."""
    lines = []
    for name in dict.fromkeys(name for tasks in results.values() for name in tasks):
        taken = [tasks.get(name) for tasks in results.values()]
        of_tasks = [one.get("categories", {}) if one else {} for one in taken]
        for category in dict.fromkeys(category for one in of_tasks for category in one):
            lines.append(_row(name, [one.get(category) for one in of_tasks], "  "))
        lines.append(_row(name, taken, ""))
    together = [chat_core(tasks) if stage != "base" else None for stage, tasks in results.items()]
    if any(together):
        lines.append(_row("chat_core", together, ""))
    return lines


def text_table(result: dict[str, Any]) -> str:
    """The result of `firstwords eval`, in columns."""
    stages = result.get("stages", [result])
    tasks: dict[Stage, Tasks] = {one["stage"]: one["tasks"] for one in stages}
    lines = [[result["run"], *header(list(tasks))[1:]], *rows(tasks)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _row(name: str, scores: list[dict[str, Any] | None], indent: str) -> list[str]:
    scored = [score for score in scores if score and "score" in score]
    titles = [score["title"] for score in scores if score]
    chance = number(name, scored[-1], scored[-1]["chance"]) if scored else ""
    return [indent + titles[-1], *(_cell(name, score) for score in scores), chance]


def _cell(name: str, score: dict[str, Any] | None) -> str:
    if score is None:
        return ""
    for reason in ("absent", "refused", "error"):
        if reason in score:
            return {"absent": "no data", "refused": "refused", "error": "failed"}[reason]
    value = number(name, score, score["score"])
    low, high = (number(name, score, bound) for bound in score["ci95"])
    return f"{value} ({low} to {high})" + (" at chance" if at_chance(score) else "")


def number(name: str, score: dict[str, Any], value: float) -> str:
    """Shares in per cent; bits, and scores that are centred, as they are."""
    if name == "bits_per_byte" or score.get("centred"):
        return f"{value:.3f}"
    return f"{value:.0%}"


def chat_core(tasks: Tasks) -> dict[str, Any] | None:
    """The mean of the published chat benchmarks, each centred by its chance line; None if none was
    taken."""
    taken = [tasks[name] for name in CHAT if "score" in tasks.get(name, {})]
    title = f"ChatCORE ({len(taken)} of {len(CHAT)} tasks)"
    return mean_of(title, taken, centred=True) if taken else None
