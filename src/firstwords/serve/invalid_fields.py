"""What to tell a client about a field with an invalid value, from pydantic's errors.

A field such as `stop` may be a string or a list. Pydantic then returns the errors of every
alternative, with the alternative's name in the middle of the field's path. The client gets those of
the alternative that it meant, or all types that would be valid.
"""

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


def describe_invalid_field(errors: Sequence[Any], body: Any) -> tuple[str, str]:
    """Return the path of the first invalid field, such as "messages.0.role", and a message."""
    first = errors[0]
    if first["type"] == "json_invalid":
        position = first["loc"][-1]
        return "body", f"invalid JSON at character {position}: {first['ctx']['error']}"
    path = _path(first, body)
    of_field = [error for error in errors if _path(error, body)[: len(path)] == path]
    # An alternative of another type has an error for the field itself, not for what is in it.
    meant = [e for e in of_field if not _is_type_error(e) or _path(e, body) != path]
    error = _of_most_similar_alternative(meant or of_field, body)
    messages = [_message(e) for e in ([error] if meant else of_field)]
    others = [message.removeprefix("Input should be ") for message in messages[1:]]
    message = " or ".join(dict.fromkeys([messages[0], *others]))
    if _is_type_error(error) or error["type"] == "literal_error":
        message += f", not {_describe_value(error['input'])}"
    return ".".join(map(str, _path(error, body))) or "body", message


def _message(error: Any) -> str:
    if error["type"].startswith("model_"):
        return "Input should be an object"
    return str(error["msg"]).removeprefix("Value error, ")


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
    """Return the first error of the alternative with the fewest errors, or of those the one whose
    errors begin last."""
    depth = min(len(error["loc"]) for error in errors)
    alternatives: dict[Path, list[Any]] = {}
    for error in errors:
        alternatives.setdefault(error["loc"][:depth], []).append(error)
    firsts = [(-len(of_one), _path(of_one[0], body), of_one[0]) for of_one in alternatives.values()]
    return max(firsts, key=lambda ranked: ranked[:2])[2]


def _describe_value(value: Any) -> str:
    if isinstance(value, str) and len(value) <= 40:
        return repr(value)
    return next((name for kind, name in JSON_TYPES if isinstance(value, kind)), "this")
