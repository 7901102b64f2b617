"""The recipes of a sweep's variants: planned once, then the same however often it is resumed."""

from pathlib import Path
from typing import Any

from firstwords.common import console, devices, files
from firstwords.common.errors import UserError
from firstwords.common.schema import parse, read_document
from firstwords.pipeline.request import TrainRequest, resolve
from firstwords.planning import autotune
from firstwords.planning.recipes import named_recipes
from firstwords.planning.stage_steps import MIN_STAGE_STEPS
from firstwords.recipe import Recipe
from firstwords.sweep.spec import SweepSpec, variant_recipe

MEASURING_SECONDS = 5.0  # of the speed of each variant, for equal time


def variant_recipes(spec: SweepSpec, folder: Path) -> dict[str, Recipe]:
    """Return the recipe of each variant, from the sweep's folder if it was planned before.

    Raises UserError if the spec is not that of the sweep in the folder.
    """
    path = folder / "plan.json"
    planned = spec.model_dump(mode="json", exclude={"seeds", "command"})
    if path.exists():
        stored = read_document(path)
        if stored.get("spec") != planned:
            raise UserError(
                f"the sweep in {folder} has another time, data or other changes",
                "give this one another name with --name",
            )
        return {name: parse(Recipe, recipe, path) for name, recipe in stored["recipes"].items()}
    recipes = _plan(spec)
    dumped = {name: recipe.model_dump() for name, recipe in recipes.items()}
    files.write_json(path, {"spec": planned, "recipes": dumped})
    return recipes


def _plan(spec: SweepSpec) -> dict[str, Recipe]:
    request = TrainRequest(
        seconds=spec.seconds,
        data=spec.data,
        chat_data=spec.chat_data,
        recipe=_recipe_path(spec.recipe),
        from_run=spec.from_run,
    )
    base = resolve(request).plan.recipe
    recipes = {
        name: variant_recipe(base, name, settings) for name, settings in spec.changes.items()
    }
    return _with_equal_time(base, recipes) if spec.equal == "time" else recipes


def _recipe_path(recipe: str | None) -> Path | None:
    if recipe is None:
        return None
    return named_recipes().get(recipe, Path(recipe))


def _with_equal_time(base: Recipe, recipes: dict[str, Recipe]) -> dict[str, Recipe]:
    """Return the recipes with as many steps as take the time of the base recipe.
    Settings of `steps` are overruled."""
    devices.configure_torch(base.n_threads)
    equal = {}
    with console.progress("measuring the speed of the variants", len(recipes), "variants") as meter:
        for name, recipe in recipes.items():
            meter.advance(0, name)
            equal[name] = recipe
            if not _has_same_steps(recipe, base):
                base_speed, speed = autotune.measure_alternately(base, recipe, MEASURING_SECONDS)
                equal[name] = _scaled(recipe, base, speed / base_speed)
            meter.advance(1)
    return equal


def _has_same_steps(recipe: Recipe, base: Recipe) -> bool:
    """Return whether a step of the recipe does the same work as one of the base recipe."""
    fields = ("model", "dtype", "kernel", "compile", "attention", "n_threads", "device")
    stages: Any = ((recipe.stage(stage), base.stage(stage)) for stage in base.stages)
    return all(getattr(recipe, name) == getattr(base, name) for name in fields) and all(
        (one.batch_size, one.micro_batch_size, one.seq_len)
        == (other.batch_size, other.micro_batch_size, other.seq_len)
        for one, other in stages
    )


def _scaled(recipe: Recipe, base: Recipe, ratio: float) -> Recipe:
    """Return the recipe with `ratio` times the tokens of the base recipe in every stage."""
    stages = {
        stage: recipe.stage(stage).replace(
            steps=max(MIN_STAGE_STEPS, round(ratio * base.stage(stage).tokens / batch_tokens))
        )
        for stage in base.stages
        for batch_tokens in (recipe.stage(stage).batch_tokens,)
    }
    return recipe.replace(**stages)
