"""Middleware that refuses requests that are too large, too slow or not authorized, answers every
failure, and sets security headers."""

import asyncio
import hmac
import time
from contextlib import suppress

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from firstwords.serve.errors import ApiError, error_response, internal_error
from firstwords.serve.origins import OriginGuard

# Scripts, styles and connections only from this server; nothing inline, no framing.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
BODY_SECONDS = 60  # for the client to send a request's body
XRAY_PATH, XRAY_COUNT_PATH = "/xray/inspect", "/xray/count"  # need the key as /v1 does
SECURITY_HEADERS = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


class RequestGuard:
    """ASGI middleware around all endpoints and pages.

    Bodies of more than `max_body_bytes` get 413, bodies that arrive too slowly 408. With an
    `api_key`, requests that run a model get 401 without it, while pages and /health stay open;
    without a key, `origins` checks where requests come from. HEAD works where GET does.
    """

    def __init__(
        self, app: ASGIApp, max_body_bytes: int, api_key: str | None, origins: OriginGuard
    ) -> None:
        self.app, self.max_body_bytes = app, max_body_bytes
        self.api_key, self.origins = api_key, origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                added = [
                    (name.encode(), value.encode()) for name, value in SECURITY_HEADERS.items()
                ]
                message["headers"] = [*message["headers"], *added]
            await send(message)

        if scope["method"] == "HEAD":  # uvicorn leaves the body of the response out
            scope = {**scope, "method": "GET"}
        try:
            self._check_headers(scope, Headers(scope=scope))
            await self._call_app(scope, receive, send_with_headers)
        except ApiError as error:
            await error_response(error)(scope, receive, send_with_headers)
        except Exception:
            if started:  # uvicorn logs it, and closes the connection of the incomplete response
                raise
            failure = internal_error("internal server error")
            await error_response(failure)(scope, receive, send_with_headers)

    async def _call_app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the app while it reads a body that is small and fast enough. Else disconnect it, and
        raise ApiError in place of its own response."""
        n_received, complete = 0, False
        deadline = time.monotonic() + BODY_SECONDS
        refusal: ApiError | None = None

        async def receive_limited() -> Message:
            nonlocal n_received, complete, refusal
            try:
                seconds_left = None if complete else max(0.0, deadline - time.monotonic())
                message = await asyncio.wait_for(receive(), seconds_left)
            except asyncio.TimeoutError:
                refusal = ApiError(408, f"the body took longer than {BODY_SECONDS} s to arrive")
                return {"type": "http.disconnect"}
            n_received += len(message.get("body", b""))
            complete = not message.get("more_body", False)
            if n_received > self.max_body_bytes:
                refusal = self._too_large()
                return {"type": "http.disconnect"}
            return message

        async def send_unless_refused(message: Message) -> None:
            if not refusal:
                await send(message)

        with suppress(ClientDisconnect):
            await self.app(scope, receive_limited, send_unless_refused)
        if refusal:
            raise refusal

    def _check_headers(self, scope: Scope, headers: Headers) -> None:
        if self.api_key:
            self._check_key(scope["path"], headers.get("authorization", ""))
        else:
            host, origin = headers.get("host", ""), headers.get("origin", "")
            self.origins.check(scope["method"], host, origin)
        self._check_content_type(scope["method"], headers.get("content-type", ""))
        length = headers.get("content-length", "0")
        if length.isdigit() and int(length) > self.max_body_bytes:
            raise self._too_large()

    def _check_key(self, path: str, authorization: str) -> None:
        assert self.api_key
        if not (path.startswith("/v1/") or path in (XRAY_PATH, XRAY_COUNT_PATH)):
            return
        scheme, _, key = authorization.partition(" ")  # the scheme may have any case (RFC 9110)
        right = hmac.compare_digest(key.strip().encode(), self.api_key.encode())
        if scheme.lower() != "bearer" or not right:
            raise ApiError(
                401,
                "missing or invalid API key; send it as 'Authorization: Bearer KEY'",
                code="invalid_api_key",
                headers={"www-authenticate": "Bearer"},
            )

    @staticmethod
    def _check_content_type(method: str, content_type: str) -> None:
        """Refuse other types than JSON. A missing one is accepted."""
        kind = content_type.partition(";")[0].strip().lower()
        if method == "POST" and kind and not kind.endswith(("/json", "+json")):
            raise ApiError(
                415,
                f"the body is {kind}, but must be JSON; send the header "
                "'Content-Type: application/json'",
            )

    def _too_large(self) -> ApiError:
        return ApiError(413, f"request body exceeds the limit of {self.max_body_bytes:,} bytes")
