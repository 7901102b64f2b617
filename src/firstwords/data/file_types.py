"""The types of files that hold text or conversations, by the endings of their names."""

import re
from pathlib import Path
from typing import Literal

from firstwords.data import streams

Format = Literal[
    "text", "markdown", "html", "epub", "pdf", "jsonl", "json", "csv", "parquet", "zip"
]

SUFFIXES: dict[str, Format] = {
    ".txt": "text",
    ".md": "markdown",
    ".markdown": "markdown",
    ".html": "html",
    ".htm": "html",
    ".xhtml": "html",
    ".epub": "epub",
    ".pdf": "pdf",
    ".jsonl": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
}
NOT_COMPRESSED = ("parquet", "epub", "pdf")  # they are compressed inside
EXTRACTED = ("html", "epub", "pdf")  # their text is extracted once
PROSE = ("text", "markdown", *EXTRACTED)  # documents, not records
KNOWN_FILES = (
    ".txt, .md, .html, .jsonl, .json, .csv, .tsv (each also .gz or .zst), .epub, .pdf, .parquet "
    "or .zip (an exported chat)"
)
VALIDATION_NAME = re.compile(r"(^|[_\-.])(val|valid|validation)([_\-.]|$)", re.IGNORECASE)


def is_validation_name(name: str) -> bool:
    """Return whether the name of a file marks it as validation data, which is never trained on."""
    return VALIDATION_NAME.search(name) is not None


def file_format(path: Path) -> Format | None:
    """Return the format that the name of a file says; none if it is not data."""
    suffix = streams.compression(path)
    if suffix == ".zip":  # holds a chat, as phones export it
        return "zip"
    found = SUFFIXES.get(Path(path.name.lower().removesuffix(suffix)).suffix)
    return None if suffix and found in NOT_COMPRESSED else found
