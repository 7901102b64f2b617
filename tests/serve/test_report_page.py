"""The report of a run on the server's pages."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from factories import make_manifest

from firstwords.report import html_page
from firstwords.report.first_screen import render_first_screen
from firstwords.report.headline import Answer, Headline
from firstwords.runs import registry
from firstwords.runs.run import Run
from firstwords.serve.app import ServerLimits

Serve = Callable[..., Any]
STRIP = """<div class="growth"><ol class="strip" tabindex="0" aria-label="Samples">
<li><h3>before the first step</h3><dl><div><dt>Hello</dt><dd>qq</dd></div></dl></li>
<li><h3>sft, 100%</h3><dl><div><dt>Hello</dt><dd>Hi.</dd></div></dl></li></ol></div>"""


def write_report(run: Run, score: str) -> None:
    answers = [
        Answer("What is 2 plus 2?", "<tool_call>2+2</tool_call><tool_response>4</tool_response>4.")
    ]
    headline = Headline(
        "A model.", [("time", "1:00")], "Exam", score, "of 9.", answers, ["Little."]
    )
    svg = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"></svg>'
    first = render_first_screen(f"Firstwords report: {run.name}", headline, ("A curve.", svg))
    sections = [
        ("Samples during training", html_page.render_section("Samples during training", STRIP, ()))
    ]
    text = html_page.render_page(f"Report of {run.name}", first, sections)
    (run.directory / "report.html").write_text(text, encoding="utf-8")
    (run.directory / "report.csv").write_text("table,stage\n", encoding="utf-8")


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Run]:
    """The newest run, which has no report, and two older ones with reports."""
    monkeypatch.setenv("FIRSTWORDS_HOME", str(tmp_path))
    names = ("training", "second", "first")
    runs = [registry.create_run(tmp_path / "runs" / name, make_manifest()) for name in names]
    write_report(runs[1], "62%")
    write_report(runs[2], "31%")
    return runs


def test_newest_and_named_reports_are_served_with_their_data(serve: Serve, runs: list[Run]) -> None:
    client = serve(find_runs=lambda: runs).client
    assert '<p class="big">62%</p>' in client.get("/report/").text
    assert '<p class="big">31%</p>' in client.get("/report/?run=first").text
    first = client.get("/report/first")
    assert '<p class="big">31%</p>' in first.text
    assert 'href="first/report.csv"' in first.text
    data = client.get("/report/first/report.csv")
    assert (data.text, data.headers["content-type"]) == ("table,stage\n", "text/csv; charset=utf-8")
    assert client.get("/report/first/report.json").status_code == 404  # an older report
    assert client.get("/report/first/run.json").status_code == 404


def test_missing_reports_are_explained(serve: Serve, runs: list[Run]) -> None:
    client = serve(find_runs=lambda: runs).client
    missing = client.get("/report/training")
    assert missing.status_code == 404
    assert "Run training has no report yet" in missing.text
    assert "&lt;b&gt;" in client.get("/report/%3Cb%3E").text
    assert "There is no report yet." in serve().client.get("/report/").text


def test_a_server_with_a_key_shows_no_report(serve: Serve, runs: list[Run]) -> None:
    client = serve(ServerLimits(api_key="secret"), find_runs=lambda: runs).client
    for path in ("/report/", "/report/first", "/report/first/report.csv"):
        response = client.get(path)
        assert response.status_code in (403, 404)
        assert "31%" not in response.text
        assert "62%" not in response.text


def test_scripts_and_styles_of_the_file_are_left_out(serve: Serve, runs: list[Run]) -> None:
    served = serve(find_runs=lambda: runs).client.get("/report/first")
    assert "'unsafe" not in served.headers["content-security-policy"]
    assert "<style" not in served.text
    assert served.text.count("<script") == 4
    assert "Content-Security-Policy" not in served.text


@pytest.mark.slow
def test_page_has_bar_slider_and_no_violation(
    serve: Serve,
    runs: list[Run],
    open_page: Callable[..., Any],
    find_violations: Callable[..., Any],
) -> None:
    url = serve(find_runs=lambda: runs).url
    for scheme, width in (("light", 1280), ("dark", 360)):
        page = open_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
        blocked: list[str] = []
        page.on("console", lambda message, found=blocked: found.append(message.text))
        page.goto(f"{url}/report/first")
        page.locator("app-bar a").first.wait_for(state="attached")
        assert page.locator(".tool").inner_text() == "2+2 = 4"
        page.get_by_label("Progress of training").fill("0")
        assert page.locator(".strip > li:visible").inner_text().endswith("qq")
        assert page.locator(".card").first.bounding_box()["width"] < 0.98 * width
        assert find_violations(page, "main") == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert blocked == []
