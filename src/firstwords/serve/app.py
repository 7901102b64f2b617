"""The HTTP side: OpenAI's endpoints, health, metrics, and the web chat's files."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

from fastapi import FastAPI, Request, Response
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import PlainTextResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from firstwords import __version__
from firstwords.errors import UserError
from firstwords.progress import progress
from firstwords.run import Run
from firstwords.serve import errors, xray
from firstwords.serve.chat import ChatAnswering
from firstwords.serve.completions import CompletionAnswering
from firstwords.serve.errors import ApiError
from firstwords.serve.limits import Guard
from firstwords.serve.measures import Counted, Measures
from firstwords.serve.models import Loaded, Models
from firstwords.serve.schema import ChatRequest, CompletionRequest
from firstwords.serve.stream import Answering, events, until_gone
from firstwords.serve.worker import Busy


class Limits(NamedTuple):
    most_bytes: int = 2_000_000  # of a request's body
    seconds: float = 120.0  # of an answer
    api_key: str | None = None
    origins: tuple[str, ...] = ()  # other sites whose scripts may ask


FindRuns = Callable[[], list[Run]]


def create_app(models: Models, limits: Limits, find_runs: FindRuns = list) -> FastAPI:
    """`find_runs` lists those whose progress may be watched, the newest first."""

    @asynccontextmanager
    async def lifetime(app: FastAPI) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(models.close)

    app = FastAPI(
        title="Firstwords",
        version=__version__,
        lifespan=lifetime,
        docs_url=None,
        redoc_url=None,
        description="An OpenAI-compatible API to the models you raised.",
    )
    errors.install(app)
    measures = Measures()
    _add_api(app, models, limits, measures)
    xray.add(app, models)
    _add_progress(app, find_runs)
    _add_pages(app)
    if limits.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(limits.origins),
            allow_methods=["GET", "POST"],
            allow_headers=["authorization", "content-type"],
        )
    app.add_middleware(Counted, requests=measures.requests)
    app.add_middleware(Guard, most_bytes=limits.most_bytes, api_key=limits.api_key)
    return app


def _add_api(app: FastAPI, models: Models, limits: Limits, measures: Measures) -> None:
    def found(name: str | None) -> str:
        """The model's name; "default" and nothing mean the furthest stage of the newest run."""
        if name in (None, "", "default"):
            name = models.default
        if name not in models.entries:
            known = ", ".join(models.entries)
            message = f"there is no model {name!r}; choose from {known}"
            if not known:
                message = "no model has a checkpoint yet; training saves one every half minute"
            raise ApiError(404, message, code="model_not_found", param="model")
        assert name
        return name

    async def loaded(name: str | None) -> tuple[str, Loaded]:
        chosen = found(name)
        try:
            return chosen, await asyncio.to_thread(models.load, chosen)
        except (KeyError, UserError):
            raise ApiError(404, f"the model {chosen!r} is gone", code="model_not_found") from None

    @app.get("/health")
    async def health() -> dict[str, Any]:
        """Whether the server is there, and what it does."""
        return {"status": "ok", "version": __version__, "busy": models.busy()}

    @app.get("/metrics", response_class=PlainTextResponse)
    async def metrics() -> Response:
        """Figures for Prometheus."""
        for name, busy in models.busy().items():
            measures.busy.labels(name).set(busy)
        return Response(generate_latest(measures.registry), media_type=CONTENT_TYPE_LATEST)

    @app.get("/v1/models")
    async def list_models() -> dict[str, Any]:
        """The models that can be asked now, the default first."""
        await asyncio.to_thread(models.refresh)
        data = [
            {
                "id": entry.name,
                "object": "model",
                "created": entry.created,
                "owned_by": "you",
                "run": entry.run.name,
                "stage": entry.stage,
                "step": entry.step,
            }
            for entry in models.entries.values()
        ]
        return {"object": "list", "data": data}

    @app.get("/v1/models/{name}")
    async def one_model(name: str) -> dict[str, Any]:
        """One of them."""
        listed = (await list_models())["data"]
        chosen = found(name)
        return next(dict(model) for model in listed if model["id"] == chosen)

    @app.post("/v1/chat/completions", response_model=None)
    async def chat_completions(request: Request, asked: ChatRequest) -> Any:
        """An answer to a conversation, at once or as it is generated."""
        name, model = await loaded(asked.model)
        return await respond(request, ChatAnswering(asked, name, model), asked.stream)

    @app.post("/v1/completions", response_model=None)
    async def text_completions(request: Request, asked: CompletionRequest) -> Any:
        """Text that goes on; with `echo`, also how likely the prompt itself is."""
        name, model = await loaded(asked.model)
        return await respond(request, CompletionAnswering(asked, name, model), asked.stream)

    async def respond(request: Request, answering: Answering, stream: bool | None) -> Any:
        await asyncio.to_thread(answering.prepare)
        try:
            answering.start()
        except Busy:
            raise ApiError(
                429,
                "too many requests wait already; try again in a moment",
                "rate_limit_error",
                headers={"retry-after": "1"},
            ) from None
        answering.measured_by(measures)
        if stream:
            return StreamingResponse(
                events(answering, limits.seconds), media_type="text/event-stream"
            )
        return await until_gone(request, answering, limits.seconds)


def _add_progress(app: FastAPI, find_runs: FindRuns) -> None:
    @app.get("/v1/runs")
    def list_runs() -> dict[str, Any]:
        """All runs, the one that was started last first."""
        return {"object": "list", "data": [run.name for run in find_runs()]}

    @app.get("/v1/runs/{name}")
    def one_run(name: str) -> dict[str, Any]:
        """How far a run has come: phases, curves, what the model says by now."""
        for run in find_runs():
            if run.name == name:
                return progress(run)
        raise ApiError(404, f"there is no run {name!r}", code="run_not_found", param="name")


def _add_pages(app: FastAPI) -> None:
    folder = Path(str(resources.files("firstwords.serve") / "static"))
    app.mount("/", StaticFiles(directory=folder, html=True), name="pages")
