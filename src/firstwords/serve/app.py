"""The web application: OpenAI's endpoints, health, metrics, training progress, and the pages."""

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
from starlette.background import BackgroundTask

from firstwords import __version__
from firstwords.common.errors import UserError
from firstwords.model.size import n_parameters
from firstwords.runs.run import Run
from firstwords.runs.summary import RunSummaries
from firstwords.serve import exam, report_pages, xray
from firstwords.serve.chat_completions import ChatResponseBuilder
from firstwords.serve.compare import add_compare_endpoint
from firstwords.serve.docs.pages import add_docs_pages
from firstwords.serve.errors import ApiError, install_error_handlers
from firstwords.serve.metrics import RequestCounter, ServerMetrics
from firstwords.serve.middleware import RequestGuard
from firstwords.serve.model_pool import LoadedModel, ModelInfo, ModelPool
from firstwords.serve.model_worker import QueueFullError
from firstwords.serve.origins import OriginGuard, parse_origin
from firstwords.serve.progress import add_progress_endpoints
from firstwords.serve.responses import ResponseBuilder, complete_response, server_sent_events
from firstwords.serve.schema import ChatRequest, CompletionRequest
from firstwords.serve.text_completions import CompletionResponseBuilder
from firstwords.serve.threads import run_in_thread

# Proxies such as nginx must pass on each event as it comes.
STREAM_HEADERS = {"cache-control": "no-cache", "x-accel-buffering": "no"}


class ServerLimits(NamedTuple):
    """What the server accepts, from whom, and for how long it generates."""

    max_body_bytes: int = 2_000_000
    timeout: float = 120.0  # seconds for an answer
    api_key: str | None = None
    cors_origins: tuple[str, ...] = ()
    host: str = "127.0.0.1"  # that it listens on


FindRuns = Callable[[], list[Run]]


