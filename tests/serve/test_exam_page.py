"""The exam browser: its endpoint, and the page in a real browser."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from exam_run import HOSTILE, write_exam
from factories import make_manifest

from firstwords.runs import registry
from firstwords.runs.run import Run
from firstwords.serve.app import ServerLimits

Serve = Callable[..., Any]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("FIRSTWORDS_HOME", str(tmp_path))
    run = registry.create_run(tmp_path / "runs" / "x", make_manifest())
    write_exam(run)
    return run


@pytest.fixture
def get_exam(serve: Serve, run: Run) -> Callable[..., dict[str, Any]]:
    """Return a function that asks the endpoint."""
    client = serve(find_runs=lambda: [run]).client

    def get(**query: Any) -> dict[str, Any]:
        document: dict[str, Any] = client.get("/v1/runs/x/exam", params=query).json()
        return document

    return get


def test_every_question_has_the_answers_of_all_stages(get_exam: Callable[..., Any]) -> None:
    exam = get_exam(limit=100)
    assert (exam["total"], exam["matching"]) == (42, 42)
    assert [question["number"] for question in exam["questions"]] == list(range(1, 43))
    question = exam["questions"][10]
    assert question["prompt"] == [{"role": "user", "content": "Where is place 10?"}]
    outcomes = {stage: answer["correct"] for stage, answer in question["answers"].items()}
    assert outcomes == {"pretrain": False, "midtrain": True, "sft": True}
    assert set(exam["questions"][-1]["answers"]) == {"midtrain", "sft"}
    facts, memory = exam["parts"]
    assert facts["title"] == "places on the map"
    assert (facts["questions"], facts["chance"]) == (30, 0.1)
    assert facts["scores"]["sft"] == {"score": 0.8, "ci95": [pytest.approx(0.7), 0.9], "n": 30}
    assert set(memory["scores"]) == {"midtrain", "sft"}


@pytest.mark.parametrize(
    ("query", "matching"),
    [
        ({"sft": "right", "midtrain": "wrong"}, 9),
        ({"pretrain": "wrong"}, 25),  # not asked is neither right nor wrong
        ({"part": "memory"}, 12),
        ({"part": "memory", "sft": "wrong"}, 6),
        ({"search": "PLACE 2?"}, 1),
        ({"search": "rusty", "part": "facts"}, 0),
    ],
)
def test_filters_are_combined(
    get_exam: Callable[..., Any], query: dict[str, str], matching: int
) -> None:
    exam = get_exam(**query)
    assert exam["matching"] == matching
    in_parts = [
        part["matching"] for part in exam["parts"] if query.get("part") in (None, part["name"])
    ]
    assert sum(in_parts) == matching


def test_pages_follow_each_other(get_exam: Callable[..., Any]) -> None:
    numbers = [q["number"] for offset in (0, 20, 40) for q in get_exam(offset=offset)["questions"]]
    assert numbers == list(range(1, 43))
    assert get_exam(offset=100)["questions"] == []
    assert get_exam(limit=0)["error"]["param"] == "limit"
    assert get_exam(sft="maybe")["error"]["param"] == "sft"


def test_a_new_evaluation_is_read(get_exam: Callable[..., Any], run: Run) -> None:
    assert get_exam()["total"] == 42
    for stage in ("midtrain", "sft"):
        path = run.records(stage, "exam")
        path.write_text("".join(path.read_text().splitlines(keepends=True)[:30]))
        os.utime(path, ns=(1, 1))
    assert get_exam()["total"] == 30


def test_missing_runs_exams_and_keys_are_explained(serve: Serve, run: Run) -> None:
    client = serve(find_runs=lambda: [run]).client
    assert client.get("/v1/runs/y/exam").json()["error"]["code"] == "run_not_found"
    for stage in ("pretrain", "midtrain", "sft"):
        run.records(stage, "exam").unlink()
    missing = client.get("/v1/runs/x/exam")
    assert missing.status_code == 404
    assert "run 'x' has no exam; evaluation" in missing.json()["error"]["message"]
    secret = serve(ServerLimits(api_key="secret"), find_runs=lambda: [run]).client
    assert secret.get("/v1/runs/x/exam").status_code == 401


# --- the page -------------------------------------------------------------------------------------


def questions(page: Any) -> Any:
    return page.locator("#questions > li")


@pytest.mark.slow
def test_page_filters_and_keeps_them_in_the_address(serve: Serve, run: Run, page: Any) -> None:
    url = serve(find_runs=lambda: [run]).url
    page.goto(f"{url}/exam/")
    page.get_by_text("42 questions of 42.").wait_for()
    assert page.title() == "Exam · Firstwords"  # and not what a model wrote
    first, second = questions(page).nth(0), questions(page).nth(1)
    assert first.locator(".tool").all_inner_texts() == ["12*34 = 408"] * 3
    assert second.get_by_text(HOSTILE, exact=True).count() == 3
    assert page.locator(".score").all_inner_texts()[2].startswith("sft\n71 %")

    page.locator("#midtrain").select_option("wrong")
    page.locator("#sft").select_option("right")
    page.get_by_text("9 questions of 42.").wait_for()
    page.get_by_role("button", name="places on the map").click()
    page.get_by_text("Right means: the answer names it.").wait_for()
    page.get_by_label("Search questions and answers").fill("place 20")
    page.get_by_text("1 question of 42.").wait_for()
    assert page.evaluate("location.hash") == (
        "#run=x&part=facts&midtrain=wrong&sft=right&search=place+20"
    )
    page.reload()
    page.get_by_text("1 question of 42.").wait_for()
    asked = questions(page).first
    question = [{"role": "user", "content": "Where is place 20?"}]
    for name, path, stages in (
        ("Ask it yourself", "/", "pretrain,midtrain,sft"),
        ("X-ray", "/xray/", "sft"),
    ):
        link = asked.get_by_role("link", name=name).get_attribute("href")
        address, _, fragment = link.partition("#")
        assert address == url + path
        parameters = parse_qs(fragment)
        assert json.loads(parameters.pop("conversation")[0]) == question
        assert parameters == {"run": ["x"], "stages": [stages]}
    page.get_by_role("button", name="Show all").click()
    page.get_by_text("42 questions of 42.").wait_for()
    page.go_back()
    page.get_by_text("1 question of 42.").wait_for()
    assert page.locator("#search").input_value() == "place 20"


@pytest.mark.slow
def test_keys_move_over_questions_and_pages(serve: Serve, run: Run, page: Any) -> None:
    page.goto(f"{serve(find_runs=lambda: [run]).url}/exam/#offset=20")
    page.get_by_text("21 to 40").wait_for()
    page.keyboard.press("j")
    assert page.locator(":focus").get_attribute("id") == "question-21"
    page.keyboard.press("k")
    page.locator("#question-20:focus").wait_for()  # the last of the page before
    page.keyboard.press("j")
    page.locator("#question-21:focus").wait_for()
    page.get_by_role("button", name="Next").click()
    page.locator("#question-41:focus").wait_for()
    page.keyboard.press("/")
    page.keyboard.type("jk")
    assert page.get_by_label("Search questions and answers").input_value() == "jk"


@pytest.mark.slow
def test_page_is_accessible_on_all_screens(
    serve: Serve, run: Run, open_page: Callable[..., Any], find_violations: Callable[..., Any]
) -> None:
    url = serve(find_runs=lambda: [run]).url
    for scheme, width in (("light", 1280), ("dark", 360)):
        page = open_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
        page.goto(f"{url}/exam/")
        page.get_by_text("42 questions of 42.").wait_for()
        assert find_violations(page, "main") == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.slow
def test_page_says_why_there_is_no_exam(serve: Serve, run: Run, page: Any) -> None:
    page.goto(f"{serve().url}/exam/")
    page.get_by_text("There is no run yet.").wait_for()
    for stage in ("pretrain", "midtrain", "sft"):
        run.records(stage, "exam").unlink()
    page.goto(f"{serve(find_runs=lambda: [run]).url}/exam/")
    page.get_by_text("Run 'x' has no exam; evaluation").wait_for()
