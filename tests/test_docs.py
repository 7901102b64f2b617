"""Links, commands and lists of the documents are valid."""

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

from firstwords.cli.main import cli

SOURCES = (".py", ".js", ".html", ".css", ".toml", ".jinja", ".cpp")
each_document = pytest.mark.parametrize(
    "document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT))
)


@each_document
def test_links_have_targets(document: Path) -> None:
    for target, anchor in links(document):
        assert target.exists(), f"{document.name} links to {target}"
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target.read_text(encoding="utf-8")), f"{target}#{anchor}"
        elif anchor and target.suffix == ".py":
            names = _definitions(ast.parse(target.read_text(encoding="utf-8")).body)
            assert anchor in names, f"{document.name} links to {anchor} of {target}"


def _definitions(body: list[ast.stmt], prefix: str = "") -> Iterator[str]:
    """Yield the dotted names that a module defines."""
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield prefix + node.name
            yield from _definitions(node.body, f"{prefix}{node.name}.")
        for target in getattr(node, "targets", [getattr(node, "target", None)]):
            if isinstance(target, ast.Name):
                yield prefix + target.id


@each_document
def test_commands_and_options_exist(document: Path) -> None:
    for words in commands(document):
        shown = f"{document.name}: firstwords {' '.join(words)}"
        if words and words[0].isupper():  # a placeholder such as COMMAND
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
def test_lists_render_the_same_everywhere(document: Path) -> None:
    """The site needs an empty line before a list and four spaces before a nested one."""
    lines = ["", *prose(document.read_text(encoding="utf-8")).splitlines()]
    item = re.compile(r"( *)([-*]|\d+\.) ")
    for before, line in itertools.pairwise(lines):
        if match := item.match(line):
            in_list = before.startswith((" ", "-", "*")) or item.match(before)
            assert not before.strip() or in_list, f"{document.name}: {line}"
            assert len(match[1]) % 4 == 0, f"{document.name}: {line}"


@each_document
def test_figures_do_not_begin_a_line(document: Path) -> None:
    """A comment at the start of a line would end the paragraph."""
    text = prose(document.read_text(encoding="utf-8"))
    assert not re.search(r"^ *<!-- (?:result|code): ", text, re.MULTILINE)


def test_readme_states_the_size_of_the_core() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    stated = re.search(r"about\s+([\d,]+)\s+lines", text)
    assert stated
    source = ROOT / "src" / "firstwords"
    files = [
        path for name in ("model", "training", "tokenizer") for path in source.glob(f"{name}/*.py")
    ]
    files.append(source / "data" / "dataloader.py")
    n_lines = sum(len(path.read_text(encoding="utf-8").splitlines()) for path in files)
    assert int(stated[1].replace(",", "")) == pytest.approx(n_lines, rel=0.15)


def test_package_order_is_documented() -> None:
    """README.md and CONTRIBUTING.md list the packages in the order of the import contract."""
    pyproject = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    layers = re.findall(r'^ +"firstwords\.(\w+)",$', pyproject, re.MULTILINE)[::-1]
    packages = {path.parent.name for path in (ROOT / "src" / "firstwords").glob("*/__init__.py")}
    assert {*layers} == packages | {"recipe"}
    contract = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert " < ".join(layers) in " ".join(contract.split())
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = re.findall(
        r"^\| \[?`(\w+)(?:/|\.py)`", readme.split("## Read the code")[1], re.MULTILINE
    )
    assert rows == layers


def test_code_links_to_existing_notebook_entries() -> None:
    notebook = (ROOT / "docs" / "lab-notebook.md").read_text(encoding="utf-8")
    existing = anchors(notebook)
    linked = 0
    for path in sorted((ROOT / "src").rglob("*.*")):
        if path.suffix not in SOURCES:
            continue
        text = path.read_text(encoding="utf-8")
        for anchor in re.findall(r"docs/lab-notebook\.md(#[\w-]+)?", text):
            assert anchor[1:] in existing, f"{path}: docs/lab-notebook.md{anchor}"
            linked += 1
    assert linked


def test_transcripts_have_output() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    transcripts = re.findall(r"<!-- transcript: \S+ -->\n```text\n(.*?)```", text, re.DOTALL)
    assert transcripts
    for transcript in transcripts:
        assert not re.search(r"^\$ .*\n(\$ |\Z)", transcript, re.MULTILINE), (
            "a command without output"
        )


def test_transcript_script_replaces_only_output(tmp_path: Path) -> None:
    document = tmp_path / "page.md"
    before, after = "<!-- transcript: one -->\n```text\n", "```\n<!-- end -->\n"
    document.write_text(f"Above.\n{before}$ echo new\nold\n{after}Below.\n")
    script = ROOT / "scripts" / "transcript.py"
    subprocess.run([sys.executable, script, document], check=True, capture_output=True)
    assert document.read_text() == f"Above.\n{before}$ echo new\nnew\n{after}Below.\n"
