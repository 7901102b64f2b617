"""What in docs/ is made from something else is as that would make it now."""

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from documents import ROOT, blocks
from end_to_end import Bench

SCRIPTS = ROOT / "scripts"
HOW_TO = sorted((ROOT / "docs" / "how-to").glob("*.md"))
HOSTS = re.compile(
    r"<(?:script|link|img|iframe|source)\b[^>]*?(?:src|href)=[\"']?(https?://[^\"' >]+)"
)


@pytest.fixture
def make_docs(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(SCRIPTS)
    import make_docs

    return make_docs


@pytest.fixture
def check(
    make_docs: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[[], str]:
    """`make_docs.py --check`: nothing, or what it says."""

    def run() -> str:
        monkeypatch.setattr(sys, "argv", ["make_docs.py", "--check"])
        try:
            make_docs.main()
        except SystemExit as end:
            return capsys.readouterr().out + str(end.code)
        return ""

    return run


# --- made pages and figures -----------------------------------------------------------------------


def test_pages_and_figures_are_up_to_date(check: Callable[[], str]) -> None:
    assert check() == ""


def test_a_stale_page_and_a_wrong_figure_are_named(
    check: Callable[[], str], make_docs: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    docs = tmp_path / "docs"
    shutil.copytree(ROOT / "docs", docs)
    monkeypatch.setattr(make_docs, "DOCS", docs)
    (docs / "reference" / "recipe.md").write_text("old")
    page = docs / "page.md"
    page.write_text("It has <!-- result: model.n_layer -->99<!-- end --> layers.")
    said = check()
    assert "docs/reference/recipe.md" in said
    assert "docs/page.md" in said
    assert said.endswith("run python scripts/make_docs.py")
    assert page.read_text().count("99") == 1, "checking writes nothing"


def test_figures_are_put_into_their_places(make_docs: Any) -> None:
    text = (
        "<!-- result: a.b percent -->?<!-- end --> of <!-- code: plan.MOST_EPOCHS -->?<!-- end -->"
    )
    filled = make_docs.filled(text, {"a": {"b": 0.256}})
    assert filled.startswith("<!-- result: a.b percent -->26 %<!-- end --> of ")
    assert make_docs.filled(filled, {"a": {"b": 0.256}}) == filled
    with pytest.raises(KeyError):
        make_docs.filled("<!-- result: a.c -->?<!-- end -->", {"a": {}})


def test_every_field_of_a_recipe_has_a_meaning(make_docs: Any) -> None:
    from firstwords import recipe

    for model in (recipe.Recipe, recipe.StageConfig, recipe.ModelConfig, recipe.OptimizerConfig):
        assert all(field.meaning for field in make_docs.reference.fields(model)), model


# --- messages that are quoted ---------------------------------------------------------------------


def messages() -> str:
    """All text in the source that may be part of a message, with dots for what is put in."""
    found = []
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
            elif isinstance(node, ast.JoinedStr):
                parts = [p.value if isinstance(p, ast.Constant) else "…" for p in node.values]
                found.append("".join(map(str, parts)))
    shell = (SCRIPTS / "setup.sh").read_text(encoding="utf-8")
    shell = re.sub(r"\"\s*\\\n\s*\"", " ", shell)
    found.append(re.sub(r"\$\(\([^)]*\)\)|\$\{[^}]*\}|\$\w+", "…", shell))
    return "\n".join(found)


@pytest.mark.parametrize("document", HOW_TO, ids=lambda path: path.name)
def test_messages_that_are_quoted_exist(document: Path) -> None:
    known = messages()
    for block in blocks(document.read_text(encoding="utf-8")):
        for line in block.body.splitlines() if block.language == "text" else ():
            if quoted := re.match(r"(?:firstwords|note): (.+)", line):
                for part in re.split(r"[:;] ", quoted[1]):
                    assert part in known, f"{document.name}: {line}"


# --- files of a run -------------------------------------------------------------------------------


# This run took no benchmark, told nobody, and was not stopped in its evaluation.
NOT_HERE = (".*.jsonl", "wandb/*", ".part.json")


def expanded(pattern: str) -> Iterator[str]:
    """`a/{b,c}` as `a/b` and `a/c`; a directory as all that is in it."""
    parts = [part.split(",") for part in re.split(r"[{}]", pattern)]
    choices = (part if i % 2 else [",".join(part)] for i, part in enumerate(parts))
    for chosen in product(*choices):
        name = "".join(chosen)
        yield name + "*" if name.endswith("/") else name


@pytest.mark.slow
def test_files_of_a_run_are_those_that_are_listed(make_docs: Any, tmp_path: Path) -> None:
    from firstwords import checkpoint, run

    bench = Bench(tmp_path, exam_items=1)
    done = bench.firstwords(*bench.train())
    assert done.returncode == 0, done.stderr
    directory = bench.directory("x")
    there = [str(p.relative_to(directory)) for p in directory.rglob("*") if p.is_file()]
    listed = [name for e in make_docs.reference.entries(run) for name in expanded(e.pattern)]
    for name in there:
        assert any(fnmatch(name, pattern) for pattern in listed), f"{name} is not listed"
    for pattern in listed:
        if not pattern.endswith(NOT_HERE):
            assert any(fnmatch(name, pattern) for name in there), f"there is no {pattern}"
    newest = max((directory / "checkpoints" / "sft").iterdir())
    of_checkpoint = {entry.pattern for entry in make_docs.reference.entries(checkpoint)}
    assert {path.name for path in newest.iterdir()} == of_checkpoint


# --- the site -------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_site_is_whole_and_asks_no_other_host(tmp_path: Path) -> None:
    pytest.importorskip("material", reason="needs mkdocs-material")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
    )
    assert built.returncode == 0, built.stderr
    pages = [*tmp_path.rglob("*.html")]
    assert len(pages) > 20
    for page in pages:
        assert HOSTS.findall(page.read_text(encoding="utf-8")) == [], page
    home = (tmp_path / "guides" / "training" / "index.html").read_text(encoding="utf-8")
    code = tmp_path / "source" / "src" / "firstwords" / "training.py" / "index.html"
    anchor = re.search(r"source/src/firstwords/training\.py/#(__codelineno-[\d-]+)", home)
    assert anchor
    assert f'id="{anchor[1]}"' in code.read_text(encoding="utf-8")
