"""The text files of this package: wordings of questions, and words that stand for others."""

from functools import cache
from importlib import resources

from firstwords.data.starter.tables import parse_sections, without_comments


def notes_text(name: str) -> str:
    """Return a text file of this package without its comment lines."""
    return without_comments((resources.files(__package__) / name).read_text(encoding="utf-8"))


@cache
def words_of(section: str) -> dict[str, tuple[str, ...]]:
    """Return the lists of words of a section of `words.txt`, by the word before the colon."""
    lines = (line.split(": ") for line in parse_sections(notes_text("words.txt"))[section])
    return {word: tuple(others.split(", ")) for word, others in lines}
