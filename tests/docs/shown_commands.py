"""The commands that README, the quickstart and the guides show, read from their Markdown.

All fenced blocks of these documents are commands, except those with another language than bash,
python and text; of a text block, the lines that start with "$ ". So are the code spans in the right
column of README's table "What you can do next":

- a span with a space, or with the name of a subcommand, is a command: its first word must be one of
  PROGRAMS;
- a span that starts with "--" adds options to the command before it in its row;
- a span that starts with "{" is an example line of data, and other spans are names.

A comment above a block, or after a span, says what a command needs that a laptop without a network
lacks, such as `<!-- needs: network -->`. NEEDS has all of them.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from documents import ROOT, blocks

from firstwords.cli.main import cli

DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "docs" / "quickstart.md",
    *sorted((ROOT / "docs" / "guides").glob("*.md")),
]
NEEDS = re.compile(r"network|gpu|cluster|docker|minutes|package: [a-z-]+")
PROGRAMS = {"bash", "docker", "firstwords", "pip", "tensorboard", "torchrun"}
TABLE = "## What you can do next"
SPAN = re.compile(r"`(?P<code>[^`]+)`(?: <!-- needs: (?P<needs>.*?) -->)?")


class ShownCommand(NamedTuple):
    """A command, or a block of them, of a document; `needs` is empty if it runs anywhere."""

    document: str
    line: int
    script: str
    needs: str

    def __str__(self) -> str:
        return f"{self.document}:{self.line}"


def shown_commands(document: Path) -> list[ShownCommand]:
    """Return the commands of a document in their order, each once."""
    text, name = document.read_text(encoding="utf-8"), str(document.relative_to(ROOT))
    found: dict[str, ShownCommand] = {}
    for line, script, needs in sorted(
        (*_of_blocks(text), *_of_table(text)), key=lambda one: one[0]
    ):
        found.setdefault(script, ShownCommand(name, line, script, needs))
    return list(found.values())


def _of_blocks(text: str) -> Iterator[tuple[int, str, str]]:
    for block in blocks(text):
        needs = block.mark.removeprefix("needs: ").removeprefix("run")
        script = _script(block.language, block.body)
        if script:
            yield block.line, script, needs


def _script(language: str, body: str) -> str:
    if language == "python":
        return f"python - <<'END'\n{body}END\n"
    if language == "text":  # a transcript, or a drawing
        return "".join(line[2:] for line in body.splitlines(True) if line.startswith("$ "))
    return re.sub("^    ", "", body, flags=re.MULTILINE) if language in ("", "bash") else ""


def _of_table(text: str) -> Iterator[tuple[int, str, str]]:
    above, heading, below = text.partition(TABLE)
    if not heading:
        return
    first_line = above.count("\n") + 1
    for number, line in enumerate(below.partition("\n## ")[0].splitlines(), first_line):
        if line.startswith("| "):
            yield from ((number, *command) for command in row_commands(line.split(" | ", 1)[1]))


def row_commands(cell: str) -> list[tuple[str, str]]:
    """Return the commands of a row, and what each needs. Raises ValueError for a span that is
    neither a command nor a name."""
    found: list[tuple[str, str]] = []
    for span in SPAN.finditer(cell):
        code, needs = span["code"], span["needs"] or ""
        if code.startswith("--") and found:
            found.append((f"{found[-1][0]} {code}", needs))
        elif code.split()[0] in PROGRAMS:
            found.append((code, needs))
        elif (" " in code or needs or code in cli.commands) and not code.startswith("{"):
            raise ValueError(f"`{code}` in the table of README is not a whole command")
    return found
