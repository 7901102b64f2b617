"""The line chart that the pages share: its ticks, cursor, zoom, smoothing, and download."""

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow
Open = Callable[..., Any]

# Draws axes of random ranges, units and lengths, and returns those whose labels are wrong.
CHECK_TICKS = """async () => {
  const { axisTicks } = await import("/shared/chart_scale.js");
  let seed = 1;
  const random = () => (seed = (seed * 48271) % 2147483647) / 2147483647;
  const wrong = [];
  for (let trial = 0; trial < 3000; trial += 1) {
    const log = random() < 0.4;
    const unit = log ? "plain" : ["plain", "count", "time"][Math.floor(random() * 3)];
    const from = random() < 0.3 && !log ? 0 : 10 ** (random() * 10 - 4);
    const to = from + (from || 1) * 10 ** (random() * 8 - 3);
    const length = 60 + random() * 1000;
    const scale = log ? Math.log10 : (value) => value;
    const position = (value) => (length * (scale(value) - scale(from))) / (scale(to) - scale(from));
    const size = (label) => 7.5 * label.length + 20;
    const ticks = axisTicks({ from, to, log, unit, position, size });
    const labels = ticks.map((tick) => tick.label);
    const places = ticks.map((tick) => position(tick.value));
    const equal = new Set(labels).size < labels.length;
    const outside = places.some((place) => !(place > -0.01 && place < length + 0.01));
    const touching = places.some(
      (place, i) => i && place - places[i - 1] < (size(labels[i]) + size(labels[i - 1])) / 2 - 0.01,
    );
    const few = length > 500 && labels.length < 2;
    if (equal || outside || touching || few) wrong.push({ from, to, log, unit, length, labels });
  }
  return wrong.slice(0, 5);
}"""

DRAW = """async ({ series, log }) => {
  const { ChartView, lineChart } = await import("/shared/chart.js");
  const css = document.createElement("link");
  css.rel = "stylesheet";
  css.href = "/shared/chart.css";
  const loaded = new Promise((resolve) => (css.onload = resolve));
  document.head.append(css);
  await loaded;
  const axes = [
    { key: "tokens", title: "Tokens", unit: "count", max: 400000 },
    { key: "steps", title: "Steps", unit: "count", max: 40 },
  ];
  const container = document.createElement("div");
  document.body.replaceChildren(container);
  const view = new ChartView({ axes, log });
  window.chart = lineChart(container, { label: "Loss", series, view });
  const { viewControls } = await import("/shared/chart.js");
  container.before(viewControls(view, { fileName: "loss.csv" }));
}"""


def make_points(factor: float) -> list[dict[str, float]]:
    return [{"tokens": 10_000 * s, "steps": s, "y": factor * 8 / (s + 1)} for s in range(20)]


SERIES = [{"name": "first", "points": make_points(1)}, {"name": "a,b", "points": make_points(2)}]


@pytest.fixture
def chart_page(url: str, open_page: Open) -> Any:
    page = open_page(viewport={"width": 800, "height": 700}, accept_downloads=True)
    page.goto(f"{url}/api/")
    page.evaluate(DRAW, {"series": SERIES, "log": True})
    page.locator(".chart-plot .chart-line").first.wait_for()
    return page


def test_labels_differ_fit_and_lie_inside_the_axis(url: str, page: Any) -> None:
    page.goto(f"{url}/api/")
    assert page.evaluate(CHECK_TICKS) == []


def test_values_at_the_cursor_by_mouse_keyboard_and_touch(
    url: str, chart_page: Any, open_page: Open
) -> None:
    plot = chart_page.get_by_role("slider", name="Loss")
    legend = chart_page.locator(".chart-legend")
    assert "latest first 0.4 a,b 0.8" in " ".join(legend.inner_text().split())
    box = plot.bounding_box()
    chart_page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + 50)
    assert "tokens" in legend.inner_text()
    chart_page.mouse.move(0, 0)
    assert "latest" in legend.inner_text()
    plot.focus()
    chart_page.keyboard.press("Home")
    chart_page.keyboard.press("ArrowRight")
    assert plot.get_attribute("aria-valuetext") == "10,000 tokens: first 4, a,b 8"
    assert chart_page.locator(".chart-cursor").count() == 1
    phone = open_page(viewport={"width": 390, "height": 700}, has_touch=True)
    phone.goto(f"{url}/api/")
    phone.evaluate(DRAW, {"series": SERIES, "log": True})
    phone.get_by_role("slider", name="Loss").tap(position={"x": 60, "y": 80})
    assert "first" in phone.locator(".chart-legend").inner_text()
    assert "latest" not in phone.locator(".chart-legend").inner_text()
    assert phone.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_axis_reaches_the_planned_end_and_zoom_is_undone(chart_page: Any) -> None:
    labels = lambda: chart_page.locator(".chart-plot text").all_text_contents()  # noqa: E731
    assert "400k" in labels()
    plot = chart_page.get_by_role("slider", name="Loss")
    box = plot.bounding_box()
    chart_page.mouse.move(box["x"] + 100, box["y"] + 50)
    chart_page.mouse.down()
    chart_page.mouse.move(box["x"] + 200, box["y"] + 50, steps=3)
    assert chart_page.locator(".chart-selection").count() == 1
    chart_page.mouse.up()
    assert "400k" not in labels()
    chart_page.get_by_role("button", name="Full range").click()
    assert "400k" in labels()
    chart_page.get_by_role("button", name="Zoom in").click()
    assert "400k" not in labels()
    chart_page.get_by_role("button", name="Zoom out").click()
    assert "400k" in labels()
    chart_page.get_by_label("Over").select_option("Steps")
    assert "40" in labels()


def test_lines_are_smoothed_scaled_and_told_apart(chart_page: Any) -> None:
    dashes = chart_page.locator(".chart-plot .chart-line").evaluate_all(
        "lines => lines.map((line) => line.getAttribute('stroke-dasharray'))"
    )
    assert len(set(dashes)) == 2
    assert chart_page.locator(".chart-raw").count() == 0
    chart_page.get_by_label("Smoothing").fill("0.9")
    assert chart_page.locator(".chart-raw").count() == 2
    before = chart_page.locator(".chart-raw").first.get_attribute("d")
    chart_page.get_by_label("Logarithmic").uncheck()
    assert chart_page.locator(".chart-raw").first.get_attribute("d") != before


def test_data_is_downloaded_as_csv(chart_page: Any) -> None:
    with chart_page.expect_download() as download:
        chart_page.get_by_role("button", name="CSV").click()
    assert download.value.suggested_filename == "loss.csv"
    rows = list(csv.DictReader(io.StringIO(Path(download.value.path()).read_text())))
    assert len(rows) == 40
    assert rows[21] == {
        "chart": "Loss",
        "series": "a,b",
        "tokens": "10000",
        "steps": "1",
        "value": "8",
        "low": "",
        "high": "",
    }
