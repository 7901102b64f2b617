"""A control group of Linux that bounds the memory of a few processes together.

Unlike limits of one process, it counts everything: files in memory, buffers of pipes, and what
the kernel keeps for each file and thread.
"""

import os
import secrets
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from firstwords.common.cgroups import control_groups, read_numbers

LIMIT_FILES = ("memory.max", "memory.limit_in_bytes")  # version 2, version 1
SWAP_LIMITS = {"memory.swap.max": 0, "memory.memsw.limit_in_bytes": 1}  # times the limit
REMOVAL_SECONDS = 10.0


@contextmanager
def memory_group(size: int) -> Iterator[Path | None]:
    """Yield the directory of a new control group that may use `size` bytes; None where this user
    cannot make one. Processes join by writing their id into its `cgroup.procs`, and are killed at
    the end."""
    group = next(filter(None, (_make(parent, size) for parent in control_groups("memory"))), None)
    try:
        yield group
    finally:
        if group is not None:
            _remove(group)


def _make(parent: Path, size: int) -> Path | None:
    """Return a new group in another; None if that is not possible or does not limit memory."""
    group = parent / f"firstwords-{secrets.token_hex(8)}"
    try:
        group.mkdir()
    except OSError:
        return None
    if not os.access(parent / "cgroup.procs", os.W_OK) or not any(
        _write(group / name, size) for name in LIMIT_FILES
    ):
        group.rmdir()
        return None
    for name, factor in SWAP_LIMITS.items():
        _write(group / name, size * factor)
    return group


def _write(path: Path, number: int) -> bool:
    """Write into a file of the kernel; return whether it exists and took the number."""
    try:
        descriptor = os.open(path, os.O_WRONLY)
    except OSError:
        return False
    try:
        os.write(descriptor, str(number).encode())
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def _remove(group: Path) -> None:
    """Kill what is still in the group, and remove it when the last process has ended."""
    deadline = time.monotonic() + REMOVAL_SECONDS
    while time.monotonic() < deadline:
        for process in filter(None, read_numbers(group / "cgroup.procs")):  # 0: not visible here
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        try:
            group.rmdir()
            return
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(0.002)
