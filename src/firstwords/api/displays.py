"""Curves, X-rays and reports, which notebooks show as HTML."""

import html
from typing import Any

from firstwords.inspect.xray.page import render_page
from firstwords.recipe import Stage
from firstwords.report import plots, report
from firstwords.runs.curves import Curves as RunCurves
from firstwords.runs.run import Run

FRAME_HEIGHT = 640  # pixels of a page within a notebook


def frame(page: str, title: str) -> str:
    """Return a whole page as a frame within another. Its scripts and styles stay its own."""
    return (
        f'<iframe title="{html.escape(title)}" srcdoc="{html.escape(page)}" '
        f'style="width: 100%; height: {FRAME_HEIGHT}px; border: 1px solid #8888"></iframe>'
    )


class Xray:
    """The X-ray of a text. `document` holds all of its numbers (`inspect/xray/inspect_run.py`)."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document

    def _repr_html_(self) -> str:
        return frame(render_page(self.document), "X-ray")

    def __repr__(self) -> str:
        stages = ", ".join(stage["stage"] for stage in self.document["stages"])
        return f"<X-ray of {self.document['text']!r} in {self.document['run']}: {stages}>"


class Report:
    """The report of an evaluated run."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._report = report.make_report(run, report.read_evaluations(run))

    @property
    def markdown(self) -> str:
        """The report as Markdown."""
        return report.render_markdown(self._report)

    @property
    def html(self) -> str:
        """The report as one HTML page."""
        return report.render_html(self._report)

    def _repr_html_(self) -> str:
        return frame(self.html, f"Report of {self._run.name}")

    def __repr__(self) -> str:
        return f"<report of {self._run.name}>"


class Curves:
    """The metrics of every training step. `steps` has a list of dictionaries for each stage, with
    the fields of `training.loop.Step`."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self.steps: dict[Stage, list[dict[str, Any]]] = RunCurves(run).metrics

    def _repr_html_(self) -> str:
        if not any(self.steps.values()):
            return "<p>No training steps yet.</p>"
        figures = [
            f"<figure>{svg}<figcaption>{html.escape(caption)}</figcaption></figure>"
            for caption, svg in plots.render_curves(self._run, {}).values()
        ]
        return "".join(figures)

    def __repr__(self) -> str:
        counts = ", ".join(f"{stage} {len(steps):,}" for stage, steps in self.steps.items())
        return f"<curves of {self._run.name}; steps: {counts}>"
