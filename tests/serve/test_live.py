"""Training as it goes on, over the API and in a real browser, while files of the run appear."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from end_to_end import Bench

from firstwords import run as runs
from firstwords.run import Run
from firstwords.serve.app import Limits
from firstwords.serve.models import Models

Serve = Callable[..., Any]
Look = Callable[[Any], None]
HTML = "<script>document.title='taken'</script>"


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    made = Bench(tmp_path_factory.mktemp("live"), base=12, mid=5, sft=4)
    done = made.firstwords(*made.train())
    assert done.returncode == 0, done.stderr
    return made


@pytest.fixture
def run(bench: Bench, tmp_path: Path) -> Run:
    """A copy of a finished run, which is then taken back to the midst of midtraining."""
    shutil.copytree(bench.directory("x"), tmp_path / "x")
    for name in ("checkpoints/mid", "checkpoints/sft", "evaluation"):
        shutil.rmtree(tmp_path / "x" / name)
    found = runs.open_directory(tmp_path / "x")
    found.metrics("sft").unlink()
    for page in (tmp_path / "x" / "album").glob("sft-*"):
        page.unlink()
    lines = found.metrics("mid").read_text().splitlines(keepends=True)
    found.metrics("mid").write_text("".join(lines[:3]))
    return found


def test_runs_are_listed_and_told_by_name(serve: Serve, run: Run) -> None:
    client = serve(find_runs=lambda: [run]).client
    assert client.get("/v1/runs").json()["data"] == ["x"]
    told = client.get("/v1/runs/x").json()
    assert (told["stage"]["name"], told["stage"]["step"]) == ("mid", 3)
    missing = client.get("/v1/runs/y")
    assert missing.status_code == 404
    assert missing.json()["error"]["code"] == "run_not_found"


def test_the_key_guards_them(serve: Serve, run: Run) -> None:
    client = serve(Limits(api_key="secret"), find_runs=lambda: [run]).client
    assert client.get("/v1/runs/x").status_code == 401
    allowed = client.get("/v1/runs/x", headers={"authorization": "Bearer secret"})
    assert allowed.status_code == 200


def test_a_run_without_a_checkpoint_can_be_watched(serve: Serve, run: Run) -> None:
    shutil.rmtree(run.directory / "checkpoints")
    find = lambda: [run]  # noqa: E731
    client = serve(models=Models(find, slots=1, most_waiting=1), find_runs=find).client
    assert client.get("/v1/models").json()["data"] == []
    assert client.get("/v1/runs/x").json()["stage"]["name"] == "mid"
    asked = {"messages": [{"role": "user", "content": "Hi"}]}
    refused = client.post("/v1/chat/completions", json=asked)
    assert refused.status_code == 404
    assert "no model has a checkpoint yet" in refused.json()["error"]["message"]


@pytest.mark.slow
def test_the_page_follows_the_run(serve: Serve, run: Run, page: Any) -> None:
    whole = run.metrics("mid").read_text()
    page.goto(f"{serve(find_runs=lambda: [run]).url}/live.html")
    page.get_by_text("Midtraining: step 3 of 5").wait_for()
    assert page.locator("#phases .done").count() == 2
    assert page.locator("#samples dt").count() == 8
    assert page.get_by_role("img", name="Bits per byte").is_visible()
    run.metrics("mid").write_text(whole + whole.splitlines()[-1].replace('"step": 3', '"step": 4'))
    page.get_by_text("Midtraining: step 4 of 5").wait_for(timeout=10_000)


@pytest.mark.slow
def test_what_a_model_wrote_is_only_text(serve: Serve, run: Run, page: Any) -> None:
    newest = max((run.directory / "album").glob("mid-*"))
    newest.write_text(newest.read_text().replace('"answer": "', f'"answer": "{HTML}', 1))
    page.goto(f"{serve(find_runs=lambda: [run]).url}/live.html")
    page.get_by_text("document.title='taken'").wait_for()
    assert page.title() == "Firstwords: training"


@pytest.mark.slow
@pytest.mark.parametrize(("scheme", "width"), [("light", 1000), ("dark", 360)])
def test_axe_finds_nothing_serious(
    serve: Serve, nothing_serious: Look, run: Run, browser: Any, scheme: str, width: int
) -> None:
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page = context.new_page()
    page.goto(f"{serve(find_runs=lambda: [run]).url}/live.html")
    page.locator("#samples dt").first.wait_for()
    nothing_serious(page)
    context.close()
