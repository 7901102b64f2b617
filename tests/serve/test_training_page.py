"""The progress of a training run, over the API and in a real browser."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from end_to_end import Bench

from firstwords.runs import registry
from firstwords.runs.run import Run
from firstwords.serve.app import ServerLimits
from firstwords.serve.model_pool import ModelPool

Serve = Callable[..., Any]
PageCheck = Callable[[Any], None]
HTML = "<script>document.title='taken'</script>"


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    bench = Bench(tmp_path_factory.mktemp("live"), pretrain=12, midtrain=5, sft=4)
    done = bench.firstwords(*bench.train())
    assert done.returncode == 0, done.stderr
    return bench


@pytest.fixture
def run(bench: Bench, tmp_path: Path) -> Run:
    """A copy of a finished run, with everything after step 3 of midtraining removed."""
    shutil.copytree(bench.directory("x"), tmp_path / "x")
    for name in ("checkpoints/midtrain", "checkpoints/sft", "evaluation"):
        shutil.rmtree(tmp_path / "x" / name)
    copy = registry.open_run_directory(tmp_path / "x")
    copy.metrics("sft").unlink()
    for page in (tmp_path / "x" / "samples").glob("sft-*"):
        page.unlink()
    lines = copy.metrics("midtrain").read_text().splitlines(keepends=True)
    copy.metrics("midtrain").write_text("".join(lines[:3]))
    return copy


def test_runs_are_listed_and_returned_by_name(serve: Serve, run: Run) -> None:
    client = serve(find_runs=lambda: [run]).client
    [summary] = client.get("/v1/runs").json()["data"]
    assert (summary["name"], summary["state"], summary["stage"]) == ("x", "stopped", "midtrain")
    stage = client.get("/v1/runs/x").json()["stage"]
    assert (stage["name"], stage["step"]) == ("midtrain", 3)
    missing = client.get("/v1/runs/y")
    assert missing.status_code == 404
    assert missing.json()["error"]["code"] == "run_not_found"


def test_runs_need_the_api_key(serve: Serve, run: Run) -> None:
    client = serve(ServerLimits(api_key="secret"), find_runs=lambda: [run]).client
    assert client.get("/v1/runs/x").status_code == 401
    allowed = client.get("/v1/runs/x", headers={"authorization": "Bearer secret"})
    assert allowed.status_code == 200


def test_run_without_a_checkpoint_can_be_watched(serve: Serve, run: Run) -> None:
    shutil.rmtree(run.directory / "checkpoints")
    find = lambda: [run]  # noqa: E731
    client = serve(models=ModelPool(find, max_batch_size=1, max_queue=1), find_runs=find).client
    assert client.get("/v1/models").json()["data"] == []
    assert client.get("/v1/runs/x").json()["stage"]["name"] == "midtrain"
    body = {"messages": [{"role": "user", "content": "Hi"}]}
    refused = client.post("/v1/chat/completions", json=body)
    assert refused.status_code == 404
    assert "no model has a checkpoint yet" in refused.json()["error"]["message"]


@pytest.mark.slow
def test_page_follows_the_run(serve: Serve, run: Run, page: Any) -> None:
    whole = run.metrics("midtrain").read_text()
    page.goto(f"{serve(find_runs=lambda: [run]).url}/training/")
    page.get_by_text("Midtraining: step 3 of 5").wait_for()
    assert page.locator("#phases .done").count() == 2
    assert page.locator("#samples dt").count() == 8
    assert page.get_by_role("slider", name="Bits per byte").is_visible()
    run.metrics("midtrain").write_text(
        whole + whole.splitlines()[-1].replace('"step": 3', '"step": 4')
    )
    page.get_by_text("Midtraining: step 4 of 5").wait_for()


@pytest.mark.slow
def test_model_output_is_shown_as_text(serve: Serve, run: Run, page: Any) -> None:
    newest = max((run.directory / "samples").glob("midtrain-*"))
    newest.write_text(newest.read_text().replace('"answer": "', f'"answer": "{HTML}', 1))
    page.goto(f"{serve(find_runs=lambda: [run]).url}/training/")
    page.get_by_text("document.title='taken'").wait_for()
    assert page.title() == "Firstwords: training"


@pytest.mark.slow
@pytest.mark.parametrize(("scheme", "width"), [("light", 1000), ("dark", 360)])
def test_page_is_accessible(
    serve: Serve,
    check_accessibility: PageCheck,
    run: Run,
    open_page: Callable[..., Any],
    scheme: str,
    width: int,
) -> None:
    page = open_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page.goto(f"{serve(find_runs=lambda: [run]).url}/training/")
    page.locator("#samples dt").first.wait_for()
    check_accessibility(page)
