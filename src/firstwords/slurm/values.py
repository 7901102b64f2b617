"""What the values of a site file may be.

They end up in a bash script and in Slurm's options, so each may hold only characters that mean
nothing else there.
"""

import os
import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from firstwords.errors import UserError
from firstwords.options import NOT_A_TIME, named_recipes, seconds_of
from firstwords.recipe import field_names
from firstwords.run import check_name

# Words, `$NAME` and `${NAME}`; nothing that bash would run, split or end a quotation at.
IN_QUOTES = r"(?:[\w./+@:,= -]|\$\w+|\$\{\w+\})*"
FULL_PATH = rf"(?=~/|/|\$)~?{IN_QUOTES}"


def _seconds(value: Any) -> float:
    seconds = seconds_of(str(value))
    if not seconds:
        raise ValueError(f"{value!r} {NOT_A_TIME}")
    return seconds


def _like(pattern: str, mend: str) -> AfterValidator:
    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError(f"{value!r} will not do; {mend}")
        return value

    return AfterValidator(check)


def _name(value: str) -> str:
    try:
        check_name(value)
    except UserError as error:
        raise ValueError(f"{value!r} will not do; {error.mend}") from None
    return value


def _recipe(value: str) -> str:
    if value in named_recipes() or re.fullmatch(FULL_PATH, value):
        return value
    names = ", ".join(named_recipes())
    raise ValueError(
        f"{value!r} will not do; use one of {names}, or begin with /, ~/ or a $VARIABLE, and use "
        "letters, digits, spaces and . / + @ : , = _ - only"
    )


def _recipe_field(value: str) -> str:
    if value not in field_names():
        raise ValueError(f"a recipe has no {value}; it has {', '.join(field_names())}")
    return value


def _spelled(value: Any) -> Any:
    """A number, true or false, as `--set` takes it."""
    if isinstance(value, bool | int | float):
        return str(value).lower()
    return value


Time = Annotated[float, BeforeValidator(_seconds)]
Name = Annotated[str, AfterValidator(_name)]
Word = Annotated[str, _like(r"[\w.,:@+-]+", "use letters, digits and . , : @ + - only")]
Module = Annotated[str, _like(r"[\w./+-]+", "use a name that module avail shows")]
Memory = Annotated[str, _like(r"\d+[KMGT]?", "write it like 64G, or 0 for all of a node's")]
Mail = Annotated[str, _like(r"[\w.+-]+@[\w.-]+", "use one address")]
Proxy = Annotated[str, _like(r"https?://[\w.:@/-]+", "write it like http://proxy.example.org:3128")]
Option = Annotated[
    str, _like(r"--[a-z][a-z-]*(=[\w./:,@%&|*\[\]+-]+)?", "write it like --constraint=a100")
]
ShellPath = Annotated[
    str,
    _like(
        FULL_PATH,
        "begin with /, ~/ or a $VARIABLE (jobs start in another directory), and use letters, "
        "digits, spaces and . / + @ : , = _ - only",
    ),
]
Source = Annotated[
    str,
    _like(
        rf"starter|hub:[\w./-]+|{FULL_PATH}",
        "use starter, hub:NAME, or a path that begins with /, ~/ or a $VARIABLE",
    ),
]
RecipeSource = Annotated[str, AfterValidator(_recipe)]
RecipeField = Annotated[str, AfterValidator(_recipe_field)]
RecipeValue = Annotated[str, BeforeValidator(_spelled), _like(r"[\w.+-]+", "use one word")]
Seed = Annotated[int, Field(ge=0, lt=2**32)]


def expanded(path: str) -> Path:
    """A path with its variables filled in. Raises UserError if one of them is not set."""
    full = os.path.expandvars(Path(path).expanduser())
    if missing := re.search(r"\$\{?(\w+)", full):
        raise UserError(
            f"the path {path} in the site file: ${missing[1]} is not set here",
            "set it, or write the path in full",
        )
    return Path(full)


def expanded_recipe(recipe: str | None) -> Path | None:
    if recipe is None:
        return None
    return named_recipes().get(recipe) or expanded(recipe)


def expanded_source(source: str | None) -> str | None:
    if source is None or source == "starter" or source.startswith("hub:"):
        return source
    return str(expanded(source))
