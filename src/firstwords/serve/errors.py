"""API errors, in the format of OpenAI's API."""

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException


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


def install_error_handlers(app: FastAPI) -> None:
    """Let the app answer every error in OpenAI's format."""

    async def handle_api_error(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, ApiError)
        return error_response(error)

    async def handle_invalid_request(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        first = error.errors()[0]
        param = ".".join(str(part) for part in first["loc"] if part != "body") or "body"
        return error_response(ApiError(400, f"{param}: {first['msg']}", param=param))

    async def handle_http_error(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        headers = dict(error.headers or {})
        return error_response(ApiError(error.status_code, str(error.detail), headers=headers))

    async def handle_unexpected(request: Request, error: Exception) -> JSONResponse:
        return error_response(
            ApiError(500, "internal server error; see the server's log", "server_error")
        )

    handlers: dict[type[Exception], Callable[[Request, Exception], Awaitable[JSONResponse]]] = {
        ApiError: handle_api_error,
        RequestValidationError: handle_invalid_request,
        HTTPException: handle_http_error,
        Exception: handle_unexpected,
    }
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)
