"""Parse the documents for tests: links, headings, code blocks, and the commands in them."""

import re
import shlex
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
FENCE = re.compile(
    r"^(?: *<!-- (?P<mark>run|needs: [^\n]*?) -->\n)?"
    r"(?: *<!-- transcript: [^\n]*-->\n)? *```(?P<language>\w*)[^\n]*\n(?P<body>.*?)^ *```$",
    re.MULTILINE | re.DOTALL,
)


class Block(NamedTuple):
    """A fenced block, and the comment above it that tells the tests whether to run it."""

    language: str
    body: str
    mark: str
    line: int


def blocks(text: str) -> list[Block]:
    """Return the fenced blocks of a document."""
    return [
        Block(f["language"], f["body"], f["mark"] or "", text.count("\n", 0, f.start("body")))
        for f in FENCE.finditer(text)
    ]


def prose(text: str) -> str:
    """Return a document without its fenced blocks."""
    return FENCE.sub("", text)


def links(document: Path) -> Iterator[tuple[Path, str]]:
    """Yield the file and the anchor (or "") of each relative link."""
    text = re.sub(r"`[^`\n]*`", "code", prose(document.read_text(encoding="utf-8")))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" not in target and not target.startswith("mailto:"):
            path, _, anchor = target.partition("#")
            yield (document.parent / path).resolve() if path else document, anchor


def anchors(text: str) -> set[str]:
    """Return the explicit anchors, and those of headings on which a forge and the site agree."""
    titles = re.findall(r"^#{1,6} (.+)$", prose(text), re.MULTILINE)
    plain = [re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title).replace("`", "") for title in titles]
    agreed = {_forge_anchor(title) for title in plain} & {_site_anchor(title) for title in plain}
    return agreed | set(re.findall(r"\bid=\"([^\"]+)\"", text))


def _forge_anchor(title: str) -> str:
    return re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-")


def _site_anchor(title: str) -> str:
    ascii_only = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode()
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", ascii_only).strip().lower())


def commands(document: Path) -> Iterator[list[str]]:
    """Yield the arguments of each `firstwords` command in code, up to a pipe or redirection."""
    text = document.read_text(encoding="utf-8")
    lines = re.findall(r"`(firstwords [^`\n]+)`", prose(text))
    for block in blocks(text):
        block_lines = block.body.replace("\\\n", " ").splitlines()
        if block.language == "text":  # a transcript
            block_lines = [line[2:] for line in block_lines if line.startswith("$ ")]
        lines += [line for line in block_lines if block.language in ("", "bash", "text")]
    for line in lines:
        match = re.search(r"(?:^|[\s(])firstwords ((?:(?!&&)[^|;>#])*)", line)
        if match:
            yield _split(match[1])


def _split(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError:  # the quote ends after a pipe
        return line.split()
