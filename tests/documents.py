"""What tests ask of the documents: their links, headings, code and the commands in it."""

import re
import shlex
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
FENCE = re.compile(
    r"^(?P<mark> *<!-- run -->\n)? *```(?P<language>\w*)[^\n]*\n(?P<body>.*?)^ *```$",
    re.MULTILINE | re.DOTALL,
)


class Block(NamedTuple):
    """A fenced block; `marked` ones are run by a test."""

    language: str
    body: str
    marked: bool


def blocks(text: str) -> list[Block]:
    return [Block(f["language"], f["body"], bool(f["mark"])) for f in FENCE.finditer(text)]


def prose(text: str) -> str:
    """A document without its fenced blocks."""
    return FENCE.sub("", text)


def links(document: Path) -> Iterator[tuple[Path, str]]:
    """Relative links: the file, and the anchor in it or nothing."""
    text = re.sub(r"`[^`\n]*`", "code", prose(document.read_text(encoding="utf-8")))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" not in target and not target.startswith("mailto:"):
            path, _, anchor = target.partition("#")
            yield (document.parent / path).resolve() if path else document, anchor


def anchors(text: str) -> set[str]:
    """The anchors of headings that a forge and the site agree on, and those that are explicit."""
    titles = re.findall(r"^#{1,6} (.+)$", prose(text), re.MULTILINE)
    plain = [re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title).replace("`", "") for title in titles]
    agreed = {_forge(title) for title in plain} & {_site(title) for title in plain}
    return agreed | set(re.findall(r"\bid=\"([^\"]+)\"", text))


def _forge(title: str) -> str:
    return re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-")


def _site(title: str) -> str:
    ascii_only = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode()
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", ascii_only).strip().lower())


def commands(document: Path) -> Iterator[list[str]]:
    """The words after `firstwords` of every command in code, up to what the shell takes."""
    text = document.read_text(encoding="utf-8")
    lines = re.findall(r"`(firstwords [^`\n]+)`", prose(text))
    for block in blocks(text):
        typed = block.body.replace("\\\n", " ").splitlines()
        if block.language == "text":  # a transcript
            typed = [line[2:] for line in typed if line.startswith("$ ")]
        lines += [line for line in typed if block.language in ("", "bash", "text")]
    for line in lines:
        found = re.search(r"(?:^|[\s(])firstwords ((?:(?!&&)[^|;>#])*)", line)
        if found:
            yield _words(found[1])


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError:  # a quote that is closed beyond a pipe
        return line.split()
