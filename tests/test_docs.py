"""The documents keep their word: links lead somewhere, commands exist, transcripts are real."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from firstwords.cli import cli

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_relative_links_lead_to_files(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", document.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (document.parent / target).exists(), f"{document.name} links to {target}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_commands_and_options_exist(document: Path) -> None:
    options = {name: _options(command) for name, command in cli.commands.items()}
    for line in re.findall(r"firstwords ([a-z].*?)[`\n]", document.read_text(encoding="utf-8")):
        command, *words = line.split()
        assert command in options, f"{document.name}: firstwords {command}"
        for word in words:
            if word.startswith("--"):
                assert word.strip(".,;") in options[command], f"{document.name}: {line}"


def _options(command: object) -> set[str]:
    found = {option for parameter in command.params for option in parameter.opts}
    for inner in getattr(command, "commands", {}).values():
        found |= _options(inner)
    return found | {"--help"}


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
