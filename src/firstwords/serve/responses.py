"""Responses in OpenAI's format, as one JSON document or as server-sent events."""

import asyncio
import json
import secrets
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterator
from typing import Any, NamedTuple

from fastapi import Request

from firstwords.inference.sampling import Sampling
from firstwords.serve.errors import ApiError, internal_error
from firstwords.serve.metrics import ServerMetrics
from firstwords.serve.model_pool import LoadedModel
from firstwords.serve.model_worker import GenerationDelta, GenerationJob, QueueFullError
from firstwords.serve.schema import SamplingFields
from firstwords.serve.unsupported_fields import ignored_fields

DISCONNECT_POLL_SECONDS = 0.2


class JobSpec(NamedTuple):
    """What to generate for one choice of a response."""

    prompt: list[int]
    sampling: Sampling
    top_logprobs: int


class ResponseBuilder(ABC):
    """Runs the jobs of one request, one for each choice, and builds its response from them.

    Construct it in a thread: it encodes the prompts. Raises ApiError for a request with a field
    that is not supported.
    """

    def __init__(
        self, id_prefix: str, request: SamplingFields, name: str, model: LoadedModel
    ) -> None:
        self.id, self.created = f"{id_prefix}-{secrets.token_hex(12)}", int(time.time())
        self.name, self.model = name, model
        options = request.stream_options
        self._include_usage = options is not None and bool(options.include_usage)
        self._ignored_fields = ignored_fields(request.model_extra)
        self.jobs: list[GenerationJob] = []
        self.n_prompt_tokens = 0
        self._metrics: ServerMetrics | None = None

    @abstractmethod
    def job_specs(self) -> Iterator[JobSpec]:
        """Yield what to generate, one for each choice."""

    def start(self) -> None:
        """Submit the jobs. Raises QueueFullError after cancelling those already submitted, and
        ApiError if there are more than the server ever accepts."""
        specs, capacity = list(self.job_specs()), self.model.worker.capacity
        if len(specs) > capacity:
            raise ApiError(
                400,
                f"the request asks for {len(specs)} answers, but the server runs and queues at "
                f"most {capacity}; send fewer prompts or a smaller n",
            )
        try:
            for spec in specs:
                self.jobs.append(self.model.worker.submit(*spec))
        except QueueFullError:
            self.cancel()
            raise

    @abstractmethod
    def chunk_fields(self) -> dict[str, Any]:
        """Return the fields that all chunks of a stream share."""

    @abstractmethod
    def first_chunks(self) -> list[dict[str, Any]]:
        """Return the chunks to send before any token is generated."""

    @abstractmethod
    def chunk(self, choice: int, delta: GenerationDelta) -> dict[str, Any] | None:
        """Return the chunk for a delta, or None if the delta adds nothing visible."""

    def last_chunks(self) -> list[dict[str, Any]]:
        """Return the chunks to send after the last token."""
        if not self._include_usage:
            return []
        return [{**self.chunk_fields(), "choices": [], "usage": self.usage()}]

    @abstractmethod
    def document(self, deltas: list[list[GenerationDelta]]) -> dict[str, Any]:
        """Return the complete response, from the deltas of each choice."""

    def firstwords(self) -> dict[str, Any]:
        """Return what OpenAI's format has no field for: the context's size in tokens, and the
        fields of the request without effect."""
        return {"context": self.model.context, "ignored": self._ignored_fields}

    def ending(self, last: GenerationDelta) -> dict[str, Any]:
        """Return the fields of a choice that say why it ended."""
        fields: dict[str, Any] = {"finish_reason": last.finish_reason}
        if last.finish_reason == "length":
            fields["firstwords"] = {"context_full": last.context_full}
        return fields

    def finished_chunk(self, chunk: dict[str, Any], last: GenerationDelta) -> dict[str, Any]:
        """Return the last chunk of a choice with the fields that only this one has."""
        (choice,) = chunk["choices"]
        ended = {**choice, **self.ending(last)}
        return {**chunk, "choices": [ended], "firstwords": self.firstwords()}

    def usage(self) -> dict[str, int]:
        """Return the number of tokens read and generated."""
        n_generated = sum(job.n_generated for job in self.jobs)
        return {
            "prompt_tokens": self.n_prompt_tokens,
            "completion_tokens": n_generated,
            "total_tokens": self.n_prompt_tokens + n_generated,
        }

    def cancel(self) -> None:
        """Stop all jobs."""
        for job in self.jobs:
            job.cancel()

    def record_in(self, metrics: ServerMetrics) -> None:
        """Count the prompt now, and the generated tokens and times in `finish`."""
        self._metrics = metrics
        metrics.prompt_tokens.inc(self.n_prompt_tokens)

    def finish(self) -> None:
        """Stop all jobs and record their metrics; a second call does nothing."""
        self.cancel()
        metrics, self._metrics = self._metrics, None
        if metrics is None:
            return
        for job in self.jobs:
            metrics.generated_tokens.inc(job.n_generated)
            metrics.generation_time.observe(time.monotonic() - job.submitted_at)
            if job.first_token_at:
                metrics.time_to_first_token.observe(job.first_token_at - job.submitted_at)

    async def deltas(self, timeout: float) -> AsyncIterator[tuple[int, GenerationDelta]]:
        """Yield (choice, delta) of all jobs as they arrive. Raises ApiError after `timeout`
        seconds."""
        deadline = time.monotonic() + timeout
        merged: asyncio.Queue[tuple[int, GenerationDelta | Exception | None]] = asyncio.Queue()

        async def forward(choice: int, job: GenerationJob) -> None:
            try:
                async for delta in job.deltas():
                    merged.put_nowait((choice, delta))
                merged.put_nowait((choice, None))
            except Exception as error:
                merged.put_nowait((choice, error))

        tasks = [asyncio.create_task(forward(i, job)) for i, job in enumerate(self.jobs)]
        n_running = len(tasks)
        try:
            while n_running:
                try:
                    seconds_left = max(0.0, deadline - time.monotonic())
                    choice, delta = await asyncio.wait_for(merged.get(), seconds_left)
                except asyncio.TimeoutError:
                    message = f"generation took longer than {timeout:g} s"
                    raise ApiError(504, message, "timeout_error") from None
                if delta is None:
                    n_running -= 1
                elif isinstance(delta, Exception):
                    raise delta
                else:
                    yield choice, delta
        finally:
            for task in tasks:
                task.cancel()


