"""Files from the network: side by side, checked, and resumable.

A file is received under a temporary name, and what came of it stays there when the connection, the
process or the machine goes down; the next start asks for the rest. Whatever may pass (a dropped
connection, a busy server) is tried again after a wait, as long as the server asks for.
`huggingface_hub` gives the connection, with the user's proxies and certificates; its own downloads
begin again from nothing after every interruption.
"""

import hashlib
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, NamedTuple

from firstwords import console, files
from firstwords.data import network
from firstwords.data.network import Again, Wrong
from firstwords.errors import UserError

if TYPE_CHECKING:
    import httpx2

JOBS = 4
TELL_EVERY = 1 << 20  # bytes
GRACE = 0.5  # seconds in which the threads may end by themselves


class Wanted(NamedTuple):
    url: str
    path: Path
    bytes: int | None = None  # where they are known before
    sha256: str | None = None

    @property
    def part(self) -> Path:
        """Where it is received. Another version of the file has another name."""
        version = self.sha256 or hashlib.sha256(self.url.encode()).hexdigest()
        return self.path.with_name(f".{self.path.name}.{version[:12]}.part")

    @property
    def received(self) -> int:
        try:
            return self.part.stat().st_size
        except FileNotFoundError:
            return 0


class Event(NamedTuple):
    """What a thread tells: bytes that came (or went, below 0), a file that is whole, a failure."""

    bytes: int = 0
    done: Wanted | None = None
    failure: BaseException | None = None
    note: str = ""


class Stopped(Exception):
    """The others have been told to stop."""


def download(
    label: str,
    wanted: Sequence[Wanted],
    jobs: int = JOBS,
    headers: Mapping[str, str] | None = None,
    on_done: Callable[[Wanted], None] = lambda one: None,
) -> None:
    """Fetch all files, `jobs` at a time, and say when one is there. Raises UserError if one cannot
    be had or is not what it should be; what has been fetched stays."""
    have = sum(one.received for one in wanted)
    known = all(one.bytes is not None for one in wanted)
    total = sum(one.bytes or 0 for one in wanted) if known else 0
    events: SimpleQueue[Event] = SimpleQueue()
    stop = threading.Event()
    todo = deque(wanted)
    threads = [
        threading.Thread(target=_work, args=(todo, headers or {}, events.put, stop), daemon=True)
        for _ in range(min(jobs, len(wanted)))
    ]
    done = 0
    try:
        for thread in threads:
            thread.start()
        with console.progress(label, total / 1e6, "MB", have / 1e6) as meter:
            while done < len(wanted):
                event = events.get()
                if event.failure:
                    raise event.failure
                if event.done:
                    done += 1
                    on_done(event.done)
                meter.advance(event.bytes / 1e6, event.note or f"{done} of {len(wanted)} files")
    finally:
        stop.set()
        for thread in threads:
            thread.join(GRACE)


def _work(
    todo: deque[Wanted],
    headers: Mapping[str, str],
    tell: Callable[[Event], None],
    stop: threading.Event,
) -> None:
    while todo and not stop.is_set():
        try:
            one = todo.popleft()
        except IndexError:  # another thread took the last one
            return
        try:
            Download(one, headers, tell, stop).run()
            tell(Event(done=one))
        except BaseException as failure:
            tell(Event(failure=failure))
            return


class Download:
    """One file, until it is whole or there is no hope."""

    def __init__(
        self,
        wanted: Wanted,
        headers: Mapping[str, str],
        tell: Callable[[Event], None],
        stop: threading.Event,
    ) -> None:
        self.wanted, self.headers, self.tell, self.stop = wanted, headers, tell, stop
        self.came = 0  # bytes, since this start

    def run(self) -> None:
        failures, wrong = 0, False
        while True:
            before = self.wanted.received
            try:
                self._receive(before)
                self._settle()
                return
            except Again as again:
                failures = 1 if self.wanted.received > before else failures + 1
                twice_wrong = wrong and isinstance(again, Wrong)
                if failures >= again.tries or twice_wrong:
                    raise self._hopeless(again) from None
                wrong = wrong or isinstance(again, Wrong)
                self._wait(again, failures)

    def _receive(self, have: int) -> None:
        """Ask for what is missing, and append it."""
        import httpx2
        from huggingface_hub import get_session

        if have and have == self.wanted.bytes:
            return
        headers = {**self.headers, "Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
        try:
            with get_session().stream(
                "GET",
                self.wanted.url,
                headers=headers,
                timeout=network.TIMEOUT,
                follow_redirects=True,
            ) as response:
                self._append(response, self._start(response, have))
        except httpx2.TransportError as error:
            tries = network.TRIES if self.came else network.TRIES_OFFLINE
            raise Again(str(error) or type(error).__name__, tries=tries) from None
        except ConnectionError as error:  # huggingface_hub is told to stay offline
            raise network.unreachable(self.wanted.url, error) from None

    def _start(self, response: "httpx2.Response", have: int) -> int:
        """How many of the bytes that are here the response goes on from."""
        status = response.status_code
        if status in network.PASSING:
            raise Again(f"the server says {status}", network.asked_wait(response.headers))
        if status == 416 or (status == 206 and _range_start(response) != have):
            self._forget()
            raise Again("the server cannot go on from there")
        if status not in (200, 206):
            raise UserError(f"cannot fetch {self.wanted.url}", network.refusal(status))
        return have if status == 206 else 0

    def _append(self, response: "httpx2.Response", start: int) -> None:
        if not start:
            self._forget()
        self.wanted.part.parent.mkdir(parents=True, exist_ok=True)
        with self.wanted.part.open("ab", buffering=0) as file:  # whatever came is on disk
            told = start
            try:
                for chunk in response.iter_bytes():
                    if self.stop.is_set():
                        raise Stopped
                    file.write(chunk)
                    self.came += len(chunk)
                    if file.tell() - told >= TELL_EVERY:
                        self.tell(Event(file.tell() - told))
                        told = file.tell()
            finally:
                self.tell(Event(file.tell() - told))

    def _settle(self) -> None:
        """Give the file its name if it is what was asked for."""
        part, wanted = self.wanted.part, self.wanted
        if wanted.bytes is not None and wanted.received < wanted.bytes:
            raise Again("the connection was closed before the end")
        if wanted.sha256 and files.sha256_of(part) != wanted.sha256:
            self._forget()
            raise Wrong("its bytes are not those that were pinned")
        files.settle(part, wanted.path)

    def _forget(self) -> None:
        self.tell(Event(-self.wanted.received))
        self.wanted.part.unlink(missing_ok=True)

    def _wait(self, again: Again, failures: int) -> None:
        seconds = network.wait_of(again, failures, self.wanted.url)
        self.tell(Event(note=f"{again}: again in {seconds:.0f} s"))
        if self.stop.wait(seconds):
            raise Stopped

    def _hopeless(self, again: Again) -> UserError:
        if isinstance(again, Wrong):
            return UserError(
                f"{self.wanted.url} is not the file that was pinned (its SHA-256 differs)",
                "try again later; if it stays so, please report it",
            )
        return network.unreachable(self.wanted.url, again)


def _range_start(response: "httpx2.Response") -> int | None:
    """Where the part begins that a server sent: `bytes 100-199/200`."""
    start = response.headers.get("content-range", "").removeprefix("bytes ").split("-")[0]
    return int(start) if start.isdigit() else None
