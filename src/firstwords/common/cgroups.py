"""Limits that Linux control groups set for this process: containers, batch jobs, systemd slices.

Both versions of the kernel's interface are read. Elsewhere there are no limits.
"""

import math
from collections.abc import Iterator
from pathlib import Path


def cpu_quota() -> int | None:
    """Return the number of processors whose time the process may use, rounded up; None without a
    limit."""
    quotas = []
    for group in control_groups("cpu"):
        quota, period = [*read_numbers(group / "cpu.max"), None, None][:2]  # version 2
        if quota is None:  # version 1
            quota = next(iter(read_numbers(group / "cpu.cfs_quota_us")), None)
            period = next(iter(read_numbers(group / "cpu.cfs_period_us")), None)
        if quota and period and quota > 0:
            quotas.append(math.ceil(quota / period))
    return min(quotas, default=None)


def free_memory() -> Iterator[int]:
    """Yield the bytes still free under each memory limit."""
    for group in control_groups("memory"):
        for limit_file, usage_file in (
            ("memory.max", "memory.current"),  # version 2
            ("memory.limit_in_bytes", "memory.usage_in_bytes"),  # version 1
        ):
            limits, usages = read_numbers(group / limit_file), read_numbers(group / usage_file)
            for limit, usage in zip(limits, usages, strict=False):
                yield limit - usage + _page_cache(group)


def _page_cache(group: Path) -> int:
    """Return the bytes of cached files that count as usage but are freed when memory is short."""
    try:
        lines = (group / "memory.stat").read_text().splitlines()
    except OSError:
        return 0
    return next((int(n) for key, n in map(str.split, lines) if key == "inactive_file"), 0)


def control_groups(controller: str) -> Iterator[Path]:
    """Yield the directories of this process's control group and of those that contain it."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for _, controllers, inside in (line.split(":", 2) for line in lines):
        if controllers and controller not in controllers.split(","):
            continue
        root = Path("/sys/fs/cgroup") / (controller if controllers else "")
        group = root / inside.lstrip("/")
        yield from (g for g in (group, *group.parents) if g == root or root in g.parents)


def read_numbers(path: Path) -> list[int]:
    """Return the numbers in a kernel file; none if the file is missing or says "max"."""
    try:
        return [int(word) for word in path.read_text().split()]
    except (OSError, ValueError):
        return []