async def server_sent_events(response: ResponseBuilder, timeout: float) -> AsyncIterator[str]:
    """Yield a streamed response, ended by [DONE]. An error midway is sent as an event."""
    try:
        for chunk in response.first_chunks():
            yield _event(chunk)
        async for choice, delta in response.deltas(timeout):
            if visible := response.chunk(choice, delta):
                yield _event(visible)
        for chunk in response.last_chunks():
            yield _event(chunk)
        yield "data: [DONE]\n\n"
    except ApiError as error:
        yield _event(error.body())
    except Exception:
        yield _event(internal_error("the model failed").body())
    finally:
        response.finish()


def _event(document: dict[str, Any]) -> str:
    """Return an event in ASCII: some clients end a line at U+0085, U+2028 or U+2029."""
    return f"data: {json.dumps(document, allow_nan=False)}\n\n"


async def complete_response(
    request: Request, response: ResponseBuilder, timeout: float
) -> dict[str, Any]:
    """Wait for the complete response; stop its jobs if the client disconnects."""
    deltas: list[list[GenerationDelta]] = [[] for _ in response.jobs]

    async def collect() -> None:
        async for choice, delta in response.deltas(timeout):
            deltas[choice].append(delta)

    task = asyncio.create_task(collect())
    try:
        while not task.done():
            await asyncio.wait([task], timeout=DISCONNECT_POLL_SECONDS)
            if not task.done() and await request.is_disconnected():
                raise ApiError(499, "the client disconnected")
        try:
            task.result()
        except ApiError:
            raise
        except Exception:
            raise internal_error("the model failed") from None
        return response.document(deltas)
    finally:
        task.cancel()
        response.finish()
