"""Everything a person reads uses the field's terms: a short list of words is banned."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from documents import ROOT

# Each pattern, and what to write instead. A space also matches a line break inside a comment.
BANNED = {
    r"\bmend(?:s|ed|ing)?\b": "fix, or hint for what an error suggests",
    r"\breckon\w*": "estimate, compute",
    r"\bforet(?:ell|old)\w*": "estimate, estimated",
    r"\blikeliest\b": "most likely",
    r"\bin reach\b": "available",
    r"\bat hand\b": "available",
    r"\bgo(?:es)? on\b": "continue, resume",
    r"\bcame of it\b": "result",
    r"\bwhat came\b(?! before)": "result, actual",
    r"\bwhoever\b": "name the person: you, a user, a client",
}
PATTERNS = {
    re.compile(words.replace(" ", r"\s+(?:(?:#|//|\*)\s*)?"), re.IGNORECASE): instead
    for words, instead in BANNED.items()
}
SUFFIXES = {".py", ".js", ".html", ".css", ".toml", ".jinja", ".cpp", ".md", ".sh", ".slurm"}
# Data of the starter curriculum: what the model reads, not what a user reads.
CONTENT = (ROOT / "src" / "firstwords" / "data" / "starter" / "tables",)
OUTPUT = re.compile(r"<!-- (?:transcript: \S+|table: samples) -->.*?<!-- end -->", re.DOTALL)


def texts() -> Iterator[Path]:
    """Yield the files that people read."""
    yield from (ROOT / "README.md", ROOT / "CONTRIBUTING.md")
    for folder in ("src", "docs", "scripts"):
        for path in sorted((ROOT / folder).rglob("*")):
            is_content = any(path.is_relative_to(content) for content in CONTENT)
            if path.suffix in SUFFIXES and not is_content:
                yield path


def blank_output(text: str) -> str:
    """Return the text with model output replaced by as many empty lines."""
    return OUTPUT.sub(lambda match: "\n" * match[0].count("\n"), text)


def banned_words(text: str) -> Iterator[str]:
    """Yield `LINE: "WORDS"; write REPLACEMENT` for each banned expression."""
    for pattern, instead in PATTERNS.items():
        for match in pattern.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            yield f'{line}: "{" ".join(match[0].split())}"; write {instead}'


def test_no_banned_words() -> None:
    problems = [
        f"{path.relative_to(ROOT)}:{problem}"
        for path in texts()
        for problem in banned_words(blank_output(path.read_text(encoding="utf-8")))
    ]
    assert not problems, "\n".join(["banned words:", *problems])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Resume the run, then recommend it.", []),
        ("It goes on.", ['1: "goes on"; write continue, resume']),
        ("a\n# then go\n    # on", ['2: "go # on"; write continue, resume']),
        ("Whoever", ['1: "Whoever"; write name the person: you, a user, a client']),
    ],
)
def test_banned_words_are_found_across_lines(text: str, expected: list[str]) -> None:
    assert list(banned_words(text)) == expected
