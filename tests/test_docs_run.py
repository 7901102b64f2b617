"""The commands of the guides, run one after the other as a reader would.

Blocks marked with `<!-- run -->` are run with bash in an empty directory that has the checkout's
docs, scripts and source in it, with a home for runs of its own, changed by these rules alone:

- `bash scripts/local_cpu_train.sh` is `firstwords train`, which it becomes once all is installed;
- `source .venv/bin/activate` is nothing: the path is set already;
- `--time T` of train and tokenizer is `--recipe SHORT`, a recipe of a few steps;
- `--time T` of plan is `--time 110s`.
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

RUN = {
    str(path.relative_to(ROOT)): [b.body for b in blocks(path.read_text("utf-8")) if b.marked]
    for path in DOCUMENTS
}
RUN = {name: bodies for name, bodies in RUN.items() if bodies}


def changed(script: str, short: Path) -> str:
    script = script.replace("bash scripts/local_cpu_train.sh", "firstwords train")
    script = re.sub(r"^source \.venv/bin/activate$", "true", script, flags=re.MULTILINE)
    script = re.sub(r"(firstwords plan .*?--time) \S+", r"\1 110s", script)
    recipe_option = f"--recipe {shlex.quote(str(short))}"
    return re.sub(r"(firstwords (?:train|tokenizer) .*?)--time \S+", rf"\1{recipe_option}", script)


def tool(directory: Path, name: str, *arguments: str) -> None:
    words = " ".join(shlex.quote(word) for word in (sys.executable, *arguments))
    path = directory / name
    path.write_text(f'#!/bin/sh\nexec {words} "$@"\n')
    path.chmod(0o755)


def test_the_guides_have_commands_to_run() -> None:
    assert {"docs/quickstart.md", "docs/guides/training.md"} <= RUN.keys()


@pytest.mark.slow
@pytest.mark.parametrize("name", RUN)
def test_commands_of_a_page_run(name: str, tmp_path: Path) -> None:
    here, tools, short = tmp_path / "here", tmp_path / "bin", tmp_path / "short.json"
    here.mkdir()
    tools.mkdir()
    for folder in ("docs", "scripts", "src"):
        (here / folder).symlink_to(ROOT / folder)
    tool(tools, "firstwords", "-m", "firstwords")
    tool(tools, "python")
    few = recipe(4, 4, 4, model__max_seq_len=256, exam_items=1, tokenizer_bytes=50_000)
    short.write_text(json.dumps(few))
    environment = {
        **os.environ,
        "PATH": f"{tools}:{os.environ['PATH']}",
        "FIRSTWORDS_HOME": str(tmp_path / "home"),
    }
    for body in RUN[name]:
        script = changed(body, short)
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=here,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{script}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
