"""Run a program that a model wrote against the tests of a benchmark."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import NamedTuple

from firstwords.evaluation.sandbox import isolation
from firstwords.evaluation.sandbox.memory_group import memory_group

TIMEOUT_SECONDS = 5.0  # wall time; the reference allows 3 in a Python that is already running
Process = subprocess.Popen[bytes]


class ProgramResult(NamedTuple):
    """Whether a program passed, and if not, why: an exception, a signal or the time."""

    passed: bool
    reason: str


def run_program(
    program: str,
    entry_point: str,
    tests: str,
    isolated: bool = True,
    seconds: float = TIMEOUT_SECONDS,
) -> ProgramResult:
    """Run a Python program against tests: they define `check`, which is called with the program's
    function `entry_point`, also a name that they can use.

    Arguments and results are plain data. Raises RuntimeError if the program should be isolated and
    cannot be.
    """
    if isolated and (reason := isolation.unavailable_reason()):
        raise RuntimeError(reason)
    job = json.dumps({"program": program, "entry_point": entry_point, "tests": tests})
    with _started(isolated, seconds) as (driver, candidate):
        try:
            verdict, _ = driver.communicate(job.encode(), seconds)
        except subprocess.TimeoutExpired:
            return ProgramResult(False, f"timed out after {seconds:g} s")
        if not verdict:
            return ProgramResult(False, _ending("the tests' process", driver))
        result = ProgramResult(**json.loads(verdict))
        if result.passed or result.reason:
            return result
        return ProgramResult(False, _ending("the program's process", candidate))


@contextmanager
def _started(isolated: bool, seconds: float) -> Iterator[tuple[Process, Process]]:
    """Yield driver and candidate, which share nothing but two pipes, and kill them at the end."""
    with memory_group(isolation.MEMORY_BYTES) as group, ExitStack() as stack:
        requests, replies = os.pipe(), os.pipe()
        try:
            driver = _start("driver", (replies[0], requests[1]), isolated, seconds, group)
            stack.callback(_kill, driver)
            candidate = _start("candidate", (requests[0], replies[1]), isolated, seconds, group)
            stack.callback(_kill, candidate)
        finally:
            for end in (*requests, *replies):
                os.close(end)
        yield driver, candidate


def _start(
    role: str, pipe_ends: tuple[int, int], isolated: bool, seconds: float, group: Path | None
) -> Process:
    """Start one role of `inside.py`. Only the driver can be written to and read from."""
    stream = subprocess.PIPE if role == "driver" else subprocess.DEVNULL
    with isolation.seccomp_filter() if isolated else nullcontext() as seccomp:
        command = isolation.inside_command(role, pipe_ends, seccomp)
        return subprocess.Popen(
            isolation.limited(command, seconds, group),
            env={"PATH": os.defpath},
            stdin=stream,
            stdout=stream,
            stderr=subprocess.DEVNULL,
            pass_fds=pipe_ends if seccomp is None else (*pipe_ends, seccomp),
            start_new_session=True,
        )


def _ending(what: str, process: Process) -> str:
    """Return how a process ended that gave no answer."""
    try:
        code = process.wait(1.0)
    except subprocess.TimeoutExpired:
        return f"{what} stopped answering"
    if code < 0 or code > 128:
        return f"{what} was killed by signal {-code if code < 0 else code - 128}"
    return f"{what} exited early with code {code}"


def _kill(process: Process) -> None:
    """Kill the whole process group, even if its first process has ended."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    for stream in filter(None, (process.stdin, process.stdout)):
        with suppress(BrokenPipeError):
            stream.close()
    process.wait()
