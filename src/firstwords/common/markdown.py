"""Functions that format pieces of Markdown."""

from collections.abc import Sequence


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Format a table. Cells may hold any text: bars are escaped, line breaks become spaces."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def quote(text: str) -> str:
    """Format text as a fenced block, so that a model's output is never read as Markdown or HTML."""
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}text\n{text}\n{fence}"


def folded(title: str, body: str) -> str:
    """Format a section that is collapsed until its title is clicked."""
    return f"<details>\n<summary>{title}</summary>\n\n{body}\n\n</details>"


def paragraphs(*parts: str) -> str:
    """Join the parts that are not empty with blank lines."""
    return "\n\n".join(part for part in parts if part)
