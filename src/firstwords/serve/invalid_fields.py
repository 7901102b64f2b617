"""What to tell a client about a field with an invalid value, from pydantic's errors.

A field such as `stop` may be a string or a list. Pydantic then returns the errors of every
alternative, with the alternative's name in the middle of the field's path. The client gets those of
the alternative that it meant, or all types that would be valid.
"""

import json
from collections.abc import Sequence
from typing import Any

Path = tuple[Any, ...]
JSON_TYPES = (  # bool is an int in Python, so it comes first
    (type(None), "null"),
    (bool, "a boolean"),
    (int, "a number"),
    (float, "a number"),
    (str, "a string"),
    (list, "a list"),
    (dict, "an object"),
)
VALID_TYPES = {  # by the beginning of the error's type
    "string": "a string",
    "list": "a list",
    "model": "an object",
    "dict": "an object",
    "int": "an integer",
    "float": "a number",
    "bool": "true or false",
}
BOUNDS = {
    "greater_than_equal": ("ge", "at least"),
    "greater_than": ("gt", "more than"),
    "less_than_equal": ("le", "at most"),
    "less_than": ("lt", "less than"),
}
MAX_SHOWN = 40  # characters of a value
MAX_SHOWN_NUMBER = 1e15


def describe_invalid_field(errors: Sequence[Any], body: Any) -> tuple[str | None, str]:
    """Return the first invalid field, such as "messages[0].role" (None: the body), and a sentence
    about it."""
    first = errors[0]
    if first["type"] == "json_invalid":
        position = first["loc"][-1]
        return None, f"the body is not valid JSON (character {position}: {first['ctx']['error']})"
    path = _path(first, body)
    of_field = [error for error in errors if _path(error, body)[: len(path)] == path]
    # An alternative of another type has an error for the field itself, not for what is in it.
    meant = [e for e in of_field if not _is_type_error(e) or _path(e, body) != path]
    error = _of_most_similar_alternative(meant or of_field, body)
    field = _written(_path(error, body))
    return field, _sentence(field or "the body", error, [error] if meant else of_field)


def _sentence(field: str, error: Any, of_field: Sequence[Any]) -> str:
    kind, context, value = error["type"], error.get("ctx", {}), error["input"]
    if kind == "value_error":
        return f"{field}: {context['error']}"
    if kind == "missing":
        return f"{field} is required"
    if kind == "finite_number":
        return f"{field} must be a finite number"
    if kind in BOUNDS:
        key, words = BOUNDS[kind]
        bound = f"{context[key]:,}".removesuffix(".0")
        return f"{field} must be {words} {bound}, not {_shown(value)}"
    if kind == "literal_error":
        if field.endswith("].type"):
            part = field.removesuffix(".type")
            return f"{part} is of the type {_shown(value)}, but the model reads text only"
        return f"{field} must be {context['expected']}, not {_shown(value)}"
    if kind == "string_unicode":
        return f"{field} is not valid Unicode"
    if kind in ("string_too_short", "too_short"):
        return f"{field} is empty"
    if kind in ("string_too_long", "too_long"):
        unit = "characters" if kind == "string_too_long" else "items"
        return (
            f"{field} has {len(value):,} {unit}, but at most {context['max_length']:,} may be sent"
        )
    names = [VALID_TYPES.get(e["type"].partition("_")[0]) for e in of_field]
    if valid := dict.fromkeys(name for name in names if name):
        return f"{field} must be {' or '.join(valid)}, not {_shown(value)}"
    return f"{field} is not valid"


def _written(path: Path) -> str | None:
    """Return a path as in JavaScript: messages[0].content."""
    parts = [f"[{part}]" if isinstance(part, int) else f".{printable(part)}" for part in path]
    return "".join(parts).removeprefix(".") or None


def printable(name: str) -> str:
    """Return the name of a field, which a client may have filled with anything."""
    name = name[:MAX_SHOWN]
    return name if name.isprintable() else name.encode("ascii", "backslashreplace").decode()


def _path(error: Any, body: Any) -> Path:
    """Return where the error is in the body, without the names of alternatives."""
    place, *parts = error["loc"]
    if place != "body":  # "query": a parameter of the address
        return tuple(parts)
    path: list[Any] = []
    for number, part in enumerate(parts, 1):
        is_missing = error["type"] == "missing" and number == len(parts)
        is_index = isinstance(body, list) and isinstance(part, int)
        if is_index or (isinstance(body, dict) and part in body):
            body = body[part]
        elif not is_missing:
            continue
        path.append(part)
    return tuple(path)


def _is_type_error(error: Any) -> bool:
    return str(error["type"]).endswith("_type")


def _of_most_similar_alternative(errors: Sequence[Any], body: Any) -> Any:
    """Return the first error of the alternative with the fewest errors, of those the one whose
    errors begin last, and of those one with a value of the right type."""
    depth = min(len(error["loc"]) for error in errors)
    alternatives: dict[Path, list[Any]] = {}
    for error in errors:
        alternatives.setdefault(error["loc"][:depth], []).append(error)
    firsts = [
        (-len(of_one), _path(of_one[0], body), not _is_type_error(of_one[0]), of_one[0])
        for of_one in alternatives.values()
    ]
    return max(firsts, key=lambda ranked: ranked[:3])[3]


def _shown(value: Any) -> str:
    """Return a short value as JSON, and any other as its type."""
    if isinstance(value, str):
        is_short = len(value) <= MAX_SHOWN and value.isprintable()
    else:
        is_short = isinstance(value, (bool, int, float)) and abs(value) < MAX_SHOWN_NUMBER
    if is_short:
        return json.dumps(value, ensure_ascii=False)
    return next((name for kind, name in JSON_TYPES if isinstance(value, kind)), "this")
