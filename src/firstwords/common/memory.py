"""Memory of this process: what it uses, what it may use, and what glibc keeps of it. Needs no
torch."""

import ctypes
import sys
from pathlib import Path

import psutil

from firstwords.common import cgroups

THREAD_STACK_BYTES = 300_000_000  # address space, used or not, for threads still to start


def keep_freed_memory() -> None:
    """Tell glibc to keep large freed blocks instead of returning them to the kernel.

    By default every activation of more than 32 MB is mapped and page-faulted in again at each step;
    without that, whole training steps run 1.4 to 1.65 times faster
    (docs/lab-notebook.md#freed-memory). Other C libraries have no such setting and need none.
    """
    if libc := _glibc():
        m_trim_threshold, m_mmap_max = -1, -4
        libc.mallopt(m_mmap_max, 0)
        libc.mallopt(m_trim_threshold, 2**31 - 1)


def release_freed_memory() -> None:
    """Return freed memory to the kernel once, between phases: the next phase allocates blocks of
    other sizes and would not reuse it."""
    if libc := _glibc():
        libc.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    if not sys.platform.startswith("linux"):
        return None
    try:
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt, libc.malloc_trim  # noqa: B018
    except (OSError, AttributeError):  # musl
        return None
    return libc


def available_memory() -> int:
    """Return the bytes that this process may use in total, including what it uses now.

    The least of what the machine, the control groups (a container, a batch job) and `ulimit -v`
    leave it.
    """
    used = used_memory()
    bounds = [psutil.virtual_memory().available + used]
    bounds += [free + used for free in cgroups.free_memory()]
    try:
        import resource
    except ModuleNotFoundError:  # Windows
        return min(bounds)
    soft_limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if soft_limit != resource.RLIM_INFINITY:
        reserved = psutil.Process().memory_info().vms + THREAD_STACK_BYTES
        bounds.append(soft_limit - reserved + used)
    return max(0, min(bounds))


def used_memory() -> int:
    """Return the resident bytes of this process."""
    return psutil.Process().memory_info().rss


def peak_memory() -> int:
    """Return the most resident bytes this process has had; the current ones where the system keeps
    no count."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:  # not Linux
        return _peak_memory_by_getrusage()
    peak = next((line for line in lines if line.startswith("VmHWM:")), None)
    return int(peak.split()[1]) * 1024 if peak else used_memory()


def _peak_memory_by_getrusage() -> int:
    """On Linux this would start with the parent's peak at fork."""
    try:
        import resource
    except ModuleNotFoundError:  # Windows
        return used_memory()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
