"""Links into the code lead to what they name: `file.py:symbol` and `module.symbol` exist there."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LINK = re.compile(r"\[`([^`]+)`\]\(([^)#]+\.py)(?:#[^)]*)?\)")
DOCUMENTS = [p for p in ROOT.glob("docs/**/*.md") if LINK.search(p.read_text(encoding="utf-8"))]


def symbols(body: list[ast.stmt], prefix: str = "") -> set[str]:
    """Functions, classes, what stands in them, and names that are assigned at the top."""
    found: set[str] = set()
    for node in body:
        if isinstance(node, ast.ClassDef):
            found |= {prefix + node.name} | symbols(node.body, f"{prefix}{node.name}.")
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found.add(prefix + node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {prefix + target.id for target in targets if isinstance(target, ast.Name)}
    return found


def named(text: str, path: Path) -> str:
    """The symbol in a link's text; "" for the file alone, or where the text is no name."""
    file, colon, symbol = text.rpartition(":")
    if colon and file.endswith(path.name):
        return symbol
    if text.endswith(path.name) or not re.fullmatch(r"[\w.]+", text):
        return ""
    return text.removeprefix(f"{path.stem}.")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_into_the_code_lead_to_what_they_name(document: Path) -> None:
    for text, target in LINK.findall(document.read_text(encoding="utf-8")):
        path = document.parent / target
        assert path.is_file(), f"{document.name} links to {target}"
        symbol = named(text, path)
        tree = ast.parse(path.read_text(encoding="utf-8"))
        assert not symbol or symbol in symbols(tree.body), f"{document.name}: {text} in {target}"


def test_there_are_links_to_check() -> None:
    assert any(document.name == "code-tour.md" for document in DOCUMENTS)


def test_every_stop_of_the_tour_has_its_parts() -> None:
    """What to look at, questions with their answers folded away, and an experiment to run."""
    text = (ROOT / "docs" / "guides" / "code-tour.md").read_text(encoding="utf-8")
    stops = re.findall(r"^## \d+\. .*?(?=^## )", text, re.MULTILINE | re.DOTALL)
    assert len(stops) == 14
    for stop in stops:
        assert stop.count("<details><summary>") in (2, 3), stop[:60]
        assert stop.count("</details>") == stop.count("<details>")
        assert "\nLook at:\n" in stop
        assert (
            len(re.findall(r"\*\*Experiment\.\*\*.*?```\n.*?firstwords .*?```", stop, re.DOTALL))
            == 1
        )
        assert len(LINK.findall(stop)) >= 3, stop[:60]
