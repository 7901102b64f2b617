"""What the user asked `train` for, and the manifest or the objection that follows from it."""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, TypeVar

from firstwords import __version__
from firstwords.common import console, devices
from firstwords.common.errors import UserError
from firstwords.common.schema import parse, read_document
from firstwords.data import corpora
from firstwords.data.checks import check_conversations, check_has_text, check_text
from firstwords.data.corpora import Corpus
from firstwords.data.mixing import SourceSpec, split_weight
from firstwords.data.starter.personality import Personality, read_personality
from firstwords.planning.advice import data_notes
from firstwords.planning.checks import check_resources
from firstwords.planning.planner import Plan, Start, make_plan, plan_preset
from firstwords.planning.presets import (
    DepthPreset,
    WorkerSpec,
    recipe_from_preset,
)
from firstwords.planning.stage_steps import CONTINUE_CHAT, CONTINUE_TEXT
from firstwords.recipe import Recipe, with_overrides
from firstwords.rl.stage import check_reward
from firstwords.runs import registry
from firstwords.runs.datasets import APPROXIMATE_BYTES_PER_TOKEN
from firstwords.runs.manifest import Manifest, Origin, Sources, now
from firstwords.runs.origins import SourceModel, find_source, next_name, split_origin
from firstwords.runs.run import Run
from firstwords.training.distributed import World

DEFAULT_SECONDS = 1800.0
DEFAULT_NAME = "default"
T = TypeVar("T")


class TrainRequest(NamedTuple):
    """The options of `train`; None where the user gave none."""

    name: str | None = None
    seconds: float | None = None
    data: SourceSpec | None = None
    chat_data: SourceSpec | None = None
    seed: int | None = None
    recipe: Path | None = None
    from_run: str | None = None  # of --from: RUN or RUN:STAGE
    overrides: tuple[str, ...] = ()  # of --set
    personality: Path | None = None


class RecipeFile(NamedTuple):
    """What a file given by --recipe holds: a recipe, perhaps in a run's manifest, or a preset."""

    recipe: Recipe | None = None
    manifest: Manifest | None = None
    preset: DepthPreset | None = None

    @property
    def sources(self) -> Sources:
        """The sources that the file names, or the default ones."""
        if self.preset:
            return Sources(data=self.preset.data, chat_data=self.preset.chat_data)
        return self.manifest.sources if self.manifest else Sources()


class Resolved(NamedTuple):
    """The budget in seconds, the sources and the plan that a request leads to, the model that the
    run starts from, and the personality."""

    seconds: float
    sources: Sources
    plan: Plan
    start: SourceModel | None = None
    personality: Personality | None = None


def read_recipe_file(path: Path | None) -> RecipeFile:
    """Read a run.json, a recipe or a preset. Raises UserError if it is none of them."""
    if path is None:
        return RecipeFile()
    document = read_document(path)
    keys = document if isinstance(document, dict) else {}
    if "recipe" in keys:
        manifest: Manifest = parse(Manifest, document, path)
        return RecipeFile(manifest.recipe, manifest)
    if "depth" in keys:
        return RecipeFile(preset=parse(DepthPreset, document, path))
    return RecipeFile(parse(Recipe, document, path))


def new_manifest(request: TrainRequest, world: World | None = None) -> Manifest:
    """Check the data and plan a run for the processes of `world`. Raises UserError before anything
    is written."""
    world = world or World()
    seconds, sources, plan, start, personality = resolve(request, world.size)
    check_device(plan.recipe, world)
    for note in plan.notes:
        console.say(f"note: {note}")
    if plan.recipe.rl:
        check_reward(plan.recipe.rl, sources.chat_data)
    return Manifest(
        firstwords=__version__,
        created=now(),
        time=seconds,
        sources=sources,
        origin=start.origin if start else None,
        personality=personality,
        recipe=plan.recipe,
        machine=devices.describe_machine(),
        predicted=plan.predicted,
    )


