"""API errors, in the format of OpenAI's API."""

import difflib
import traceback
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import Match

from firstwords.common import console
from firstwords.serve.invalid_fields import describe_invalid_field

MIN_PATH_SIMILARITY = 0.8  # "/v1/v1/chat/completions" has 0.93, "/v1/responses" 0.64

# What OpenAI's API has below /v1 besides, by the first part of the path.
NOT_SUPPORTED = {
    "assistants": "send the conversation to /v1/chat/completions",
    "audio": "the models read and write text only",
    "batches": "send the requests one by one; the server answers several at a time",
    "conversations": "send the conversation to /v1/chat/completions",
    "embeddings": "the models write text and return no embeddings",
    "files": "the server stores no files",
    "fine_tuning": "train a model with: firstwords train",
    "images": "the models read and write text only",
    "moderations": "the server has no moderation model",
    "responses": "use /v1/chat/completions",
    "threads": "send the conversation to /v1/chat/completions",
}


class ApiError(Exception):
    """An error that the client gets: HTTP status, message, and OpenAI's `type`, `code`, `param`."""

    def __init__(
        self,
        status: int,
        message: str,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.kind, self.code = status, message, kind, code
        self.param, self.headers = param, headers

    def body(self) -> dict[str, Any]:
        """Return the JSON body of the response."""
        return {
            "error": {
                "message": self.message,
                "type": self.kind,
                "param": self.param,
                "code": self.code,
            }
        }


def error_response(error: ApiError) -> JSONResponse:
    """Return the HTTP response for an error."""
    return JSONResponse(error.body(), error.status, error.headers)


def internal_error(what: str) -> ApiError:
    """Log the current exception and return the error that the client gets for it."""
    console.warn(traceback.format_exc())
    return ApiError(500, f"{what}; see the server's log", "server_error")


def install_error_handlers(app: FastAPI) -> None:
    """Let the app answer every error in OpenAI's format."""

    async def handle_api_error(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, ApiError)
        return error_response(error)

    async def handle_invalid_request(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        param, message = describe_invalid_field(error.errors(), error.body)
        return error_response(ApiError(400, message, param=param))

    async def handle_http_error(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        if error.status_code in (404, 405):  # the pages take every path that no endpoint has
            return error_response(_wrong_path(app, request))
        headers = dict(error.headers or {})
        return error_response(ApiError(error.status_code, str(error.detail), headers=headers))

    handlers: dict[type[Exception], Callable[[Request, Exception], Awaitable[JSONResponse]]] = {
        ApiError: handle_api_error,
        RequestValidationError: handle_invalid_request,
        HTTPException: handle_http_error,
    }
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)


def _wrong_path(app: FastAPI, request: Request) -> ApiError:
    """Return the error for a path that does not exist or needs another method."""
    method, path = request.method, request.url.path
    others = [r for r in app.router.routes if r.matches(request.scope)[0] == Match.PARTIAL]
    if methods := sorted({method for route in others for method in getattr(route, "methods", ())}):
        allowed = ", ".join(methods)
        message = f"{path} does not accept {method}; use {allowed}"
        return ApiError(405, message, headers={"allow": allowed})
    if hint := NOT_SUPPORTED.get(path.removesuffix("/").removeprefix("/v1/").partition("/")[0]):
        return ApiError(404, f"there is no {path}: {hint}", code="path_not_found")
    closest = difflib.get_close_matches(path, app.openapi()["paths"], 1, MIN_PATH_SIMILARITY)
    hint = f"did you mean {closest[0]}?" if closest else "/api/ lists the paths of the API"
    return ApiError(404, f"there is no {path}; {hint}", code="path_not_found")
