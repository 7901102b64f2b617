"""Set the steps of the three stages, from the time or the tokens to train on."""

from collections.abc import Mapping
from typing import NamedTuple

from firstwords.planning.estimates import DatasetSize, run_seconds
from firstwords.recipe import Recipe, Stage, StageConfig

MIN_STAGE_STEPS = 8
MAX_EPOCHS = 8  # over text or conversations; further epochs add little (arXiv 2305.16264)
RESERVED_TIME_FRACTION = 0.03  # of the budget: a machine rarely gets faster than when measured
BISECTION_STEPS = 26  # to 1.5e-8 of the longest run, which is less than a step


class StageSchedule(NamedTuple):
    """A stage's share of the training tokens, and its learning rate schedule. Without a share the
    stage is skipped."""

    fraction: float
    lr_scale: float
    warmup: float  # fraction of the steps
    decay: float  # fraction of the steps
    final: float  # fraction of the rate


Schedules = Mapping[Stage, StageSchedule]
FROM_RANDOM: Schedules = {
    "pretrain": StageSchedule(0.42, 1.0, 0.05, decay=0.3, final=0.7),
    "midtrain": StageSchedule(0.30, 0.8, 0.02, decay=0.7, final=0.5),
    "sft": StageSchedule(0.28, 0.4, 0.02, decay=1.0, final=0.03),
}
# People judge a model by its answers, and the starter curriculum's conversations are as wide as its
# text: most tokens go to finetuning, whose targets are answers alone, at nearly the full rates
# (docs/lab-notebook.md#more-finetuning).
STARTER_FROM_RANDOM: Schedules = {
    "pretrain": FROM_RANDOM["pretrain"]._replace(fraction=0.23),
    "midtrain": FROM_RANDOM["midtrain"]._replace(fraction=0.08),
    "sft": FROM_RANDOM["sft"]._replace(fraction=0.69, lr_scale=0.8),
}
# Continuing a trained model. The optimizer starts without its averages, and the rate of a finished
# run has decayed to almost nothing: a short warmup, and a lower peak than from random weights
# (docs/lab-notebook.md#continuing-a-run, #notes-as-conversations).
CONTINUE_TEXT: Schedules = {
    "pretrain": StageSchedule(0.42, 0.5, 0.05, decay=0.3, final=0.7),
    "midtrain": StageSchedule(0.30, 0.4, 0.05, decay=0.7, final=0.5),
    "sft": StageSchedule(0.28, 0.2, 0.05, decay=1.0, final=0.03),
}
CONTINUE_CHAT: Schedules = {
    "pretrain": StageSchedule(0.0, 0.5, 0.05, decay=0.3, final=0.7),
    "midtrain": StageSchedule(0.1, 0.2, 0.05, decay=0.7, final=0.5),
    "sft": StageSchedule(0.9, 0.2, 0.05, decay=1.0, final=0.03),
}


def from_random(data: DatasetSize) -> Schedules:
    """Return the schedules of a model that starts from random weights."""
    return STARTER_FROM_RANDOM if data.kind == "starter" else FROM_RANDOM


def with_steps_for_time(
    recipe: Recipe,
    seconds: float,
    tokens_per_second: float,
    data: DatasetSize,
    schedules: Schedules,
) -> Recipe:
    """Return the recipe with as many steps as fit into `seconds` and as the data is worth."""

    def fits(tokens: float) -> bool:
        longer = with_steps_for_tokens(recipe, tokens, data, schedules)
        needed = run_seconds(longer, tokens_per_second, data)
        return needed <= (1 - RESERVED_TIME_FRACTION) * seconds

    low, high = 0.0, max(1.0, seconds) * tokens_per_second
    for _ in range(BISECTION_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return with_steps_for_tokens(recipe, low, data, schedules)


def with_steps_for_tokens(
    recipe: Recipe, tokens: float, data: DatasetSize, schedules: Schedules
) -> Recipe:
    """Return the recipe with about `tokens` training tokens in its three stages together, or as
    many as the data is worth, and with the learning rate schedules of the stages."""

    def stage(name: Stage, schedule: StageSchedule) -> StageConfig:
        # Both chat stages read the same conversations.
        config = recipe.stage(name)
        stage_tokens = min(tokens * schedule.fraction, MAX_EPOCHS * data.tokens(name))
        steps = max(MIN_STAGE_STEPS, round(stage_tokens / config.batch_tokens))
        steps = steps if schedule.fraction else 0
        return config.replace(
            steps=steps,
            lr_scale=schedule.lr_scale,
            warmup_steps=min(40, max(1, round(steps * schedule.warmup))),
            decay_fraction=schedule.decay,
            final_lr_fraction=schedule.final,
        )

    return recipe.replace(**{name: stage(name, schedules[name]) for name in schedules})
