"""The progress of a training run, over the API and in a real browser."""

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fake_runs import (
    RL,
    STEPS,
    add_rollouts,
    add_sample,
    add_steps,
    evaluate,
    finish,
    finish_everything,
    make_old,
    record_time,
    start_run,
)

from firstwords.common import files
from firstwords.recipe import REQUIRED_STAGES
from firstwords.runs import registry
from firstwords.serve.app import ServerLimits
from firstwords.serve.model_pool import ModelPool
from firstwords.serve.server import run_finder

Serve = Callable[..., Any]
Open = Callable[..., Any]
HTML = "<script>document.title='taken'</script>"
CALL = "<tool_call>2*3</tool_call><tool_response>6</tool_response>So 6."


@pytest.fixture
def find_runs(home: Path) -> Callable[[], Any]:
    return run_finder(())


def serve_runs(serve: Serve, find_runs: Callable[[], Any], *limits: ServerLimits) -> Any:
    """A server of the runs on the disk, of which none has a usable checkpoint."""
    models = ModelPool(find_runs, max_batch_size=1, max_queue=1)
    return serve(*limits, models=models, find_runs=find_runs)


# --- API ------------------------------------------------------------------------------------------


def test_runs_are_listed_and_returned_by_name(serve: Serve, find_runs: Callable[[], Any]) -> None:
    run = start_run("x")
    add_steps(run, "pretrain", 1, 2, 3)
    add_sample(run, "pretrain", 0)
    client = serve(find_runs=find_runs).client
    [summary] = client.get("/v1/runs").json()["data"]
    assert (summary["name"], summary["stage"]) == ("x", "pretrain")
    progress = client.get("/v1/runs/x").json()
    assert (progress["stage"]["name"], progress["stage"]["step"]) == ("pretrain", 3)
    known = {"revision": progress["curve"]["revision"], "start": 2}
    newer = client.get("/v1/runs/x", params=known).json()
    assert [point[1] for point in newer["curve"]["points"]] == [3]
    samples = client.get("/v1/runs/x/samples").json()["data"]
    assert samples[0]["samples"][0]["answer"] == "yes"
    for path in ("/v1/runs/y", "/v1/runs/y/samples"):
        missing = client.get(path)
        assert missing.status_code == 404
        assert missing.json()["error"]["code"] == "run_not_found"


def test_a_run_that_replaces_another_of_its_name_is_read_anew(
    serve: Serve, find_runs: Callable[[], Any]
) -> None:
    run = start_run("x")
    add_steps(run, "pretrain", 1, 2)
    client = serve(find_runs=find_runs).client
    assert client.get("/v1/runs/x").json()["stage"]["step"] == 2
    manifest = run.manifest.replace(created="2026-02-02T00:00:00+00:00", time=90.0)
    registry.create_run(run.directory, manifest)
    assert client.get("/v1/runs/x").json()["budget_seconds"] == 90


def test_runs_need_the_api_key(serve: Serve, find_runs: Callable[[], Any]) -> None:
    start_run("x")
    client = serve(ServerLimits(api_key="secret"), find_runs=find_runs).client
    assert client.get("/v1/runs/x").status_code == 401
    allowed = client.get("/v1/runs/x", headers={"authorization": "Bearer secret"})
    assert allowed.status_code == 200


def test_run_without_a_checkpoint_can_be_watched(
    serve: Serve, find_runs: Callable[[], Any]
) -> None:
    add_steps(start_run("x"), "midtrain", 1)
    client = serve_runs(serve, find_runs).client
    assert client.get("/v1/models").json()["data"] == []
    assert client.get("/v1/runs/x").json()["stage"]["name"] == "midtrain"
    body = {"messages": [{"role": "user", "content": "Hi"}]}
    assert client.post("/v1/chat/completions", json=body).status_code == 404


# --- page -----------------------------------------------------------------------------------------


@pytest.fixture
def url(serve: Serve, find_runs: Callable[[], Any]) -> str:
    return f"{serve_runs(serve, find_runs).url}/training/"


