"""The options that a run of a site file passes to `firstwords train`."""

from firstwords.pipeline.request import (
    TrainRequest,
    check_fits_start,
    given_recipe,
    read_recipe_file,
)
from firstwords.recipe import Recipe
from firstwords.slurm.field_types import resolve_recipe, resolve_source
from firstwords.slurm.site import RunConfig


def train_request(run: RunConfig) -> TrainRequest:
    """Return the request that `firstwords train` gets in the run's job, with variables expanded.

    Raises UserError if a variable is not set.
    """
    return TrainRequest(
        name=run.name,
        seconds=run.time,
        data=resolve_source(run.data),
        chat_data=resolve_source(run.chat_data),
        seed=run.seed,
        recipe=resolve_recipe(run.recipe),
        overrides=run.overrides(),
    )


def recipe_of(run: RunConfig) -> Recipe | None:
    """Return the recipe that the site file gives the run; None if it is planned on the node.

    Raises UserError if the recipe cannot be read or is not valid.
    """
    request = train_request(run)
    recipe = given_recipe(read_recipe_file(request.recipe), request)
    if recipe:
        check_fits_start(recipe, None)
    return recipe
