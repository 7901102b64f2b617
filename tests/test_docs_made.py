"""The generated parts of docs/ are up to date."""

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
    """Return a function that runs `make_docs.py --check` and returns its output."""

    def run() -> str:
        monkeypatch.setattr(sys, "argv", ["make_docs.py", "--check"])
        try:
            make_docs.main()
        except SystemExit as end:
            return capsys.readouterr().out + str(end.code)
        return ""

    return run


# --- generated pages and figures ------------------------------------------------------------------


def test_pages_and_figures_are_up_to_date(check: Callable[[], str]) -> None:
    assert check() == ""


def test_check_lists_stale_pages_and_figures(
    check: Callable[[], str], make_docs: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    docs = tmp_path / "docs"
    shutil.copytree(ROOT / "docs", docs)
    monkeypatch.setattr(make_docs, "DOCS", docs)
    (docs / "reference" / "recipe.md").write_text("old")
    page = docs / "page.md"
    page.write_text("It has <!-- result: model.n_layer -->99<!-- end --> layers.")
    output = check()
    assert "docs/reference/recipe.md" in output
    assert "docs/page.md" in output
    assert output.endswith("run python scripts/make_docs.py")
    assert page.read_text().count("99") == 1, "--check writes nothing"


def test_figures_are_filled_in(make_docs: Any) -> None:
    result, code = "result: a.b percent", "code: data.corpora.HOLD_OUT_EVERY"
    text = f"<!-- {result} -->?<!-- end --> of <!-- {code} -->?<!-- end -->"
    filled = make_docs.fill_figures(text, {"a": {"b": 0.256}})
    assert filled.startswith("<!-- result: a.b percent -->26 %<!-- end --> of ")
    assert make_docs.fill_figures(filled, {"a": {"b": 0.256}}) == filled
    with pytest.raises(KeyError):
        make_docs.fill_figures("<!-- result: a.c -->?<!-- end -->", {"a": {}})


def test_every_field_of_a_recipe_has_a_meaning(make_docs: Any) -> None:
    from firstwords import recipe

    for model in (recipe.Recipe, recipe.StageConfig, recipe.ModelConfig, recipe.OptimizerConfig):
        assert all(field.meaning for field in make_docs.reference.fields(model)), model


# --- quoted messages ------------------------------------------------------------------------------


def messages() -> str:
    """Return all strings of the source, with dots for interpolated values."""
    strings = []
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                strings.append(node.value)
            elif isinstance(node, ast.JoinedStr):
                parts = [p.value if isinstance(p, ast.Constant) else "…" for p in node.values]
                strings.append("".join(map(str, parts)))
    shell = (SCRIPTS / "setup.sh").read_text(encoding="utf-8")
    shell = re.sub(r"\"\s*\\\n\s*\"", " ", shell)
    strings.append(re.sub(r"\$\(\([^)]*\)\)|\$\{[^}]*\}|\$\w+", "…", shell))
    return "\n".join(strings)


@pytest.mark.parametrize("document", HOW_TO, ids=lambda path: path.name)
def test_quoted_messages_exist(document: Path) -> None:
    known = messages()
    for block in blocks(document.read_text(encoding="utf-8")):
        for line in block.body.splitlines() if block.language == "text" else ():
            if quoted := re.match(r"(?:firstwords|note): (.+)", line):
                for part in re.split(r"[:;] ", quoted[1]):
                    assert part in known, f"{document.name}: {line}"


# --- files of a run -------------------------------------------------------------------------------


# The test run starts from random weights, without benchmarks, trackers or reinforcement learning,
# and its evaluation is not interrupted.
ABSENT = (".*.jsonl", "wandb/*", ".part.json", "start/*")


def expand(pattern: str) -> Iterator[str]:
    """Yield `a/b` and `a/c` for `a/{b,c}`; for a directory `a/`, `a/*`."""
    parts = [part.split(",") for part in re.split(r"[{}]", pattern)]
    choices = (part if i % 2 else [",".join(part)] for i, part in enumerate(parts))
    for chosen in product(*choices):
        name = "".join(chosen)
        yield name + "*" if name.endswith("/") else name


@pytest.mark.slow
def test_all_files_of_a_run_are_listed(make_docs: Any, tmp_path: Path) -> None:
    from firstwords.runs import run
    from firstwords.training import checkpoint

    bench = Bench(tmp_path, exam_items=1)
    done = bench.firstwords(*bench.train())
    assert done.returncode == 0, done.stderr
    directory = bench.directory("x")
    existing = [str(p.relative_to(directory)) for p in directory.rglob("*") if p.is_file()]
    listed = [n for file in make_docs.reference.listed_files(run) for n in expand(file.pattern)]
    for name in existing:
        assert any(fnmatch(name, pattern) for pattern in listed), f"{name} is not listed"
    for pattern in listed:
        if not pattern.endswith(ABSENT) and not re.search(r"\brl\b", pattern):
            assert any(fnmatch(name, pattern) for name in existing), f"no file matches {pattern}"
    newest = max((directory / "checkpoints" / "sft").iterdir())
    in_checkpoint = {file.pattern for file in make_docs.reference.listed_files(checkpoint)}
    assert {path.name for path in newest.iterdir()} == in_checkpoint


# --- the site -------------------------------------------------------------------------------------


@pytest.mark.slow
def test_site_builds_and_loads_nothing_from_other_hosts(tmp_path: Path) -> None:
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
    guide = (tmp_path / "guides" / "training" / "index.html").read_text(encoding="utf-8")
    code = tmp_path / "source" / "src" / "firstwords" / "training" / "loop.py" / "index.html"
    anchor = re.search(r"source/src/firstwords/training/loop\.py/#(__codelineno-[\d-]+)", guide)
    assert anchor
    assert f'id="{anchor[1]}"' in code.read_text(encoding="utf-8")
    check_accessibility([tmp_path / page / "index.html" for page in (".", "guides/code-tour")])


def check_accessibility(pages: list[Path]) -> None:
    """Check that axe finds no problem on pages of the site, in the light and the dark theme."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    playwright = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("needs chromium")
    with playwright.sync_playwright() as session:
        browser = session.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for path, scheme in product(pages, ("light", "dark")):
            page = browser.new_page(color_scheme=scheme)
            page.set_default_timeout(240_000)
            page.goto(path.as_uri())
            violations = axe.run(page).response["violations"]
            assert violations == [], (path, scheme, [v["id"] for v in violations])
        browser.close()
