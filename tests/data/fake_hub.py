"""A fake Hugging Face hub on localhost that can be made to misbehave."""

import hashlib
import json
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from waiting import LIMIT_SECONDS

REVISION = "0123456789abcdef0123456789abcdef01234567"


class Fault(NamedTuple):
    """A fault in the response to one request."""

    status: int = 200  # any other is sent instead of the file
    headers: tuple[tuple[str, str], ...] = ()
    stop_after: int | None = None  # bytes, then the connection is dropped
    flip: bool = False  # flip the first bit of the content
    ignore_range: bool = False
    hang_after: int | None = None  # bytes, then nothing is sent until `Hub.resume` is set


class HubRequest(NamedTuple):
    """A request that the hub received."""

    path: str
    range: str | None
    token: str | None


class Hub:
    """The files of one dataset, the faults of the next requests for each, and past requests."""

    def __init__(self, repository: str) -> None:
        self.repository, self.revision = repository, REVISION
        self.files: dict[str, bytes] = {}
        self.faults: defaultdict[str, list[Fault]] = defaultdict(list)
        self.listing_faults: list[Fault] = []
        self.requests: list[HubRequest] = []
        self.resume = threading.Event()
        self.address = ""

    def requests_for(self, path: str) -> list[HubRequest]:
        return [request for request in self.requests if request.path.endswith(f"/{path}")]

    def listing(self) -> dict[str, Any]:
        siblings = [{"rfilename": "README.md", "size": 10, "blobId": "0" * 40}]
        for path, content in self.files.items():
            digest = hashlib.sha256(content).hexdigest()
            lfs = {"size": len(content), "sha256": digest, "pointerSize": 130}
            siblings.append({"rfilename": path, "size": len(content), "lfs": lfs})
        return {"id": self.repository, "sha": self.revision, "siblings": siblings}


class _Handler(BaseHTTPRequestHandler):
    hub: Hub

    def log_message(self, *arguments: object) -> None:
        pass

    def do_GET(self) -> None:
        hub, path = self.hub, self.path.split("?")[0]
        token = self.headers["Authorization"]
        hub.requests.append(HubRequest(path, self.headers["Range"], token))
        if path.startswith(f"/api/datasets/{hub.repository}"):
            fault = hub.listing_faults.pop(0) if hub.listing_faults else Fault()
            self._send(json.dumps(hub.listing()).encode(), fault)
            return
        name = path.removeprefix(f"/datasets/{hub.repository}/resolve/{hub.revision}/")
        fault = hub.faults[name].pop(0) if hub.faults[name] else Fault()
        if name in hub.files:
            self._send(hub.files[name], fault)
        else:
            self._send(b"", Fault(status=404))

    def _send(self, content: bytes, fault: Fault) -> None:
        status, headers = fault.status, dict(fault.headers)
        if status == 200 and self.headers["Range"] and not fault.ignore_range:
            start = int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
            status = 206 if start < len(content) else 416
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
            content = content[start:]
        if status >= 400:
            content = b"no"
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if fault.flip:
            content = bytes([content[0] ^ 1]) + content[1:]
        if fault.hang_after is not None:
            self.wfile.write(content[: fault.hang_after])
            self.wfile.flush()
            self.hub.resume.wait(LIMIT_SECONDS)
            content = content[fault.hang_after :]
        self.wfile.write(content[: fault.stop_after])
        self.close_connection = True


@contextmanager
def serving(repository: str) -> Iterator[Hub]:
    hub = Hub(repository)
    handler = type("Handler", (_Handler,), {"hub": hub})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
        threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
        hub.address = f"http://127.0.0.1:{http.server_address[1]}"
        yield hub
        hub.resume.set()
        http.shutdown()
