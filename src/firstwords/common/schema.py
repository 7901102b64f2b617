"""Frozen data classes that validate their fields, and the TOML and JSON files that hold them."""

import functools
import json
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, model_validator

from firstwords.common.errors import DamagedFile, UserError

Model = TypeVar("Model", bound="FrozenModel")


class FrozenModel(BaseModel):
    """Immutable, with no other fields than those declared, and with finite numbers,
    integers of at most 64 bits."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="after")
    def _integers_have_64_bits(self: Model) -> Model:
        for name, value in self:
            if isinstance(value, int) and abs(value) >= 2**63:
                raise ValueError(f"{name} is too large")
        return self

    def replace(self: Model, **changes: Any) -> Model:
        """Return a copy with some fields replaced. Raises ValidationError if it is not valid."""
        return type(self).model_validate({**dict(self), **changes})


def read_document(path: Path, hint: str = "give a run.json or a recipe file") -> Any:
    """Parse a TOML or JSON file, by its suffix; a byte order mark is ignored.

    Raises UserError, with this hint if the file cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read {path} ({error})", hint) from None
    try:
        return parse_toml(text) if path.suffix == ".toml" else json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not valid ({error})", "fix the file") from None


def check_json(kind: Any, content: bytes) -> Any:
    """Return the value of a JSON document. Raises DamagedFile if it is not valid as a `kind`."""
    try:
        value = json.loads(content)
        _adapter(kind).validate_python(value)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        message = str(first["msg"])
        reason = f"{where}: {message[:1].lower()}{message[1:]}" if where else message
        raise DamagedFile(reason) from None
    except (ValueError, RecursionError):
        raise DamagedFile("it is not valid JSON") from None
    return value


@functools.cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def parse_toml(text: str) -> Any:
    """Parse TOML. Raises ValueError."""
    try:
        import tomllib
    except ModuleNotFoundError:  # Python 3.10
        import tomli as tomllib
    return tomllib.loads(text)


def parse(kind: type[Any], document: Any, path: Path) -> Any:
    """Validate `document` as a `kind`. Raises UserError that names the first wrong field."""
    try:
        return kind.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the document"
        hint = str(first["msg"])
        raise UserError(f"{path}: {where} is not valid", hint[:1].lower() + hint[1:]) from None
