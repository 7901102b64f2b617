"""HTTP connections that do not wait forever for a slow client, as uvicorn's own do."""

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

REQUEST_SECONDS = 30  # for the head of a request, from the connection or the previous response on
RESPONSE_SECONDS = 60  # for the client to read what is buffered, at most 64 KiB


class ClientTimeoutProtocol(H11Protocol):
    """Closes a connection whose client sends no complete request head, or stops reading."""

    _head_timer: asyncio.TimerHandle | None = None
    _read_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._head_timer = self.loop.call_later(REQUEST_SECONDS, self._close_without_request)

    def on_response_complete(self) -> None:
        self._cancel(self._head_timer)
        self._head_timer = self.loop.call_later(REQUEST_SECONDS, self._close_without_request)
        super().on_response_complete()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._read_timer = self.loop.call_later(RESPONSE_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        self._cancel(self._read_timer)
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel(self._head_timer)
        self._cancel(self._read_timer)
        super().connection_lost(exc)

    def _close_without_request(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.abort()

    @staticmethod
    def _cancel(timer: asyncio.TimerHandle | None) -> None:
        if timer:
            timer.cancel()
