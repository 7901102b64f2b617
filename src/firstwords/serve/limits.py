"""What is checked of every request before it is read: its size and its key; and what every answer
tells a browser."""

import hmac
from contextlib import suppress

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from firstwords.serve.errors import ApiError, answer

# Scripts, styles and connections from this server alone; nothing inline, nothing framed.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
LOOK = "/xray/look"  # asks the models, as /v1 does
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


class Guard:
    """Middleware: refuses bodies of more than `most_bytes` and, where there is a key, requests to
    the models without it; sets headers."""

    def __init__(self, app: ASGIApp, most_bytes: int, api_key: str | None) -> None:
        self.app, self.most_bytes, self.api_key = app, most_bytes, api_key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        total = 0

        async def counted() -> Message:
            """A body without a length is counted as it comes, and breaks off where it is too
            large: whatever the app makes of that, the answer is another."""
            nonlocal total
            message = await receive()
            total += len(message.get("body", b""))
            return {"type": "http.disconnect"} if total > self.most_bytes else message

        async def with_headers(message: Message) -> None:
            if total > self.most_bytes:
                return
            await send_with_headers(message)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
                message["headers"] = [*message["headers"], *own]
            await send(message)

        headers = {name.lower(): value for name, value in scope["headers"]}
        try:
            self._check_key(scope["path"], headers.get(b"authorization", b""))
            self._check_size(headers.get(b"content-length", b"0"))
            with suppress(ClientDisconnect):
                await self.app(scope, counted, with_headers)
            if total > self.most_bytes:
                raise self._too_large()
        except ApiError as error:
            await answer(error)(scope, receive, send_with_headers)

    def _check_key(self, path: str, given: bytes) -> None:
        if not self.api_key or not (path.startswith("/v1/") or path == LOOK):
            return
        if not hmac.compare_digest(given, f"Bearer {self.api_key}".encode()):
            raise ApiError(
                401,
                "the API key is missing or wrong",
                code="invalid_api_key",
                headers={"www-authenticate": "Bearer"},
            )

    def _check_size(self, length: bytes) -> None:
        if length.isdigit() and int(length) > self.most_bytes:
            raise self._too_large()

    def _too_large(self) -> ApiError:
        return ApiError(413, f"the body is larger than {self.most_bytes:,} bytes")
