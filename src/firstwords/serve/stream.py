"""An answer as OpenAI's clients expect it: whole, or as server-sent events."""

import asyncio
import json
import secrets
import time
import traceback
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterator
from typing import Any

from fastapi import Request

from firstwords import console
from firstwords.inference.sampling import Sampling
from firstwords.serve.errors import ApiError
from firstwords.serve.measures import Measures
from firstwords.serve.models import Loaded
from firstwords.serve.schema import StreamOptions
from firstwords.serve.worker import Busy, Delta, Job

POLL = 0.2  # seconds between looks at whether a client is still there


class Answering(ABC):
    """The jobs of one request, one for each choice, and the documents made of them."""

    def __init__(self, kind: str, options: StreamOptions | None, name: str, model: Loaded) -> None:
        self.id, self.created = f"{kind}-{secrets.token_hex(12)}", int(time.time())
        self.name, self.model = name, model
        self._tells_usage = options is not None and options.include_usage
        self.jobs: list[Job] = []
        self.prompt_tokens = 0
        self._measures: Measures | None = None

    @abstractmethod
    def prepare(self) -> None:
        """Work that takes a while, in a thread of its own, before the jobs start."""

    @abstractmethod
    def wanted(self) -> Iterator[tuple[list[int], Sampling, int]]:
        """For each choice: its prompt, how to draw, and of how many candidates to tell."""

    def start(self) -> None:
        """Submit the jobs. Raises Busy, with none of them left running."""
        try:
            for prompt, sampling, top in self.wanted():
                self.jobs.append(self.model.worker.submit(prompt, sampling, top))
        except Busy:
            self.cancel()
            raise

    @abstractmethod
    def head(self) -> dict[str, Any]:
        """What every chunk begins with."""

    @abstractmethod
    def opening(self) -> list[dict[str, Any]]:
        """The chunks before any token."""

    @abstractmethod
    def chunk(self, choice: int, delta: Delta) -> dict[str, Any] | None:
        """What a step adds, None if there is nothing to show of it."""

    def closing(self) -> list[dict[str, Any]]:
        """The chunks after the last token."""
        last = {**self.head(), "choices": [], "usage": self.usage()}
        return [last] if self._tells_usage else []

    @abstractmethod
    def whole(self, deltas: list[list[Delta]]) -> dict[str, Any]:
        """The document of all choices."""

    def measured_by(self, measures: Measures) -> None:
        self._measures = measures
        measures.prompt_tokens.inc(self.prompt_tokens)

    def usage(self) -> dict[str, int]:
        generated = sum(job.drawn for job in self.jobs)
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": generated,
            "total_tokens": self.prompt_tokens + generated,
        }

    def cancel(self) -> None:
        for job in self.jobs:
            job.cancel()

    def done(self) -> None:
        """Write the figures down."""
        if self._measures is None:
            return
        for job in self.jobs:
            self._measures.generated_tokens.inc(job.drawn)
            self._measures.whole.observe(time.monotonic() - job.submitted)
            if job.first_token:
                self._measures.first_token.observe(job.first_token - job.submitted)

    async def deltas(self, seconds: float) -> AsyncIterator[tuple[int, Delta]]:
        """Those of all choices, as they come. Raises ApiError when the time is over."""
        deadline = time.monotonic() + seconds
        merged: asyncio.Queue[tuple[int, Delta | BaseException | None]] = asyncio.Queue()

        async def follow(number: int, job: Job) -> None:
            try:
                async for delta in job.deltas():
                    merged.put_nowait((number, delta))
                merged.put_nowait((number, None))
            except Exception as error:
                merged.put_nowait((number, error))

        tasks = [asyncio.create_task(follow(n, job)) for n, job in enumerate(self.jobs)]
        try:
            left = len(tasks)
            while left:
                try:
                    left_seconds = max(0.0, deadline - time.monotonic())
                    number, delta = await asyncio.wait_for(merged.get(), left_seconds)
                except asyncio.TimeoutError:
                    message = f"the answer took longer than {seconds:g} s"
                    raise ApiError(504, message, "timeout_error") from None
                if delta is None:
                    left -= 1
                elif isinstance(delta, BaseException):
                    raise delta
                else:
                    yield number, delta
        finally:
            for task in tasks:
                task.cancel()


def broken() -> ApiError:
    """For the client; the log has the rest."""
    console.warn(traceback.format_exc())
    return ApiError(500, "the model failed; the server's log says why", "server_error")


async def events(answering: Answering, seconds: float) -> AsyncIterator[str]:
    """Server-sent events, ended by [DONE]. An error in the middle is one of them."""
    try:
        for chunk in answering.opening():
            yield _event(chunk)
        async for choice, delta in answering.deltas(seconds):
            if shown := answering.chunk(choice, delta):
                yield _event(shown)
        for chunk in answering.closing():
            yield _event(chunk)
        yield "data: [DONE]\n\n"
    except ApiError as error:
        yield _event(error.body())
    except Exception:
        yield _event(broken().body())
    finally:
        answering.cancel()
        answering.done()


def _event(document: dict[str, Any]) -> str:
    return f"data: {json.dumps(document, ensure_ascii=False)}\n\n"


async def until_gone(request: Request, answering: Answering, seconds: float) -> dict[str, Any]:
    """The whole answer; a client that goes away frees its slots."""
    found: list[list[Delta]] = [[] for _ in answering.jobs]

    async def collect() -> None:
        async for choice, delta in answering.deltas(seconds):
            found[choice].append(delta)

    task = asyncio.create_task(collect())
    try:
        while not task.done():
            await asyncio.wait([task], timeout=POLL)
            if not task.done() and await request.is_disconnected():
                raise ApiError(499, "the client went away")
        try:
            task.result()
        except ApiError:
            raise
        except Exception:
            raise broken() from None
        return answering.whole(found)
    finally:
        task.cancel()
        answering.cancel()
        answering.done()
