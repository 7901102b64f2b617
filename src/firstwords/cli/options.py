"""Options that several commands share, and the types of their values."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from firstwords.common.files import TEMPORARY
from firstwords.common.paths import user_path
from firstwords.common.units import DURATION_HINT, parse_duration
from firstwords.planning.recipes import named_recipes
from firstwords.recipe import STAGES

MAX_NAME_BYTES = 255 - len(TEMPORARY)  # file systems allow 255, and files are renamed when complete
Option = Callable[[Callable[..., None]], Callable[..., None]]


class Duration(click.ParamType):
    """Seconds, written like 90s, 10m or 1h30m."""

    name = "TIME"

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        if isinstance(value, float):
            return value
        seconds = parse_duration(str(value))
        if seconds is None:
            self.fail(f"{value!r} is not a duration; {DURATION_HINT}", param, ctx)
        return seconds


class UserPath(click.Path):
    """A path; `~` is expanded in --out=~/x too, where the shell leaves it."""

    def __init__(self, file_okay: bool = True, dir_okay: bool = True) -> None:
        super().__init__(file_okay=file_okay, dir_okay=dir_okay, path_type=Path)

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        path = user_path(str(value), param.opts[0])
        if len(path.name.encode()) > MAX_NAME_BYTES:
            self.fail("the name of the file is too long; choose a shorter one", param, ctx)
        return super().convert(path, param, ctx)


class FiniteRange(click.FloatRange):
    """A number in a range, but neither `nan`, which compares with nothing, nor `inf`."""

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number", param, ctx)
        return number


class Count(click.IntRange):
    """A whole number from `min` to what fits into four bytes."""

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        number = super().convert(value, param, ctx)
        if number >= 2**31:
            self.fail(f"{str(value)[:20]} is too large; use at most {2**31 - 1:,}", param, ctx)
        return number


class RecipeOption(click.ParamType):
    """A file, or the name of a recipe that comes with Firstwords."""

    name = "FILE"

    def convert(self, value: Any, param: Any, ctx: Any) -> Path:
        path = user_path(str(value), "--recipe")
        if path.is_file() or path.is_fifo():
            return path
        recipes = named_recipes()
        if str(value) not in recipes:
            names = ", ".join(recipes)
            self.fail(
                f"{str(value)!r} is neither a file nor a recipe; the recipes are {names}",
                param,
                ctx,
            )
        return recipes[str(value)]


class Tasks(click.ParamType):
    """Names of evaluation tasks, separated by commas."""

    name = "LIST"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[str, ...]:
        from firstwords.evaluation.tasks import TASKS

        chosen = tuple(dict.fromkeys(part.strip() for part in str(value).split(",")))
        for task in chosen:
            if task not in TASKS:
                self.fail(f"{task!r} is not a task; choose from {', '.join(TASKS)}", param, ctx)
        return chosen


SEED = click.IntRange(min=0, max=2**32 - 1)
EXISTING_RUN = click.option(
    "--run", "name", metavar="NAME", help="Name of the run.  [default: the newest]"
)
NEW_RUN = click.option(
    "--run",
    "name",
    metavar="NAME",
    help="Name of the run. If it exists and is unfinished, it resumes.  [default: default, or "
    "NAME-2 with --from NAME]",
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")
STAGE = click.option(
    "--stage", type=click.Choice(STAGES), help="Stage whose model to use.  [default: the latest]"
)
LOG_TO = click.option(
    "--log-to",
    type=click.Choice(["wandb", "trackio"]),
    multiple=True,
    help="Also log metrics to Weights & Biases (offline) or trackio (repeatable). TensorBoard "
    "files are always written.",
)


PERSONALITY = click.option(
    "--personality",
    type=UserPath(dir_okay=False),
    metavar="FILE",
    help="TOML file with the model's name and sentences about itself and its owner, as which the "
    "starter conversations speak.",
)


def sampling_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options of sampling."""
    options = [
        click.option(
            "--temperature",
            type=FiniteRange(min=0),
            default=0.5,
            show_default=True,
            help="Sampling temperature; 0 is greedy.",
        ),
        click.option(
            "--top-k",
            type=Count(min=0),
            default=50,
            show_default=True,
            help="Sample from the k most likely tokens; 0 for all.",
        ),
        click.option(
            "--top-p",
            type=FiniteRange(min=0, min_open=True, max=1),
            default=0.95,
            show_default=True,
            help="Sample from the most likely tokens with this total probability.",
        ),
    ]
    return _add(options, command)


def new_run_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that determine a new run. An existing run has all of them stored."""
    options = [
        click.option(
            "--time",
            "seconds",
            type=Duration(),
            help="Time budget for everything, like 90s, 10m or 1h.  [default: 30m]",
        ),
        click.option(
            "--data",
            metavar="SRC[:WEIGHT]",
            multiple=True,
            callback=as_source,
            help="Text to train on: starter (the built-in curriculum), a .txt, .md, .html, .epub, "
            ".pdf, .jsonl, .json, .csv or .parquet file, a directory of them, or hub:NAME for a "
            "fetched corpus (firstwords data list). Repeat it to mix several by weight, such "
            "as notes.md:0.3 and starter:0.7.  [default: starter]",
        ),
        click.option(
            "--chat-data",
            metavar="SRC[:WEIGHT]",
            multiple=True,
            callback=as_source,
            help="Conversations to train on: starter, a .jsonl, .json, .csv, .tsv or .parquet "
            "file, a directory of them, or hub:NAME (firstwords data show says what is "
            "recognised); mixed like --data.  [default: starter]",
        ),
        click.option(
            "--from",
            "from_run",
            metavar="RUN[:STAGE]",
            help="Start from the model of this run instead of random weights, by default that of "
            "its last finished stage. Its data is the default of --data and --chat-data; the model "
            "trains on text again only if --data is other text, or from RUN:pretrain.",
        ),
        PERSONALITY,
        click.option(
            "--seed",
            type=SEED,
            metavar="N",
            help="Random seed.  [default: 0, or with --from the next one]",
        ),
        click.option(
            "--recipe",
            type=RecipeOption(),
            help="Use the hyper-parameters of this run.json or recipe file instead of planning "
            "them, or derive them from a recipe by depth: laptop, workstation, speedrun, large, or "
            "a file like those.",
        ),
        click.option(
            "--set",
            "overrides",
            multiple=True,
            metavar="NAME=VALUE",
            help="Override one hyper-parameter of the plan or recipe, such as "
            "optimizer.matrix_lr=0.004 (repeatable). A plan then takes as many steps as there is "
            "time for with it.",
        ),
    ]
    return _add(options, command)


def as_source(context: Any, option: Any, sources: tuple[str, ...]) -> Any:
    """Return the source of an option that was given once, and all of a mixture."""
    return sources[0] if len(sources) == 1 else sources or None


def _add(options: Sequence[Option], command: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(options):
        command = option(command)
    return command
