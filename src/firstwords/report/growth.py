"""The growth samples as a strip: one card for each moment of training, chosen with a slider."""

import html
from typing import Any

from firstwords.report.tool_calls import render_tool_calls
from firstwords.runs.run import Run


def shown_samples(run: Run) -> list[dict[str, Any]]:
    """Return the samples before the first step, of each fifth of pretraining, and after each later
    stage."""
    return [
        sample
        for sample in run.samples()
        if sample["stage"] == "pretrain"
        or sample["step"] == run.recipe.stage(sample["stage"]).steps
    ]


def format_progress(run: Run, sample: dict[str, Any]) -> str:
    """Format how far training was when a sample was written."""
    if sample["stage"] == "pretrain" and sample["step"] == 0:
        return "before the first step"
    config = run.recipe.stage(sample["stage"])
    tokens = sample["step"] * config.batch_tokens
    return f"{sample['stage']}, {sample['step'] / config.steps:.0%} ({tokens:,} tokens)"


def render_strip(run: Run) -> str:
    """Return the strip as HTML. report.js adds the slider; without it the strip scrolls."""
    samples = shown_samples(run)
    printed = {0, len(samples) // 2, len(samples) - 1}  # paper has no slider
    cards = "".join(
        _render_card(format_progress(run, sample), sample["samples"], index in printed)
        for index, sample in enumerate(samples)
    )
    return (
        '<div class="growth"><ol class="strip" tabindex="0" aria-label="Samples during training">'
        f"{cards}</ol></div>"
    )


def _render_card(title: str, answers: list[dict[str, str]], is_printed: bool) -> str:
    pairs = "".join(
        f"<div><dt>{html.escape(answer['prompt'])}</dt>"
        f"<dd>{render_tool_calls(answer['answer']) or '(empty)'}</dd></div>"
        for answer in answers
    )
    kind = ' class="printed"' if is_printed else ""
    return f"<li{kind}><h3>{html.escape(title)}</h3><dl>{pairs}</dl></li>"
