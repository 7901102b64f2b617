"""Start commands from a process that has imported PyTorch and the package already.

`firstwords train` of a few steps takes 8 s of CPU time, 5 s of them for imports; a fork of a
process that has done these takes 3 s. What is started is a process of its own, with its own
environment, directory, output and signals. Two things differ from a start of Python: imports
precede the environment, and commands of one test process share a hash seed. Tests of these start
Python: `Bench.firstwords` does with any option, and those of the documents and of several
processes always.
"""

import contextlib
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

SERVE = "import warm_start; exec(warm_start.serve({descriptor}))"
IMPORTED = (
    "firstwords.cli.main",
    "firstwords.cli.terminal_chat",
    "firstwords.evaluation.evaluate",
    "firstwords.evaluation.growth_samples",
    "firstwords.inference.chat",
    "firstwords.pipeline.launch",
    "firstwords.pipeline.phases",
    "firstwords.report.report",
    "firstwords.training.trackers",
    "matplotlib.backends.backend_svg",
    "tensorboardX",
)


def start(
    code: str, arguments: list[str], env: dict[str, str], cwd: Path, output: list[int]
) -> "WarmProcess | subprocess.Popen[bytes]":
    """Start Python code with these `sys.argv[1:]` and nothing to read; `output` has the descriptors
    of its stdout and stderr."""
    if sys.platform == "linux":
        return WarmProcess(code, arguments, env, cwd, output)
    # Elsewhere system libraries may not work in a fork.
    command, (stdout, stderr) = [sys.executable, "-c", code, *arguments], output
    return subprocess.Popen(
        command, env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr
    )


class WarmProcess:
    """A command that is running or has ended, with methods of `subprocess.Popen`."""

    def __init__(
        self, code: str, arguments: list[str], env: dict[str, str], cwd: Path, output: list[int]
    ) -> None:
        self.args = ["firstwords", *arguments]
        self.returncode: int | None = None
        request = {"code": code, "arguments": arguments, "env": env, "cwd": str(cwd)}
        _, connection = _server()
        self._status, written = os.pipe()
        message = json.dumps(request).encode() + b"\n"
        sent = socket.send_fds(connection, [message], [*output, written])
        connection.sendall(message[sent:])
        os.close(written)
        self.pid = int(self._read_line())

    def poll(self) -> int | None:
        return self._wait(0)

    def wait(self, timeout: float | None = None) -> int:
        code = self._wait(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _wait(self, timeout: float | None) -> int | None:
        if self.returncode is None and select.select([self._status], [], [], timeout)[0]:
            self.returncode = os.waitstatus_to_exitcode(int(self._read_line()))
            os.close(self._status)
        return self.returncode

    def _read_line(self) -> bytes:
        line = b""
        while not line.endswith(b"\n"):
            line += os.read(self._status, 1) or b"\n"
        return line


@cache
def _server() -> tuple["subprocess.Popen[bytes]", socket.socket]:
    """Start the process that has imported everything, once; it ends with this one."""
    ours, theirs = socket.socketpair()
    with theirs:
        code = SERVE.format(descriptor=theirs.fileno())
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        command = [sys.executable, "-u", "-c", code]
        process = subprocess.Popen(command, env=environment, pass_fds=[theirs.fileno()])
    return process, ours


def serve(descriptor: int) -> str:
    """Fork once for each request. Returns only in the forks: the code that they are to run, in the
    environment of the request."""
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")  # as firstwords.cli.main does before imports
    for name in IMPORTED:
        importlib.import_module(name)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal; the tests end it
    connection = socket.socket(fileno=descriptor)
    while True:
        message, descriptors, _, _ = socket.recv_fds(connection, 1 << 16, 3)
        if not message:
            os._exit(0)
        while not message.endswith(b"\n"):
            message += connection.recv(1 << 16)
        if os.fork() == 0:
            connection.close()
            _report_end(descriptors.pop())
            return _prepare(json.loads(message), descriptors)
        for received in descriptors:
            os.close(received)
        _reap()


def _report_end(status: int) -> None:
    """Fork the command, wait for its end and report its process number and status. Returns only in
    the command."""
    pid = os.fork()
    if pid == 0:
        os.close(status)
        return
    os.write(status, b"%d\n" % pid)
    os.write(status, b"%d\n" % os.waitpid(pid, 0)[1])
    os._exit(0)


def _reap() -> None:
    """Forget the forks that have reported."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _prepare(request: dict[str, Any], output: list[int]) -> str:
    """Make this process what the request asks for. Returns its code."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with Path(os.devnull).open() as empty:
        os.dup2(empty.fileno(), 0)
    for number, descriptor in enumerate(output, 1):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    sys.argv = ["firstwords", *request["arguments"]]
    return str(request["code"])
