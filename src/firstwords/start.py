"""Start a run, or go on with one: what was asked, held against what is there."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TypeVar

from firstwords import __version__, album, console, machine, pipeline, trackers
from firstwords import run as runs
from firstwords.data import corpora
from firstwords.data.corpora import SPLITS, Split
from firstwords.distributed import World, joined
from firstwords.errors import UserError
from firstwords.plan import Plan, check_room, make_plan, plan_of
from firstwords.recipe import Recipe, changed, parse, read_document, read_recipe
from firstwords.run import Manifest, Run, Sources
from firstwords.signals import Stop
from firstwords.sizing import Sketch, Worker, filled_in, with_micro_rows

DEFAULT_SECONDS = 1800.0
T = TypeVar("T")
Track = tuple[trackers.Name, ...]


class Request(NamedTuple):
    """The options of `train`; None where the user said nothing."""

    name: str = ""
    seconds: float | None = None
    data: str | None = None
    chat_data: str | None = None
    seed: int | None = None
    recipe: Path | None = None
    changes: tuple[str, ...] = ()


@contextmanager
def started(request: Request, track: Track = ()) -> Iterator[tuple[Run, Stop]]:
    """The run of that name, made now if there is none, locked and ready to work on."""
    trackers.check(track)
    with joined() as world, Stop().listening() as stop, _held(world, request.name) as directory:
        with world.leader_first():
            if runs.exists(directory):
                run = runs.open_directory(directory)
                check_same(run, request)
            else:
                run = runs.create(directory, new_manifest(request, world))
        _prepare(run, world, track)
        yield run, stop


@contextmanager
def continued(name: str | None, track: Track = ()) -> Iterator[tuple[Run, Stop]]:
    """An existing run, locked and ready to work on."""
    trackers.check(track)
    found = runs.open_run(name)
    with joined() as world, Stop().listening() as stop, _held(world, found.name):
        _prepare(found, world, track)
        yield found, stop


@contextmanager
def _held(world: World, name: str) -> Iterator[Path]:
    """The run's directory, which the leader locks for all; the others say nothing from here on."""
    if world.leads:
        with runs.locked(name) as directory:
            yield directory
    else:
        console.console.quiet = True
        yield runs.runs_home() / name


def _prepare(run: Run, world: World, track: Track) -> None:
    run.world = world
    run.watchers = [album.keeper(run), *(trackers.watchers(run, track) if world.leads else [])]
    pipeline.prepare(run)


def new_manifest(request: Request, world: World | None = None) -> Manifest:
    """Check the data and plan, for these processes or one. Raises UserError before anything is
    written."""
    world = world or World()
    seconds, sources, plan = resolve(request, world.size)
    pipeline.check_device(plan.recipe, world)
    return Manifest(
        firstwords=__version__,
        created=runs.now(),
        time=seconds,
        sources=sources,
        recipe=plan.recipe,
        machine=machine.describe(),
        predicted=plan.predicted,
    )


def resolve(request: Request, processes: int = 1) -> tuple[float, Sources, Plan]:
    """The budget, the sources and the plan that a request leads to."""
    earlier = _manifest_in(request.recipe)
    seconds = given(request.seconds, earlier.time if earlier else DEFAULT_SECONDS)
    defaults = sources_in(request.recipe)
    text = corpora.open_corpus(given(request.data, defaults.data), "--data")
    chat = corpora.open_corpus(given(request.chat_data, defaults.chat_data), "--chat-data")
    sources = Sources(data=text.name, chat_data=chat.name)
    check_not_empty(f"--data {text.name}", lambda split: corpora.texts(text, split, 0))
    check_not_empty(f"--chat-data {chat.name}", lambda split: corpora.conversations(chat, split, 0))
    recipe, sketch = recipe_in(request), sketch_in(request.recipe)
    if sketch:
        plan = plan_of(sketch, given(request.seed, 0), text, chat, processes)
        seconds = given(request.seconds, plan.predicted["total_seconds"])
    elif recipe:
        room = machine.memory_in_reach(machine.at_hand(recipe.device))
        check_room(recipe, room, processes)
        plan = Plan(recipe, {})
    else:
        plan = make_plan(seconds, given(request.seed, 0), text, chat, processes)
    if request.changes and not recipe:  # what was foretold is of another recipe then
        plan = Plan(changed(plan.recipe, request.changes), {})
    return seconds, sources, plan


