"""Options that several commands have, and the kinds of values they take."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from firstwords.recipe import STAGES

Option = Callable[[Callable[..., None]], Callable[..., None]]
RECIPES = Path(__file__).with_name("recipes")
NOT_A_TIME = "is not a time; write it like 90s, 10m, 1h or 1h30m"


def seconds_of(text: str) -> float | None:
    """The seconds that `1h30m` or the like means; None if it means nothing."""
    parts = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s?)?", text.strip())
    if not parts or not any(parts.groups()):
        return None
    hours, minutes, seconds = (int(part or 0) for part in parts.groups())
    return float(hours * 3600 + minutes * 60 + seconds)


class Duration(click.ParamType):
    name = "TIME"

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        if isinstance(value, float):
            return value
        seconds = seconds_of(str(value))
        if seconds is None:
            self.fail(f"{value!r} {NOT_A_TIME}", param, ctx)
        return seconds


def named_recipes() -> dict[str, Path]:
    """Those that come with firstwords."""
    return {path.stem: path for path in sorted(RECIPES.glob("*.toml"))}


class RecipeFile(click.ParamType):
    """A file, or the name of one that comes with firstwords."""

    name = "FILE"

    def convert(self, value: Any, param: Any, ctx: Any) -> Path:
        path = Path(value)
        if path.is_file():
            return path
        if str(value) not in named_recipes():
            known = ", ".join(named_recipes())
            self.fail(f"{str(value)!r} is no file, and no recipe of that name: {known}", param, ctx)
        return named_recipes()[str(value)]


class Tasks(click.ParamType):
    name = "LIST"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[str, ...]:
        from firstwords.evaluation.stage import TASKS

        chosen = tuple(dict.fromkeys(part.strip() for part in str(value).split(",")))
        for task in chosen:
            if task not in TASKS:
                self.fail(f"{task!r} is no task; choose from {', '.join(TASKS)}", param, ctx)
        return chosen


SEED = click.IntRange(min=0, max=2**32 - 1)
EXISTING_RUN = click.option("--run", "name", metavar="NAME", help="Which run.  [default: the last]")
NEW_RUN = click.option(
    "--run",
    "name",
    metavar="NAME",
    default="default",
    show_default=True,
    help="The run's name. An unfinished run of that name goes on.",
)
JSON = click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
STAGE = click.option(
    "--stage", type=click.Choice(STAGES), help="Which stage's model.  [default: the furthest]"
)

TRACK = click.option(
    "--track",
    "trackers",
    type=click.Choice(["wandb", "trackio"]),
    multiple=True,
    help="Tell Weights & Biases (offline) or trackio as well; TensorBoard's files are always "
    "written. Both together: give it twice.",
)


def sampling_options(command: Callable[..., None]) -> Callable[..., None]:
    """How a token is chosen."""
    options = [
        click.option(
            "--temperature",
            type=click.FloatRange(min=0),
            default=0.7,
            show_default=True,
            help="0 always takes the likeliest token.",
        ),
        click.option(
            "--top-k",
            type=click.IntRange(min=0),
            default=50,
            show_default=True,
            help="Choose among the k likeliest tokens; 0: among all.",
        ),
        click.option(
            "--top-p",
            type=click.FloatRange(min=0, min_open=True, max=1),
            default=0.95,
            show_default=True,
            help="Choose among the likeliest tokens that make up this share.",
        ),
    ]
    return _all(options, command)


def new_run_options(command: Callable[..., None]) -> Callable[..., None]:
    """What a new run is made from; an existing run already knows all of it."""
    options = [
        click.option(
            "--time",
            "seconds",
            type=Duration(),
            help="The budget for everything, like 90s, 10m or 1h.  [default: 30m]",
        ),
        click.option(
            "--data",
            metavar="SRC",
            help="Text to learn from: starter (made by firstwords itself), a .parquet, .jsonl, "
            ".jsonl.gz or .txt file, a directory of them, or hub:NAME for a corpus that was "
            "fetched (firstwords data list).  [default: starter]",
        ),
        click.option(
            "--chat-data",
            metavar="SRC",
            help="Conversations: starter, a .jsonl, .jsonl.gz or .parquet file with "
            '"messages", a directory of them, or hub:NAME.  [default: starter]',
        ),
        click.option(
            "--seed",
            type=SEED,
            metavar="N",
            help="Another seed, another model.  [default: 0]",
        ),
        click.option(
            "--recipe",
            type=RecipeFile(),
            help="Take every hyper-parameter from a run.json or recipe file instead of planning "
            "them; or let them follow from the depth that a sketch gives: laptop, workstation, "
            "speedrun, large, or a file like those.",
        ),
        click.option(
            "--set",
            "changes",
            multiple=True,
            metavar="NAME=VALUE",
            help="Change one hyper-parameter of the plan or recipe, such as "
            "optimizer.matrix_lr=0.004; may be given several times.",
        ),
    ]
    return _all(options, command)


def _all(options: Sequence[Option], command: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(options):
        command = option(command)
    return command
