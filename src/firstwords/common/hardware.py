"""What this machine has: processor, cores, compiler. Needs no torch."""

import getpass
import os
import platform
import shutil
from pathlib import Path
from typing import Literal

import psutil

from firstwords.common import cgroups

PROCESSORS = Path("/sys/devices/system/cpu")  # Linux's description of each
Device = Literal["cpu", "cuda", "mps"]


def physical_cores() -> int:
    """Return the physical cores that this process may use. A second thread on a core would only
    slow the first down."""
    cores = psutil.cpu_count(logical=False) or os.cpu_count() or 1
    if hasattr(psutil.Process, "cpu_affinity"):
        allowed = psutil.Process().cpu_affinity()
        cores = min(cores, len({_core_of(processor) for processor in allowed}) or cores)
    return max(1, min(cores, cgroups.cpu_quota() or cores))


def _core_of(processor: int) -> str:
    """Return the processors of this one's core, itself included, such as `3,11`."""
    topology = PROCESSORS / f"cpu{processor}" / "topology"
    for name in ("core_cpus_list", "thread_siblings_list"):  # the latter before Linux 5.3
        try:
            return (topology / name).read_text().strip()
        except OSError:
            pass
    return str(processor)


def has_compiler() -> bool:
    """Return whether there is a C++ compiler, which torch.compile needs."""
    return find_compiler() is not None


def find_compiler() -> str | None:
    """Return the path of the C++ compiler: that of $CXX, or the first usual one."""
    names = (os.environ.get("CXX"), "g++", "clang++", "c++")
    return next((path for name in names if name and (path := shutil.which(name))), None)


def has_user_name() -> bool:
    """Return whether this process's user has a name: a container may run as a mere number."""
    try:
        return bool(getpass.getuser())
    except (KeyError, OSError):
        return False


def cpu_name() -> str:
    """Return the processor's model name."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
