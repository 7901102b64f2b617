"""The section on reinforcement learning: rewards, answers and divergence, at first and at last."""

from typing import Any

from firstwords.common.markdown import paragraphs, table
from firstwords.runs.metrics import read_rollouts
from firstwords.runs.run import Run

AVERAGED_FRACTION = 0.1  # of the steps, at the start and at the end
ROWS = (
    ("reward", "mean reward"),
    ("mixed_groups", "groups with different rewards"),
    ("answer_tokens", "tokens of an answer"),
    ("cut", "answers cut at the limit"),
    ("divergence", "divergence from the SFT model, nats per token"),
)


def render_reinforcement(run: Run) -> str:
    """The start and the end of the stage; empty if the run leaves it out."""
    steps = read_rollouts(run.metrics("rl"))
    if run.recipe.rl is None or not steps:
        return ""
    n_averaged = max(1, round(len(steps) * AVERAGED_FRACTION))
    ends = steps[:n_averaged], steps[-n_averaged:]
    rows = [[title, *(f"{_mean(part, name):.3f}" for part in ends)] for name, title in ROWS]
    kinds = sorted({kind for step in steps for kind in step["rewards"]})
    if len(kinds) > 1:
        rows[1:1] = [
            [f"reward of {kind}", *(_mean_of_kind(part, kind) for part in ends)] for kind in kinds
        ]
    config = run.recipe.rl
    seconds = sum(step["seconds"] for step in steps)
    share = sum(step["rollout_seconds"] for step in steps) / seconds
    source = f"the function in `{config.reward}`" if config.reward else "the rules of the exam"
    return paragraphs(
        f"The finetuned model answered {config.questions * len(steps):,} questions "
        f"{config.group_size} times each, and {source} gave every answer a reward. Answers with "
        "more than the mean of their group became more likely, others less. Writing and grading "
        f"answers took {share:.0%} of the time.",
        table(["mean of steps", "first tenth", "last tenth"], rows),
        "These answers are drawn at temperature 1, on questions that training may ask; the exam "
        "asks others and takes the most likely answer.",
    )


def _mean(steps: list[dict[str, Any]], name: str) -> float:
    return float(sum(step[name] for step in steps)) / len(steps)


def _mean_of_kind(steps: list[dict[str, Any]], kind: str) -> str:
    found = [step["rewards"][kind] for step in steps if kind in step["rewards"]]
    return f"{sum(found) / len(found):.3f}" if found else ""
