"""Links into the code are valid: `file.py:symbol` and `module.symbol` are defined there."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LINK = re.compile(r"\[`([^`]+)`\]\(([^)#]+\.py)(?:#[^)]*)?\)")
DOCUMENTS = [p for p in ROOT.glob("docs/**/*.md") if LINK.search(p.read_text(encoding="utf-8"))]


def symbols(body: list[ast.stmt], prefix: str = "") -> set[str]:
    """Return the dotted names of functions, classes, their members, and assigned names."""
    names: set[str] = set()
    for node in body:
        if isinstance(node, ast.ClassDef):
            names |= {prefix + node.name} | symbols(node.body, f"{prefix}{node.name}.")
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            names.add(prefix + node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {prefix + target.id for target in targets if isinstance(target, ast.Name)}
    return names


def linked_symbol(text: str, path: Path) -> str:
    """Return the symbol in a link's text; "" for a link to a whole file or with other text."""
    file, colon, symbol = text.rpartition(":")
    if colon and file.endswith(path.name):
        return symbol
    if text.endswith(path.name) or not re.fullmatch(r"[\w.]+", text):
        return ""
    return text.removeprefix(f"{path.stem}.")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_code_links_have_targets(document: Path) -> None:
    for text, target in LINK.findall(document.read_text(encoding="utf-8")):
        path = document.parent / target
        assert path.is_file(), f"{document.name} links to {target}"
        symbol = linked_symbol(text, path)
        tree = ast.parse(path.read_text(encoding="utf-8"))
        assert not symbol or symbol in symbols(tree.body), f"{document.name}: {text} in {target}"


def test_code_tour_has_links() -> None:
    assert any(document.name == "code-tour.md" for document in DOCUMENTS)


def test_code_tour_stops_are_complete() -> None:
    """A stop has links into the code, questions with folded answers, and one experiment."""
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
