"""The pages at /report: the report.html of a run, with the bar of the other pages.

The body comes from the run's file. The head is the server's own, so its policy stays strict: what
the file brings along in scripts and styles is left out.
"""

import html
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from fastapi import FastAPI
from fastapi.responses import HTMLResponse, Response

from firstwords.runs.run import Run
from firstwords.serve.app_page import render_app_page
from firstwords.serve.errors import ApiError
from firstwords.serve.threads import run_in_thread

DATA_TYPES = {"report.csv": "text/csv; charset=utf-8", "report.json": "application/json"}


def add_report_pages(app: FastAPI, find_runs: Callable[[], list[Run]], needs_key: bool) -> None:
    """Add the pages. With `needs_key` they show no report, since a browser does not send the key
    with the address of a page."""

    def open_report(name: str | None) -> Run | None:
        runs = (run for run in find_runs() if name in (None, run.name))
        return next((run for run in runs if report_path(run).exists()), None)

    async def show(name: str | None) -> HTMLResponse:
        if needs_key:
            return _message(
                "This server needs an API key, so it does not show reports. Open report.html in "
                "the directory of the run.",
                403,
            )
        if run := await run_in_thread(open_report, name):
            return HTMLResponse(await run_in_thread(render_page, run))
        if name is None:
            text = "There is no report yet. A run writes it when its training is finished."
        else:
            text = f"Run {name} has no report yet, or there is no such run."
        return _message(text, 404 if name else 200)

    @app.get("/report", include_in_schema=False)
    @app.get("/report/", include_in_schema=False)
    async def newest_report(run: str = "") -> HTMLResponse:
        return await show(run or None)

    @app.get("/report/{name}", include_in_schema=False)
    async def named_report(name: str) -> HTMLResponse:
        return await show(name)

    @app.get("/report/{name}/{file}", include_in_schema=False)
    async def report_data(name: str, file: str) -> Response:
        run = None if needs_key else await run_in_thread(open_report, name)
        path = run.directory / file if run and file in DATA_TYPES else None
        if path is None or not path.exists():
            raise ApiError(404, f"run {name!r} has no {file}", code="report_not_found")
        return Response(await run_in_thread(path.read_bytes), media_type=DATA_TYPES[file])


def report_path(run: Run) -> Path:
    """Return the path of a run's report.html."""
    return run.directory / "report.html"


def render_page(run: Run) -> str:
    """Return a run's report as a page of this server."""
    text = report_path(run).read_text(encoding="utf-8", errors="replace")
    body = re.search(r"<body[^>]*>(.*)</body>", text, flags=re.DOTALL)
    if not body or "<main>" not in body[1]:
        return _page("Report", _paragraph(f"The report of run {run.name} is damaged."))
    if '<body class="report">' not in text:
        renew = f"To write it anew, run: firstwords report --run {run.name}"
        return _page("Report", _paragraph(f"An older version wrote this run's report. {renew}"))
    data = f'href="{quote(run.name)}/report.'  # the page's address may be /report/ or /report/NAME
    shown = body[1].replace('href="report.', data)
    return _page(f"Report of {run.name}", shown)


def _message(text: str, status: int) -> HTMLResponse:
    return HTMLResponse(_page("Report", _paragraph(text)), status)


def _paragraph(text: str) -> str:
    return f"<main><h1>Report</h1><p>{html.escape(text)}</p></main>"


def _page(title: str, body: str) -> str:
    return render_app_page(
        "report",
        title,
        body,
        styles=["shared/report.css", "shared/report_print.css"],
        scripts=["shared/report.js", "shared/report_page.js"],
        root="../",
    )
