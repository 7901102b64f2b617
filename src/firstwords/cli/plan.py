"""`firstwords plan`: what `train` would do, on this machine or on GPUs of another one."""

import json
from typing import TYPE_CHECKING, Any

import click

from firstwords.cli.options import JSON, FiniteRange, new_run_options
from firstwords.common.errors import UserError
from firstwords.common.terminal import echo

if TYPE_CHECKING:
    from firstwords.pipeline.request import TrainRequest


@click.command()
@new_run_options
@click.option(
    "--estimate-for",
    "gpus",
    metavar="8xH100",
    help="Estimate a recipe by depth (--recipe speedrun) for GPUs of another machine: A100, H100, "
    "H200 or RTX4090.",
)
@click.option(
    "--price",
    type=FiniteRange(min=0),
    help="Dollars per GPU hour, for --estimate-for.",
)
@JSON
def plan(as_json: bool, gpus: str | None, price: float | None, **request: Any) -> None:
    """Print what train would do, without doing it."""
    from firstwords.pipeline.request import TrainRequest

    if gpus is not None:
        _plan_for_gpus(TrainRequest(**request), gpus, price, as_json)
        return
    if price is not None:
        raise UserError(
            "--price needs --estimate-for", "add --estimate-for 8xH100, or drop --price"
        )
    _plan_for_this_machine(TrainRequest(**request), as_json)


def _plan_for_this_machine(request: "TrainRequest", as_json: bool) -> None:
    from firstwords.pipeline.request import resolve
    from firstwords.planning.render import render_plan

    resolved = resolve(request)
    sources, plan = resolved.sources, resolved.plan
    origin = resolved.start.origin if resolved.start else None
    document = {
        "origin": origin.model_dump() if origin else None,
        "sources": sources.model_dump(),
        "recipe": plan.recipe.model_dump(),
        "predicted": plan.predicted,
    }
    lines = [f"starts from {origin}", render_plan(plan)] if origin else [render_plan(plan)]
    echo(json.dumps(document, indent=2) if as_json else "\n".join(lines))


def _plan_for_gpus(request: "TrainRequest", gpus: str, price: float | None, as_json: bool) -> None:
    from firstwords.pipeline.request import or_default, read_recipe_file
    from firstwords.planning.gpu_plan import estimate_for_gpus, render_gpu_plan
    from firstwords.planning.gpus import parse_gpus

    if request.from_run is not None:
        raise UserError("--estimate-for does not go with --from", "leave one of them out")
    preset = read_recipe_file(request.recipe).preset
    if preset is None:
        raise UserError(
            "--estimate-for needs a recipe by depth",
            "add --recipe speedrun, or another recipe file with a depth",
        )
    seed = or_default(request.seed, 0)
    plan = estimate_for_gpus(preset, parse_gpus(gpus), price, seed, request.overrides)
    echo(json.dumps(plan, indent=2) if as_json else render_gpu_plan(preset, plan))
