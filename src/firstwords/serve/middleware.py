"""Middleware that checks the size and API key of every request and sets security headers."""

import hmac
from contextlib import suppress

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from firstwords.serve.errors import ApiError, error_response

# Scripts, styles and connections only from this server; nothing inline, no framing.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
XRAY_PATH = "/xray/inspect"  # runs a model, so it needs the key as /v1 does
SECURITY_HEADERS = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


class RequestGuard:
    """ASGI middleware that refuses large bodies and unauthorized requests, and sets headers.

    Bodies of more than `max_body_bytes` get 413. With an `api_key`, requests that run a model get
    401 without it; pages and /health stay open.
    """

    def __init__(self, app: ASGIApp, max_body_bytes: int, api_key: str | None) -> None:
        self.app, self.max_body_bytes, self.api_key = app, max_body_bytes, api_key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        n_received = 0

        async def receive_limited() -> Message:
            """Count a body without a length while it arrives, and disconnect the app once it is too
            large; the app's own response is then replaced by 413."""
            nonlocal n_received
            message = await receive()
            n_received += len(message.get("body", b""))
            too_large = n_received > self.max_body_bytes
            return {"type": "http.disconnect"} if too_large else message

        async def send_unless_too_large(message: Message) -> None:
            if n_received <= self.max_body_bytes:
                await send_with_headers(message)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                added = [
                    (name.encode(), value.encode()) for name, value in SECURITY_HEADERS.items()
                ]
                message["headers"] = [*message["headers"], *added]
            await send(message)

        headers = {name.lower(): value for name, value in scope["headers"]}
        try:
            self._check_key(scope["path"], headers.get(b"authorization", b""))
            self._check_size(headers.get(b"content-length", b"0"))
            with suppress(ClientDisconnect):
                await self.app(scope, receive_limited, send_unless_too_large)
            if n_received > self.max_body_bytes:
                raise self._too_large()
        except ApiError as error:
            await error_response(error)(scope, receive, send_with_headers)

    def _check_key(self, path: str, authorization: bytes) -> None:
        if not self.api_key or not (path.startswith("/v1/") or path == XRAY_PATH):
            return
        if not hmac.compare_digest(authorization, f"Bearer {self.api_key}".encode()):
            raise ApiError(
                401,
                "missing or invalid API key; send it as 'Authorization: Bearer KEY'",
                code="invalid_api_key",
                headers={"www-authenticate": "Bearer"},
            )

    def _check_size(self, length: bytes) -> None:
        if length.isdigit() and int(length) > self.max_body_bytes:
            raise self._too_large()

    def _too_large(self) -> ApiError:
        return ApiError(413, f"request body exceeds the limit of {self.max_body_bytes:,} bytes")
