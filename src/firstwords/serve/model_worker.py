"""A thread that runs one engine, and the generation jobs that other threads give it.

Only this thread touches the engine: jobs reach it through a queue, and their output goes back
through the event loop that submitted them.
"""

import asyncio
import contextlib
import queue
import threading
import time
from collections.abc import AsyncIterator
from typing import NamedTuple

import numpy as np

from firstwords.inference.engine import Engine, Sequence
from firstwords.inference.sampling import Sampling, log_probabilities, top_indices
from firstwords.inference.stream import AnswerEvent, StopFilter
from firstwords.tokenizer.bpe import Tokenizer

NO_LOGPROBS = -1  # as a job's `top_logprobs`: not even that of the sampled token


class QueueFullError(Exception):
    """The worker has as many running and queued jobs as it accepts."""


class TokenLogprob(NamedTuple):
    """A token, its log-probability in nats, and the most likely tokens at its position."""

    token: int
    logprob: float
    top: list[tuple[int, float]]


class GenerationDelta(NamedTuple):
    """What one step added to an answer. The last delta has a `finish_reason`."""

    events: list[AnswerEvent]
    logprobs: list[TokenLogprob]
    in_call: bool = False  # the token belongs to a call of the calculator
    finish_reason: str | None = None
    context_full: bool = False  # which is why the answer ends

    @property
    def text(self) -> str:
        return "".join(event.content for event in self.events)


class GenerationJob:
    """A prompt that is queued or generated; `deltas()` yields its output."""

    def __init__(self, prompt: list[int], sampling: Sampling, top_logprobs: int) -> None:
        self.prompt, self.sampling, self.top_logprobs = prompt, sampling, top_logprobs
        self.submitted_at, self.first_token_at = time.monotonic(), 0.0
        self.n_generated = 0
        self.cancelled = False
        self._loop = asyncio.get_running_loop()
        self._deltas: asyncio.Queue[GenerationDelta | Exception] = asyncio.Queue()

    def cancel(self) -> None:
        """Stop generating; the job's slot is freed before the next step."""
        self.cancelled = True

    def post(self, delta: GenerationDelta | Exception) -> None:
        """Deliver output, or the error that ended the job. Called from the worker's thread."""
        with contextlib.suppress(RuntimeError):  # the loop is closed, so nothing waits for it
            self._loop.call_soon_threadsafe(self._deltas.put_nowait, delta)

    async def deltas(self) -> AsyncIterator[GenerationDelta]:
        """Yield the output to the end of the answer. Raises the error that ended the job."""
        try:
            while True:
                delta = await self._deltas.get()
                if isinstance(delta, Exception):
                    raise delta
                yield delta
                if delta.finish_reason:
                    return
        finally:
            self.cancel()


class _RunningJob(NamedTuple):
    job: GenerationJob
    stop_filter: StopFilter


class ModelWorker:
    """Runs the jobs of one model. Up to `max_queue` jobs wait for a slot; more are refused."""

    def __init__(self, engine: Engine, tokenizer: Tokenizer, max_queue: int) -> None:
        self.engine, self.tokenizer, self.max_queue = engine, tokenizer, max_queue
        self._inbox: queue.SimpleQueue[GenerationJob | None] = queue.SimpleQueue()
        self._running: dict[Sequence, _RunningJob] = {}
        self._lock = threading.Lock()
        self._n_active = 0
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()

    def submit(
        self, prompt: list[int], sampling: Sampling, top_logprobs: int = NO_LOGPROBS
    ) -> GenerationJob:
        """Start a job. Raises QueueFullError, also after `close`."""
        job = GenerationJob(prompt, sampling, top_logprobs)
        with self._lock:
            if self._closed or self._n_active >= self.capacity:
                raise QueueFullError
            self._n_active += 1
            self._inbox.put(job)
        return job

    @property
    def capacity(self) -> int:
        """The number of jobs that can run or be queued at a time."""
        return self.engine.slots + self.max_queue

    @property
    def n_active(self) -> int:
        """The number of running and queued jobs."""
        return self._n_active

    def close(self) -> None:
        """Accept no more jobs, finish the running and queued ones, then end the thread."""
        with self._lock:
            self._closed = True
            self._inbox.put(None)
        self._thread.join()

    def _run(self) -> None:
        closing = False
        while not closing or self._running:
            closing |= self._start_jobs(wait=not self._running and not closing)
            try:
                self._step()
            except BaseException as error:  # a panic of a library in Rust is no Exception
                self._fail_all(error)

    def _step(self) -> None:
        self._finish_cancelled()
        for sequence, token in self.engine.step():
            self._handle_token(sequence, token)
        for sequence in [s for s in self._running if s.finished]:
            events = self._running[sequence].stop_filter.flush()
            self._end(sequence, GenerationDelta(events, []))

    def _start_jobs(self, wait: bool) -> bool:
        """Give new jobs to the engine, waiting for one if asked to. Return whether to close."""
        while True:
            try:
                job = self._inbox.get(block=wait)
            except queue.Empty:
                return False
            if job is None:
                return True
            wait = False
            sequence = self.engine.submit(job.prompt, job.sampling)
            self._running[sequence] = _RunningJob(job, StopFilter(self.tokenizer, sequence))

    def _finish_cancelled(self) -> None:
        for sequence, running in self._running.items():
            if running.job.cancelled:
                sequence.finish()

    def _handle_token(self, sequence: Sequence, token: int) -> None:
        job, stop_filter = self._running[sequence]
        job.n_generated += 1
        job.first_token_at = job.first_token_at or time.monotonic()
        was_in_call = stop_filter.in_call
        events = stop_filter.feed(token)
        in_call = was_in_call or stop_filter.in_call
        logprobs = []
        if job.top_logprobs != NO_LOGPROBS:
            logprobs = [token_logprob(sequence.logits_V, token, job.top_logprobs)]
        delta = GenerationDelta(events, logprobs, in_call)
        if not sequence.finished:
            job.post(delta)
        else:
            self._end(sequence, delta)

    def _end(self, sequence: Sequence, last: GenerationDelta) -> None:
        job, stop_filter = self._running.pop(sequence)
        with self._lock:
            self._n_active -= 1
        reason = stop_filter.finish_reason
        is_full = reason == "length" and len(sequence.ids) >= self.engine.context
        job.post(last._replace(finish_reason=reason, context_full=is_full))

    def _fail_all(self, cause: BaseException) -> None:
        """End all running jobs with an error; the engine can still serve later ones."""
        error = RuntimeError(repr(cause))
        error.__cause__ = cause
        for sequence, running in list(self._running.items()):
            sequence.finish()
            running.job.post(error)
            with self._lock:
                self._n_active -= 1
        self._running.clear()


def token_logprob(logits_V: np.ndarray | None, token: int, n_top: int) -> TokenLogprob:
    """Return a token's log-probability, and those of the `n_top` most likely tokens."""
    assert logits_V is not None
    logprobs_V = log_probabilities(logits_V)
    top = top_indices(logprobs_V, n_top).tolist() if n_top else []  # 0 would mean all
    return TokenLogprob(token, float(logprobs_V[token]), [(t, float(logprobs_V[t])) for t in top])
