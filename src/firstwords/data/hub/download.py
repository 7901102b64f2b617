"""Download files: several at a time, checked, and resumable.

A file is received under a temporary name and stays there when the connection, the process or the
machine fails; the next start requests only the remaining bytes. Temporary failures (a dropped
connection, a busy server) are retried after a delay, as long as the server asks for.

`huggingface_hub` provides the HTTP session, with the user's proxies and certificates. Its own
downloads would start from zero after every interruption.
"""

import hashlib
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, NamedTuple

from firstwords.common import console, files
from firstwords.common.errors import UserError
from firstwords.data.hub import network
from firstwords.data.hub.network import ChecksumError, RetryableError

if TYPE_CHECKING:
    import httpx2

DEFAULT_JOBS = 4
REPORT_BYTES = 1 << 20  # received between two reports of progress
JOIN_SECONDS = 0.5  # granted to the threads to end by themselves


class RemoteFile(NamedTuple):
    """A file to download; `bytes` and `sha256` are None if they are not pinned."""

    url: str
    path: Path
    bytes: int | None = None
    sha256: str | None = None

    @property
    def partial_path(self) -> Path:
        """Where the file is received. Another version of it gets another name."""
        version = self.sha256 or hashlib.sha256(self.url.encode()).hexdigest()
        return self.path.with_name(f".{self.path.name}.{version[:12]}.part")

    @property
    def received_bytes(self) -> int:
        try:
            return self.partial_path.stat().st_size
        except FileNotFoundError:
            return 0


class DownloadEvent(NamedTuple):
    """A report from a thread: bytes received (below 0 if dropped), a complete file, a failure."""

    bytes: int = 0
    completed: RemoteFile | None = None
    failure: BaseException | None = None
    note: str = ""


Report = Callable[[DownloadEvent], None]


class DownloadStopped(Exception):
    """The other threads were stopped."""


def download_files(
    label: str,
    remote_files: Sequence[RemoteFile],
    jobs: int = DEFAULT_JOBS,
    headers: Mapping[str, str] | None = None,
    on_complete: Callable[[RemoteFile], None] = lambda remote: None,
) -> None:
    """Download all files, `jobs` at a time, and call `on_complete` for each.

    Raises UserError if one cannot be downloaded or is not the pinned one; files and parts received
    before stay on the disk.
    """
    received = sum(remote.received_bytes for remote in remote_files)
    sizes_known = all(remote.bytes is not None for remote in remote_files)
    total = sum(remote.bytes or 0 for remote in remote_files) if sizes_known else 0
    events: SimpleQueue[DownloadEvent] = SimpleQueue()
    stop = threading.Event()
    waiting = deque(remote_files)
    threads = [
        threading.Thread(target=_work, args=(waiting, headers or {}, events.put, stop), daemon=True)
        for _ in range(min(jobs, len(remote_files)))
    ]
    n_completed = 0
    try:
        for thread in threads:
            thread.start()
        with console.progress(label, total / 1e6, "MB", received / 1e6) as meter:
            while n_completed < len(remote_files):
                event = events.get()
                if event.failure:
                    raise event.failure
                if event.completed:
                    n_completed += 1
                    on_complete(event.completed)
                note = event.note or f"{n_completed} of {len(remote_files)} files"
                meter.advance(event.bytes / 1e6, note)
    finally:
        stop.set()
        for thread in threads:
            thread.join(JOIN_SECONDS)


def _work(
    waiting: deque[RemoteFile], headers: Mapping[str, str], report: Report, stop: threading.Event
) -> None:
    """Download waiting files until none is left: the body of a thread."""
    while waiting and not stop.is_set():
        try:
            remote = waiting.popleft()
        except IndexError:  # another thread took the last one
            return
        try:
            FileDownload(remote, headers, report, stop).run()
            report(DownloadEvent(completed=remote))
        except BaseException as failure:
            report(DownloadEvent(failure=failure))
            return


