"""What the user asked `rl` for, and the run that follows from it: a copy of a finished run with one
more stage. The run that it starts from stays as it is."""

import shutil
from pathlib import Path
from typing import NamedTuple

from firstwords import __version__
from firstwords.common import console, devices, files
from firstwords.common.errors import UserError
from firstwords.common.units import format_duration
from firstwords.pipeline.request import check_device, refuse_changes
from firstwords.recipe import REQUIRED_STAGES, Recipe, overridden_names, with_overrides
from firstwords.rl.stage import check_processes, check_reward, rl_config, seconds_per_step
from firstwords.runs import registry
from firstwords.runs.manifest import Manifest, now
from firstwords.runs.run import Run
from firstwords.training.distributed import World
from firstwords.training.session import Session

DEFAULT_SECONDS = 180.0
MIN_STEPS = 10
COPIED = ("tokenizer", "start", "tokens", "metrics", "samples", "evaluation")


class RLRequest(NamedTuple):
    """The options of `rl`; None where the user gave none."""

    source: str | None = None
    name: str | None = None
    reward: Path | None = None
    seconds: float | None = None
    overrides: tuple[str, ...] = ()  # of --set


def rl_run_name(request: RLRequest) -> str:
    """Return the name of the new run."""
    if request.name is not None:
        return request.name
    return f"{find_source(request).name}-{request.reward.stem if request.reward else 'rl'}"


def find_source(request: RLRequest) -> Run:
    """Return the run to start from, by default the newest that leaves this stage out. Raises
    UserError."""
    if request.source is not None:
        return registry.open_run(request.source)
    for directory in registry.list_runs():
        run = registry.open_run_directory(directory)
        if run.recipe.rl is None:
            return run
    raise UserError("there is no run to start from", "train one first: firstwords train")


def check_same_rl(run: Run, request: RLRequest) -> None:
    """Raise UserError if the request asks for another run than the existing one of that name."""
    config = rl_config(run)
    refuse_changes(
        run,
        {
            "--reward": (_reward(request) or None, config.reward),
            "--time": (request.seconds, run.manifest.time),
            "--set": (with_overrides(run.recipe, request.overrides), run.recipe),
        },
    )


def create_rl_run(directory: Path, request: RLRequest, world: World) -> Run:
    """Create the new run in a directory: measure a step, by all processes together, and set as many
    as fit into the time. Raises UserError before anything is written."""
    with world.raising_together():
        source = find_source(request)
        manifest = _manifest(directory, source, request, world)
    if world.is_main:
        _copy(source, directory)
    world.barrier()
    if "rl.steps" not in overridden_names(request.overrides):
        manifest = _with_steps_for_time(directory, manifest, request, source, world)
    if world.is_main:
        registry.create_run(directory, manifest)
    world.barrier()
    return registry.open_run_directory(directory)


def _manifest(directory: Path, source: Run, request: RLRequest, world: World) -> Manifest:
    """Return the manifest of the new run, with one step. Raises UserError if it cannot be trained
    by these processes."""
    seconds = DEFAULT_SECONDS if request.seconds is None else request.seconds
    if not seconds:
        raise UserError("--time 0s is too short", "use at least 1s")
    source.finished_or_fail("sft")
    recipe = _recipe(source, request, steps=1)
    manifest = source.manifest.replace(
        firstwords=__version__,
        created=now(),
        time=seconds,
        recipe=recipe,
        machine=devices.describe_machine(),
        predicted={},
    )
    config = rl_config(Run(directory, manifest))
    check_device(recipe, world)
    check_processes(config, world)
    check_reward(config, manifest.sources.chat_data)
    return manifest


def _recipe(source: Run, request: RLRequest, steps: int) -> Recipe:
    """Return the recipe of the source with the stage that the request asks for."""
    defaults = {
        "rl.steps": steps,
        "rl.seq_len": source.recipe.model.max_seq_len,
        "rl.micro_batch_size": source.recipe.sft.micro_batch_size,
        "rl.reward": _reward(request),
    }
    settings = [f"{name}={value}" for name, value in defaults.items()]
    return with_overrides(source.recipe.replace(rl=None), [*settings, *request.overrides])


def _reward(request: RLRequest) -> str:
    return str(request.reward.absolute()) if request.reward else ""


def _with_steps_for_time(
    directory: Path, manifest: Manifest, request: RLRequest, source: Run, world: World
) -> Manifest:
    devices.configure_torch(world.local_threads(manifest.recipe.n_threads))
    console.say("measuring a step of reinforcement learning")
    measured = seconds_per_step(Session(Run(directory, manifest), world))
    steps = max(MIN_STEPS, round(manifest.time / measured))
    took = f"a step takes {measured:.1f} s: {steps:,} steps"
    console.say(f"{took}, about {format_duration(steps * measured)}")
    return manifest.replace(recipe=_recipe(source, request, steps))


def _copy(source: Run, directory: Path) -> None:
    """Copy what the new run shares with the source: everything but times, reports and checkpoints
    that are not the last of their stage."""
    for name in COPIED:
        if (source.directory / name).is_dir():
            shutil.copytree(source.directory / name, directory / name, dirs_exist_ok=True)
    for stage in REQUIRED_STAGES:
        last = source.finished_or_fail(stage).directory
        with files.atomic_directory(directory / "checkpoints" / stage / last.name) as new:
            shutil.copytree(last, new, dirs_exist_ok=True)
    for path in (directory / "evaluation", directory / "metrics", directory / "samples"):
        for left_over in path.glob("rl*"):
            left_over.unlink()
