"""Pieces of Markdown."""

from collections.abc import Sequence


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Cells may hold any text: a bar in one would begin another."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def quote(text: str) -> str:
    """A fenced block: what a model wrote is never read as Markdown or HTML."""
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}text\n{text}\n{fence}"


def folded(title: str, body: str) -> str:
    """Shown when the title is clicked."""
    return f"<details>\n<summary>{title}</summary>\n\n{body}\n\n</details>"


def paragraphs(*parts: str) -> str:
    return "\n\n".join(part for part in parts if part)