class FileDownload:
    """The download of one file, with retries."""

    def __init__(
        self,
        remote: RemoteFile,
        headers: Mapping[str, str],
        report: Report,
        stop: threading.Event,
    ) -> None:
        self.remote, self.headers, self.report, self.stop = remote, headers, report, stop
        self.n_received = 0  # bytes, by this object

    def run(self) -> None:
        """Download the file. Raises UserError, or DownloadStopped."""
        failures, had_wrong_checksum = 0, False
        while True:
            before = self.remote.received_bytes
            try:
                self._receive(before)
                self._commit()
                return
            except RetryableError as error:
                failures = 1 if self.remote.received_bytes > before else failures + 1
                is_wrong_checksum = isinstance(error, ChecksumError)
                if failures >= error.max_attempts or (had_wrong_checksum and is_wrong_checksum):
                    raise self._final_error(error) from None
                had_wrong_checksum = had_wrong_checksum or is_wrong_checksum
                self._wait(error, failures)

    def _receive(self, offset: int) -> None:
        """Request the bytes from `offset` on, and append them to the part."""
        import httpx2
        from huggingface_hub import get_session

        if offset and offset == self.remote.bytes:
            return
        headers = {**self.headers, "Accept-Encoding": "identity"}
        if offset:
            headers["Range"] = f"bytes={offset}-"
        try:
            with get_session().stream(
                "GET",
                self.remote.url,
                headers=headers,
                timeout=network.TIMEOUT_SECONDS,
                follow_redirects=True,
            ) as response:
                self._append(response, self._check_response(response, offset))
        except httpx2.TransportError as error:
            max_attempts = network.MAX_ATTEMPTS if self.n_received else network.MAX_ATTEMPTS_OFFLINE
            raise RetryableError(
                str(error) or type(error).__name__, max_attempts=max_attempts
            ) from None
        except ConnectionError as error:  # the user set HF_HUB_OFFLINE
            raise network.unreachable(self.remote.url, error) from None

    def _check_response(self, response: "httpx2.Response", offset: int) -> int:
        """Return the offset at which the response starts: `offset`, or 0 for the whole file."""
        status = response.status_code
        if status in network.TRANSIENT_STATUSES:
            delay = network.requested_delay(response.headers)
            raise RetryableError(f"the server returned {status}", delay)
        if status == 416 or (status == 206 and _range_start(response) != offset):
            self._discard()
            raise RetryableError("the server cannot resume the file")
        if status not in (200, 206):
            raise network.refused(self.remote.url, status)
        return offset if status == 206 else 0

    def _append(self, response: "httpx2.Response", offset: int) -> None:
        if not offset:
            self._discard()
        path = self.remote.partial_path
        files.make_directory(path.parent)
        with path.open("ab", buffering=0) as file:  # unbuffered: a kill loses nothing received
            reported = offset
            try:
                for chunk in response.iter_bytes():
                    if self.stop.is_set():
                        raise DownloadStopped
                    file.write(chunk)
                    self.n_received += len(chunk)
                    if file.tell() - reported >= REPORT_BYTES:
                        self.report(DownloadEvent(file.tell() - reported))
                        reported = file.tell()
            finally:
                self.report(DownloadEvent(file.tell() - reported))

    def _commit(self) -> None:
        """Check the file and give it its final name."""
        remote, part = self.remote, self.remote.partial_path
        if remote.bytes is not None and remote.received_bytes < remote.bytes:
            raise RetryableError("the connection was closed too early")
        if remote.sha256 and files.sha256_file(part) != remote.sha256:
            self._discard()
            raise ChecksumError("the file is not the pinned one")
        files.commit(part, remote.path)

    def _discard(self) -> None:
        """Delete what was received, to start again from zero."""
        self.report(DownloadEvent(-self.remote.received_bytes))
        self.remote.partial_path.unlink(missing_ok=True)

    def _wait(self, error: RetryableError, failures: int) -> None:
        seconds = network.retry_delay(error, failures, self.remote.url)
        self.report(DownloadEvent(note=f"{error}; retrying in {seconds:.0f} s"))
        if self.stop.wait(seconds):
            raise DownloadStopped

    def _final_error(self, error: RetryableError) -> UserError:
        if isinstance(error, ChecksumError):
            return UserError(
                f"{self.remote.url} is not the pinned file (its SHA-256 differs)",
                "try again later; if that does not help, report it",
            )
        return network.unreachable(self.remote.url, error)


def _range_start(response: "httpx2.Response") -> int | None:
    """Return the start of the range that a server sent, such as `bytes 100-199/200`."""
    start = response.headers.get("content-range", "").removeprefix("bytes ").split("-")[0]
    return int(start) if start.isdigit() else None
