"""A thread that steps an engine while there is something to do, and the requests it works for.

The engine belongs to its thread alone; requests come through a queue and are answered through the
event loop they came from.
"""

import asyncio
import queue
import threading
import time
from collections.abc import AsyncIterator
from typing import NamedTuple

import numpy as np

from firstwords.inference.engine import Engine, Sequence
from firstwords.inference.listener import Listener
from firstwords.inference.reader import Event
from firstwords.inference.sampling import Sampling, largest, log_probabilities
from firstwords.tokenizer import Tokenizer


class Busy(Exception):
    """Too many requests wait already."""


class TokenInfo(NamedTuple):
    """A token, its log-probability in nats, and the likeliest ones in its place."""

    token: int
    nats: float
    top: list[tuple[int, float]]


class Delta(NamedTuple):
    """What a step added to an answer. `reason` says why it is over, with the last one."""

    events: list[Event]
    tokens: list[TokenInfo]
    reason: str | None


class Job:
    """A request on its way. Iterating gives its deltas."""

    def __init__(self, prompt: list[int], sampling: Sampling, top: int) -> None:
        self.prompt, self.sampling = prompt, sampling
        self.top = top  # how many likeliest tokens are told; -1: not even the token's own
        self.submitted, self.first_token = time.monotonic(), 0.0
        self.drawn = 0
        self.cancelled = False
        self._loop = asyncio.get_running_loop()
        self._deltas: asyncio.Queue[Delta | BaseException] = asyncio.Queue()

    def cancel(self) -> None:
        """Nobody listens any more: its slot is freed before the next step."""
        self.cancelled = True

    def post(self, delta: Delta | BaseException) -> None:
        """From the worker's thread."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._deltas.put_nowait, delta)

    async def deltas(self) -> AsyncIterator[Delta]:
        """To the end of the answer. Raises what broke the worker."""
        try:
            while True:
                delta = await self._deltas.get()
                if isinstance(delta, BaseException):
                    raise delta
                yield delta
                if delta.reason:
                    return
        finally:
            self.cancel()


class _Running(NamedTuple):
    job: Job
    listener: Listener


class Worker:
    """Takes jobs for one model: `most_waiting` may wait for a slot, more are refused."""

    def __init__(self, engine: Engine, tokenizer: Tokenizer, most_waiting: int) -> None:
        self.engine, self.tokenizer, self.most_waiting = engine, tokenizer, most_waiting
        self._inbox: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._running: dict[Sequence, _Running] = {}
        self._lock = threading.Lock()
        self._accepted = 0  # jobs that are not over
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()

    def submit(self, prompt: list[int], sampling: Sampling, top: int = -1) -> Job:
        """Start a job. Raises Busy."""
        job = Job(prompt, sampling, top)
        with self._lock:
            if self._closed or self._accepted >= self.engine.slots + self.most_waiting:
                raise Busy
            self._accepted += 1
            self._inbox.put(job)
        return job

    @property
    def accepted(self) -> int:
        """Jobs that run or wait."""
        return self._accepted

    def close(self) -> None:
        """Finish what runs or waits, then end the thread."""
        with self._lock:
            self._closed = True
            self._inbox.put(None)
        self._thread.join()

    def _run(self) -> None:
        closing = False
        while not closing or self._running:
            closing |= self._take_in(wait=not self._running and not closing)
            self._drop_cancelled()
            try:
                drawn = self.engine.step()
            except Exception as error:
                self._fail(error)
                continue
            for sequence, token in drawn:
                self._hear(sequence, token)
            for sequence in [s for s in self._running if s.over]:
                self._end(sequence, self._running[sequence].listener.finish(), [])

    def _take_in(self, wait: bool) -> bool:
        """Start the jobs that have come, waiting for one if there is nothing else to do. Returns
        whether the worker is to close."""
        while True:
            try:
                job = self._inbox.get(block=wait)
            except queue.Empty:
                return False
            if job is None:
                return True
            wait = False
            sequence = self.engine.submit(job.prompt, job.sampling)
            self._running[sequence] = _Running(job, Listener(self.tokenizer, sequence))

    def _drop_cancelled(self) -> None:
        for sequence, running in self._running.items():
            if running.job.cancelled:
                sequence.end()

    def _hear(self, sequence: Sequence, token: int) -> None:
        job, listener = self._running[sequence]
        job.drawn += 1
        job.first_token = job.first_token or time.monotonic()
        events = listener.hear(token)
        tokens = [token_info(sequence.logits_V, token, job.top)] if job.top >= 0 else []
        if not sequence.over:
            job.post(Delta(events, tokens, None))
        else:
            self._end(sequence, events, tokens)

    def _end(self, sequence: Sequence, events: list[Event], tokens: list[TokenInfo]) -> None:
        job, listener = self._running.pop(sequence)
        with self._lock:
            self._accepted -= 1
        job.post(Delta(events, tokens, listener.reason))

    def _fail(self, error: Exception) -> None:
        """Tell everybody; the next request finds a fresh engine state."""
        for sequence, running in list(self._running.items()):
            sequence.end()
            running.job.post(error)
            with self._lock:
                self._accepted -= 1
        self._running.clear()


def token_info(logits_V: np.ndarray | None, token: int, top: int) -> TokenInfo:
    """The token among the `top` likeliest in its place."""
    assert logits_V is not None
    nats_V = log_probabilities(logits_V)
    likeliest: np.ndarray | list[int] = largest(nats_V, top) if top else []  # 0 would be all
    return TokenInfo(token, float(nats_V[token]), [(int(t), float(nats_V[t])) for t in likeliest])
