"""The catalogue of named corpora: source, licence and size of each."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from firstwords.common.errors import UserError
from firstwords.common.schema import FrozenModel, parse, read_document

CATALOGUE_PATH = Path(__file__).with_name("catalogue.toml")
EVAL = "eval"  # name of the benchmarks' data, which `data fetch` accepts besides the corpora


class CatalogueEntry(FrozenModel):
    """A dataset of the hub. catalogue.toml explains the fields."""

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
        """The option of `train` that takes this corpus."""
        return "--data" if self.kind == "text" else "--chat-data"


def load_catalogue() -> dict[str, CatalogueEntry]:
    """Return all entries by name."""
    document = read_document(CATALOGUE_PATH)
    return {name: parse(CatalogueEntry, entry, CATALOGUE_PATH) for name, entry in document.items()}


def find_entry(name: str) -> CatalogueEntry:
    """Return the entry of that name. Raises UserError if there is none."""
    entries = load_catalogue()
    if name not in entries:
        raise UserError(
            f"{name} is not a known corpus", f"use one of: {', '.join(entries)}, {EVAL}"
        )
    return entries[name]
