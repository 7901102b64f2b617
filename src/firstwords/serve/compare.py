"""GET /v1/compare: the comparison of runs that the page at /runs/ shows."""

import asyncio
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from firstwords.common.errors import UserError
from firstwords.compare.document import CompareRequest, compare_runs
from firstwords.recipe import Stage
from firstwords.runs.run import Run
from firstwords.runs.summary import DirectorySize, directory_size
from firstwords.serve.errors import ApiError
from firstwords.serve.threads import run_in_thread

MAX_RUNS = 6  # as many as a chart has colors for
MAX_CACHED = 16  # comparisons

State = tuple[tuple[Path, DirectorySize], ...]


def add_compare_endpoint(app: FastAPI, find_runs: Any) -> None:
    """Add the endpoint. Comparisons run one after the other in a thread, so that chats stay fast,
    and are kept until a file of their runs changes."""
    locks = {True: asyncio.Lock(), False: asyncio.Lock()}  # the quick ones do not wait for others
    cached: dict[tuple[State, CompareRequest], dict[str, Any]] = {}

    @app.get("/v1/compare")
    async def compare(
        runs: str, stage: Stage | None = None, measure: bool = True
    ) -> dict[str, Any]:
        """Compare runs, given by names with commas between them: verdicts, scores with paired
        intervals, differences of the recipes, and curves. The first one is the baseline. Bits per
        byte are measured, which takes seconds, unless `measure` is false.
        `firstwords/compare/document.py` describes the document."""
        request = CompareRequest(stage, prompts=(), run_models=measure)
        chosen = await run_in_thread(_choose_runs, find_runs, runs)
        async with locks[measure]:
            state = await run_in_thread(_state_of, chosen)
            if (state, request) not in cached:
                while len(cached) >= MAX_CACHED:
                    del cached[next(iter(cached))]
                cached[state, request] = await run_in_thread(_compare, chosen, request)
            return cached[state, request]


def _choose_runs(find_runs: Any, names: str) -> list[Run]:
    """Return the runs of these names. Raises ApiError if there is none of a name, or too many."""
    by_name = {run.name: run for run in find_runs()}
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    if len(wanted) > MAX_RUNS:
        raise ApiError(400, f"runs: at most {MAX_RUNS} can be compared", param="runs")
    for name in wanted:
        if name not in by_name:
            raise ApiError(404, f"no run {name!r}", code="run_not_found", param="runs")
    return [by_name[name] for name in wanted]


def _state_of(runs: list[Run]) -> State:
    return tuple((run.directory, directory_size(run.directory)) for run in runs)


def _compare(runs: list[Run], request: CompareRequest) -> dict[str, Any]:
    try:
        return compare_runs(runs, request)
    except UserError as error:
        raise ApiError(400, str(error), param="runs") from None
