"""Start a benchmark's contender in a process of its own, and talk to it line by line."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any


@contextmanager
def start_contender(
    module: str, name: str, task: str, **options: Any
) -> Iterator["subprocess.Popen[str]"]:
    """Start contender `name` of `firstwords.bench.<module>` with its task, a line of JSON, and wait
    until it is ready for the first round. Raises RuntimeError if it stops."""
    process = subprocess.Popen(
        [sys.executable, "-m", f"firstwords.bench.{module}", name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C goes to the parent, which then ends all contenders
        **options,
    )
    try:
        ask(process, task, name)
        yield process
    finally:
        process.kill()
        process.wait()


def ask(process: "subprocess.Popen[str]", line: str, name: str) -> str:
    """Send a line to the contender and return the line that it answers. Raises RuntimeError if it
    stopped."""
    assert process.stdin is not None
    assert process.stdout is not None
    with suppress(BrokenPipeError):  # it has printed the reason on stderr and does not answer
        process.stdin.write(line + "\n")
        process.stdin.flush()
    answer = process.stdout.readline()
    if not answer:
        raise RuntimeError(f"the contender {name} stopped (exit code {process.wait()})")
    return answer