def create_app(models: ModelPool, limits: ServerLimits, find_runs: FindRuns = list) -> FastAPI:
    """Return the application. `find_runs` returns the runs whose progress it shows, the newest
    first."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(models.close)

    app = FastAPI(
        title="Firstwords",
        version=__version__,
        lifespan=lifespan,
        strict_content_type=False,  # RequestGuard checks it
        docs_url=None,
        redoc_url=None,
        description="An OpenAI-compatible API to the models that you trained.",
    )
    install_error_handlers(app)
    metrics = ServerMetrics()
    _add_status_endpoints(app, models, metrics)
    _add_model_endpoints(app, models)
    _add_completion_endpoints(app, models, limits, metrics)
    xray.add_xray_endpoint(app, models)
    _add_run_endpoints(app, find_runs)
    add_compare_endpoint(app, find_runs)
    add_progress_endpoints(app, find_runs)
    exam.add_exam_endpoint(app, find_runs)
    report_pages.add_report_pages(app, find_runs, needs_key=limits.api_key is not None)
    add_docs_pages(app)
    _add_pages(app)
    app.add_middleware(RequestCounter, requests=metrics.requests)
    _add_guards(app, limits)
    return app


def _add_guards(app: FastAPI, limits: ServerLimits) -> None:
    """Add the checks of requests. CORS comes first: preflights have no key, and a page can read an
    error only if it has CORS headers."""
    origins = [parse_origin(origin) for origin in limits.cors_origins]
    app.add_middleware(
        RequestGuard,
        max_body_bytes=limits.max_body_bytes,
        api_key=limits.api_key,
        origins=OriginGuard(origins, limits.host),
    )
    if origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_methods=["GET", "HEAD", "POST"],
            allow_headers=["*"],  # OpenAI's SDKs send x-stainless-os and others
            expose_headers=["retry-after"],
            allow_private_network=True,
        )


def _add_status_endpoints(app: FastAPI, models: ModelPool, metrics: ServerMetrics) -> None:
    @app.get("/health")
    async def health() -> dict[str, Any]:
        """Check that the server is up, and count the active requests of each model."""
        active = models.active_requests()
        return {"status": "ok", "version": __version__, "active_requests": active}

    @app.get("/metrics", response_class=PlainTextResponse)
    async def prometheus_metrics() -> Response:
        """Return metrics for Prometheus."""
        for name, n_active in models.active_requests().items():
            metrics.active_requests.labels(name).set(n_active)
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)


def _add_model_endpoints(app: FastAPI, models: ModelPool) -> None:
    @app.get("/v1/models")
    async def list_models() -> dict[str, Any]:
        """List the available models, the default one first. `chat` is false for a stage that only
        continues text, `personality` is the name under which a model with a personality answers
        (else null), `parameters` counts the weights, and `size` is their bytes."""
        await run_in_thread(models.refresh)
        return {"object": "list", "data": list(map(model_fields, models.available.values()))}

    @app.get("/v1/models/{name}")
    async def get_model(name: str) -> dict[str, Any]:
        """Return one model of the list."""
        listed = (await list_models())["data"]
        resolved = resolve_name(models, name)
        return next(dict(model) for model in listed if model["id"] == resolved)


def model_fields(info: ModelInfo) -> dict[str, Any]:
    """Return a model in OpenAI's format, with vLLM's field for the context and more of ours."""
    return {
        "id": info.name,
        "object": "model",
        "created": info.created,
        "owned_by": "you",
        "run": info.run.name,
        "stage": info.stage,
        "step": info.step,
        "steps": info.run.recipe.stage(info.stage).steps,
        "chat": info.stage != "pretrain",
        "personality": info.run.assistant_name(info.stage),
        "max_model_len": info.run.recipe.model.max_seq_len,
        "parameters": n_parameters(info.run.recipe.model),
        "size": info.size,
    }


def _add_completion_endpoints(
    app: FastAPI, models: ModelPool, limits: ServerLimits, metrics: ServerMetrics
) -> None:
    @app.post("/v1/chat/completions", response_model=None)
    async def chat_completions(request: Request, body: ChatRequest) -> Any:
        """Answer a conversation, at once or as a stream."""
        name, model = await load(body.model)
        response = await run_in_thread(ChatResponseBuilder, body, name, model)
        return await respond(request, response, body.stream)

    @app.post("/v1/completions", response_model=None)
    async def text_completions(request: Request, body: CompletionRequest) -> Any:
        """Continue a text; with `echo`, also return the log-probabilities of the prompt."""
        name, model = await load(body.model)
        response = await run_in_thread(CompletionResponseBuilder, body, name, model)
        return await respond(request, response, body.stream)

    async def load(requested: str | None) -> tuple[str, LoadedModel]:
        if requested not in models.available:  # the default one, or that of a newer run
            await run_in_thread(models.refresh)
        name = resolve_name(models, requested)
        try:
            return name, await run_in_thread(models.load, name)
        except (KeyError, FileNotFoundError, UserError):
            message = f"model {name!r} was removed; list the models again"
            raise ApiError(404, message, code="model_not_found") from None

    async def respond(request: Request, response: ResponseBuilder, stream: bool | None) -> Any:
        try:
            response.start()
        except QueueFullError:
            raise ApiError(
                429,
                "too many queued requests; try again in a moment",
                "rate_limit_error",
                headers={"retry-after": "1"},
            ) from None
        response.record_in(metrics)
        if stream:
            events = server_sent_events(response, limits.timeout)
            return StreamingResponse(
                events,
                media_type="text/event-stream",
                headers=STREAM_HEADERS,
                background=BackgroundTask(response.finish),  # also if no event was asked for
            )
        return await complete_response(request, response, limits.timeout)


def resolve_name(models: ModelPool, requested: str | None) -> str:
    """Return the name of an available model; no name or "default" means the default model.

    Raises ApiError if there is no such model.
    """
    name = models.default if requested in (None, "", "default") else requested
    if name is None:
        message = (
            "there is no model yet; train one with: firstwords train (its first checkpoint, after "
            "about half a minute, can be used)"
        )
        raise ApiError(404, message, code="model_not_found", param="model")
    if name not in models.available:
        names = ", ".join(models.available) or "none yet"
        message = f"no model {name!r}; available models: {names}"
        raise ApiError(404, message, code="model_not_found", param="model")
    return name


def _add_run_endpoints(app: FastAPI, find_runs: FindRuns) -> None:
    summaries = RunSummaries()

    @app.get("/v1/runs")
    def list_runs() -> dict[str, Any]:
        """List all runs, the newest first: state, size, data, time, scores, disk."""
        data = summaries.list([run.directory for run in find_runs()])
        return {"object": "list", "data": data}


def _add_pages(app: FastAPI) -> None:
    directory = Path(str(resources.files("firstwords.serve") / "static"))
    app.mount("/", StaticFiles(directory=directory, html=True), name="pages")