def resolve(request: TrainRequest, processes: int = 1) -> Resolved:
    """Open the data, then plan or take the given recipe. Raises UserError."""
    file = read_recipe_file(request.recipe)
    start = find_source(request.from_run) if request.from_run else None
    if start and file.preset:
        raise UserError(
            "--from does not go with a recipe by depth: the model's shape is given",
            "leave out --recipe",
        )
    seconds = or_default(request.seconds, file.manifest.time if file.manifest else DEFAULT_SECONDS)
    defaults = start.run.manifest.sources if start and not file.manifest else file.sources
    text = corpora.open_corpus(or_default(request.data, defaults.data), "--data")
    chat = corpora.open_corpus(or_default(request.chat_data, defaults.chat_data), "--chat-data")
    if start:
        text, chat = (corpus.with_seed(start.run.file_seed) for corpus in (text, chat))
    sources = Sources(data=text.source, chat_data=chat.source)
    personality = _personality(request, file, start, chat)
    check_has_text(text, "--data")
    check_conversations(chat, "--chat-data")
    seconds, plan = _plan(request, file, seconds, text, chat, processes, start)
    recipe = plan.recipe
    check_fits_start(recipe, start)
    text_bytes = APPROXIMATE_BYTES_PER_TOKEN * recipe.text_tokens
    check_text(text, "--data", recipe.seed, {"train": text_bytes, "val": recipe.val_bytes})
    plan = replace(plan, notes=tuple(data_notes(recipe, text, chat, _knows_starter(start))))
    return Resolved(seconds, sources, plan, start, personality)


def _personality(
    request: TrainRequest, file: RecipeFile, start: SourceModel | None, chat: Corpus
) -> Personality | None:
    """Return the personality of a file, or of the run whose recipe or model is used.

    Raises UserError.
    """
    if request.personality is None:
        earlier = file.manifest or (start.run.manifest if start else None)
        return earlier.personality if earlier else None
    personality = read_personality(request.personality)
    if not chat.has_starter:
        raise UserError(
            f"--personality needs the starter conversations, not only --chat-data {chat.name}",
            "add --chat-data starter, or write conversations with the name",
        )
    return personality


def _plan(
    request: TrainRequest,
    file: RecipeFile,
    seconds: float,
    text: Corpus,
    chat: Corpus,
    processes: int,
    start: SourceModel | None,
) -> tuple[float, Plan]:
    """Return the budget in seconds and the plan, or the recipe of a file without estimates."""
    # Another seed than that of the source, for generated text that the model has not seen.
    seed = or_default(request.seed, (start.run.recipe.seed + 1) % 2**32 if start else 0)
    recipe = given_recipe(file, request)
    if recipe:
        memory = devices.available_memory(devices.device_or_cpu(recipe.device))
        check_resources(recipe, memory, processes)
        return seconds, Plan(recipe, {})
    if file.preset:
        plan = plan_preset(file.preset, seed, text, chat, processes, request.overrides)
        return or_default(request.seconds, plan.predicted["total_seconds"]), plan
    given = _start(text, start)
    return seconds, make_plan(seconds, seed, text, chat, processes, given, request.overrides)


def _start(text: Corpus, source: SourceModel | None) -> Start | None:
    """Return what the planner needs of the model that a run starts from. A model that chats is
    trained on text again only if it is other text."""
    if source is None:
        return None
    is_other = text.source != source.run.manifest.sources.data
    trains_on_text = is_other or source.stage == "pretrain"
    return Start(source.run.recipe, CONTINUE_TEXT if trains_on_text else CONTINUE_CHAT)


def _knows_starter(start: SourceModel | None) -> bool:
    """Return whether the model that a run starts from was trained on starter conversations."""
    if start is None:
        return False
    source = start.run.manifest.sources.chat_data
    names = (source,) if isinstance(source, str) else source
    return corpora.STARTER in (split_weight(name)[0] for name in names)


def check_fits_start(recipe: Recipe, start: SourceModel | None) -> None:
    """Raise UserError if a recipe does not go with the model that the run starts from."""
    if start and recipe.model != start.run.recipe.model:
        raise UserError(
            f"the recipe has another model than run {start.run.name}, which --from starts from",
            "change only fields outside of model with --set, and give no other --recipe",
        )
    if start is None and (recipe.pretrain.steps == 0 or recipe.tokenizer_bytes == 0):
        field = "tokenizer_bytes" if recipe.pretrain.steps else "pretrain.steps"
        raise UserError(
            f"{field} is 0, which needs the model of another run", "add --from RUN, or set it"
        )


def or_default(value: T | None, default: T) -> T:
    """Return the value if the user gave one, be it 0 or empty."""
    return default if value is None else value


