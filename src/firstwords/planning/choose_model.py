"""Choose the model size with the lowest expected loss for a time budget.

For every size of `MODEL_SIZES` the tokens that it can train on in the time are computed, and the
scaling law gives the bits per byte to expect.
"""

from collections.abc import Callable

from firstwords.model.size import matmul_parameters
from firstwords.planning import estimates
from firstwords.planning.estimates import (
    DatasetSize,
    decayed_bits_per_byte,
    recipe_flops_per_token,
)
from firstwords.planning.model_sizes import MODEL_SIZES, model_config
from firstwords.planning.presets import fit_memory
from firstwords.planning.stage_steps import FROM_RANDOM, with_steps_for_time
from firstwords.recipe import Recipe

# Training tokens of all stages. With fewer than the minimum, a model stays close to its initial
# weights. On the starter curriculum the law knows the text only, and a smaller model answers
# better (docs/lab-notebook.md#one-minute-with-two-layers). The law's runs have up to 30, too few to
# show when a small model stops improving, so that it is not reliable far beyond the maximum.
MIN_TOKENS_PER_PARAMETER = {"starter": 6.0, "text": 0.5}
MAX_TOKENS_PER_PARAMETER = 40
# More matmul parameters would memorize the text. The law's best model has a fifth to a quarter as
# many parameters as tokens, and the value of parameters beyond that decays with a constant of 5.3
# times as many (arXiv 2305.16264).
MAX_PARAMETERS_PER_UNIQUE_TOKEN = 1.5


def choose_model(
    draft: Recipe, data: DatasetSize, memory: float, set_steps: Callable[[Recipe], Recipe]
) -> Recipe:
    """Return the draft with the model of the lowest expected loss, and with its steps.

    Only models that fit into `memory` bytes and that the data is enough for are considered.
    `set_steps` gives a recipe the steps that there is time for.
    """
    models = [model_config(shape, draft.model.vocab_size) for shape in MODEL_SIZES]
    recipes = [set_steps(fit_memory(draft.replace(model=model), memory)) for model in models]
    possible = [
        recipe
        for recipe in recipes
        if estimates.memory_bytes(recipe) <= memory and has_enough_data(recipe, data)
    ] or recipes[:1]
    not_saturated = [recipe for recipe in possible if not is_saturated(recipe)]
    return min(
        not_saturated or possible[-1:],
        key=lambda recipe: decayed_bits_per_byte(recipe, data, estimates.all_tokens(recipe)),
    )


def steps_within(
    seconds: float, flops_per_second: float, data: DatasetSize
) -> Callable[[Recipe], Recipe]:
    """Return a function that gives a recipe the steps of all stages that a machine of this speed
    takes in `seconds`."""

    def set_steps(recipe: Recipe) -> Recipe:
        tokens_per_second = flops_per_second / recipe_flops_per_token(recipe)
        # The shares that the law was measured with. Where pretraining has less, the other stages
        # have more, and the model is worth as much.
        return with_steps_for_time(recipe, seconds, tokens_per_second, data, FROM_RANDOM)

    return set_steps


def is_saturated(recipe: Recipe) -> bool:
    """Return whether a recipe has more training tokens than its model can make good use of."""
    limit = MAX_TOKENS_PER_PARAMETER * matmul_parameters(recipe.model)
    return estimates.all_tokens(recipe) > limit


def has_enough_data(recipe: Recipe, data: DatasetSize) -> bool:
    """Return whether the training tokens and the unique text are enough for the model's size."""
    size = matmul_parameters(recipe.model)
    return (
        estimates.all_tokens(recipe) >= MIN_TOKENS_PER_PARAMETER[data.kind] * size
        and data.text_tokens >= size / MAX_PARAMETERS_PER_UNIQUE_TOKEN
    )
