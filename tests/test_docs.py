"""The documents keep their word: links lead somewhere, commands exist, transcripts are real."""

import ast
import itertools
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from documents import DOCUMENTS, ROOT, anchors, commands, links, prose

from firstwords.cli import cli

each_document = pytest.mark.parametrize(
    "document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT))
)


@each_document
def test_links_lead_to_files_headings_and_names(document: Path) -> None:
    for target, anchor in links(document):
        assert target.exists(), f"{document.name} links to {target}"
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target.read_text(encoding="utf-8")), f"{target}#{anchor}"
        elif anchor and target.suffix == ".py":
            names = _defined(ast.parse(target.read_text(encoding="utf-8")).body)
            assert anchor in names, f"{document.name} links to {anchor} of {target}"


def _defined(body: list[ast.stmt], inside: str = "") -> Iterator[str]:
    """Dotted names of what a module defines."""
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield inside + node.name
            yield from _defined(node.body, f"{inside}{node.name}.")
        for target in getattr(node, "targets", [getattr(node, "target", None)]):
            if isinstance(target, ast.Name):
                yield inside + target.id


@each_document
def test_commands_and_options_exist(document: Path) -> None:
    for words in commands(document):
        shown = f"{document.name}: firstwords {' '.join(words)}"
        if words and words[0].isupper():  # stands for any command
            continue
        command, rest = cli, list(words)
        while isinstance(command, click.Group) and rest and not rest[0].startswith(("-", "...")):
            assert rest[0] in command.commands, shown
            command = command.commands[rest.pop(0)]
        known = {"--help", "-h", *(o for parameter in command.params for o in parameter.opts)}
        for word in rest:
            if re.match(r"--?[a-z]", word):
                assert word.partition("=")[0].strip(".,") in known, shown


@each_document
def test_lists_are_lists_in_every_reader(document: Path) -> None:
    """The site wants an empty line before a list, and four blanks before what is inside one."""
    lines = ["", *prose(document.read_text(encoding="utf-8")).splitlines()]
    item = re.compile(r"( *)([-*]|\d+\.) ")
    for before, line in itertools.pairwise(lines):
        if found := item.match(line):
            inside = before.startswith((" ", "-", "*")) or item.match(before)
            assert not before.strip() or inside, f"{document.name}: {line}"
            assert len(found[1]) % 4 == 0, f"{document.name}: {line}"


@each_document
def test_no_figure_begins_a_line(document: Path) -> None:
    """A comment there would end the paragraph, on a forge and in the site."""
    text = prose(document.read_text(encoding="utf-8"))
    assert not re.search(r"^ *<!-- (?:result|code): ", text, re.MULTILINE)


def test_transcripts_hold_what_the_commands_printed() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"<!-- transcript: \S+ -->\n```text\n(.*?)```", text, re.DOTALL)
    assert blocks
    for block in blocks:
        assert not re.search(r"^\$ .*\n(\$ |\Z)", block, re.MULTILINE), "a command without output"


def test_transcript_script_replaces_output_and_keeps_the_rest(tmp_path: Path) -> None:
    document = tmp_path / "page.md"
    before, after = "<!-- transcript: one -->\n```text\n", "```\n<!-- end -->\n"
    document.write_text(f"Above.\n{before}$ echo new\nold\n{after}Below.\n")
    script = ROOT / "scripts" / "transcript.py"
    subprocess.run([sys.executable, script, document], check=True, capture_output=True)
    assert document.read_text() == f"Above.\n{before}$ echo new\nnew\n{after}Below.\n"