def check_device(recipe: Recipe, world: World) -> None:
    """Raise UserError if the recipe's device is missing, or there are too few for the processes."""
    device, processes = recipe.device, world.local_size
    if device == "cpu":
        return
    if devices.available_gpu() != device:
        raise UserError(
            f"the recipe trains on a GPU ({device}), but PyTorch finds none",
            "resume on a machine with one, or start another run from the recipe with "
            "--set device=cpu",
        )
    n_gpus = len(devices.gpu_names())
    if processes > n_gpus:
        raise UserError(
            f"{processes} processes on this node need as many GPUs, but it has {n_gpus}",
            f"start torchrun with --nproc-per-node {n_gpus}",
        )


def given_recipe(file: RecipeFile, request: TrainRequest) -> Recipe | None:
    """Return the recipe of a file, with the requested seed and overrides. A preset is none until
    the machine is known."""
    if file.recipe is None:
        return None
    recipe = file.recipe.replace(seed=or_default(request.seed, file.recipe.seed))
    return with_overrides(recipe, request.overrides)


def preset_recipe_like(file: RecipeFile, request: TrainRequest, like: Recipe) -> Recipe | None:
    """Return the recipe of a preset on the machine of the run with the recipe `like`."""
    if file.preset is None:
        return None
    unlimited = float("inf")
    worker = WorkerSpec(
        like.device, like.n_threads, like.dtype, like.compile, unlimited, kernel=like.kernel
    )
    recipe = recipe_from_preset(file.preset, worker, or_default(request.seed, 0))
    recipe = with_overrides(recipe, request.overrides)
    return recipe.replace_stages(micro_batch_size=like.pretrain.micro_batch_size)


def check_unchanged(run: Run, request: TrainRequest) -> None:
    """Raise UserError if the request asks for another run than the existing one of that name."""
    manifest, file = run.manifest, read_recipe_file(request.recipe)
    recipe = manifest.recipe
    options: dict[str, tuple[object, object]] = {
        "--from": (request.from_run, _origin_like(manifest.origin, request.from_run)),
        "--time": (request.seconds, manifest.time),
        "--seed": (request.seed, recipe.seed),
        "--data": (_canonical(request.data, "--data"), manifest.sources.data),
        "--chat-data": (_canonical(request.chat_data, "--chat-data"), manifest.sources.chat_data),
        "--personality": (
            request.personality and read_personality(request.personality),
            manifest.personality,
        ),
        "--set": (with_overrides(recipe, request.overrides), recipe),
        "--recipe": (
            given_recipe(file, request) or preset_recipe_like(file, request, recipe),
            recipe,
        ),
    }
    refuse_changes(run, options)


def refuse_changes(run: Run, options: dict[str, tuple[object, object]]) -> None:
    """Raise UserError if an option asks for something else than the run has. `options` has what was
    requested, None if nothing was, and what is there."""
    for option, (requested, existing) in options.items():
        if requested is not None and requested != existing:
            raise UserError(
                f"{option} differs from that of run {run.name}",
                f"resume the run without {option}, or start a new one with --run NAME",
            )


def _origin_like(origin: Origin | None, text: str | None) -> str | None:
    """Return an origin as `text` would name it. Its run may have been removed meanwhile."""
    if origin is None or text is None:
        return None
    return f"{origin.run}:{origin.stage}" if ":" in text else origin.run


def run_name(request: TrainRequest) -> str:
    """Return the name of the run that a request asks for: without one, the first of NAME-2, NAME-3,
    ... that is free or that the same command started."""
    if request.name is not None or request.from_run is None:
        return or_default(request.name, DEFAULT_NAME)
    name = next_name(split_origin(request.from_run)[0])
    while registry.run_exists(registry.runs_home() / name) and not _is_same(name, request):
        name = next_name(name)
    return name


def _is_same(name: str, request: TrainRequest) -> bool:
    """Return whether the same command, whose defaults follow from the source, started a run."""
    try:
        run = registry.open_run(name)
        if request.recipe is None:
            sources = registry.open_run(split_origin(request.from_run or "")[0]).manifest.sources
            request = request._replace(
                seconds=or_default(request.seconds, DEFAULT_SECONDS),
                data=or_default(request.data, sources.data),
                chat_data=or_default(request.chat_data, sources.chat_data),
            )
        check_unchanged(run, request)
    except UserError:
        return False
    return True


def _canonical(source: SourceSpec | None, option: str) -> SourceSpec | None:
    return None if source is None else corpora.open_corpus(source, option).source
