"""The marked commands of the how-tos run without errors, in order.

Blocks after `<!-- run -->` run with bash in a temporary directory with the checkout's docs, scripts
and source, and with a temporary FIRSTWORDS_HOME. Only these parts of them are changed:

- `--time T` of train becomes `--recipe SHORT`, a recipe of a few steps;
- `--time T` of plan becomes `--time 110s`.

tests/docs runs those of README, the quickstart and the guides.
"""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from documents import DOCUMENTS, ROOT, blocks
from end_to_end import recipe

MARKED = {
    str(path.relative_to(ROOT)): [
        b.body for b in blocks(path.read_text("utf-8")) if b.mark == "run"
    ]
    for path in DOCUMENTS
}
MARKED = {name: bodies for name, bodies in MARKED.items() if bodies}


def shorten(script: str, short: Path) -> str:
    script = re.sub(r"(firstwords plan .*?--time) \S+", r"\1 110s", script)
    recipe_option = f"--recipe {shlex.quote(str(short))}"
    return re.sub(r"(firstwords train .*?)--time \S+", rf"\1{recipe_option}", script)


def add_tool(directory: Path, name: str, *arguments: str) -> None:
    words = " ".join(shlex.quote(word) for word in (sys.executable, *arguments))
    path = directory / name
    path.write_text(f'#!/bin/sh\nexec {words} "$@"\n')
    path.chmod(0o755)


def test_pages_have_marked_commands() -> None:
    assert {"docs/how-to/resume.md", "docs/how-to/own-text.md"} <= MARKED.keys()


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled kernels, which all homes share."""
    return tmp_path_factory.mktemp("compiled")


@pytest.mark.slow
@pytest.mark.parametrize("name", MARKED)
def test_marked_commands_run(name: str, compiled: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "compiled").symlink_to(compiled)
    directory, tools, short = tmp_path / "directory", tmp_path / "bin", tmp_path / "short.json"
    directory.mkdir()
    tools.mkdir()
    for folder in ("docs", "scripts", "src"):
        (directory / folder).symlink_to(ROOT / folder)
    add_tool(tools, "firstwords", "-m", "firstwords")
    add_tool(tools, "python")
    few_steps = recipe(4, 4, 4, model__max_seq_len=256, exam_items=1, tokenizer_bytes=50_000)
    short.write_text(json.dumps(few_steps))
    environment = {
        **os.environ,
        "PATH": f"{tools}:{os.environ['PATH']}",
        "FIRSTWORDS_HOME": str(home),
    }
    for body in MARKED[name]:
        script = shorten(body, short)
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{script}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
