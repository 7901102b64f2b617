"""Set the steps of the three stages, from the time or the tokens to train on."""

from firstwords.planning.estimates import DatasetSize, run_seconds
from firstwords.recipe import Recipe, Stage, StageConfig

MIN_STAGE_STEPS = 8
MAX_EPOCHS = 8  # over text or conversations; further epochs add little (arXiv 2305.16264)
STAGE_TOKEN_FRACTIONS: dict[Stage, float] = {"pretrain": 0.42, "midtrain": 0.30, "sft": 0.28}
RESERVED_TIME_FRACTION = 0.03  # of the budget: a machine rarely gets faster than when measured
BISECTION_STEPS = 26  # to 1.5e-8 of the longest run, which is less than a step


def with_steps_for_time(
    recipe: Recipe, seconds: float, tokens_per_second: float, data: DatasetSize
) -> Recipe:
    """Return the recipe with as many steps as fit into `seconds` and as the data is worth."""

    def fits(tokens: float) -> bool:
        longer = with_steps_for_tokens(recipe, tokens, data)
        needed = run_seconds(longer, tokens_per_second, data)
        return needed <= (1 - RESERVED_TIME_FRACTION) * seconds

    low, high = 0.0, max(1.0, seconds) * tokens_per_second
    for _ in range(BISECTION_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return with_steps_for_tokens(recipe, low, data)


def with_steps_for_tokens(recipe: Recipe, tokens: float, data: DatasetSize) -> Recipe:
    """Return the recipe with about `tokens` training tokens in its three stages together, or as
    many as the data is worth, and with the learning rate schedules of the stages."""

    def stage(
        name: Stage, lr_scale: float, warmup: float, decay: float, final: float
    ) -> StageConfig:
        # Both chat stages read the same conversations.
        stage_tokens = min(tokens * STAGE_TOKEN_FRACTIONS[name], MAX_EPOCHS * data.tokens(name))
        steps = max(MIN_STAGE_STEPS, round(stage_tokens / recipe.pretrain.batch_tokens))
        return recipe.pretrain.replace(
            steps=steps,
            lr_scale=lr_scale,
            warmup_steps=min(40, max(1, round(steps * warmup))),
            decay_fraction=decay,
            final_lr_fraction=final,
        )

    return recipe.replace(
        pretrain=stage("pretrain", 1.0, 0.05, decay=0.3, final=0.7),
        midtrain=stage("midtrain", 0.8, 0.02, decay=0.7, final=0.5),
        sft=stage("sft", 0.4, 0.02, decay=1.0, final=0.03),
    )
