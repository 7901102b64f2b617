"""Tables of facts and of templates: plain text files beside this one, read when first needed.

The facts are general knowledge, compiled by hand. Each table names its source, and
`tests/data/starter/test_tables.py` compares it with independent libraries.
"""

from collections.abc import Iterator
from functools import cache
from importlib import resources


def table_text(name: str) -> str:
    """Return the text of a table file without its comment lines."""
    return without_comments((resources.files(__package__) / name).read_text(encoding="utf-8"))


def without_comments(text: str) -> str:
    """Return the text without the lines that start with "#"."""
    return "\n".join(line for line in text.splitlines() if not line.startswith("#"))


@cache
def table_rows(name: str) -> tuple[tuple[str, ...], ...]:
    """Return the rows of a table file: one per line, with its cells separated by `|`."""
    lines = table_text(name).splitlines()
    return tuple(tuple(cell.strip() for cell in line.split("|")) for line in lines if line.strip())


@cache
def table_sections(name: str) -> dict[str, tuple[str, ...]]:
    """Return the lines below each heading `-- NAME` of a table file, by heading."""
    return parse_sections(table_text(name))


def parse_sections(text: str) -> dict[str, tuple[str, ...]]:
    """Return the lines below each heading `-- NAME` of a text without comments, by heading."""
    by_heading: dict[str, list[str]] = {}
    heading = ""
    for line in text.splitlines():
        if line.startswith("-- "):
            heading = line[3:].strip()
            by_heading[heading] = []
        elif line.strip():
            by_heading[heading].append(line.strip())
    return {key: tuple(lines) for key, lines in by_heading.items()}


def text_files(package: str, folder: str = "") -> Iterator[tuple[str, str]]:
    """Yield the name, without ".txt", and the text of every text file of a package, or of a folder
    in it, in order."""
    files = resources.files(package).joinpath(folder).iterdir()
    for file in sorted(files, key=lambda file: file.name):
        if file.name.endswith(".txt"):
            yield file.name.removesuffix(".txt"), file.read_text(encoding="utf-8")
