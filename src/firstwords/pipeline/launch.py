"""Start a run or resume one: join the other processes, lock the directory, prepare this process."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from firstwords.common import console, devices
from firstwords.common.signals import StopSignal
from firstwords.common.units import format_duration
from firstwords.evaluation import growth_samples
from firstwords.model.size import matmul_parameters
from firstwords.pipeline.request import (
    TrainRequest,
    check_device,
    check_unchanged,
    new_manifest,
    run_name,
)
from firstwords.pipeline.rl_run import RLRequest, check_same_rl, create_rl_run, rl_run_name
from firstwords.recipe import STAGES
from firstwords.runs import registry
from firstwords.runs.origins import copy_start
from firstwords.runs.run import Run
from firstwords.training import trackers
from firstwords.training.distributed import World, join_processes
from firstwords.training.session import Session


@contextmanager
def start_run(request: TrainRequest, log_to: tuple[trackers.Name, ...] = ()) -> Iterator[Session]:
    """Open the run that the request names, planning and creating it if there is none."""
    trackers.check_trackers(log_to)
    with (
        join_processes() as world,
        StopSignal().listening() as stop,
        _locked(world, run_name(request)) as directory,
    ):
        with world.main_process_first():
            if registry.run_exists(directory):
                run = registry.open_run_directory(directory)
                check_unchanged(run, request)
            else:
                manifest = new_manifest(request, world)
                if manifest.origin:
                    copy_start(directory, manifest.origin)
                run = registry.create_run(directory, manifest)
        yield _prepare(run, world, stop, log_to)


@contextmanager
def start_rl(request: RLRequest, log_to: tuple[trackers.Name, ...] = ()) -> Iterator[Session]:
    """Open the run that the request names, or create it as a copy of a finished run with one more
    stage."""
    trackers.check_trackers(log_to)
    with (
        join_processes() as world,
        StopSignal().listening() as stop,
        _locked(world, rl_run_name(request)) as directory,
    ):
        exists = registry.run_exists(directory)
        world.barrier()  # every process has looked before any of them creates it
        if exists:
            with world.raising_together():
                run = registry.open_run_directory(directory)
                check_same_rl(run, request)
        else:
            run = create_rl_run(directory, request, world)
        yield _prepare(run, world, stop, log_to)


@contextmanager
def resume_run(name: str | None, log_to: tuple[trackers.Name, ...] = ()) -> Iterator[Session]:
    """Open an existing run, by default the newest."""
    trackers.check_trackers(log_to)
    run = registry.open_run(name)
    with (
        join_processes() as world,
        StopSignal().listening() as stop,
        _locked(world, run.name),
    ):
        yield _prepare(run, world, stop, log_to)


@contextmanager
def _locked(world: World, name: str) -> Iterator[Path]:
    """Lock the run's directory in the main process, for all; the others print nothing from now."""
    if world.is_main:
        with registry.lock_run(name) as directory:
            yield directory
    else:
        console.console.quiet = True
        yield registry.runs_home() / name


def _prepare(
    run: Run, world: World, stop: StopSignal, log_to: tuple[trackers.Name, ...]
) -> Session:
    """Configure this process as the recipe says, and print what is about to be trained."""
    recipe = run.recipe
    check_device(recipe, world)
    if world.is_main:
        registry.restore_manifest(run)
    devices.configure_torch(world.local_threads(recipe.n_threads))
    _print_overview(run, world)
    callbacks = [growth_samples.sample_callback(run)]
    if world.is_main:
        callbacks += trackers.tracker_callbacks(run, log_to)
    return Session(run, world, stop, callbacks)


def _print_overview(run: Run, world: World) -> None:
    recipe, model, predicted = run.recipe, run.recipe.model, run.manifest.predicted
    if origin := run.manifest.origin:
        console.say(f"starting from the model of {origin}")
    console.say(
        f"run {run.name} in {run.directory}\n"
        f"model: {model.n_layer} layers x {model.n_embd} channels, {model.n_head} heads, "
        f"vocabulary {model.vocab_size:,}; {matmul_parameters(model) / 1e6:.2f}M matmul "
        f"parameters\n"
        f"machine: {run.manifest.machine.get('cpu', 'unknown')}, {_workers(run, world)}, "
        f"{recipe.dtype}, {recipe.step_kind}"
    )
    if predicted and world.size == 1:
        times = ", ".join(
            f"{name} {format_duration(s)}"
            for name, s in predicted["phase_seconds"].items()
            if name not in STAGES or recipe.stage(name).steps
        )
        console.say(f"plan: {times}, at {predicted['tokens_per_second']:,.0f} tokens/s")


def _workers(run: Run, world: World) -> str:
    threads = f"{world.local_threads(run.recipe.n_threads)} threads"
    gpu = "" if run.recipe.device == "cpu" else ", one GPU"
    if world.size == 1:
        return threads + gpu
    return f"{world.size} processes of {threads}" + (f"{gpu} each" if gpu else "")
