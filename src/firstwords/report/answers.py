"""Answers to the exam or to open prompts as HTML: folded by part, right beside wrong."""

import html
from typing import Any, Literal

from firstwords.report.tool_calls import render_tool_calls
from firstwords.runs.run import Run

PER_OUTCOME = 4  # answers of each part that are shown
LABELS = {"exam": ("Right", "Wrong"), "babble": ("English", "Babble")}


def render_answers(run: Run, task: Literal["exam", "babble"], parts: dict[str, Any]) -> str:
    """Return a sample of the last stage's answers. `parts` are the task's categories."""
    by_part: dict[str, list[dict[str, Any]]] = {name: [] for name in parts}
    records = run.answers(run.recipe.stages[-1], task)
    for record in records:
        by_part.setdefault(record["category"], []).append(record)
    folded = "".join(
        _render_part(parts[name], LABELS[task], asked)
        for name, asked in by_part.items()
        if asked and name in parts
    )
    where = f"<code>evaluation/{run.recipe.stages[-1]}.{task}.jsonl</code>"
    browser = ", and <code>firstwords serve</code> shows them on its page Exam"
    note = f"{len(records):,} answers are in {where}{browser if task == 'exam' else ''}."
    return (
        f'<div class="answers {task}"><h3>Answers by part</h3><p>Up to {PER_OUTCOME} answers of '
        f'each kind, evenly spaced. All {note}</p><div class="folds">{folded}</div></div>'
    )


def _render_part(part: dict[str, Any], labels: tuple[str, str], asked: list[dict[str, Any]]) -> str:
    outcomes = []
    for label, correct in zip(labels, (True, False), strict=True):
        records = [record for record in asked if record["correct"] == correct]
        shown = "".join(map(_render_record, _spaced(records, PER_OUTCOME))) or "<p>None.</p>"
        kind = "right" if correct else "wrong"
        outcomes.append(
            f'<div class="{kind}"><h4>{label}: {len(records):,} of {len(asked):,}</h4>{shown}</div>'
        )
    title = html.escape(part["title"])
    note = html.escape(part.get("note", ""))
    criterion = f"<p>{labels[0]} means: {note}.</p>" if note else ""
    return (
        f'<details><summary>{title} <span class="share">{part["score"]:.0%}</span></summary>'
        f'{criterion}<div class="outcomes">{"".join(outcomes)}</div></details>'
    )


def _spaced(records: list[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    """Return up to `count` records, evenly spaced."""
    if len(records) <= count:
        return records
    return [records[i * len(records) // count] for i in range(count)]


def _render_record(record: dict[str, Any]) -> str:
    *before, asked = record["prompt"]
    earlier = "".join(
        f'<p class="earlier">{html.escape(turn["role"])}: {render_tool_calls(turn["content"])}</p>'
        for turn in before
    )
    notes = {"expected": record["reference"], "problem": record.get("problem", "")}
    shown = "".join(
        f'<p class="note">{name}: {render_tool_calls(text)}</p>'
        for name, text in notes.items()
        if text and not (name == "expected" and record["correct"])
    )
    answer = render_tool_calls(record["answer"]) or "(empty)"
    return (
        f'<div class="qa">{earlier}<p class="asked">{html.escape(asked["content"])}</p>'
        f'<p class="answered">{answer}</p>{shown}</div>'
    )
