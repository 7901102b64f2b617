"""The progress of runs, for pages that watch them."""

import threading
from collections.abc import Callable
from typing import Any

from fastapi import FastAPI

from firstwords.runs.run import Run
from firstwords.runs.status import RunProgress
from firstwords.serve.errors import ApiError


def add_progress_endpoints(app: FastAPI, find_runs: Callable[[], list[Run]]) -> None:
    """Add the progress of a run and its samples."""
    progress = ProgressByName(find_runs)

    @app.get("/v1/runs/{name}")
    def get_run(name: str, revision: str = "", start: int = 0) -> dict[str, Any]:
        """Return the progress of a run: phases, times, speed, scores, and the points of its curve
        from index `start` on, if `revision` is that of the client's curve; otherwise all points."""
        with progress.lock:
            return progress.of(name).document(revision, max(0, start))

    @app.get("/v1/runs/{name}/samples")
    def get_samples(name: str) -> dict[str, Any]:
        """Return what the growing model made of the same prompts, in the order of training."""
        with progress.lock:
            return {"object": "list", "data": progress.of(name).samples()}


class ProgressByName:
    """The progress of each run that was asked for. Hold the lock while using it: requests run in
    threads."""

    def __init__(self, find_runs: Callable[[], list[Run]]) -> None:
        self.lock = threading.Lock()
        self._find_runs = find_runs
        self._known: dict[str, RunProgress] = {}

    def of(self, name: str) -> RunProgress:
        """Raises ApiError if there is no such run."""
        run = next((run for run in self._find_runs() if run.name == name), None)
        if run is None:
            self._known.pop(name, None)
            raise ApiError(404, f"no run {name!r}", code="run_not_found", param="name")
        known = self._known.get(name)
        if known is None or known.run.manifest != run.manifest:  # removed, and trained again
            known = self._known[name] = RunProgress(run)
        return known