@pytest.mark.slow
def test_page_follows_runs_from_none_to_the_next_one(url: str, page: Any) -> None:
    page.goto(url)
    page.get_by_text("No run yet. To start one, run: firstwords train.").wait_for()
    run = start_run("first")
    with registry.lock_run("first"):
        finish(run, "pretrain")
        add_steps(run, "midtrain", 1)
        record_time(run, tokenizer=20.0, pretrain=40.0, midtrain=10.0)
        page.get_by_text("Midtraining is running.").wait_for()
        numbers = page.locator("#numbers").inner_text()
        assert numbers.startswith(f"step 1 of {STEPS} · loss 1.500 · 128 tokens/s · 0:02 left")
        assert "left in total" in numbers
        assert page.title().endswith(" % · Firstwords")
        assert page.locator("#phases .done").count() == 2
        assert "planned 0:40" in page.locator("#phases .done").last.inner_text()
        add_steps(run, "midtrain", 2)
        page.get_by_text(f"step 2 of {STEPS} · loss").wait_for()
        assert "forecast 2 (1.8 to 2.2)" in page.locator("#bits .chart-legend").inner_text()
        assert page.locator("#loss .chart-band").count() == 3
    run.metrics("midtrain").unlink()
    finish(run, "midtrain", "sft")
    evaluate(run, *REQUIRED_STAGES)
    page.get_by_role("heading", name="Result").wait_for()
    assert page.title() == "Done: first · Firstwords"
    assert "50 % (40 % to 60 %)" in page.locator("#result").inner_text()
    links = page.locator("#result a").evaluate_all("links => links.map((a) => a.href)")
    root = url.removesuffix("training/")
    pages = ("", "report/", "exam/", "xray/")
    assert links == [f"{root}{path}?run=first" for path in pages]
    start_run("second")
    page.get_by_role("heading", name="Run second").wait_for()
    assert not page.get_by_role("heading", name="Result").is_visible()


@pytest.mark.slow
def test_chosen_run_stays_and_can_be_compared(url: str, page: Any) -> None:
    for name in ("first", "second"):
        finish_everything(start_run(name))
    page.goto(f"{url}?run=first")
    page.get_by_role("heading", name="Run first").wait_for()
    page.get_by_text("Compare with other runs").click()
    page.get_by_label("second", exact=True).check()
    page.locator("#loss .chart-item", has_text="second").wait_for()
    assert page.locator("#loss .chart-plot .chart-line").count() == 2
    page.get_by_role("button", name="Follow the newest run").click()
    page.get_by_role("heading", name="Run second").wait_for()
    assert page.evaluate("document.activeElement.tagName") == "H1", "focus stays on the page"
    assert "run=" not in page.url


@pytest.mark.slow
def test_stopped_run_and_its_samples(url: str, page: Any) -> None:
    run = start_run("first")
    add_steps(run, "pretrain", 1, 2)
    add_sample(run, "pretrain", 0, HTML)
    add_sample(run, "pretrain", 2, CALL)
    make_old(run)
    page.goto(url)
    page.get_by_text("Run first stopped in this phase: pretraining.").wait_for()
    assert page.locator("#resume").inner_text() == "To resume, run: firstwords train --run first"
    assert page.title() == "Stopped: first · Firstwords"
    samples = page.locator("#samples")
    assert samples.locator(".tool").inner_text() == "2*3 = 6"
    assert samples.inner_text().endswith("So 6.")
    page.get_by_role("button", name="Earlier").click()
    assert HTML in samples.inner_text()
    assert page.title() == "Stopped: first · Firstwords", "text of a model is not run"
    slider = page.get_by_role("slider", name="Sample page")
    assert slider.get_attribute("aria-valuetext") == "1 of 2: step 0 of pretrain"
    slider.press("End")
    assert samples.locator(".tool").count() == 1
    add_sample(run, "pretrain", 3, "newer")
    samples.get_by_text("newer").wait_for()


