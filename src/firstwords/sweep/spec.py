"""What to sweep over, read from a TOML file.

time = "5m"           # budget of each run
equal = "time"        # or "tokens": whether a slower variant trains on fewer tokens
seeds = [0, 1, 2]

[changes.baseline]    # the first one is what the others are compared with

[changes.faster]
"optimizer.matrix_lr" = 0.012
"""

import re
import shlex
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator

from firstwords.common.errors import UserError
from firstwords.common.schema import FrozenModel, parse, read_document
from firstwords.common.units import DURATION_HINT, parse_duration
from firstwords.data.mixing import SourceSpec
from firstwords.recipe import Recipe, with_overrides

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}")  # of a part of the name of a run
TRAIN = "firstwords train --run {run} --recipe {recipe} --data {data} --chat-data {chat_data}"


class SweepSpec(FrozenModel):
    """A sweep. Each variant is a name with the settings that it changes; `recipe` replaces the
    planned recipe, `from_run` is a run whose model every run starts from, and `command` how a run
    is trained."""

    time: str = "30m"
    equal: Literal["time", "tokens"] = "time"
    seeds: tuple[int, ...] = Field(default=(0, 1, 2), min_length=1)
    from_run: str | None = None
    data: SourceSpec = "starter"
    chat_data: SourceSpec = "starter"
    recipe: str | None = None
    command: str = TRAIN
    changes: dict[str, dict[str, Any]] = Field(default={"baseline": {}}, min_length=1)

    @field_validator("time")
    @classmethod
    def _is_duration(cls, time: str) -> str:
        if not parse_duration(time):
            raise ValueError(f"{time!r} is not a duration; {DURATION_HINT}")
        return time

    @field_validator("seeds")
    @classmethod
    def _are_seeds(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(seeds)) < len(seeds) or not all(0 <= seed < 2**32 for seed in seeds):
            raise ValueError("the seeds must be different and from 0 to 4294967295")
        return seeds

    @field_validator("command")
    @classmethod
    def _names_the_run(cls, command: str) -> str:
        if "{run}" not in command or "{recipe}" not in command:
            raise ValueError("the command needs {run} and {recipe}")
        try:
            shlex.split(command)
        except ValueError as error:
            raise ValueError(f"the command is not valid ({error})") from None
        return command

    @field_validator("changes")
    @classmethod
    def _have_names(cls, changes: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        for name in changes:
            if not NAME.fullmatch(name):
                raise ValueError(f"{name!r} is not a name; use up to 32 letters, digits and dashes")
        return changes

    @property
    def seconds(self) -> float:
        """The budget of a run."""
        return parse_duration(self.time) or 0.0


def read_spec(path: Path) -> SweepSpec:
    """Read a sweep. Raises UserError that names the wrong field."""
    spec: SweepSpec = parse(SweepSpec, read_document(path), path)
    return spec


def variant_recipe(recipe: Recipe, variant: str, settings: dict[str, Any]) -> Recipe:
    """Return the recipe with the settings of a variant. Raises UserError that names it."""
    try:
        return with_overrides(recipe, (f"{name}={value}" for name, value in settings.items()))
    except UserError as error:
        problem = error.problem.replace("--set", f"[changes.{variant}]")
        raise UserError(problem, error.hint) from None
