"""The types of a site file's fields.

Their values end up in a bash script and in options of sbatch. Each type therefore allows only
characters that have no special meaning there.
"""

import math
import os
import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from firstwords.common.errors import UserError
from firstwords.common.units import DURATION_HINT, parse_duration
from firstwords.data.mixing import SourceSpec
from firstwords.planning.recipes import named_recipes
from firstwords.recipe import field_names
from firstwords.runs.registry import check_name

# Words, `$NAME` and `${NAME}`: between double quotes, bash expands the variables and no more.
QUOTABLE = r"(?:[\w./+@:,= -]|\$\w+|\$\{\w+\})*"
FULL_PATH = rf"(?=~/|/|\$)~?{QUOTABLE}"
PATH_CHARACTERS = "letters, digits, spaces and . / + @ : , = _ -"


def _parse_time(value: Any) -> float:
    seconds = value if isinstance(value, float) else parse_duration(str(value))
    if seconds is None or not math.isfinite(seconds) or seconds <= 0:
        raise ValueError(DURATION_HINT)
    return seconds


def _matching(pattern: str, hint: str) -> AfterValidator:
    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError(hint)
        return value

    return AfterValidator(check)


def _check_run_name(value: str) -> str:
    try:
        check_name(value)
    except UserError as error:
        raise ValueError(error.hint) from None
    return value


def _check_recipe(value: str) -> str:
    if value in named_recipes() or re.fullmatch(FULL_PATH, value):
        return value
    names = ", ".join(named_recipes())
    raise ValueError(
        f"use one of {names}, or a path that begins with /, ~/ or a $VARIABLE and contains only "
        f"{PATH_CHARACTERS}"
    )


def _check_recipe_field(value: str) -> str:
    if value not in field_names():
        raise ValueError(f"a recipe has the fields {', '.join(field_names())}")
    return value


def _check_sources(value: SourceSpec) -> SourceSpec:
    """Check a source, or the list of those of a mixture, SRC:WEIGHT each."""
    for source in (value,) if isinstance(value, str) else value:
        if not re.fullmatch(rf"starter(?::[0-9.]+)?|hub:[\w./:-]+|{FULL_PATH}", source):
            raise ValueError(
                "use starter, hub:NAME, or a path that begins with /, ~/ or a $VARIABLE"
            )
    return value


def _as_set_option(value: Any) -> Any:
    """Return a TOML number or boolean as `--set` reads it."""
    if isinstance(value, bool | int | float):
        return str(value).lower()
    return value


Time = Annotated[float, BeforeValidator(_parse_time)]  # seconds
RunName = Annotated[str, AfterValidator(_check_run_name)]
Word = Annotated[str, _matching(r"[\w.,:@+-]+", "use only letters, digits and . , : @ + -")]
Module = Annotated[str, _matching(r"[\w./+-]+", "use a name that module avail lists")]
Memory = Annotated[str, _matching(r"\d+[KMGT]?", "write it like 64G, or 0 for all of a node")]
MailAddress = Annotated[str, _matching(r"[\w.+-]+@[\w.-]+", "use one mail address")]
Proxy = Annotated[
    str, _matching(r"https?://[\w.:@/-]+", "write it like http://proxy.example.org:3128")
]
SbatchOption = Annotated[
    str, _matching(r"--[a-z][a-z-]*(=[\w./:,@%&|*\[\]+-]+)?", "write it like --constraint=a100")
]
ShellPath = Annotated[
    str,
    _matching(
        FULL_PATH,
        "begin with /, ~/ or a $VARIABLE, since jobs start in another directory, and use only "
        f"{PATH_CHARACTERS}",
    ),
]
DataSources = Annotated[str | tuple[str, ...], AfterValidator(_check_sources)]
RecipeSource = Annotated[str, AfterValidator(_check_recipe)]
RecipeField = Annotated[str, AfterValidator(_check_recipe_field)]
RecipeValue = Annotated[
    str, BeforeValidator(_as_set_option), _matching(r"[\w.+-]+", "use one word or number")
]
Seed = Annotated[int, Field(ge=0, lt=2**32)]


def expand_path(path: str) -> Path:
    """Return the path with `~` and variables expanded. Raises UserError if one is not set."""
    expanded = os.path.expandvars(Path(path).expanduser())
    if missing := re.search(r"\$\{?(\w+)", expanded):
        raise UserError(
            f"the path {path} in the site file needs ${missing[1]}, which is not set",
            "set the variable, or write the full path",
        )
    return Path(expanded)


def resolve_recipe(recipe: str | None) -> Path | None:
    """Return the file of a named recipe, or the expanded path of another one."""
    if recipe is None:
        return None
    return named_recipes().get(recipe) or expand_path(recipe)


def resolve_source(source: SourceSpec | None) -> SourceSpec | None:
    """Return `starter` and `hub:NAME` unchanged, and paths expanded."""
    if source is None:
        return None
    if isinstance(source, tuple):
        return tuple(_resolve(part) for part in source)
    return _resolve(source)


def _resolve(source: str) -> str:
    if re.match(r"starter\b|hub:", source):
        return source
    return str(expand_path(source))