@pytest.mark.slow
def test_rewards_are_drawn_while_reinforcement_learning_runs(
    url: str, page: Any, check_accessibility: Callable[[Any], None]
) -> None:
    run = start_run("first", rl=RL)
    section, legend = page.locator("#rewards"), page.locator("#reward .chart-legend")
    plot = page.get_by_role("slider", name="Reward", exact=True)
    with registry.lock_run("first"):
        finish(run, "pretrain", "midtrain")
        page.goto(url)
        page.get_by_text("Finetuning is running.").wait_for()
        assert not section.is_visible()
        finish(run, "sft")
        section.wait_for()
        assert plot.get_attribute("aria-valuetext") == "no data yet"
        add_rollouts(run, {"stories": 0.5, "sums": 1.0}, 1)
        legend.get_by_text("0.75").wait_for()
        # Training that is resumed replaces the file; a step may lack a kind of question.
        files.write_text(run.metrics("rl"), "")
        add_rollouts(run, {"stories": 0.25, "sums": 0.75}, 1)
        add_rollouts(run, {"stories": 0.25}, 2)
        page.get_by_text(f"step 2 of {STEPS} · reward").wait_for()
        section.get_by_label("Smoothing").fill("0")
        plot.focus()
        values = []
        for key in ("Home", "ArrowRight"):
            page.keyboard.press(key)
            values.append(plot.get_attribute("aria-valuetext"))
        assert values == [
            "1 steps of the stage: mean 0.5, stories 0.25, sums 0.75",
            "2 steps of the stage: mean 0.25, stories 0.25, sums –",
        ]
        assert page.locator("#mixed .chart-legend").inner_text().split()[-1] == "75"
        section.get_by_label("Over").select_option("Time of the stage")
        assert "2.0 s" in plot.text_content(), "as long as is planned"
        check_accessibility(page)
    with page.expect_download() as download:
        section.get_by_role("button", name="CSV").click()
    rows = list(csv.DictReader(io.StringIO(Path(download.value.path()).read_text())))
    found = {(row["chart"], row["series"], row["steps"]): row["value"] for row in rows}
    assert found["Reward", "sums", "1"] == "0.75"
    assert ("Reward", "sums", "2") not in found
    assert found["Answer length", "first", "2"] == "20"
    assert found["Divergence", "first", "2"] == "0.01"


@pytest.mark.slow
def test_rewards_of_one_kind_and_none(url: str, page: Any) -> None:
    own, lost = start_run("own", rl=RL), start_run("lost", rl=RL)
    finish_everything(own)
    add_rollouts(own, {"own": -3.0}, 1, 2)
    finish_everything(lost)
    finish(lost, "rl")
    page.goto(f"{url}?run=own")
    legend = page.locator("#reward .chart-legend")
    legend.wait_for()
    assert legend.inner_text().split() == ["latest", "own", "-3"]
    page.goto(f"{url}?run=lost")
    page.get_by_role("heading", name="Run lost").wait_for()
    page.locator("#loss .chart-item", has_text="lost").wait_for()
    assert not page.locator("#rewards").is_visible()


@pytest.mark.slow
def test_missing_key_is_named_and_the_page_goes_on_with_it(
    serve: Serve, find_runs: Callable[[], Any], page: Any
) -> None:
    start_run("first")
    server = serve_runs(serve, find_runs, ServerLimits(api_key="secret"))
    page.goto(f"{server.url}/training/")
    problem = page.get_by_role("alert")
    problem.filter(has_text="Enter it in the settings of the chat page").wait_for()
    assert problem.evaluate("node => node.className") == "error"
    page.evaluate("localStorage.setItem('firstwords.settings', JSON.stringify({key: 'secret'}))")
    page.get_by_role("heading", name="Run first").wait_for()
    page.locator("#problem:empty").wait_for(state="attached")


NOTIFICATIONS = """() => {
  window.sent = [];
  window.Notification = class {
    static requestPermission = async () => "granted";
    constructor(title, options) { sent.push(`${title}: ${options.body}`); }
  };
}"""


@pytest.mark.slow
def test_notification_at_the_end_for_those_who_ask(url: str, page: Any) -> None:
    run = start_run("first")
    page.add_init_script(f"({NOTIFICATIONS})()")
    page.goto(url)
    with registry.lock_run("first"):
        page.get_by_role("button", name="Notify me when it is done").click()
        page.locator("#notify[aria-pressed=true]").wait_for()
        finish_everything(run)
        page.get_by_role("heading", name="Result").wait_for()
    assert page.evaluate("sent") == ["Run first is finished: Exam: 50 %"]


@pytest.mark.slow
def test_page_is_accessible_on_every_screen(
    url: str, open_page: Open, check_accessibility: Callable[[Any], None]
) -> None:
    first, second = start_run("first"), start_run("second")
    finish_everything(first)
    for run in (first, second):
        add_sample(run, "pretrain", 0)
        add_sample(run, "pretrain", 2, CALL)
    with registry.lock_run("second"):
        add_steps(second, "pretrain", 1, 2)
        for scheme, width, height, name in (
            ("light", 1000, 800, "first"),
            ("dark", 360, 740, "second"),
            ("light", 320, 256, "second"),
        ):
            page = open_page(
                viewport={"width": width, "height": height}, color_scheme=scheme, has_touch=True
            )
            page.goto(f"{url}?run={name}")
            page.locator("#samples dt").first.wait_for()
            check_accessibility(page)
