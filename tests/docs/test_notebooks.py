"""The notebooks run from their first cell to their last, and are stored without results."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from documents import ROOT
from end_to_end import recipe

import firstwords

NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))


def cells(notebook: Path, kind: str) -> list[str]:
    document = json.loads(notebook.read_text(encoding="utf-8"))
    return ["".join(c["source"]) for c in document["cells"] if c["cell_type"] == kind]


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_are_stored_without_results(notebook: Path) -> None:
    document = json.loads(notebook.read_text(encoding="utf-8"))
    assert document["nbformat"] == 4
    code = [cell for cell in document["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
    identities = [cell["id"] for cell in document["cells"]]
    assert len(set(identities)) == len(identities)


@pytest.mark.slow
def test_notebooks_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run that the first notebook trains exists already, so that the cell finds it finished."""
    monkeypatch.chdir(tmp_path)
    few_steps = recipe(4, 4, 4, model__max_seq_len=256, exam_items=1, tokenizer_bytes=50_000)
    Path("short.json").write_text(json.dumps(few_steps))
    firstwords.train("notebook", time="5m", recipe="short.json")
    for notebook in NOTEBOOKS:
        # The last line of a cell is shown by a notebook, so it is evaluated and rendered here.
        show = "getattr(run, '_repr_html_', str)()"
        code = "\n".join([*cells(notebook, "code"), show, "run.curves._repr_html_()"])
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-3000:]
        assert "Traceback" not in done.stderr