def given(value: T | None, default: T) -> T:
    """What the user gave, be it 0 or empty, or else the default."""
    return default if value is None else value


def check_not_empty(source: str, records: Callable[[Split], Iterator[object]]) -> None:
    """Something to train with, and something held out. Raises UserError."""
    for split in SPLITS:
        if next(records(split), None) is None:
            what = "it is empty" if split == "train" else "nothing is left to be held out"
            raise UserError(source, f"{what}; give at least two documents or conversations")


def sources_in(recipe: Path | None) -> Sources:
    """The sources of a run that is to be repeated or of a sketch, or the usual ones."""
    earlier, sketch = _manifest_in(recipe), sketch_in(recipe)
    if sketch:
        return Sources(data=sketch.data, chat_data=sketch.chat_data)
    return earlier.sources if earlier else Sources()


def _manifest_in(recipe: Path | None) -> Manifest | None:
    """A recipe given as a run.json also names the sources."""
    if recipe is None:
        return None
    document = read_document(recipe)
    is_manifest = isinstance(document, dict) and "recipe" in document
    return parse(Manifest, document, recipe) if is_manifest else None


def recipe_in(request: Request) -> Recipe | None:
    """The recipe that was named, with the seed and the changes that were asked for. Not a sketch,
    which is not a recipe until the machine is known."""
    if request.recipe is None or sketch_in(request.recipe):
        return None
    recipe = read_recipe(request.recipe)
    recipe = recipe.model_copy(update={"seed": given(request.seed, recipe.seed)})
    return changed(recipe, request.changes)


def sketch_in(path: Path | None) -> Sketch | None:
    """A recipe given by its depth."""
    if path is None:
        return None
    document = read_document(path)
    is_sketch = isinstance(document, dict) and "depth" in document
    return parse(Sketch, document, path) if is_sketch else None


def of_sketch(request: Request, like: Recipe) -> Recipe | None:
    """What a sketch wishes of a run like that one, if one was named: the machine may be another."""
    sketch = sketch_in(request.recipe)
    if sketch is None:
        return None
    room = float("inf")
    worker = Worker(like.device, like.n_threads, like.dtype, like.compile, room)
    recipe = changed(filled_in(sketch, worker, given(request.seed, 0)), request.changes)
    return with_micro_rows(recipe, like.base.micro_rows)


def check_same(run: Run, request: Request) -> None:
    """A run goes on as it was started: another wish needs another run."""
    manifest = run.manifest
    asked: dict[str, tuple[object, object]] = {
        "--time": (request.seconds, manifest.time),
        "--seed": (request.seed, manifest.recipe.seed),
        "--data": (_name(request.data, "--data"), manifest.sources.data),
        "--chat-data": (_name(request.chat_data, "--chat-data"), manifest.sources.chat_data),
    }
    asked["--set"] = (changed(manifest.recipe, request.changes), manifest.recipe)
    wanted_recipe = recipe_in(request) or of_sketch(request, manifest.recipe)
    asked["--recipe"] = (wanted_recipe, manifest.recipe)
    for option, (wanted, there) in asked.items():
        if wanted is not None and wanted != there:
            raise UserError(
                f"{option}: run {run.name} was started with another one",
                f"continue it without {option}, or start a new run with --run NAME",
            )


def _name(source: str | None, option: str) -> str | None:
    return None if source is None else corpora.open_corpus(source, option).name
