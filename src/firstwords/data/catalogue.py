"""The corpora that have a name: where they are, under which licence, how large."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from firstwords.errors import UserError
from firstwords.recipe import Fixed, parse, read_document

FILE = Path(__file__).with_name("catalogue.toml")
EVAL = "eval"  # the benchmarks' data, which `data fetch` knows beside the corpora


class Entry(Fixed):
    """A dataset of the hub; catalogue.toml explains the fields."""

    about: str
    kind: Literal["text", "conversations"]
    repository: str
    revision: str | None = Field(default=None, pattern="^[0-9a-f]{40}$")
    train: str
    held_out: str
    shards: int = Field(ge=1)
    all_shards: int = Field(ge=1)
    shard_bytes: int = Field(ge=1)
    licence: str

    @property
    def option(self) -> str:
        """The option of `train` that it is for."""
        return "--data" if self.kind == "text" else "--chat-data"


def entries() -> dict[str, Entry]:
    return {name: parse(Entry, entry, FILE) for name, entry in read_document(FILE).items()}


def entry(name: str) -> Entry:
    """Raises UserError."""
    known = entries()
    if name not in known:
        raise UserError(f"{name}: no corpus of that name", f"use one of: {', '.join(known)}, eval")
    return known[name]
