"""What this machine has: processor, cores, compiler. Needs no torch."""

import os
import platform
import shutil
from pathlib import Path
from typing import Literal

import psutil

from firstwords.common import cgroups

Device = Literal["cpu", "cuda", "mps"]


def physical_cores() -> int:
    """Return the physical cores that this process may use. A second thread on a core would only
    slow the first down."""
    allowed = len(psutil.Process().cpu_affinity()) if hasattr(psutil.Process, "cpu_affinity") else 0
    cores = psutil.cpu_count(logical=False) or os.cpu_count() or 1
    return max(1, min(cores, allowed or cores, cgroups.cpu_quota() or cores))


def has_compiler() -> bool:
    """Return whether there is a C++ compiler, which torch.compile needs."""
    return find_compiler() is not None


def find_compiler() -> str | None:
    """Return the path of the C++ compiler: that of $CXX, or the first usual one."""
    names = (os.environ.get("CXX"), "g++", "clang++", "c++")
    return next((path for name in names if name and (path := shutil.which(name))), None)


def cpu_name() -> str:
    """Return the processor's model name."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
